from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from polydx.bundle import export as export_module
from polydx.bundle import load
from polydx.bundle.answers import by_patient
from polydx.bundle.export import export_bundle
from polydx.bundle.graph_checks import check_graph
from polydx.bundle.sessions import open_graph
from polydx.bundle.training import reappearing
from polydx.bundle.writing import ENDINGS, check_ending, writing
from polydx.datasets.simulated import simulate_two_class
from polydx.errors import BundleError, ConfigError, ReadError
from polydx.io.parts import Parts, write_parts
from polydx.recipes.build import build_recipes
from polydx.recipes.conformal_fit import scores_of
from polydx.recipes.domain import Domain
from polydx.recipes.out_of_fold import held_out
from polydx.recipes.provenance import Concealed
from polydx.study import RowIndex, Table
from polydx.validation.checks import pretraining

ABOUT = {"study": "tiny", "recipe": "it", "seed": 0, "polydx": "0", "samples": 1, "patients": 1}
LOGISTIC = {"kind": "classical", "model": "logistic_regression", "preprocessing": {"raman": ["snv"]}}
FUSION = {
    "kind": "network",
    "backbones": {"raman": {"name": "cnn", "width": 4}, "clinical": {"name": "mlp"}},
    "bags": {"raman": "attention"},
    "fusion": "gated",
    "training": {"epochs": 1, "batch_size": 8, "patience": None},
}


def exported(study, config, path, **options):
    recipe = build_recipes({"it": config}, study)["it"]
    fitted = recipe.fit(study, 0)
    export_bundle(path, fitted, recipe, study, ABOUT, **options)
    return fitted


@pytest.fixture
def mixed(make_study):
    """Patients with none to three spectra and a clinical row, of which some lack either."""
    study = make_study(patients=8, each=2)
    age = np.where(np.arange(16) % 5 == 0, np.nan, 40.0 + np.arange(16))
    clinical = Table(pd.DataFrame({"age": age, "sex": pd.Series(["f", "m"] * 8, dtype=object)}))
    spectra = RowIndex.from_lists(
        [[i] if i % 3 else ([] if i % 2 else [i, i + 1, i + 2]) for i in range(13)] + [[14]] * 3
    )
    values = RowIndex.from_lists([[i] if i != 6 else [] for i in range(16)])
    return replace(
        study, modalities={**study.modalities, "clinical": clinical}, rows={"raman": spectra, "clinical": values}
    )


@pytest.mark.slow
def test_a_bundle_predicts_without_torch_and_scikit_learn(make_study, tmp_path):
    exported(make_study(), LOGISTIC, tmp_path / "m.zip")
    code = (
        "import sys, numpy as np; from polydx.bundle import load; p = load(sys.argv[1])\n"
        "assert not {'pandas', 'scipy', 'PIL'} & set(sys.modules), 'loading alone needs none of them'\n"
        "axis = p.modalities['raman']['axis']\n"
        "print(len(p.predict([{'raman': (np.sin(axis / 50)[None], axis)}])))\n"
        "heavy = {'torch', 'sklearn', 'scipy.special', 'polydx.config', 'monai', 'xgboost', 'lightning_fabric', 'matplotlib'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
        "from polydx.preprocessing.spectra import SavitzkyGolay; SavitzkyGolay().fit_transform(np.eye(20))\n"
        "assert 'scipy.signal' not in sys.modules, 'it takes 0.7 s to import'"
    )
    done = subprocess.run([sys.executable, "-c", code, tmp_path / "m.zip"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "1"), done.stderr


@pytest.mark.slow
def test_a_network_of_bags_and_a_table_answers_as_the_recipe_does_and_without_torch(mixed, tmp_path):
    fitted = exported(mixed, FUSION, tmp_path / "m.zip")
    exported(mixed, FUSION, tmp_path / "again.zip")
    assert (tmp_path / "m.zip").read_bytes() == (tmp_path / "again.zip").read_bytes()
    predictor = load(tmp_path / "m.zip")
    frame, raman = mixed.modalities["clinical"].frame, mixed.modalities["raman"]
    samples = [
        {
            "raman": [(raman.values[j : j + 1], raman.axis) for j in mixed.rows["raman"][i]] or None,
            "clinical": frame.iloc[i].to_dict() if len(mixed.rows["clinical"][i]) else None,
        }
        for i in range(16)
    ]
    expected = fitted.predict_proba(mixed)["disease"]
    np.testing.assert_allclose(predictor.predict_proba(samples)["disease"], expected, atol=1e-5)
    answers = predictor.predict(samples, patients=list(mixed.patients))
    assert list(answers.columns) == [
        "sample", "patient", "disease", "disease: no", "disease: yes", "modalities", "warnings",
    ]  # fmt: skip
    assert answers["modalities"][6] == ["raman"]
    one = predictor.predict([samples[3]])
    np.testing.assert_allclose(one["disease: yes"], expected[3:4, 1], atol=1e-5)
    with pytest.raises(ReadError, match="none of the model's modalities"):
        predictor.predict([{}])
    code = "import sys; from polydx.bundle import load; load(sys.argv[1]).predict([{'clinical': {'age': 50}}])\n"
    code += "assert not {'torch', 'sklearn', 'monai'} & set(sys.modules)"
    done = subprocess.run([sys.executable, "-c", code, tmp_path / "m.zip"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_tasks_and_modalities_may_be_called_what_python_calls_its_own(mixed, tmp_path):
    names = {"raman": "in", "clinical": "T stage"}
    study = replace(
        mixed,
        modalities={names[n]: m for n, m in mixed.modalities.items()},
        rows={names[n]: r for n, r in mixed.rows.items()},
        tasks={"class": mixed.tasks["disease"]},
        labels=mixed.labels[["disease"]].rename(columns={"disease": "class"}),
    )
    config = {**FUSION, "backbones": {names[n]: b for n, b in FUSION["backbones"].items()}, "bags": {"in": "attention"}}
    fitted = exported(study, config, tmp_path / "m.zip")  # which compares the answers
    predictor = load(tmp_path / "m.zip")
    assert (list(predictor.modalities), list(predictor.tasks)) == (["in", "T stage"], ["class"])
    assert fitted.network.tasks == ("class",)


@pytest.mark.slow
@pytest.mark.parametrize("config", [FUSION, {"kind": "ensemble", "members": {"net": FUSION, "lr": LOGISTIC}}])
def test_a_bundle_answers_at_the_temperature_of_its_recipe(mixed, tmp_path, config):
    asked = {**config, "calibration": "temperature", "operating_point": {"rule": "youden"}}
    fitted = exported(mixed, asked, tmp_path / "m.zip")
    predictor = load(tmp_path / "m.zip")
    assert predictor.model.fitted.temperatures == fitted.temperatures
    assert predictor.model.fitted.thresholds == fitted.thresholds
    frame = mixed.modalities["clinical"].frame
    rows = [i for i in range(16) if len(mixed.rows["clinical"][i])]
    told = predictor.predict_proba([{"clinical": frame.iloc[i].to_dict()} for i in rows])["disease"]
    alone = replace(mixed, rows={**mixed.rows, "raman": RowIndex.from_lists([[] for _ in range(16)])})
    np.testing.assert_allclose(told, fitted.predict_proba(alone.take(np.array(rows)))["disease"], atol=1e-5)
    assert f"{fitted.temperatures['disease']:.3g} of `disease`" in predictor.card


def test_values_out_of_the_ordinary_are_told(mixed, tmp_path):
    config = {"kind": "classical", "model": "logistic_regression"}
    exported(mixed, config, tmp_path / "m.zip")
    predictor = load(tmp_path / "m.zip")
    told = predictor.predict([{"clinical": {"age": 200, "sex": "x"}}])["warnings"][0]
    assert told == [
        "clinical: age = 200 is outside the 41 to 54 of training",
        "clinical: sex = 'x' was not seen in training: taken as missing",
    ]
    with pytest.raises(ReadError, match="unknown column 'agee'; did you mean 'age'"):
        predictor.predict([{"clinical": {"agee": 1}}])
    with pytest.raises(ReadError, match="expected a number, found 'old'"):
        predictor.predict([{"clinical": {"age": "old"}}])
    with pytest.raises(ReadError, match="unknown modality 'ramen'"):
        predictor.predict([{"ramen": 1}])
    with pytest.raises(ReadError, match="is a table: give its columns"):
        predictor.predict([{"clinical": 3}])
    table = pd.DataFrame({"sample": ["a", "b"], "age": [50, None], "sex": ["f", "m"], "other": 1})
    assert list(predictor.predict(table)["sample"]) == ["a", "b"]
    with pytest.raises(ReadError, match="none of the columns that the model knows: raman, age, sex"):
        predictor.predict(table[["other"]])


def test_models_that_keep_measurements_are_exported_only_where_that_is_allowed(make_study, tmp_path):
    knn = LOGISTIC | {"model": "knn"}
    with pytest.raises(ConfigError, match="keeps measurements of training patients"):
        exported(make_study(), knn, tmp_path / "m.zip")
    exported(make_study(), knn, tmp_path / "m.zip", include_training_data=True)
    assert load(tmp_path / "m.zip").manifest["holds_training_data"]
    assert "Measurements of training patients" in load(tmp_path / "m.zip").card


def test_the_card_says_what_a_reader_must_know(mixed, tmp_path):
    figure = {"estimate": 0.75, "low": 0.6, "high": 0.85}
    levels = {"patient": {"auroc": figure, "f1": figure}, "sample": {"auroc": figure, "f1": figure}}
    validation = {"split": "leave-one-patient-out", "tasks": {"disease": levels}}
    config = {"kind": "classical", "model": "logistic_regression"}
    exported(mixed, config, tmp_path / "m.zip", validation=validation)
    card = load(tmp_path / "m.zip").card
    told = [line for line in card.splitlines() if line.startswith("## ")]
    assert told == [
        "## Intended use", "## What it answers", "## What it takes", "## What it was trained on",
        "## How well it does", "## Limits", "## How sure it is", "## What lies in the bundle", "## How to cite",
    ]  # fmt: skip
    assert "- `disease`, of patients: no (4 patients, 8 samples), yes (4 patients, 8 samples); yes is decided" in card
    assert "age (41 to 54), sex (f, m)" in card
    assert "Any of them may be missing, but not all." in card
    assert card.count("| disease | patient | AUROC | 0.750 | 0.600 to 0.850 |") == 1
    assert "| sample |" not in card
    assert "`disease` learnt no from 4 patients: figures are rough" in card
    exported(mixed, config, tmp_path / "m.zip")
    assert "Not stated: no run was given" in load(tmp_path / "m.zip").card


def test_a_bundle_that_answers_otherwise_is_not_written(make_study, tmp_path, monkeypatch):
    monkeypatch.setattr(export_module, "WORST", -1.0)
    with pytest.raises(BundleError, match="the exported model differs by"):
        exported(make_study(), LOGISTIC, tmp_path / "m.zip")
    assert not (tmp_path / "m.zip").exists()


def test_training_patients_and_measurements_are_found_by_keyed_hashes_and_not_by_name(make_study, tmp_path):
    study = make_study()
    exported(study, LOGISTIC, tmp_path / "m.zip")
    manifest = load(tmp_path / "m.zip").manifest
    assert str(study.patients[0]) not in json.dumps(manifest)
    patients, measurements = reappearing(manifest, {}, study, ["raman"]).trained
    assert (patients, len(measurements)) == (set(study.patients), len(study))
    other = make_study(seed=1)
    other = replace(other, samples=other.samples.assign(patient="other/" + other.samples["patient"]))
    assert reappearing(manifest, {}, other, ["raman"]).samples.empty


MEMBER = {
    "kind": "network",
    "backbones": {"raman": {"name": "cnn", "width": 4}},
    "training": {"epochs": 1, "batch_size": 8, "patience": None},
}
RECIPES = {
    "logistic": LOGISTIC,
    "net": MEMBER,
    "both": {"kind": "ensemble", "members": ["logistic", "net"], "method": "average"},
    "cut": {
        "kind": "features",
        "features": {"from": "net", "stage": "raman.stage1", "pool": "average"},
        "model": "logistic_regression",
    },
}


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.slow
def test_no_part_of_a_bundle_names_a_patient_or_a_sample(make_study, tmp_path, name):
    study = make_study()
    samples = study.samples.assign(patient=[f"tiny/who-{p[-2:]}" for p in study.patients])
    samples.index = pd.Index([f"{p}:{i}" for i, p in enumerate(samples["patient"])], name="sample", dtype=object)
    study = replace(study, samples=samples, labels=study.labels.set_axis(samples.index))
    recipe = build_recipes(RECIPES, study)[name]
    export_bundle(tmp_path / "m.zip", recipe.fit(study, 0), recipe, study, ABOUT)
    hashes = study.content_hashes()["raman"]
    whole = zipfile.ZipFile(tmp_path / "m.zip")
    for part in whole.namelist():
        content = whole.read(part)
        assert b"who-" not in content, part
        assert not [one for one in hashes if one.encode() in content], part


@pytest.mark.slow
def test_nobody_is_tested_on_the_weights_of_a_bundle_that_has_seen_them(make_study, tmp_path):
    study, stranger = make_study(patients=8), make_study(patients=8, seed=5)
    stranger = replace(stranger, samples=stranger.samples.assign(patient="other/" + stranger.samples["patient"]))
    exported(study, MEMBER, tmp_path / "first.zip")
    again = MEMBER | {"init": {"from": tmp_path / "first.zip"}}
    exported(stranger, again, tmp_path / "second.zip")
    for path, tested, told in (
        ("first.zip", study, "8 patients that would be tested \\('tiny/p00'"),
        ("second.zip", study, "8 patients that would be tested \\('tiny/p00'"),
        ("second.zip", stranger, "8 patients that would be tested \\('other/tiny/p00'"),
        ("first.zip", renamed(study), "under another name, by the content"),
    ):
        (finding,) = pretraining(tested, build_recipes({"it": again | {"init": {"from": tmp_path / path}}}, tested))
        assert finding.severity == "error"
        assert re.search(told, finding.message), finding.message
    assert not pretraining(stranger, build_recipes({"it": again}, stranger))


def renamed(study):
    return replace(study, samples=study.samples.assign(patient="x/" + study.samples["patient"]))


def test_a_key_that_is_none_is_refused():
    with pytest.raises(ValueError, match="non-hexadecimal"):
        Concealed.from_json({"key": "no key", "patients": [], "measurements": []})


def test_answers_are_written_under_a_known_ending_alone(tmp_path):
    with pytest.raises(ConfigError, match=r"written as \.csv, \.parquet, \.json"):
        check_ending(tmp_path / "answers.txt")


def graph(nodes, initializers=(), **changes):
    from onnx import TensorProto, helper

    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, changes.pop("shape", ["n", 2]))
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    return helper.make_model(helper.make_graph(nodes, "g", [x], [y], initializers), **changes)


def test_graphs_that_could_do_harm_are_refused():
    from onnx import TensorProto, helper, numpy_helper

    relu = helper.make_node("Relu", ["x"], ["y"])
    check_graph(graph([relu]).SerializeToString(), "g")
    outside = numpy_helper.from_array(np.zeros(3, np.float32), "w")
    outside.data_location = TensorProto.EXTERNAL
    outside.external_data.add(key="location", value="/etc/passwd")
    giant = helper.make_tensor("w", TensorProto.FLOAT, [1], [0.0])
    giant.dims[:] = [2**20, 2**20]
    asked = helper.make_node("ConstantOfShape", ["s"], ["y"])
    shape = numpy_helper.from_array(np.array([2**20, 2**20]), "s")
    loop = helper.make_node("Identity", ["x"], ["y"])
    loop.attribute.append(helper.make_attribute("body", graph([relu]).graph))
    for model, told in (
        (graph([helper.make_node("Evil", ["x"], ["y"], domain="com.evil")]), "is no operation that networks here need"),
        (graph([helper.make_node("Loop", ["x"], ["y"])]), "is no operation that networks here need"),
        (graph([loop]), "holds a graph of its own"),
        (graph([relu], [outside]), "lies in another file"),
        (graph([relu], [giant]), "has the shape"),
        (graph([asked], [shape]), "asks for"),
        (graph([relu], shape=[2**20, 2**20]), "has the shape"),
    ):
        with pytest.raises(BundleError, match=told):
            check_graph(model.SerializeToString(), "g")
    with pytest.raises(BundleError, match="is no ONNX graph"):
        check_graph(b"\xff\xff\xff", "g")


def test_answers_come_with_prediction_sets_and_say_what_is_unlike_the_training_spectra(tmp_path):
    cohort = simulate_two_class(patients=36, spectra_per_patient=2, points=120)
    study = cohort.take(np.arange(48))
    recipe = build_recipes({"it": LOGISTIC}, study)["it"]
    fitted, sets = recipe.fit(study, 0), scores_of(study, held_out(recipe, study, 0))
    export_bundle(tmp_path / "m.zip", fitted, recipe, study, ABOUT, sets=sets)
    predictor = load(tmp_path / "m.zip")
    raman, (task, about) = study.spectra("raman"), next(iter(study.tasks.items()))
    odd = np.where(np.arange(len(raman.axis)) // 6 % 2, 1.0, -1.0).astype(np.float32)
    answers = predictor.predict([{"raman": (v[None], raman.axis)} for v in (*raman.values, odd)])
    told = answers[[f"{task}: {c}" for c in about.classes]].to_numpy()
    assert answers[f"{task} set"].tolist() == sets.sets(task, about.classes, told)
    assert "unlike the training spectra: " in "".join(answers["warnings"].iloc[-1])
    new = cohort.take(np.arange(48, 72)).spectra("raman")
    others = predictor.predict([{"raman": (v[None], new.axis)} for v in new.values])
    assert sum(any("unlike" in w for w in listed) for listed in others["warnings"]) <= 4
    assert "prediction set" in predictor.card
    for ending in ENDINGS:
        with writing(tmp_path / f"a{ending}") as write:
            write(answers)
    assert pd.read_csv(tmp_path / "a.csv")[f"{task} set"].tolist() == answers[f"{task} set"].map("; ".join).tolist()
    assert [list(s) for s in pd.read_parquet(tmp_path / "a.parquet")[f"{task} set"]] == answers[f"{task} set"].tolist()
    assert json.loads((tmp_path / "a.json").read_text())[0][f"{task} set"] == answers[f"{task} set"][0]


def test_a_patients_set_is_made_of_the_mean_over_the_samples(make_study, tmp_path):
    study = make_study(patients=24, each=2)
    recipe = build_recipes({"it": LOGISTIC}, study)["it"]
    sets = scores_of(study, held_out(recipe, study, 0))
    export_bundle(tmp_path / "m.zip", recipe.fit(study, 0), recipe, study, ABOUT, sets=sets)
    predictor = load(tmp_path / "m.zip")
    raman, (task, about) = study.spectra("raman"), next(iter(study.tasks.items()))
    answers = predictor.predict([{"raman": (v[None], raman.axis)} for v in raman.values], patients=list(study.patients))
    patients = by_patient(predictor.model, answers)
    means = answers.groupby("patient", sort=False)[[f"{task}: {c}" for c in about.classes]].mean().to_numpy()
    assert patients[f"{task} set"].tolist() == sets.sets(task, about.classes, means)


def test_a_broken_training_domain_is_refused(make_study, tmp_path, monkeypatch):
    monkeypatch.setattr(Domain, "arrays", lambda self: {"mean": self.mean[:-1]})
    with pytest.raises(BundleError, match="the training domain of 'raman' is broken"):
        exported(make_study(patients=12), LOGISTIC, tmp_path / "m.zip")


def test_a_graph_that_computes_a_giant_shape_fails_and_takes_no_memory(tmp_path):
    from onnx import helper, numpy_helper

    side = numpy_helper.from_array(np.array([2**14]), "side")
    nodes = [
        helper.make_node("Mul", ["side", "side"], ["square"]),
        helper.make_node("Mul", ["square", "side"], ["cube"]),  # 2^42 values: no shape that stands in the graph
        helper.make_node("ConstantOfShape", ["cube"], ["giant"]),
        helper.make_node("ReduceSum", ["giant"], ["sum"], keepdims=0),
        helper.make_node("Add", ["x", "sum"], ["y"]),
    ]
    made = graph(nodes, [side], opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    del made.graph.output[:]
    made.graph.output.append(helper.make_tensor_value_info("y", 1, ["n", 2]))
    write_parts(tmp_path / "m.zip", {"graphs/0-answer.onnx": made.SerializeToString()}, {})
    with pytest.raises(BundleError, match=r"0-answer\.onnx") as caught:
        open_graph(Parts(tmp_path / "m.zip"), "graphs/0-answer.onnx")({"x": np.zeros((3, 2), np.float32)})
    assert "bad_alloc" not in str(caught.value)  # refused by the pool, before the system is asked


def resident():
    status = Path("/proc/self/statm")
    if not status.exists():
        pytest.skip("this system does not tell how much memory a process takes")
    return int(status.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_graphs_use_the_memory_they_took_again(tmp_path):
    from onnx import helper, numpy_helper

    count = numpy_helper.from_array(np.array([2**22]), "count")
    nodes = [
        helper.make_node("Expand", ["x", "count"], ["wide"]),
        helper.make_node("ReduceMax", ["wide"], ["most"], keepdims=1),
        helper.make_node("Add", ["x", "most"], ["y"]),
    ]
    made = graph(nodes, [count], shape=["n", 1], opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    del made.graph.output[:]
    made.graph.output.append(helper.make_tensor_value_info("y", 1, ["n", 1]))
    write_parts(tmp_path / "m.zip", {"graphs/0-answer.onnx": made.SerializeToString()}, {})
    run = open_graph(Parts(tmp_path / "m.zip"), "graphs/0-answer.onnx")
    taken = []
    for rows in (8, 3, 8, 5, 8):  # of 16 MB each
        (found,) = run({"x": np.ones((rows, 1), np.float32)})
        np.testing.assert_array_equal(found, np.full((rows, 1), 2.0))
        taken.append(resident())
    assert taken[-1] - taken[0] < 16_000_000
