"""Files and tables of samples in, answers and files of them out: what `polydx predict` does, from Python."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from polydx.bundle import figures as figures_module
from polydx.bundle import files as files_module
from polydx.bundle import load
from polydx.bundle.export import export_bundle
from polydx.bundle.figures import figures_for
from polydx.bundle.writing import writing
from polydx.config import Config
from polydx.errors import ConfigError, PolydxError, ReadError
from polydx.progress import Silent
from polydx.recipes.build import build_recipes
from polydx.study import Images, RowIndex, Spectra, Study, Table, Task
from polydx.workflows import predict, predict_into

AXIS = np.linspace(600.0, 1600.0, 20)
ABOUT = {"study": "mixed", "recipe": "it", "seed": 0, "polydx": "0", "samples": 8, "patients": 8}


@pytest.fixture(scope="module")
def three(tmp_path_factory):
    """Eight patients with a spectrum, an image of 6 x 6 pixels and two values each."""
    folder, rng, codes = tmp_path_factory.mktemp("three"), np.random.default_rng(0), np.arange(8) % 2
    paths = tuple(folder / f"{i}.png" for i in range(8))
    for path, code in zip(paths, codes, strict=True):
        Image.fromarray(rng.integers(40, 120 + 90 * code, (6, 6, 3), dtype=np.uint8)).save(path)
    values = (rng.normal(10, 1, (8, 20)) + codes[:, None] * np.linspace(0, 3, 20)).astype(np.float32)
    frame = pd.DataFrame({"age": 40.0 + np.arange(8), "site": np.array(["arm", "leg"] * 4, dtype=object)})
    ids = pd.Index([f"s{i}" for i in range(8)], name="sample", dtype=object)
    return Study(
        "mixed",
        pd.DataFrame({"patient": [f"p{i}" for i in range(8)]}, index=ids),
        {"raman": Spectra(values, AXIS), "image": Images(paths), "clinical": Table(frame, {"age": "years"})},
        {name: RowIndex.one_each(8) for name in ("raman", "image", "clinical")},
        {"disease": Task(("no", "yes"))},
        pd.DataFrame({"disease": codes}, index=ids),
    )


def made(three, path, steps):
    config = {"kind": "classical", "model": "logistic_regression", "preprocessing": steps}
    recipe = build_recipes({"it": config}, three)["it"]
    fitted = recipe.fit(three, 0)
    export_bundle(path, fitted, recipe, three, ABOUT)
    return path, fitted


@pytest.fixture(scope="module")
def fused(three, tmp_path_factory):
    steps = {"raman": ["snv"], "image": [{"resize": {"size": 4}}], "clinical": ["impute", "one_hot", "standardise"]}
    return made(three, tmp_path_factory.mktemp("fused") / "m.zip", steps)


@pytest.fixture(scope="module")
def of_spectra(three, tmp_path_factory):
    return made(three, tmp_path_factory.mktemp("raman") / "m.zip", {"raman": ["snv"]})


@pytest.fixture
def table(three, tmp_path):
    """The study as a table of samples with gaps, beside files of spectra."""
    raman, clinical = three.spectra("raman"), three.modalities["clinical"].frame
    for i in range(8):
        written(tmp_path / f"{i}.csv", raman.values[i])
    frame = clinical.assign(
        sample=three.samples.index,
        raman=[f"{i}.csv" for i in range(8)],
        image=[str(path) for path in three.modalities["image"].paths],
        hospital=["a", "a", "b", "b"] * 2,
    )
    frame.loc[1, "raman"] = frame.loc[2, "image"] = None
    frame.loc[[3, 4], ["age", "site"]] = None
    frame.to_csv(tmp_path / "samples.csv", index=False)
    return tmp_path / "samples.csv"


def written(path, values, axis=AXIS):
    pd.DataFrame(np.atleast_2d(values), columns=[f"{a:.9g}" for a in axis]).to_csv(path, index=False)
    return path


class Told(Silent):
    def __init__(self):
        self.said = []

    def say(self, text):
        self.said.append(text)


def test_a_table_with_gaps_is_answered_as_the_recipe_does(three, fused, table):
    gaps = {"raman": [1], "image": [2], "clinical": [3, 4]}
    rows = {n: RowIndex.from_lists([[] if i in gone else [i - sum(g < i for g in gone)] for i in range(8)])
            for n, gone in gaps.items()}  # fmt: skip
    kept = {n: three.modalities[n].take(np.setdiff1d(np.arange(8), gone)) for n, gone in gaps.items()}
    study = Study(three.name, three.samples, kept, rows, three.tasks, three.labels)
    answers = predict(fused[0], [table])
    assert list(answers["sample"]) == list(three.samples.index)
    np.testing.assert_allclose(answers["disease: yes"], fused[1].predict_proba(study)["disease"][:, 1], atol=1e-6)
    assert answers["modalities"][1] == ["image", "clinical"]
    assert answers["modalities"][3] == ["raman", "image"]


def test_a_column_names_the_patients_and_each_gets_the_mean_of_their_samples(fused, table, tmp_path):
    count, files = predict_into(fused[0], [table], tmp_path / "a.json", patients="hospital")
    assert (count, [f.name for f in files]) == (8, ["a.json", "a.patients.json"])
    answers, patients = (pd.DataFrame(json.loads(f.read_text())) for f in files)
    assert patients[["patient", "samples"]].to_numpy().tolist() == [["a", 4], ["b", 4]]
    means = answers.groupby("patient")["disease: yes"].mean()
    np.testing.assert_allclose(patients["disease: yes"], means)
    assert list(patients["disease"]) == list(np.where(means >= 0.5, "yes", "no"))
    with pytest.raises(ConfigError, match="has no column 'ward'; it has age, site, sample"):
        predict(fused[0], [table], patients="ward")


def test_a_folder_is_a_patient(three, of_spectra, tmp_path):
    files = []
    for i in range(4):
        (tmp_path / f"p{i % 2}").mkdir(exist_ok=True)
        files.append(written(tmp_path / f"p{i % 2}" / f"{i}.csv", three.spectra("raman").values[i]))
    _, (one, beside) = predict_into(of_spectra[0], files, tmp_path / "a.csv", patients="folder")
    assert list(pd.read_csv(one)["patient"]) == ["p0", "p1", "p0", "p1"]
    assert pd.read_csv(beside)[["patient", "samples"]].to_numpy().tolist() == [["p0", 2], ["p1", 2]]
    with pytest.raises(ConfigError, match="names a column of a table of samples; of files, only `folder`"):
        predict(of_spectra[0], files, patients="ward")


def test_warnings_stand_in_the_answers_and_are_counted_on_the_terminal(fused, table, tmp_path, three):
    frame = pd.read_csv(table)
    frame.loc[0, "age"], frame.loc[5, "site"] = 99, "nose"
    Image.fromarray(np.full((3, 3, 3), 90, np.uint8)).save(tmp_path / "small.png")
    frame.loc[6, "image"] = "small.png"
    frame.to_csv(table, index=False)
    told = Told()
    predict_into(fused[0], [table], tmp_path / "a.csv", progress=told)
    assert told.said == ["3 of 8 answers with warnings: see the column `warnings`"]
    warnings = pd.read_csv(tmp_path / "a.csv")["warnings"]
    assert "age = 99 is outside the 40 to 47 of training" in warnings[0]
    assert "site = 'nose' was not seen in training: taken as missing" in warnings[5]
    assert "the image has 3 x 3 pixels, fewer than the 4 x 4" in warnings[6]
    assert warnings.notna().sum() == 3
    again = Told()
    assert predict(fused[0], [table], progress=again)["warnings"].map(len).astype(bool).sum() == 3
    assert again.said == told.said


def test_a_large_file_tells_how_far_it_is(three, of_spectra, tmp_path, monkeypatch):
    monkeypatch.setattr(files_module, "TOLD", 3)
    path = written(tmp_path / "eight.csv", three.spectra("raman").values)
    told = Told()
    predict(of_spectra[0], [path], progress=told)
    assert told.said == ["eight.csv: 8 spectra"]


@pytest.mark.parametrize("ending", ["csv", "json", "parquet"])
def test_answers_come_back_from_each_kind_of_file_piece_by_piece(tmp_path, ending):
    pieces = [
        pd.DataFrame({"sample": ["a"], "t: x": [0.25], "modalities": [["raman"]], "warnings": [[]]}),
        pd.DataFrame({"sample": ["b"], "t: x": [0.5], "modalities": [["raman", "clinical"]], "warnings": [["odd"]]}),
    ]
    path = tmp_path / f"a.{ending}"
    with writing(path) as write:
        for piece in pieces:
            write(piece)
    if ending == "csv":
        found = pd.read_csv(path, keep_default_na=False)
        assert found.to_numpy().tolist() == [["a", 0.25, "raman", ""], ["b", 0.5, "raman; clinical", "odd"]]
        return
    found = pd.read_parquet(path) if ending == "parquet" else pd.DataFrame(json.loads(path.read_text()))
    assert [[s, p, list(m), list(w)] for s, p, m, w in found.to_numpy().tolist()] == [
        ["a", 0.25, ["raman"], []], ["b", 0.5, ["raman", "clinical"], ["odd"]]
    ]  # fmt: skip


def test_answers_that_were_not_finished_are_not_there(tmp_path):
    def half_written():
        with writing(tmp_path / "a.json") as write:
            write(pd.DataFrame({"sample": ["a"]}))
            raise ReadError("broken")

    with pytest.raises(ReadError, match="broken"):
        half_written()
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_predicted_is_refused_by_name(three, fused, of_spectra, table, tmp_path):
    bundle = of_spectra[0]
    (tmp_path / "words.txt").write_text("no numbers here\n")
    far = written(tmp_path / "far.csv", np.ones(20), AXIS + 300)
    good = written(tmp_path / "good.csv", three.spectra("raman").values[0])
    with pytest.raises(ReadError, match="2 problems in the files to predict; nothing was predicted") as caught:
        predict(bundle, [good, tmp_path / "words.txt", far])
    assert [p.where for p in caught.value.problems] == [str(tmp_path / "words.txt"), str(far)]
    assert "600 to 900 cm^-1 is missing" in caught.value.problems[1].what
    with pytest.raises(ConfigError, match="takes raman, image, clinical: give one table"):
        predict(fused[0], [good, good])
    frame = pd.read_csv(table)
    frame.loc[2, ["raman", "age", "site"]] = None
    frame.loc[4, "raman"] = "gone.csv"
    frame.to_csv(table, index=False)
    with pytest.raises(ReadError, match="2 problems in what is to be predicted; nothing was predicted") as caught:
        predict(fused[0], [table])
    assert [p.where for p in caught.value.problems] == ["s2", "s4"]
    assert "none of the model's modalities" in caught.value.problems[0].what
    assert "gone.csv" in caught.value.problems[1].what


def config_of(**changes):
    recipe = {"kind": "classical", "model": "logistic_regression", "preprocessing": {"raman": ["snv"]}} | changes
    return Config.model_validate(
        {
            "study": {"dataset": "als-saliva"},
            "recipes": {"it": recipe},
            "validation": {"split": "leave-one-patient-out"},
        }
    )


def test_the_figures_of_a_run_of_the_same_recipe_are_copied(monkeypatch, tmp_path):
    accuracy = {"estimate": 0.9, "low": 0.8, "high": 0.95, "method": "wilson"}
    levels = {
        "patient": {"n": 30, "accuracy": accuracy, "auroc": {"estimate": None, "reason": "one class"}},
        "sample": {},
    }
    metrics = {"split": "leave-one-patient-out", "recipes": {"it": {"tasks": {"als": levels}}}}
    run = SimpleNamespace(study={"name": "als-saliva"}, config=config_of(), metrics=metrics)
    monkeypatch.setattr(figures_module, "read_run", lambda _: run)
    found = figures_for(tmp_path, config_of(), "als-saliva", "it")
    kept = {"als": {"patient": {"accuracy": {"estimate": 0.9, "low": 0.8, "high": 0.95}}}}
    assert (found["split"], found["tasks"]) == ("leave-one-patient-out", kept)
    with pytest.raises(ConfigError, match="has other settings than the one to train"):
        figures_for(tmp_path, config_of(params={"C": 3.0}), "als-saliva", "it")
    with pytest.raises(ConfigError, match="is not of recipe 'it' on study 'others'"):
        figures_for(tmp_path, config_of(), "others", "it")


def test_without_a_run_the_bundle_says_why_it_states_no_figures(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert "there is no run of it" in figures_for(None, config_of(), "als-saliva", "it")["absent"]
    (tmp_path / "runs" / "als-saliva").mkdir(parents=True)
    assert "als-saliva" in figures_for(None, config_of(), "als-saliva", "it")["absent"]
    with pytest.raises(PolydxError):
        figures_for(tmp_path / "runs" / "als-saliva", config_of(), "als-saliva", "it")


def test_a_file_that_is_no_bundle_is_refused(tmp_path):
    (tmp_path / "m.zip").write_text("no zip")
    with pytest.raises(PolydxError, match=r"m\.zip"):
        load(tmp_path / "m.zip")


def test_a_model_of_one_modality_takes_a_table_of_samples_too(three, of_spectra, table):
    by_files = predict(of_spectra[0], [table.parent / f"{i}.csv" for i in (0, 2, 3)])
    frame = pd.read_csv(table).iloc[[0, 2, 3]].drop(columns="sample").rename(columns={"raman": "file"})
    frame.to_csv(table, index=False)
    answers = predict(of_spectra[0], [table], patients="hospital")
    assert list(answers["sample"]) == ["row 2", "row 3", "row 4"]
    assert list(answers["patient"]) == ["a", "b", "b"]
    np.testing.assert_array_equal(answers["disease: yes"], by_files["disease: yes"])
    frame.to_parquet(table.with_suffix(".parquet"))
    again = predict(of_spectra[0], [table.with_suffix(".parquet")])
    np.testing.assert_array_equal(again["disease: yes"], by_files["disease: yes"])


def test_a_spectrum_whose_column_is_named_like_the_modality_is_no_table_of_samples(three, of_spectra, tmp_path):
    values = three.spectra("raman").values[0]
    pd.DataFrame({"shift": AXIS, "raman": values}).to_csv(tmp_path / "one.csv", index=False)
    assert list(predict(of_spectra[0], [tmp_path / "one.csv"])["file"]) == [str(tmp_path / "one.csv")]


def test_folders_of_one_name_are_two_patients(three, of_spectra, tmp_path):
    files = []
    for i, centre in enumerate(["north", "south"]):
        (tmp_path / centre / "P01").mkdir(parents=True)
        files.append(written(tmp_path / centre / "P01" / "a.csv", three.spectra("raman").values[i]))
    assert list(predict(of_spectra[0], files, patients="folder")["patient"]) == ["north/P01", "south/P01"]
    told = Told()
    predict(of_spectra[0], [files[0], files[0].parent / "a.csv", written(files[0].with_name("b.csv"), np.arange(20.0))],
            patients="folder", progress=told)  # fmt: skip
    assert told.said[0] == "all 3 files lie in the folder 'P01': they are taken as one patient's"


def test_rows_that_name_no_patient_are_refused(fused, table):
    frame = pd.read_csv(table)
    frame.loc[[1, 6], "hospital"] = None
    frame.to_csv(table, index=False)
    with pytest.raises(ReadError, match="samples of nobody") as caught:
        predict(fused[0], [table], patients="hospital")
    assert [p.where for p in caught.value.problems] == ["row 3", "row 8"]


def test_columns_that_the_table_lacks_are_told(fused, table):
    pd.read_csv(table).drop(columns=["image", "site"]).to_csv(table, index=False)
    told = Told()
    predict(fused[0], [table], progress=told)
    assert told.said[0] == "samples.csv has no column image, site: missing for every sample"


def test_what_is_read_is_never_written_over(of_spectra, table, tmp_path):
    before = table.read_bytes()
    with pytest.raises(ConfigError, match=r"samples\.csv is what is read"):
        predict_into(of_spectra[0], [table], table)
    (tmp_path / "a.patients.csv").write_bytes(before)
    with pytest.raises(ConfigError, match=r"a\.patients\.csv is what is read"):
        predict_into(of_spectra[0], [tmp_path / "a.patients.csv"], tmp_path / "a.csv")
    assert table.read_bytes() == before
    with pytest.raises(ReadError, match="folders in place of files"):
        predict(of_spectra[0], [tmp_path])


@pytest.fixture(scope="module")
def of_patients(three, tmp_path_factory):
    study = replace(three, unit="patient")
    steps = {"raman": ["snv"], "clinical": ["impute", "one_hot", "standardise"]}
    folder = tmp_path_factory.mktemp("patients")
    return made(study, folder / "m.zip", steps), made(study, folder / "raman.zip", {"raman": ["snv"]})


def test_a_model_of_patients_answers_from_all_rows_of_a_patient(three, of_patients, table):
    (bundle, _), _ = of_patients
    frame = pd.read_csv(table).drop(columns="sample")
    frame[["age", "site"]] = [[50.0, "arm"], [np.nan, None], [60.0, "leg"], [np.nan, None], *[[np.nan, None]] * 4]
    frame.to_csv(table, index=False)
    answers = predict(bundle, [table], patients="hospital")
    assert list(answers["patient"]) == ["a", "b"]
    bags = [[0, 4, 5], [2, 3, 6, 7]]  # the second row, of hospital a, has no spectrum
    samples = [{"raman": [table.parent / f"{i}.csv" for i in bag], "clinical": {"age": age, "site": site}}
               for bag, age, site in zip(bags, [50.0, 60.0], ["arm", "leg"], strict=True)]  # fmt: skip
    np.testing.assert_array_equal(answers["disease: yes"], load(bundle).predict(samples)["disease: yes"])
    frame.loc[4, "age"] = 51.0
    frame.to_csv(table, index=False)
    with pytest.raises(ReadError, match="rows of a patient that do not agree") as caught:
        predict(bundle, [table], patients="hospital")
    assert [p.what for p in caught.value.problems] == ["'age' is 50.0 in one row, 51.0 in another"]


def test_a_model_of_patients_answers_once_a_folder(three, of_patients, tmp_path):
    _, (bundle, _) = of_patients
    files = []
    for i in range(4):
        (tmp_path / f"p{i % 2}").mkdir(exist_ok=True)
        files.append(written(tmp_path / f"p{i % 2}" / f"{i}.csv", three.spectra("raman").values[i]))
    answers = predict(bundle, files, patients="folder")
    together = load(bundle).predict([{"raman": files[0::2]}, {"raman": files[1::2]}])
    assert list(answers["patient"]) == ["p0", "p1"]
    np.testing.assert_array_equal(answers["disease: yes"], together["disease: yes"])


def test_a_sample_without_a_finite_probability_is_refused(three, of_spectra):
    def overflowing(study):
        return {"disease": np.where(np.arange(len(study))[:, None] == 1, np.nan, 0.5) * np.ones((1, 2))}

    found = load(of_spectra[0])
    broken = replace(found, model=replace(found.model, fitted=SimpleNamespace(predict_proba=overflowing)))
    with pytest.raises(ReadError, match="1 sample without an answer; nothing was predicted") as caught:
        broken.predict([{"raman": row} for row in three.spectra("raman").values[:3]])
    assert [p.where for p in caught.value.problems] == ["sample 1"]
