"""Patients of a centre with another instrument, or with labels of some of the tasks."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from sklearn.metrics import balanced_accuracy_score, f1_score, log_loss, roc_auc_score
from tests.bundle.test_bundle import LOGISTIC, exported
from tests.bundle.test_evaluate import write_study

from polydx import load_study, workflows
from polydx.bundle import load
from polydx.bundle.aligned import aligned
from polydx.config import ValidationConfig
from polydx.modalities import HeldImages
from polydx.study import RowIndex, Table, Task
from polydx.terminal import print_run
from polydx.validation.run_folder import read_run
from polydx.workflows.evaluating import _primary

OTHER_INSTRUMENT = {"axis_error": 8.0, "counts": 1500.0, "fluorescence": 3.0}
RECIPE = {
    "kind": "classical",
    "model": "logistic_regression",
    "preprocessing": {"raman": ["snv", "standardise"]},
    "params": {"C": 0.01},
}
TREE = {
    "malignancy": Task(("benign", "malignant")),
    "subtype": Task(("A", "B", "C"), parent=("malignancy", "malignant")),
}


def by_patient(predictions, task):
    """Return (P,) codes and (P, K) mean probabilities of the labelled patients of a predictions table."""
    own = predictions[(predictions["task"] == task) & predictions["label"].notna()]
    classes = list(dict.fromkeys(own["class"]))
    means = own.pivot_table("probability", "patient", "class")[classes]
    labels = own.groupby("patient")["label"].first().loc[means.index]
    return labels.map(classes.index).to_numpy(), means.to_numpy()


@pytest.mark.slow
def test_a_bundle_is_judged_on_the_cohort_of_another_instrument(tmp_path, capsys):
    own = write_study(tmp_path / "own.yaml", {"logistic": RECIPE}, patients=30, points=351)
    bundle = workflows.train(own, recipe="logistic", out=tmp_path / "m.zip", sets=False)
    options = {"patients": 40, "seed": 1, "name": "elsewhere", "points": 281, "instrument": OTHER_INSTRUMENT}
    primary = {"task": "grade", "metric": "auroc"}
    other = write_study(tmp_path / "other.yaml", primary=primary, **options)
    folder = workflows.evaluate(bundle, other, out=tmp_path / "run")

    metrics = json.loads((folder / "metrics.json").read_text())
    predictions = pd.read_parquet(folder / "predictions.parquet")
    for task in ("t_stage", "n_stage", "grade"):
        truth, p = by_patient(predictions, task)
        found = metrics["recipes"]["logistic"]["tasks"][task]["patient"]
        told = {name: found[name]["estimate"] for name in ("accuracy", "balanced_accuracy", "auroc", "f1", "log_loss")}
        expected = {
            "accuracy": (p.argmax(axis=1) == truth).mean(),
            "balanced_accuracy": balanced_accuracy_score(truth, p.argmax(axis=1)),
            "auroc": roc_auc_score(truth, p, multi_class="ovr"),
            "f1": f1_score(truth, p.argmax(axis=1), average="macro", zero_division=0),
            "log_loss": log_loss(truth, p),
        }
        assert told == pytest.approx(expected)
        assert found["brier"]["estimate"] == pytest.approx(((p - np.eye(p.shape[1])[truth]) ** 2).sum(axis=1).mean())

    # Answers and warnings are those that the same spectra get one by one, on their own axis.
    study = load_study(other)
    spectra = study.spectra("raman")
    answers = load(bundle).predict([{"raman": (row, spectra.axis)} for row in spectra.values])
    own_rows = predictions[(predictions["task"] == "grade") & (predictions["class"] == "G2")].set_index("sample")
    np.testing.assert_allclose(own_rows.loc[study.ids, "probability"], answers["grade: G2"], atol=1e-6)
    warned = pd.read_csv(folder / "warnings.csv")
    unlike = {
        sample: [w for w in listed if "unlike the training spectra" in w]
        for sample, listed in zip(study.ids, answers["warnings"], strict=True)
    }
    unlike = {sample: listed[0] for sample, listed in unlike.items() if listed}
    assert len(unlike) > len(study) / 10  # of spectra like those of training, 1 % are
    assert dict(zip(warned["sample"], "raman: " + warned["warning"], strict=True)) == unlike
    patients = {sample.rpartition("/")[0] for sample in unlike}
    told = metrics["warnings"]["raman"]
    assert (told["samples"], told["patients"]) == (len(unlike), len(patients))
    assert (told["of_samples"], told["of_patients"]) == (len(study), 40)
    assert any("measured at 281 points" in note and "interpolated" in note for note in metrics["notes"])

    page = (folder / "report.html").read_text()
    for sentence in ("measured at 281 points", "unlike the training spectra: ", "The model warns of measurements",
                     "Declared endpoint: recipe logistic, task grade", "none of whom the model had seen"):  # fmt: skip
        assert sentence in page
    assert metrics["primary"] == {
        "recipe": "logistic", "versus": [], "task": "grade", "level": "patient", "metric": "auroc"
    }  # fmt: skip
    assert read_run(folder).config.validation.primary.task == "grade"
    print_run(folder)
    assert "primary endpoint, auroc of grade by patient: 0." in capsys.readouterr().out


def test_a_primary_endpoint_counts_where_it_fits_the_model():
    def declared(**primary):
        return ValidationConfig(primary={"recipe": "cnn", "versus": "svm", **primary})

    scored = {"it": {"tasks": {"grade": {"patient": {}, "sample": {}}, "cell": {"patient": None, "sample": {}}}}}
    scored["it"]["tasks"]["cell"]["patient_reason"] = "no patient-level figures"
    found, why = _primary(declared(task="grade", level="sample", metric="f1"), "it", scored)
    assert (found, why) == ({"recipe": "it", "versus": [], "task": "grade", "level": "sample", "metric": "f1"}, [])
    assert _primary(ValidationConfig(), "it", scored) == (None, [])
    found, (why,) = _primary(declared(task="stage"), "it", scored)
    assert (found, why.partition("left out: ")[2]) == (None, "task 'stage' was not evaluated; evaluated: grade, cell")
    found, (why,) = _primary(declared(task="cell"), "it", scored)
    assert (found, why.partition("left out: ")[2]) == (None, "no patient-level figures")


@pytest.fixture
def tree(make_study):
    """Patients with a benign lesion, or a malignant one of three subtypes."""
    study = make_study(patients=16, each=2)
    malignant = study.label_codes("disease")
    subtype = np.where(malignant == 1, np.repeat(np.arange(16) // 2 % 3, 2), -1)
    labels = pd.DataFrame({"malignancy": malignant, "subtype": subtype}, index=study.labels.index)
    return replace(study, tasks=TREE, labels=labels)


def test_a_subtype_alone_is_asked_of_the_samples_that_have_one(tree, tmp_path):
    exported(tree, LOGISTIC, tmp_path / "m.zip")
    model = load(tmp_path / "m.zip").model
    alone = replace(tree, tasks={"subtype": Task(("A", "B", "C"))}, labels=tree.labels[["subtype"]])
    study, notes, _ = aligned(model, alone)
    assert study.tasks == {"subtype": Task(("A", "B", "C"))}
    np.testing.assert_array_equal(study.label_codes("subtype"), tree.label_codes("subtype"))
    assert any("answered given that 'malignancy' is malignant, which the study does not ask" in note for note in notes)
    above = replace(tree, tasks={"malignancy": TREE["malignancy"]}, labels=tree.labels[["malignancy"]])
    study, notes, _ = aligned(model, above)
    assert study.tasks == {"malignancy": TREE["malignancy"]}
    assert "task of the model that the study does not have: subtype" in notes
    assert aligned(model, tree).study.tasks == TREE


def write_centre(folder, tree, tasks, seed):
    """Write spectra, labels and study.yaml of other patients of the same kinds."""
    folder.mkdir()
    rng = np.random.default_rng(seed)
    raman = tree.spectra("raman")
    frame = pd.DataFrame(raman.values + 0.3 * rng.normal(size=raman.values.shape), columns=raman.axis)
    texts = {name: [task.classes[c] if c >= 0 else "" for c in tree.label_codes(name)] for name, task in TREE.items()}
    frame.insert(0, "sample", [f"s{i}" for i in range(len(tree))])
    frame.to_csv(folder / "spectra.csv", index=False)
    patients = [f"p{i // 2}" for i in range(len(tree))]
    pd.DataFrame({"sample": frame["sample"], "patient": patients, **texts}).to_csv(folder / "samples.csv", index=False)
    told = {"malignancy": {}, "subtype": {"parent": ["malignancy", "malignant"]} if len(tasks) > 1 else {}}
    study = {
        "name": folder.name,
        "samples": "samples.csv",
        "unit": "sample",
        "modalities": {"raman": {"kind": "spectra", "file": "spectra.csv"}},
        "tasks": {name: {"column": name, "classes": list(TREE[name].classes), **told[name]} for name in tasks},
    }
    primary = {"task": "malignancy", "metric": "accuracy"}
    (folder / "study.yaml").write_text(
        yaml.safe_dump({"study": study, "validation": {"bootstrap": 100, "primary": primary}})
    )
    return folder / "study.yaml"


@pytest.mark.slow
def test_each_task_of_a_tree_is_judged_alone_as_it_is_together(tree, tmp_path):
    exported(tree, LOGISTIC, tmp_path / "m.zip")
    found, tables = {}, {}
    for tasks in (("malignancy", "subtype"), ("malignancy",), ("subtype",)):
        yaml_file = write_centre(tmp_path / "-".join(tasks), tree, tasks, seed=3)
        folder = workflows.evaluate(tmp_path / "m.zip", yaml_file, out=tmp_path / f"run-{len(found)}")
        found[tasks] = json.loads((folder / "metrics.json").read_text())
        tables[tasks] = pd.read_parquet(folder / "predictions.parquet")
    both = found["malignancy", "subtype"]["recipes"]["it"]["tasks"]
    assert set(both) == {"malignancy", "malignancy/leaves", "subtype"}
    for task in TREE:
        alone = found[(task,)]["recipes"]["it"]["tasks"]
        assert set(alone) == {task}
        truth, p = by_patient(tables[(task,)], task)
        for figures in (both[task]["patient"], alone[task]["patient"]):
            assert figures["n"] == len(truth) == (16 if task == "malignancy" else 8)
            assert figures["accuracy"]["estimate"] == pytest.approx((p.argmax(axis=1) == truth).mean())
    assert found[("malignancy",)]["primary"]["task"] == "malignancy"
    assert found[("subtype",)]["primary"] is None
    assert found[("subtype",)]["notes"][-1] == (
        "validation.primary of the study is left out: task 'malignancy' was not evaluated; evaluated: subtype"
    )
    page = (tmp_path / "run-2" / "report.html").read_text()
    assert "No primary endpoint of the study that fits the model" in page
    assert "answered given that &#39;malignancy&#39; is malignant" in page


def test_small_images_are_told_of_their_samples(make_study, tmp_path):
    study = make_study(patients=8, each=1)
    pixels = tuple(np.full((24, 24, 3), 20 * i, dtype=np.uint8) for i in range(8))
    named = tuple(Path(f"{i}.png") for i in range(8))
    images = HeldImages(named, (0,) * 8, None, pixels)
    seen = replace(study, modalities={"image": images}, rows={"image": RowIndex.one_each(8)})
    steps = {"image": [{"resize": {"size": 16}}]}
    exported(seen, {"kind": "classical", "model": "logistic_regression", "preprocessing": steps}, tmp_path / "m.zip")
    cut = replace(images, pixels=(*pixels[:6], pixels[6][:10], pixels[7]))
    found = aligned(load(tmp_path / "m.zip").model, replace(seen, modalities={"image": cut}))
    assert found.warnings == {
        study.ids[6]: [
            "image: the image has 10 x 24 pixels, fewer than the 16 x 16 the model looks at: it was enlarged"
        ]
    }


def test_what_is_odd_about_single_rows_is_told_of_their_samples(make_study, tmp_path):
    study = make_study(patients=8, each=2)
    sex = pd.Series(["f", "m"] * 8, dtype=object)
    clinical = Table(pd.DataFrame({"age": 40.0 + np.arange(16), "sex": sex}))
    rows = RowIndex(np.arange(17), np.arange(8).repeat(2))  # one row a patient
    mixed = replace(study, modalities={"clinical": clinical}, rows={"clinical": rows})
    exported(mixed, {"kind": "classical", "model": "logistic_regression"}, tmp_path / "m.zip")
    frame = clinical.frame.copy()
    frame.loc[3, "age"], frame.loc[5, "sex"] = 99.0, "x"
    found = aligned(load(tmp_path / "m.zip").model, replace(mixed, modalities={"clinical": Table(frame)}))
    assert set(found.warnings) == set(study.ids[[6, 7, 10, 11]])
    assert found.warnings[study.ids[6]] == ["clinical: age = 99 is outside the 40 to 55 of training"]
    assert found.warnings[study.ids[10]] == ["clinical: sex = 'x' was not seen in training: taken as missing"]
    assert not [note for note in found.notes if "training" in note]
