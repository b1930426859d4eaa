"""The user's own folder of spectra, pictures and tables: more modalities by more YAML, through the real command line."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image
from typer.testing import CliRunner

from polydx.cli import app

pytestmark = pytest.mark.slow  # whole runs

PATIENTS = 12
AXIS = np.linspace(400, 1800, 40)
MODALITIES = {
    "raman": {"kind": "spectra", "column": "file"},
    "image": {"kind": "images", "column": "picture"},
    "clinical": {"kind": "table", "file": "clinic.csv", "columns": {"age": "number", "sex": "category"}},
    "blood": {"kind": "spectra", "file": "blood.csv"},
}
BACKBONES = {
    "raman": {"name": "cnn", "width": 4}, "image": {"name": "cnn", "width": 4}, "clinical": {"name": "mlp", "hidden": [4]},
    "blood": {"name": "cnn", "width": 4},
}  # fmt: skip
STEPS = {
    "raman": ["snv"],
    "image": ["local_binary_patterns", "normalise"],
    "clinical": ["impute", "one_hot"],
    "blood": ["snv"],
}
FUSIONS = ("concat", "dsaf", "attention", "gated")


def study(count):
    """The YAML of a study of the first `count` modalities, with every fusion and a classical model."""
    names = list(MODALITIES)[:count]
    training = {"epochs": 1, "batch_size": 4, "patience": None}
    networks = {
        f: {"kind": "network", "backbones": {n: BACKBONES[n] for n in names}, "fusion": f, "training": training}
        for f in FUSIONS
    }
    logistic = {"kind": "classical", "model": "logistic_regression", "preprocessing": {n: STEPS[n] for n in names}}
    return {
        "study": {
            "name": "mine", "samples": "samples.csv", "modalities": {n: MODALITIES[n] for n in names},
            "tasks": {"answer": {"column": "answer", "classes": ["well", "ill"], "positive": "ill"}},
        },
        "recipes": {"logistic": logistic, **networks},
        "validation": {"folds": 2, "bootstrap": 100},
    }  # fmt: skip


def write(folder, seed=None):
    """Write 12 patients, one without a picture, one without a spectrum, one unknown to the clinic; rows shuffled by `seed`."""
    rng = np.random.default_rng(0)
    folder.mkdir()
    names = [f"P{i:02d}" for i in range(PATIENTS)]
    for i, name in enumerate(names):
        np.savetxt(folder / f"{name}.txt", np.column_stack([AXIS, 2 + i % 2 + rng.normal(0, 0.5, len(AXIS))]))
        Image.fromarray(rng.integers(0, 256, (12, 12), dtype=np.uint8)).save(folder / f"{name}.png")
    rows = pd.DataFrame({"sample": names, "patient": names, "file": [f"{n}.txt" for n in names]})
    rows = rows.assign(picture=[f"{n}.png" for n in names], answer=["well", "ill"] * (PATIENTS // 2))
    rows.loc[3, "picture"], rows.loc[5, "file"] = None, None
    people = pd.DataFrame({"patient": [*names[:-1], "P99"], "age": rng.normal(50, 9, PATIENTS), "sex": list("mf") * 6})
    blood = pd.DataFrame(rng.normal(1, 0.2, (PATIENTS, len(AXIS))), columns=[f"{a:.1f}" for a in AXIS])
    blood.insert(0, "sample", names)
    for name, frame in (("samples", rows), ("clinic", people), ("blood", blood)):
        shuffled = frame if seed is None else frame.sample(frac=1, random_state=seed)[[*frame.columns[::-1]]]
        shuffled.to_csv(folder / f"{name}.csv", index=False)
    for count in (2, 3, 4):
        (folder / f"{count}.yaml").write_text(yaml.safe_dump(study(count), sort_keys=False))


def polydx(*words):
    found = CliRunner().invoke(app, [str(word) for word in words])
    assert found.exit_code == 0, found.output
    return found.output


def predictions(folder, count, *options):
    out = folder / f"run{count}"
    polydx("run", folder / f"{count}.yaml", "--out", out, "--jobs", 1, *options)
    frame = pd.read_parquet(out / "predictions.parquet")
    return frame.sort_values(["recipe", "sample", "class"]).reset_index(drop=True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("own") / "mine"
    write(path)
    return path


@pytest.mark.parametrize("count", [2, 3, 4])
def test_two_three_or_four_modalities_differ_in_yaml_alone(folder, count):
    found = predictions(folder, count)
    assert set(found["recipe"]) == {"logistic", *FUSIONS}
    assert found.groupby("recipe")["sample"].nunique().tolist() == [PATIENTS] * 5
    names = list(MODALITIES)[:count]
    of = found.drop_duplicates("sample").set_index("sample")["modalities"].map(set)
    assert of["P00"] == set(names)
    assert of["P03"] == set(names) - {"image"}
    assert of["P05"] == set(names) - {"raman"}
    assert of["P11"] == set(names) - {"clinical"}


def test_what_joins_is_told(folder):
    told = " ".join(polydx("check", folder / "4.yaml").split())
    assert "1 of 12 patients of clinic.csv are not in samples.csv: 'P99'" in told
    assert "modality 'clinical': 11 of 12 samples have it; 1 sample without: 'P11'" in told


def test_rows_and_columns_of_the_tables_in_another_order_give_the_same_predictions(folder, tmp_path):
    write(tmp_path / "shuffled", seed=1)
    first, second = predictions(folder, 4), predictions(tmp_path / "shuffled", 4)
    assert first[["recipe", "sample", "class", "fold"]].equals(second[["recipe", "sample", "class", "fold"]])
    np.testing.assert_allclose(first["probability"], second["probability"], rtol=0, atol=1e-12)


def test_a_model_of_three_answers_for_any_subset_and_says_which(folder, tmp_path):
    polydx("train", folder / "3.yaml", "--recipe", "attention", "--out", tmp_path / "model.zip")
    cells = {"raman": "P00.txt", "image": "P00.png", "clinical": 47.0}
    subsets = [[n for n, bit in zip(cells, f"{k:03b}", strict=True) if bit == "1"] for k in range(1, 8)]
    rows = [{("age" if n == "clinical" else n): cells[n] for n in subset} for subset in subsets]
    pd.DataFrame(rows).to_csv(folder / "new.csv", index=False)
    polydx("predict", tmp_path / "model.zip", folder / "new.csv", "--out", tmp_path / "answers.json")
    answers = pd.read_json(tmp_path / "answers.json")
    assert [sorted(m) for m in answers["modalities"]] == [sorted(s) for s in subsets]
    assert answers["answer: ill"].nunique() == len(subsets)
    pd.DataFrame([{"sample": "S1", "raman": "P00.txt"}, {"sample": "S2"}]).to_csv(folder / "none.csv", index=False)
    found = CliRunner().invoke(app, ["predict", str(tmp_path / "model.zip"), str(folder / "none.csv")])
    assert found.exit_code == 1
    assert "S2" in str(found.exception)
