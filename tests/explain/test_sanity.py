from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import spearmanr

from polydx.errors import ConfigError
from polydx.explain.choice import targets
from polydx.explain.gradients import integrated_gradients
from polydx.explain.sanity import dealt_out, rank_correlation, sanity_of_spectra, structural_similarity
from polydx.explain.spectral import occlusion


def contrast(subject, study, modality, target):
    """Looks like an explanation, and does not look at the model."""
    return study.spectra(modality).values - study.spectra(modality).values.mean(axis=1, keepdims=True)


def test_the_map_of_a_trained_network_is_not_that_of_random_weights(subject):
    own = subject("cnn")
    found = sanity_of_spectra(own, integrated_gradients(8), "raman", targets(own.test, "disease")[0], draws=2)
    assert found.passed
    assert found.similarity < 0.4
    assert list(found.steps) == [
        "heads.disease",
        *(f"backbones.raman.{s}" for s in ("stage4", "stage3", "stage2", "stage1", "stem")),
    ]
    assert found.to_json()["test"] == "weights"


def test_a_method_that_ignores_the_model_is_found_out(subject):
    for name in ("cnn", "logistic"):
        own = subject(name)
        found = sanity_of_spectra(own, contrast, "raman", targets(own.test, "disease")[0], draws=1)
        assert not found.passed
        assert found.similarity == pytest.approx(1)
        assert found.structure == pytest.approx(1)


@pytest.mark.slow
def test_a_classical_recipe_is_fitted_again_to_labels_dealt_out_anew(subject):
    own = subject("logistic")
    target = targets(own.test, "disease")[0]
    found = sanity_of_spectra(own, occlusion(60), "raman", target, draws=2)
    assert (found.test, found.passed) == ("labels", True)
    with pytest.raises(ConfigError, match="fits it again: give the run, not the model"):
        sanity_of_spectra(replace(own, refit=None), occlusion(60), "raman", target)


def test_labels_are_dealt_out_among_patients(make_study):
    study = make_study(patients=12)
    mixed = dealt_out(study, "disease", 3)
    assert not mixed.labels.equals(study.labels)
    by_patient = mixed.labels["disease"].groupby(study.samples["patient"])
    assert (by_patient.nunique() == 1).all()
    assert by_patient.first().value_counts().to_dict() == {0: 6, 1: 6}


def test_similarities_of_maps(rng):
    a, b = rng.normal(size=200), rng.normal(size=200)
    assert rank_correlation(a, b) == pytest.approx(spearmanr(a, b).statistic)
    assert rank_correlation(a, np.zeros(200)) == 0
    assert structural_similarity(a, 3 * a) == pytest.approx(1)
    assert structural_similarity(a, b) < 0.3
    a[:10] = np.nan
    assert rank_correlation(a, a) == pytest.approx(1)
