from __future__ import annotations

import json
import re
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import yaml
from tests.bundle.test_bundle import LOGISTIC, exported

from polydx import workflows
from polydx.bundle import load
from polydx.bundle.aligned import aligned
from polydx.bundle.training import reappearing, training_hashes
from polydx.errors import ConfigError, LeakageError, StudyError
from polydx.recipes.provenance import Manifest, seen_in
from polydx.study import RowIndex, Spectra, Table, Task
from polydx.workflows.evaluating import _refuse_training

SIMULATED = {"patients": 24, "spectra_per_patient": 2, "points": 101}


@pytest.fixture
def model(make_study, tmp_path):
    exported(make_study(), LOGISTIC, tmp_path / "m.zip")
    return load(tmp_path / "m.zip").model


@pytest.fixture
def with_table(make_study):
    study = make_study(patients=8, each=2)
    sex = pd.Series(["f", "m"] * 8, dtype=object)
    clinical = Table(pd.DataFrame({"age": 40.0 + np.arange(16), "sex": sex}))
    modalities = {**study.modalities, "clinical": clinical}
    return replace(study, modalities=modalities, rows={**study.rows, "clinical": RowIndex.one_each(16)})


def write_study(path, recipes=None, primary=None, **options):
    study = {"dataset": "simulated-tumour", "options": {**SIMULATED, **options}}
    validation = {"bootstrap": 100, **({"primary": primary} if primary else {})}
    path.write_text(yaml.safe_dump({"study": study, "recipes": recipes or {}, "validation": validation}))
    return path


def test_a_row_without_any_value_the_model_takes_is_no_measurement(with_table, tmp_path):
    exported(with_table, {"kind": "classical", "model": "logistic_regression"}, tmp_path / "m.zip")
    model = load(tmp_path / "m.zip").model
    frame = with_table.modalities["clinical"].frame.copy()
    frame.loc[3, ["age", "sex"]] = [np.nan, None]
    empty = replace(with_table, modalities={**with_table.modalities, "clinical": Table(frame)})
    study = aligned(model, empty).study
    assert np.flatnonzero(~study.present("clinical")).tolist() == [3]
    assert study.present("raman").all()


@pytest.mark.slow
def test_a_cross_validation_in_the_folder_is_not_written_over(make_study, tmp_path):
    other = write_study(tmp_path / "other.yaml", {"logistic": LOGISTIC}, seed=1, name="elsewhere")
    kept = tmp_path / "kept"
    workflows.run(other, out=kept, jobs=1)
    before = (kept / "metrics.json").read_bytes()
    own = write_study(tmp_path / "own.yaml", {"logistic": LOGISTIC}, seed=0)
    bundle = workflows.train(own, recipe="logistic", out=tmp_path / "m.zip")
    with pytest.raises(ConfigError, match="holds a cross-validation of 'elsewhere': choose another folder"):
        workflows.evaluate(bundle, other, out=kept)
    assert (kept / "metrics.json").read_bytes() == before


def test_patients_of_a_pretraining_alone_are_found_too(make_study, tmp_path):
    study = make_study()
    key = "ab" * 32
    manifest = Manifest("simclr", "pretraining", seen_in(study).conceal(key)).to_json()
    described = {"members": [{"kind": "network", "manifest": manifest}]}
    told = SimpleNamespace(
        manifest={"training": training_hashes(make_study(seed=5), ["raman"])}, modalities={"raman": {}}
    )
    renamed = replace(study, samples=study.samples.assign(patient="new/" + study.samples["patient"]))
    with pytest.raises(LeakageError, match="networks, pretraining included, have seen 24 measurements"):
        _refuse_training(told, described, renamed, tmp_path / "seen.csv")
    seen = pd.read_csv(tmp_path / "seen.csv")
    assert seen["sample"].tolist() == list(study.ids)
    assert set(seen["why"]) == {"measurement seen by its weights"}
    found = reappearing(told.manifest, described, study, ["raman"])
    assert found.weights[0] == set(map(str, study.patients))
    assert len(found.weights[1]) == len(study.modalities["raman"])
    assert set(found.samples["why"]) == {"patient of the training; measurement seen by its weights"}


def test_where_nothing_reappears_the_list_is_empty(make_study, tmp_path):
    other = replace(
        study := make_study(seed=5), samples=study.samples.assign(patient="new/" + study.samples["patient"])
    )
    told = SimpleNamespace(manifest={"training": training_hashes(make_study(), ["raman"])}, modalities={"raman": {}})
    _refuse_training(told, {"kind": "classical"}, other, tmp_path / "seen.csv")
    assert (tmp_path / "seen.csv").read_text().split() == ["sample,patient,why"]


@pytest.mark.slow
def test_a_bundle_is_judged_on_other_patients_and_refuses_its_own(tmp_path):
    recipe = {**LOGISTIC, "params": {"C": 0.01}}
    own = write_study(tmp_path / "own.yaml", {"logistic": recipe}, seed=0)
    bundle = workflows.train(own, recipe="logistic", out=tmp_path / "m.zip")
    other = write_study(tmp_path / "other.yaml", seed=1, name="elsewhere")
    folder = workflows.evaluate(bundle, other, out=tmp_path / "run")
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["split"] == "external"
    found = metrics["recipes"]["logistic"]["tasks"]["grade"]["patient"]
    told = pd.read_parquet(folder / "predictions.parquet")
    labelled = told[(told["task"] == "grade") & told["label"].notna()]
    means = labelled.groupby(["patient", "class", "label"])["probability"].mean().reset_index()
    best = means.loc[means.groupby("patient")["probability"].idxmax()]
    assert found["accuracy"]["estimate"] == pytest.approx((best["class"] == best["label"]).mean())
    assert found["accuracy"]["low"] <= found["accuracy"]["estimate"] <= found["accuracy"]["high"]
    sets = metrics["recipes"]["logistic"]["tasks"]["grade"]["prediction_sets"]
    assert sets["n"] == found["n_patients"]
    assert 1 <= sets["mean_size"] <= 5
    page = (folder / "report.html").read_text()
    assert "Prediction sets of the bundle" in page
    assert "on the same folds" not in page
    again = workflows.evaluate(bundle, other, out=folder)
    assert json.loads((again / "metrics.json").read_text())["recipes"]["logistic"]["tasks"]["grade"]["patient"] == found
    assert "leakage gap to report" in page
    assert "What a split by sample" not in page
    with pytest.raises(LeakageError, match="simulated-tumour/P001") as refused:
        workflows.evaluate(bundle, own, out=tmp_path / "no")
    assert not (tmp_path / "no").exists()
    assert "48 were in its training" in str(refused.value)
    renamed = write_study(tmp_path / "renamed.yaml", seed=0, name="elsewhere")
    with pytest.raises(LeakageError, match="`--seen FILE` lists the 48 samples") as refused:
        workflows.evaluate(bundle, renamed, out=tmp_path / "no")
    assert re.search("those of samples .* and 38 more", str(refused.value))
    with pytest.raises(LeakageError, match=r"seen\.csv lists the 48 samples"):
        workflows.evaluate(bundle, renamed, out=tmp_path / "no", seen=tmp_path / "seen.csv")
    seen = pd.read_csv(tmp_path / "seen.csv")
    assert len(seen) == 48
    assert set(seen["why"]) == {"measurement of the training"}
    with pytest.raises(ConfigError, match="written as .csv, .parquet, .json"):
        workflows.evaluate(bundle, renamed, out=tmp_path / "no", seen=tmp_path / "seen.xlsx")


def test_classes_are_joined_by_name_and_spectra_brought_onto_the_models_axis(make_study, model):
    study = make_study()
    axis = np.linspace(study.modalities["raman"].axis[0], study.modalities["raman"].axis[-1], 333)
    values = np.tile(np.sin(axis / 50), (len(study.modalities["raman"]), 1)).astype(np.float32)
    turned = replace(
        study,
        modalities={"raman": Spectra(values, axis)},
        tasks={"disease": replace(study.tasks["disease"], classes=("yes", "no")), "other": Task(("a", "b"))},
        labels=pd.DataFrame({"disease": 1 - study.labels["disease"], "other": 0}, index=study.labels.index),
    )
    found, notes, _ = aligned(model, turned)
    np.testing.assert_array_equal(found.label_codes("disease"), study.label_codes("disease"))
    np.testing.assert_allclose(found.spectra("raman").values[0], np.sin(model.axes["raman"] / 50), atol=5e-3)
    assert any("interpolated" in note for note in notes)
    assert "task unknown to the model, left out: other" in notes


def test_what_the_model_cannot_answer_for_is_refused_all_at_once(make_study, model):
    study = make_study()
    axis = study.modalities["raman"].axis
    unknown = replace(study, tasks={"disease": replace(study.tasks["disease"], classes=("no", "maybe"), positive=None)})
    with pytest.raises(StudyError, match="cannot be asked about") as refused:
        aligned(model, unknown)
    assert "does not know maybe" in str(refused.value)
    shifted = replace(study, modalities={"raman": Spectra(study.modalities["raman"].values, axis + 500)})
    with pytest.raises(StudyError, match="not extrapolated"):
        aligned(model, shifted)
    with pytest.raises(StudyError, match="no sample has a label"):
        aligned(model, replace(study, labels=study.labels * 0 - 1))
    with pytest.raises(StudyError, match="name them alike"):
        aligned(model, replace(study, modalities={"ir": study.modalities["raman"]}, rows={"ir": study.rows["raman"]}))


def test_columns_of_tables_are_joined_by_name_and_units_must_agree(with_table, tmp_path):
    both = {**LOGISTIC, "preprocessing": {**LOGISTIC["preprocessing"], "clinical": ["impute", "one_hot"]}}
    frame = with_table.modalities["clinical"].frame
    years = replace(with_table, modalities={**with_table.modalities, "clinical": Table(frame, {"age": "a"})})
    exported(years, both, tmp_path / "m.zip")
    model = load(tmp_path / "m.zip").model
    younger = Table(frame.drop(columns="sex").assign(weight=1.0), {"age": "a"})
    found, notes, _ = aligned(model, replace(years, modalities={**with_table.modalities, "clinical": younger}))
    assert list(found.modalities["clinical"].frame) == list(frame)
    assert "clinical: missing for every sample: sex" in notes
    with pytest.raises(StudyError, match="is in months; the model takes a"):
        aligned(
            model, replace(years, modalities={**with_table.modalities, "clinical": Table(frame, {"age": "months"})})
        )
    with pytest.raises(StudyError, match="has none of the columns"):
        aligned(
            model,
            replace(
                years,
                modalities={**with_table.modalities, "clinical": Table(frame[["age"]].rename(columns={"age": "b"}))},
            ),
        )
