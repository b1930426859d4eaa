"""Recipes that do not answer every sample, since some have none of their modalities."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from validation_tables import ALS, als_table

from polydx.errors import StudyError
from polydx.recipes.build import build_recipes
from polydx.study import RowIndex, Spectra
from polydx.validation.cross_validation import cross_validate
from polydx.validation.leakage_gap import leakage_gap
from polydx.validation.measure import Resampling
from polydx.validation.scores import score_predictions

LOGISTIC = {"kind": "classical", "model": "logistic_regression"}
RAMAN = LOGISTIC | {"preprocessing": {"raman": ["snv", "standardise"]}}
BLOOD = LOGISTIC | {"preprocessing": {"blood": ["snv", "standardise"]}}


def with_blood(study, absent=()):
    """The study with a second modality; samples at `absent` lack it."""
    raman, rng = study.modalities["raman"], np.random.default_rng(9)
    blood = Spectra((raman.values + rng.normal(size=raman.values.shape) * 0.5).astype(np.float32), raman.axis)
    index = RowIndex.from_lists([[] if i in set(absent) else [i] for i in range(len(study))])
    return replace(study, modalities={"raman": raman, "blood": blood}, rows=dict(study.rows) | {"blood": index})


def built(study):
    return build_recipes({"raman-only": RAMAN, "blood-only": BLOOD}, with_blood(study))


def lopsided(seed=0):
    """Two recipes; the second has no prediction of patients 0 and 1, who lack its modality."""
    table = als_table(recipes=(("svm", 2.0), ("image-only", 1.0)), patients=20, random_state=seed)
    image, gone = table["recipe"] == "image-only", table["patient"].isin(["p00", "p01"])
    lists = [["raman", *([] if lacks else ["image"])] for lacks in gone]
    table["modalities"] = [["image"] if own else listed for own, listed in zip(image, lists, strict=True)]
    return table[~(image & gone)], table


def test_samples_without_its_modalities_take_no_part_in_a_recipe(make_study):
    study = make_study(patients=10)
    gaps = with_blood(study, absent=range(6))
    result = cross_validate(gaps, built(study), folds=5)
    table = result.predictions.drop_duplicates(["recipe", "sample"])
    assert dict(table["recipe"].value_counts()) == {"raman-only": 30, "blood-only": 24}
    assert not set(gaps.ids[:6]) & set(table.loc[table["recipe"] == "blood-only", "sample"])
    assert [n for n in result.notes if n.startswith("blood-only answers")] == [
        "blood-only answers 24 of 30 samples, 8 of 10 patients: the others have none of its modalities (blood) and "
        "take no part in its fits"
    ]
    alone = gaps.having(["blood"])
    fold = result.splits[(result.splits["fold"] == 0) & (result.splits["role"] == "train")]["sample"]
    from polydx.recipes.protocol import stream_seed

    fitted = built(study)["blood-only"].fit(
        alone.subset([s for s in fold if s in set(alone.ids)]), stream_seed(0, "blood-only", 0)
    )
    first = result.predictions[(result.predictions["recipe"] == "blood-only") & (result.predictions["fold"] == 0)]
    expected = fitted.predict_proba(alone.subset(first["sample"].unique()))["disease"].ravel()
    np.testing.assert_array_equal(first["probability"], expected)


@pytest.mark.slow
def test_a_fold_whose_test_samples_all_lack_the_modality_says_so(make_study):
    study = make_study(patients=6)
    result = cross_validate(with_blood(study, range(3)), built(study), "leave-one-patient-out")
    assert "blood-only, seed 0, fold 0: no test sample has any of blood: none is predicted" in result.notes
    assert len(result.predictions[result.predictions["recipe"] == "blood-only"]) == 2 * 15


def test_a_recipe_without_a_training_row_is_refused_by_fold(make_study):
    study = make_study(patients=6)
    with pytest.raises(StudyError, match="recipe 'blood-only', seed 0, fold 0: nothing to train on: none of the 9"):
        cross_validate(with_blood(study, range(18)), built(study), folds=2)


def test_figures_are_of_the_units_a_recipe_answers():
    table, _ = lopsided()
    found = score_predictions(table, ALS, resamples=100)["recipes"]
    alone = score_predictions(table[table["recipe"] == "image-only"], ALS, resamples=100)["recipes"]
    whole = score_predictions(table[table["recipe"] == "svm"], ALS, resamples=100)["recipes"]
    assert found["image-only"] == alone["image-only"]
    assert found["svm"] == whole["svm"]
    assert (found["svm"]["tasks"]["als"]["patient"]["n"], found["image-only"]["tasks"]["als"]["patient"]["n"]) == (
        20,
        18,
    )
    assert found["image-only"]["tasks"]["als"]["patient"]["accuracy"]["method"] == "wilson"


@pytest.mark.parametrize(("level", "metric"), [("patient", "auroc"), ("patient", "accuracy"), ("sample", "auroc")])
def test_recipes_are_compared_on_the_units_that_both_answer(level, metric):
    table, whole = lopsided()
    primary = {"recipe": "svm", "versus": None, "task": "als", "level": level, "metric": metric}
    (found,) = score_predictions(table, ALS, resamples=200, primary=primary)["comparisons"]
    common = whole[~whole["patient"].isin(["p00", "p01"])]
    (expected,) = score_predictions(common, ALS, resamples=200, primary=primary)["comparisons"]
    assert found.pop("n_common") == common["patient" if level == "patient" else "sample"].nunique()
    assert found == expected


def test_recipes_without_a_unit_in_common_are_not_compared():
    table, _ = lopsided()
    table = table[(table["recipe"] == "image-only") | table["patient"].isin(["p00", "p01"])]
    primary = {"recipe": "svm", "versus": None, "task": "als", "level": "patient", "metric": "accuracy"}
    (found,) = score_predictions(table, ALS, resamples=100, primary=primary)["comparisons"]
    assert found["difference"] is None
    assert found["reason"] == "no patient is answered by both"


def test_the_leakage_gap_is_measured_on_samples_that_have_the_modality(make_study):
    study = make_study(patients=10)
    gaps = with_blood(study, absent=range(6))
    recipe = built(study)["blood-only"]
    assert leakage_gap(gaps, recipe, 3, 0, resamples=100) == leakage_gap(
        gaps.having(["blood"]), recipe, 3, 0, resamples=100
    )


def test_the_draws_of_units_do_not_depend_on_who_else_is_measured():
    table, _ = lopsided()
    from polydx.validation.table import read_outcomes

    units = read_outcomes(table, ALS)["als"].to_patients().labelled()
    resampling = Resampling(50, (3,))
    both, one = resampling.measure(units, ["svm", "image-only"]), resampling.measure(units, ["image-only"])
    np.testing.assert_array_equal(both["image-only"].draws.overall["auroc"], one["image-only"].draws.overall["auroc"])
    assert pd.notna(both["svm"].draws.overall["auroc"]).all()
