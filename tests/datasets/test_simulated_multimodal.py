"""The simulated cohort of three modalities: reproducible, and true to what it says can be found in it."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from scipy.signal import savgol_filter
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from polydx.datasets.catalogue import load_study
from polydx.datasets.simulated_multimodal import (
    ADDITIVE,
    AGREEMENT,
    MODALITIES,
    best_score,
    draw_latents,
    simulate_multimodal,
)
from polydx.errors import ConfigError
from polydx.io.images import read_image

MANY = 1200  # patients, small measurements


@pytest.fixture(scope="module")
def usual():
    return simulate_multimodal(200)


@pytest.fixture(scope="module")
def many():
    return simulate_multimodal(MANY, points=16, image_size=8, spectra_per_patient=1)


def derivatives(study):
    """(P, L) mean derivative spectra of patients, scatter removed."""
    derived = savgol_filter(study.modalities["raman"].values.astype(float), 11, 3, deriv=1, axis=1)
    derived = (derived - derived.mean(1, keepdims=True)) / derived.std(1, keepdims=True)
    return derived.reshape(len(study), -1, derived.shape[1]).mean(1)


def pixels(study):
    return np.stack([read_image(p).ravel() for p in study.modalities["image"].paths]).astype(float)


def separation(study, task, score):
    """AUROC of a score, 0.5 if it tells nothing; of a task of three classes, for the upper two."""
    return roc_auc_score(study.label_codes(task) > 0, score)


def test_the_same_arguments_give_the_same_bytes_and_another_seed_does_not(tmp_path, monkeypatch):
    def fingerprint(seed, cache):
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / cache))
        return simulate_multimodal(12, seed, missing={"image": 0.25}).fingerprint()

    assert fingerprint(5, "a") == fingerprint(5, "b") != fingerprint(6, "a")


def test_a_cohort_has_the_documented_shape(usual):
    assert (usual.name, usual.unit, usual.simulated, len(usual)) == ("simulated-multimodal", "patient", True, 200)
    assert usual.ids[0] == usual.patients[0] == "simulated-multimodal/P001"
    assert usual.modalities["raman"].values.shape == (600, 351)
    assert usual.rows["raman"].counts.tolist() == [3] * 200
    assert read_image(usual.modalities["image"].paths[0]).shape == (32, 32)
    frame = usual.modalities["clinical"].frame
    assert frame.dtypes.astype(str).tolist() == ["float64", "object", "float64", "float64", "category", "object"]
    assert frame["symptoms"].cat.ordered
    assert set(frame["sex"]) == {"F", "M", None}
    assert (np.abs(frame.isna().mean() - 0.1) < 0.08).all()
    assert np.bincount(usual.label_codes("disease")).tolist() == [100, 100]
    assert np.bincount(usual.label_codes("grade")).tolist() == [67, 67, 66]


@pytest.mark.slow
def test_every_latent_value_can_be_read_off_its_own_modality_and_off_no_other(usual):
    latent, seen = draw_latents(200), {"raman": derivatives(usual), "image": pixels(usual)}
    found = {
        (modality, name): np.corrcoef(
            cross_val_predict(make_pipeline(StandardScaler(), RidgeCV(np.logspace(0, 5, 11))), x, latent[name], cv=5),
            latent[name],
        )[0, 1]
        for modality, x in seen.items()
        for name in ("spectral", "visible", "carotenoid", "core", "burden")
    }
    own = {("raman", "spectral"), ("raman", "carotenoid"), ("image", "visible"), ("image", "core")}
    assert min(found[key] for key in own) > 0.85
    assert found.pop(("raman", "burden")) > 0.85
    found.pop(("image", "burden"))  # in the speckle, where no pixel by itself tells it
    assert max(abs(r) for key, r in found.items() if key not in own) < 0.35


def test_the_table_writes_down_its_latent_values(usual):
    latent, frame = draw_latents(200), usual.modalities["clinical"].frame
    known = frame["marker"].notna()
    assert np.corrcoef(np.log(frame["marker"][known]), latent["marker"][known])[0, 1] == pytest.approx(1)
    known = frame["antigen"].notna()
    assert np.corrcoef(np.log(frame["antigen"][known]), latent["burden"][known])[0, 1] > 0.85
    for column in ("symptoms", "smoking"):
        levels = latent[column].groupby(frame[column].to_numpy()).agg(["min", "max"]).sort_values("min")
        assert (levels["max"].to_numpy()[:-1] < levels["min"].to_numpy()[1:]).all(), "each level is a range of its own"


def test_the_burden_coarsens_the_speckle_of_pictures(usual):
    corners = pixels(usual).reshape(-1, 32, 32)[:, [0, 1, 2, 3, 28, 29, 30, 31]][:, :, [0, 1, 2, 3, 28, 29, 30, 31]]
    assert np.corrcoef(np.log(corners.std(axis=(1, 2))), draw_latents(200)["burden"])[0, 1] > 0.5


def test_agreement_tells_a_good_deal_and_neither_coin_alone_tells_anything(many):
    latent = draw_latents(MANY)
    assert separation(many, "disease", latent["carotenoid"] * latent["core"]) > 0.58
    for coin in ("carotenoid", "core"):
        assert separation(many, "disease", latent[coin]) == pytest.approx(0.5, abs=0.04)


def test_agreement_is_invisible_to_a_curved_model_of_one_modality(usual):
    """An RBF machine that finds the agreement in both modalities together finds nothing of it in either."""
    agree = (lambda t: t["carotenoid"] * t["core"] > 0)(draw_latents(200))
    coins = draw_latents(200)[["carotenoid", "core"]].to_numpy()
    blurred = coins + 0.5 * np.random.default_rng(0).standard_normal(coins.shape)
    from sklearn.svm import SVC

    def found(x):
        return roc_auc_score(agree, cross_val_predict(SVC(), x, agree, cv=5, method="decision_function"))

    assert found(blurred) > 0.9
    assert max(found(blurred[:, [i]]) for i in (0, 1)) < 0.6


def test_an_effect_of_zero_leaves_answers_to_chance_and_measurements_as_they_are(many):
    none = simulate_multimodal(MANY, points=16, image_size=8, spectra_per_patient=1, effect=0.0)
    for task in ("disease", "grade"):
        score = best_score(draw_latents(MANY), task)
        assert separation(none, task, score) == pytest.approx(0.5, abs=0.04)
        assert separation(many, task, score) > 0.85
    assert [m.content(7) for m in none.modalities.values()] == [m.content(7) for m in many.modalities.values()]
    np.testing.assert_array_equal(none.modalities["raman"].values, many.modalities["raman"].values)


def test_more_spectra_leave_patients_pictures_and_answers_as_they_are(usual):
    more = simulate_multimodal(200, spectra_per_patient=5)
    assert more.modalities["image"] == usual.modalities["image"]
    assert more.labels.equals(usual.labels)
    assert more.modalities["clinical"].frame.equals(usual.modalities["clinical"].frame)


def test_a_plain_model_of_one_modality_stays_below_its_ceiling_and_well_above_chance(usual):
    for x in (derivatives(usual), pixels(usual)):
        model = make_pipeline(StandardScaler(), LogisticRegression(C=0.001))
        score = cross_val_predict(model, x, usual.label_codes("disease"), cv=5, method="decision_function")
        assert 0.53 < separation(usual, "disease", score) < 0.8


def test_missing_modalities_are_missing_exactly_and_change_nothing_that_is_there():
    small = {"points": 16, "image_size": 8}
    whole, holes = (
        simulate_multimodal(40, **small),
        simulate_multimodal(40, **small, missing={"image": 0.25, "raman": 0.5}),
    )
    assert [(~holes.present(m)).sum() for m in MODALITIES] == [20, 10, 0]
    for modality in MODALITIES:
        for i in np.flatnonzero(holes.present(modality)):
            rows = [study.rows[modality][i] for study in (whole, holes)]
            a, b = ([s.modalities[modality].content(r) for r in rs] for s, rs in zip((whole, holes), rows, strict=True))
            assert a == b
    assert holes.labels.equals(whole.labels)


def test_nobody_is_left_with_nothing():
    most = simulate_multimodal(30, points=16, image_size=8, missing={"raman": 0.3, "image": 0.8, "clinical": 0.7})
    present = np.array([most.present(m) for m in MODALITIES])
    assert present.sum(axis=1).tolist() == [21, 6, 9]
    assert present.any(axis=0).all()


def test_pictures_are_kept_once_and_come_back_when_one_is_lost():
    first = simulate_multimodal(6, 11, image_size=8).modalities["image"].paths
    written = [p.stat().st_mtime_ns for p in first]
    first[2].unlink()
    again = simulate_multimodal(6, 11, image_size=8).modalities["image"].paths
    assert again == first
    assert [p.stat().st_mtime_ns == t for p, t in zip(again, written, strict=True)] == [
        True,
        True,
        False,
        True,
        True,
        True,
    ]


def test_a_yaml_names_the_cohort(tmp_path):
    options = "{patients: 9, seed: 3, name: elsewhere, missing: {clinical: 0.3}, missing_cells: 0}"
    (tmp_path / "study.yaml").write_text(f"study: {{dataset: simulated-multimodal, options: {options}}}")
    found = load_study(tmp_path / "study.yaml")
    assert (
        found.fingerprint()
        == simulate_multimodal(9, 3, name="elsewhere", missing={"clinical": 0.3}, missing_cells=0).fingerprint()
    )
    assert not found.modalities["clinical"].frame.isna().any(axis=None)


@pytest.mark.parametrize(
    ("arguments", "where", "found"),
    [
        ({"patients": 5}, "patients", "expected a whole number from 6 to 20000, found 5"),
        ({"seed": -1}, "seed", "found -1"),
        ({"effect": -0.5}, "effect", "found -0.5"),
        ({"spectra_per_patient": 0}, "spectra_per_patient", "found 0"),
        ({"points": 15}, "points", "found 15"),
        ({"image_size": 7}, "image_size", "found 7"),
        ({"missing_cells": 1.5}, "missing_cells", "found 1.5"),
        ({"missing": {"image": 2}}, "missing.image", "expected a number from 0 to 1, found 2"),
        ({"missing": {"image": "much"}}, "missing.image", "found 'much'"),
        ({"missing": {"ct": 0.1}}, "missing", "unknown modality 'ct'; expected one of: raman, image, clinical"),
        (
            {"missing": dict.fromkeys(MODALITIES, 0.7)},
            "missing",
            "add up to 1.4; beyond 1 somebody is left with nothing",
        ),
        ({"name": "a b"}, "name", "found 'a b'"),
    ],
)
def test_an_argument_out_of_range_is_refused_by_name(arguments, where, found):
    with pytest.raises(ConfigError, match=found) as caught:
        simulate_multimodal(**arguments)
    assert [problem.where for problem in caught.value.problems] == [where]


@pytest.mark.slow
def test_the_documented_ceilings_are_those_of_the_latent_values():
    page = (Path(__file__).parents[2] / "docs" / "simulated-cohort.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([a-z ,]+) \| (0\.\d\d) \| (0\.\d\d) \| (0\.\d\d) \|$", page, flags=re.MULTILINE)
    latent, rng = draw_latents(60_000), np.random.default_rng(0)
    noise = {task: rng.logistic(size=len(latent)) for task in ("disease", "grade")}
    odds = {task: best_score(latent, task) + noise[task] for task in noise}
    for seen, disease, added, grade in rows:
        modalities = seen.split(", ")
        asked = [("disease", disease, True), ("disease", added, False), ("grade", grade, True)]
        for task, told, agreement in asked:
            answers = odds[task] > np.quantile(odds[task], {"disease": 1 / 2, "grade": 1 / 3}[task])
            found = roc_auc_score(answers, best_score(latent, task, modalities, agreement=agreement))
            assert float(told) == pytest.approx(found, abs=0.01), (seen, task)
    assert len(rows) == 7


def with_gaps(latent, share, *, agreement):
    """Probability of disease given what is left of each patient, the unseen latent values averaged over."""
    draws = np.random.default_rng(1).random((len(latent), len(MODALITIES)))
    there = draws >= share
    bare = np.flatnonzero(~there.any(axis=1))
    there[bare, draws[bare].argmax(axis=1)] = True
    nodes, weights = np.polynomial.hermite_e.hermegauss(15)
    found = np.empty(len(latent))
    for pattern in np.unique(there, axis=0):
        rows = (there == pattern).all(axis=1)
        seen = [name for name, has in zip(MODALITIES, pattern, strict=True) if has]
        score = best_score(latent[rows], "disease", seen, agreement=agreement)
        unseen = np.sqrt(sum(ADDITIVE["disease"][name] ** 2 for name in MODALITIES if name not in seen))
        coin = 0.0 if agreement and {"raman", "image"} <= set(seen) else AGREEMENT["disease"]
        odds = score[:, None, None] + unseen * nodes[:, None] + np.array([-coin, coin])
        found[rows] = (1 / (1 + np.exp(-odds))).mean(axis=2) @ (weights / weights.sum())
    return found


@pytest.mark.parametrize(("agreement", "told"), [(True, (0.948, 0.873)), (False, (0.905, 0.845))])
def test_even_the_ideal_score_loses_by_gaps_what_the_pages_say(agreement, told):
    docs = Path(__file__).parents[2] / "docs"
    for page in (docs / "simulated-cohort.md", docs / "results" / "simulated-multimodal.md"):
        assert f"from {told[0]} to {told[1]}" in page.read_text(encoding="utf-8")
    latent = draw_latents(60_000)
    answers = best_score(latent, "disease") + np.random.default_rng(0).logistic(size=len(latent))
    answers = answers > np.median(answers)
    complete = roc_auc_score(answers, best_score(latent, "disease", agreement=agreement))
    left = roc_auc_score(answers, with_gaps(latent, 0.3, agreement=agreement))
    assert (complete, left) == pytest.approx(told, abs=0.004)
