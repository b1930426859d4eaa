from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from polydx.bundle import Predictor, load
from polydx.bundle.export import export_bundle
from polydx.decision import decide
from polydx.errors import BundleError, ConfigError, ReadError, SpectrumError
from polydx.io.parts import Parts, write_parts
from polydx.recipes.build import build_recipes
from polydx.recipes.store import ARRAYS, MODEL, Modality, Model
from polydx.study import RowIndex, Task
from polydx.validation import metrics

AXIS = np.linspace(600.0, 1600.0, 60)
TWO = Task(("no", "yes"), positive="no")


@dataclass
class Answering:
    """A model that answers what it is told to, a row a sample."""

    probabilities: dict[str, Any]
    thresholds: dict[str, float] = field(default_factory=dict)

    def predict_proba(self, study):
        self.study = study
        return {name: np.asarray(p, dtype=float)[: len(study)] for name, p in self.probabilities.items()}


def model_of(task, probabilities, thresholds=(), unit="sample"):
    answering = Answering({"disease": probabilities}, dict(thresholds))
    raman = {"raman": Modality(kind="spectra")}
    return Predictor(Model(answering, {"disease": task}, {"raman": AXIS}, {}, unit, raman), {}, "")


def changed(predictor, **parts):
    return replace(predictor, model=replace(predictor.model, **parts))


def write(path, values):
    """A row a spectrum, the axis as header."""
    pd.DataFrame(np.atleast_2d(values), columns=[f"{a:.6f}" for a in AXIS]).to_csv(path, index=False)
    return path


@pytest.fixture
def one_file(tmp_path, rng):
    return write(tmp_path / "three.csv", rng.random((3, 60)))


def trained(make_study, path, unit="sample", steps=("snv",), model="knn", params=None):
    study = make_study(patients=6, each=2)
    study = replace(study, modalities={"raman": replace(study.spectra("raman"), axis=AXIS)})
    if unit == "patient":
        bags = RowIndex.from_lists([[2 * i, 2 * i + 1] for i in range(6)])
        study = replace(
            study, samples=study.samples[::2], labels=study.labels[::2], rows={"raman": bags}, unit="patient"
        )
    wanted = {
        "kind": "classical", "model": model, "params": {"neighbours": 2} if params is None else params,
        "preprocessing": {"raman": list(steps)},
    }  # fmt: skip
    recipe = build_recipes({"it": wanted}, study)["it"]
    fitted = recipe.fit(study, 0)
    about = {"study": study.name, "recipe": "it", "seed": 0, "polydx": "0", "samples": len(study), "patients": 6}
    export_bundle(path, fitted, recipe, study, about, include_training_data=True)
    return study, fitted


TIES = np.array([[0.5, 0.5], [0.4, 0.6], [0.6, 0.4]])


@pytest.mark.parametrize(
    ("positive", "thresholds", "expected"),
    [
        ("no", {}, ["no", "yes", "no"]),
        ("yes", {}, ["yes", "yes", "no"]),
        (None, {}, ["yes", "yes", "no"]),
        ("yes", {"disease": 0.6}, ["no", "yes", "no"]),
    ],
)
def test_two_classes_are_decided_at_the_threshold_or_one_half_and_a_tie_is_positive(
    one_file, positive, thresholds, expected
):
    answers = model_of(Task(("no", "yes"), positive=positive), TIES, thresholds).predict([one_file])
    assert list(answers["disease"]) == expected


def test_of_three_classes_the_most_probable_is_decided_and_the_first_named_of_a_tie(one_file):
    p = [[0.4, 0.4, 0.2], [0.2, 0.4, 0.4], [0.1, 0.2, 0.7]]
    answers = model_of(Task(("a", "b", "c")), p).predict([one_file])
    assert list(answers["disease"]) == ["a", "b", "c"]


def test_metrics_and_predictions_share_one_rule():
    assert metrics.decide is decide


def test_two_neighbours_that_disagree_are_decided_as_validation_decides(make_study, tmp_path):
    study, _ = trained(make_study, tmp_path / "m.zip")
    path = write(tmp_path / "new.csv", np.random.default_rng(5).normal(10, 0.3, size=(40, 60)))
    answers = load(tmp_path / "m.zip").predict([path])
    p = answers[["disease: no", "disease: yes"]].to_numpy()
    assert (p[:, 1] == 0.5).any()
    expected = np.array(["no", "yes"])[metrics.decide(p, study.tasks["disease"].positive_code)]
    assert list(answers["disease"]) == list(expected)


def test_a_model_of_samples_answers_for_each_spectrum(one_file):
    answers = model_of(TWO, TIES).predict([one_file])
    assert answers[["file", "row"]].to_numpy().tolist() == [[str(one_file), i] for i in range(3)]


@pytest.mark.parametrize(
    ("model", "params", "steps"), [("logistic_regression", {"C": 0.1}, ("snv", "standardise")), ("knn", None, ("snv",))]
)
def test_a_model_of_patients_answers_once_a_file_as_it_does_for_the_patients_bag(
    make_study, tmp_path, model, params, steps
):
    study, fitted = trained(make_study, tmp_path / "m.zip", "patient", steps, model, params)
    values = study.spectra("raman").values
    files = [write(tmp_path / f"p{i}.csv", values[study.rows["raman"][i]]) for i in range(6)]
    answers = load(tmp_path / "m.zip").predict(files)
    assert load(tmp_path / "m.zip").manifest["unit"] == "patient"
    assert answers[["file", "spectra"]].to_numpy().tolist() == [[str(f), 2] for f in files]
    np.testing.assert_allclose(answers["disease: yes"], fitted.predict_proba(study)["disease"][:, 1], atol=1e-6)


def test_files_of_unlike_length_are_bags_of_their_own(tmp_path, rng):
    files = [write(tmp_path / f"{n}.csv", rng.random((n, 60))) for n in (3, 1, 2)]
    model = model_of(TWO, TIES, unit="patient")
    assert list(model.predict(files)["spectra"]) == [3, 1, 2]
    assert model.model.fitted.study.unit == "patient"
    assert model.model.fitted.study.rows["raman"].counts.tolist() == [3, 1, 2]


def test_all_files_with_a_constant_spectrum_are_named_with_their_rows(make_study, tmp_path, rng):
    trained(make_study, tmp_path / "m.zip")
    flat = np.ones((1, 60))
    good = write(tmp_path / "good.csv", rng.random((2, 60)))
    second = write(tmp_path / "second.csv", np.vstack([rng.random((1, 60)), flat]))
    alone = write(tmp_path / "alone.csv", flat)
    with pytest.raises(SpectrumError, match="2 files with spectra that cannot be predicted") as caught:
        load(tmp_path / "m.zip").predict([good, second, alone])
    assert [p.where for p in caught.value.problems] == [str(second), str(alone)]
    assert "row 1 is constant" in caught.value.problems[0].what
    assert "row 0 is constant" in caught.value.problems[1].what


def test_a_refusal_of_no_single_file_is_handed_on(one_file, tmp_path, rng):
    class Crowded(Answering):
        def predict_proba(self, study):
            if len(study) > 3:
                raise SpectrumError("too many at once")
            return super().predict_proba(study)

    model = changed(model_of(TWO, TIES), fitted=Crowded({"disease": TIES}))
    with pytest.raises(SpectrumError, match="too many at once"):
        model.predict([one_file, write(tmp_path / "b.csv", rng.random((2, 60)))])


def test_files_that_cannot_be_read_are_all_named(one_file, tmp_path):
    (tmp_path / "empty.txt").write_text("")
    with pytest.raises(ReadError, match="2 problems in the files to predict; nothing was predicted") as caught:
        model_of(TWO, TIES).predict([one_file, tmp_path / "empty.txt", tmp_path / "gone.txt"])
    assert [p.where for p in caught.value.problems] == [str(tmp_path / "empty.txt"), str(tmp_path / "gone.txt")]
    with pytest.raises(ReadError, match="no files to predict"):
        model_of(TWO, TIES).predict([])


def test_models_that_files_cannot_serve_are_refused(one_file):
    several = changed(model_of(TWO, TIES), modalities=dict.fromkeys(["raman", "ir"], Modality(kind="spectra")))
    with pytest.raises(ConfigError, match="takes raman, ir; files alone"):
        several.predict([one_file])
    for task, name in ((Task(("a", "b", "c")), "disease"), (TWO, "other")):
        with pytest.raises(BundleError, match=f"does not answer its task '{name}'"):
            changed(model_of(TWO, TIES), tasks={name: task}).predict([one_file])


def rewritten(path, change, name=MODEL):
    """Forge a part, and the manifest with it."""
    parts = Parts(path)
    held = {n: parts.read(n) for n in parts.sizes if n != "manifest.json"}
    held[name] = change(held[name])
    write_parts(path, held, parts.manifest)


@pytest.fixture
def small_bundle(make_study, tmp_path):
    trained(make_study, tmp_path / "small.zip")
    return (tmp_path / "small.zip").read_bytes()


def drop(key):
    return lambda found: found.pop(key)


def put(value, *keys):
    def change(found):
        for key in keys[:-1]:
            found = found[key]
        found[keys[-1]] = value

    return change


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (drop("tasks"), "tasks"),
        (drop("unit"), "unit"),
        (drop("about"), "about"),
        (drop("model"), "model"),
        (put("both", "unit"), "unit"),
        (put([], "tasks"), "tasks"),
        (put({}, "tasks"), "tasks"),
        (put({}, "tasks", "disease"), "tasks.disease.classes"),
        (put(3, "tasks", "disease", "classes"), "tasks.disease.classes"),
        (put("maybe", "tasks", "disease", "positive"), "positive class 'maybe' is none of its classes"),
        (put([], "model"), "model"),
        (put({}, "model"), "lack 'kind'"),
        (put("oracle", "model", "kind"), "unknown kind of model 'oracle'"),
        (put(None, "model", "kind"), "unknown kind of model 'None'"),
        (put([], "model", "kind"), "'model' is broken"),
        (put(7, "model", "tasks"), "'model' is broken"),
        (put([], "model", "inputs"), "'model' is broken"),
        (put("high", "model", "thresholds"), "model.thresholds"),
        (put({"disease": "high"}, "model", "thresholds"), "model.thresholds.disease"),
        (put({"disease": 0}, "model", "temperatures"), "model.temperatures.disease"),
        (put({"disease": "warm"}, "model", "temperatures"), "model.temperatures.disease"),
    ],
)
def test_a_description_with_a_part_missing_or_of_another_type_is_refused_by_file_and_key(
    small_bundle, tmp_path, change, told
):
    def edited(content):
        found = json.loads(content)
        change(found)
        return json.dumps(found).encode()

    path = tmp_path / "m.zip"
    path.write_bytes(small_bundle)
    rewritten(path, edited)
    with pytest.raises(BundleError) as caught:
        load(path)
    assert told in str(caught.value)
    assert MODEL in str(caught.value)


def test_a_description_that_is_no_json_is_refused(small_bundle, tmp_path):
    path = tmp_path / "m.zip"
    path.write_bytes(small_bundle)
    for text in (b"{", b"[]", b'{"a": NaN}'):
        rewritten(path, lambda _, text=text: text)
        with pytest.raises(BundleError, match="model.json"):
            load(path)


@pytest.mark.parametrize(
    "step",
    [
        {"name": "resample", "params": {"start": 700.0, "stop": 1500.0, "step": 1e-12}},
        {"name": "resample", "params": {"start": -1e300, "step": 1.0}},
        {"name": "resize", "params": {"size": [200_000, 200_000]}},
    ],
)
def test_preprocessing_that_would_take_all_memory_is_refused(small_bundle, tmp_path, step):
    def edited(content):
        found = json.loads(content)
        found["model"]["inputs"][0]["raman"]["steps"].append(step)
        return json.dumps(found).encode()

    path = tmp_path / "m.zip"
    path.write_bytes(small_bundle)
    rewritten(path, edited)
    with pytest.raises(BundleError, match="asks for more memory than a model needs"):
        load(path)


def test_a_broken_axis_is_refused(small_bundle, tmp_path):
    from safetensors.numpy import load as arrays_of
    from safetensors.numpy import save

    path = tmp_path / "m.zip"
    path.write_bytes(small_bundle)
    rewritten(path, lambda held: save(arrays_of(held) | {"axes/raman": AXIS[::-1].copy()}), ARRAYS)
    with pytest.raises(BundleError, match="'axes/raman' is broken"):
        load(path)
    rewritten(path, lambda held: save({k: v for k, v in arrays_of(held).items() if k != "axes/raman"}), ARRAYS)
    with pytest.raises(BundleError, match="no axis of raman"):
        load(path)
