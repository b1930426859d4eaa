"""Nobody is tested on weights that have seen them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from polydx.errors import LeakageError
from polydx.recipes.build import build_recipes
from polydx.recipes.pretrain import save_pretrained
from polydx.recipes.provenance import Seen, seen_in
from polydx.recipes.sources import Sources
from polydx.study import Spectra, Table
from polydx.validation.checks import pretraining
from polydx.validation.cross_validation import cross_validate

NETWORK = {
    "kind": "network",
    "backbones": {"raman": {"name": "cnn", "width": 4}},
    "training": {"epochs": 1, "batch_size": 8, "patience": None},
}


def of_others(make_study, seed=9):
    study = make_study(seed=seed)
    return replace(study, name="others", samples=study.samples.assign(patient="others/" + study.patients.astype(str)))


def weights(study, tmp_path):
    save_pretrained(tmp_path / "w.safetensors", build_recipes({"net": NETWORK}, study)["net"].fit(study, 0))
    return NETWORK | {"init": {"from": tmp_path / "w.safetensors"}}


def no_fit(*arguments, **options):
    raise AssertionError("something was fitted")


@pytest.mark.slow
def test_weights_that_saw_a_test_patient_are_refused_before_anything_is_fitted(make_study, tmp_path, monkeypatch):
    study, others = make_study(), of_others(make_study)
    own = weights(others, tmp_path)
    cross_validate(study, {"net": own}, folds=2)
    shared = replace(
        others,
        samples=others.samples.assign(
            patient=np.where(others.patients == "others/tiny/p03", "tiny/p03", others.patients)
        ),
    )
    own = weights(shared, tmp_path)
    monkeypatch.setattr("polydx.recipes.network.NetworkRecipe.fit", no_fit)
    with pytest.raises(LeakageError, match=r"recipe 'net'.*have seen 1 patient that would be tested \('tiny/p03'\)"):
        cross_validate(study, {"net": own}, folds=2)


def test_a_copy_under_another_name_is_found_by_its_content(make_study, tmp_path):
    study, others = make_study(), of_others(make_study)
    values = others.spectra("raman").values.copy()
    values[4] = study.spectra("raman").values[17]
    copied = replace(others, modalities={"raman": Spectra(values, others.spectra("raman").axis)})
    with pytest.raises(LeakageError, match=f"under another name, by the content .*'{study.patients[17]}'"):
        cross_validate(study, {"net": weights(copied, tmp_path)}, folds=2)


@pytest.mark.parametrize("wrap", ["features", "ensemble", "operating point", "study"])
def test_no_kind_of_recipe_hides_what_its_weights_saw(make_study, tmp_path, wrap, monkeypatch):
    study = make_study()
    own = {"net": weights(study, tmp_path)}
    if wrap == "features":
        own = {
            "net": {
                "kind": "features",
                "model": "logistic_regression",
                "features": {"from": own["net"], "stage": "embedding"},
            }
        }
    elif wrap == "ensemble":
        own = {"net": {"kind": "ensemble", "members": {"one": own["net"]}}}
    elif wrap == "operating point":
        own["net"]["operating_point"] = {"rule": "youden"}
    else:
        monkeypatch.setattr(Sources, "load", lambda *_: study)
        own = {"net": NETWORK | {"pretrain": {"method": "supervised", "dataset": "als-saliva"}}}
    with pytest.raises(LeakageError, match="have seen 8 patients"):
        cross_validate(study, own, folds=2)


def test_pretraining_inside_the_fold_is_no_leak(make_study):
    study = make_study()
    own = NETWORK | {"pretrain": {"method": "supervised", "epochs": 1}}
    assert pretraining(study, build_recipes({"net": own}, study)) == []
    assert len(cross_validate(study, {"net": own}, folds=2).predictions) == 48


def test_weights_that_do_not_say_whom_they_saw_are_named(make_study, tmp_path):
    import torch

    from polydx.models.backbones import build_backbone

    study = make_study()
    torch.save(build_backbone("cnn", 1, 1, width=4).state_dict(), tmp_path / "w.pt")
    built = build_recipes({"net": NETWORK | {"init": {"from": tmp_path / "w.pt"}}}, study)
    (finding,) = pretraining(study, built)
    assert (finding.severity, finding.where) == ("note", "recipe 'net'")
    assert "does not say whom it has seen" in finding.message
    cross_validate(study, built, folds=2)


def test_people_of_the_same_age_and_sex_are_no_copies(make_study):
    study = make_study()
    import pandas as pd

    table = Table(pd.DataFrame({"age": np.full(len(study), 60), "sex": "f"}))
    clinical = replace(
        study, modalities={**study.modalities, "clinical": table}, rows={**study.rows, "clinical": study.rows["raman"]}
    )
    assert seen_in(clinical).hashes == seen_in(study).hashes


def test_what_was_seen_survives_json_and_adds_up():
    one, other = Seen(frozenset({"a"}), frozenset({"1"}), ("x",)), Seen(frozenset({"b"}), frozenset(), ("x", "y"), True)
    both = one | other
    assert both == Seen(frozenset({"a", "b"}), frozenset({"1"}), ("x", "y"), True)
    assert Seen.from_json(both.to_json()) == both
