from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from polydx.cli import main

STUDY = """
study:
  name: folder-of-spectra
  samples: samples.csv
  modalities: {{raman: {{kind: spectra, column: file}}}}
  tasks: {{disease: {{column: group, classes: [healthy, sick], positive: sick}}}}
recipes:
  logistic: {{kind: classical, model: logistic_regression, preprocessing: {{raman: [snv, standardise]}}, params: {{C: 0.1}}}}
  cnn: {{kind: network, backbones: {{raman: {{name: cnn, width: 4}}}}, training: {{epochs: {epochs}, batch_size: 8}}}}
validation: {{split: stratified-group-k-fold, folds: 3, bootstrap: 100, primary: {{recipe: cnn, versus: logistic, task: disease}}}}
"""


def inside(monkeypatch, capsys, *words: object) -> tuple[int, str]:
    """Run the command line in this process; return exit code and what it said on stderr."""
    monkeypatch.setattr(sys, "argv", ["polydx", *map(str, words)])
    with pytest.raises(SystemExit) as left:
        main()
    return int(left.value.code or 0), capsys.readouterr().err


def polydx(*words: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "polydx", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, timeout=300, check=False)


@pytest.fixture
def folder(tmp_path):
    """Two-column files of 8 patients, in four dialects, and their table."""
    rng = np.random.default_rng(0)
    axis = np.linspace(600, 1600, 80)
    rows = []
    for patient in range(8):
        for spectrum in range(2):
            sick = patient % 2
            y = 5 + sick * 4 * np.exp(-(((axis - 1003) / 25) ** 2)) + rng.normal(size=80) * 0.3
            name = f"{patient}_{spectrum}.txt"
            order = slice(None, None, -1 if spectrum else 1)
            lines = [f"{a:.3f}\t{b:.5e}" for a, b in zip(axis[order], y[order], strict=True)]
            if patient > 4:
                lines = [line.replace(".", ",").replace("\t", ";") for line in lines]
            (tmp_path / name).write_text("\n".join(lines))
            rows.append(
                {
                    "sample": f"s{patient}{spectrum}",
                    "patient": f"p{patient}",
                    "file": name,
                    "group": ("healthy", "sick")[sick],
                }
            )
    pd.DataFrame(rows).to_csv(tmp_path / "samples.csv", index=False)
    (tmp_path / "study.yaml").write_text(STUDY.format(epochs=2))
    return tmp_path


@pytest.mark.slow
def test_a_folder_and_a_spreadsheet_become_a_report_with_one_command(folder):
    done = polydx("run", folder / "study.yaml", "--out", folder / "out", "--jobs", 1)
    assert done.returncode == 0, done.stderr
    assert "logistic" in done.stdout
    assert str(folder / "out" / "report.html").split("/")[-1] in done.stdout
    out = folder / "out"
    expected = {
        "config.yaml",
        "environment.json",
        "splits.csv",
        "checks.json",
        "predictions.parquet",
        "metrics.json",
        "report.html",
    }
    assert expected <= {p.name for p in out.iterdir()}
    assert {"figures", "logs", "weights"} <= {p.name for p in out.iterdir() if p.is_dir()}
    metrics = json.loads((out / "metrics.json").read_text())
    assert (metrics["schema"], metrics["study"], metrics["split"]) == (
        1,
        "folder-of-spectra",
        "stratified-group-k-fold",
    )
    patient = metrics["recipes"]["logistic"]["tasks"]["disease"]["patient"]
    assert patient["n"] == 8
    assert patient["accuracy"]["low"] < patient["accuracy"]["estimate"] <= patient["accuracy"]["high"]
    assert metrics["comparisons"][0]["test"] == "delong"
    assert set(metrics["leakage_gap"]["disease"]) >= {"recipe", "metric", "level", "by_sample", "by_patient"}
    again = polydx("report", out)
    assert again.returncode == 0, again.stderr
    rerun = polydx(
        "run",
        out / "config.yaml",
        "--out",
        folder / "elsewhere",
        "--jobs",
        1,
        "--recipe",
        "logistic",
        cwd=folder.parent,
    )
    assert rerun.returncode == 0, rerun.stderr


VARIANTS = """
variants:
  both: {}
  one-model:
    recipes: {cnn: null}
    validation: {split: leave-one-patient-out, primary: null}
"""


@pytest.mark.slow
def test_variants_become_run_folders_side_by_side(folder):
    (folder / "study.yaml").write_text(STUDY.format(epochs=1) + VARIANTS)
    out = folder / "out"
    checked = polydx("check", folder / "study.yaml")
    assert (checked.returncode, checked.stdout.count("variant ")) == (0, 2), checked.stderr
    done = polydx("run", folder / "study.yaml", "--out", out, "--jobs", 1)
    assert done.returncode == 0, done.stderr
    found = {name: json.loads((out / name / "metrics.json").read_text()) for name in ("both", "one-model")}
    assert {name: (m["split"], m["folds"], list(m["recipes"])) for name, m in found.items()} == {
        "both": ("stratified-group-k-fold", 3, ["logistic", "cnn"]),
        "one-model": ("leave-one-patient-out", 8, ["logistic"]),
    }
    assert "one-model" in (out / "compare.html").read_text()
    assert f"side by side: {out / 'compare.html'}" in done.stdout
    again = polydx("run", out / "one-model" / "config.yaml", "--out", folder / "again", "--jobs", 1)
    assert again.returncode == 0, again.stderr
    first, second = (pd.read_parquet(f / "predictions.parquet") for f in (out / "one-model", folder / "again"))
    pd.testing.assert_frame_equal(first, second)
    model = polydx(
        *("train", folder / "study.yaml", "--recipe", "cnn", "--variant", "one-model", "--out", folder / "model")
    )
    assert model.returncode == 1
    assert "the study has no such recipe" in model.stderr


@pytest.mark.slow
def test_a_variant_or_recipe_that_is_not_there_is_told(folder, monkeypatch, capsys):
    study = folder / "study.yaml"
    code, told = inside(monkeypatch, capsys, "run", study, "--variant", "other", "--out", folder / "out")
    assert (code, "the study has no `variants:`" in told) == (1, True)
    study.write_text(STUDY.format(epochs=1) + VARIANTS)
    code, told = inside(monkeypatch, capsys, "run", study, "--variant", "bot", "--out", folder / "out")
    assert (code, "unknown variant 'bot'; did you mean 'both'" in told) == (1, True), told
    broken = VARIANTS + "  last: {recipes: {logistic: {preprocessing: {raman: [snvv]}}}}\n"
    study.write_text(STUDY.format(epochs=1) + broken)
    code, told = inside(monkeypatch, capsys, "run", study, "--out", folder / "out")
    assert (code, "variant last: " in told, "snvv" in told) == (1, True, True), told
    assert not (folder / "out").exists()
    study.write_text(STUDY.format(epochs=1) + VARIANTS)
    code, told = inside(monkeypatch, capsys, "run", study, "--recipe", "svm", "--out", folder / "out")
    assert (code, "no variant of" in told) == (1, True), told
    assert not (folder / "out").exists()


@pytest.mark.slow
def test_a_run_killed_half_way_and_started_again_gives_the_same_bytes(folder):
    (folder / "study.yaml").write_text(STUDY.format(epochs=40))
    whole, killed = folder / "whole", folder / "killed"
    assert polydx("run", folder / "study.yaml", "--out", whole, "--jobs", 2).returncode == 0
    command = [sys.executable, "-m", "polydx", "run", str(folder / "study.yaml"), "--out", str(killed), "--jobs", "1"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    deadline = time.monotonic() + 120
    while not list(killed.glob("folds/cnn/seed-0_fold-00[01].parquet")) and time.monotonic() < deadline:
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not (killed / "predictions.parquet").exists()
    finished = {p: p.stat().st_mtime_ns for p in killed.glob("folds/*/*.parquet")}
    assert finished
    again = polydx("run", folder / "study.yaml", "--out", killed, "--jobs", 1)
    assert again.returncode == 0, again.stderr
    assert "(on disk)" in again.stderr
    assert {p: p.stat().st_mtime_ns for p in finished} == finished
    assert (killed / "predictions.parquet").read_bytes() == (whole / "predictions.parquet").read_bytes()
    assert not list(killed.rglob("*.tmp"))


@pytest.mark.slow
@pytest.mark.parametrize("recipe", ["logistic", "cnn"])
def test_a_trained_model_predicts_files(folder, recipe):
    done = polydx("train", folder / "study.yaml", "--recipe", recipe, "--out", folder / "model")  # .zip is added
    assert done.returncode == 0, done.stderr
    files = sorted(folder.glob("?_?.txt"))
    done = polydx("predict", folder / "model.zip", *files, "--out", folder / "answers.csv")
    assert done.returncode == 0, done.stderr
    answers = pd.read_csv(folder / "answers.csv")
    assert list(answers["file"]) == [str(f) for f in files]
    np.testing.assert_allclose(answers["disease: healthy"] + answers["disease: sick"], 1)
    from polydx import load_study
    from polydx.recipes.store import load_model

    fitted = load_model(folder / "model.zip").fitted
    expected = fitted.predict_proba(load_study(folder / "study.yaml"))["disease"][:, 1]
    np.testing.assert_allclose(answers["disease: sick"], expected, atol=1e-6)


@pytest.mark.slow
def test_check_and_inspect_tell_what_a_study_holds(folder):
    done = polydx("check", folder / "study.yaml")
    assert done.returncode == 0, done.stderr
    assert "16 samples of 8 patients" in done.stdout
    assert "healthy 4 (8), sick 4 (8)" in done.stdout
    assert "16 samples of 8 patients" in polydx("data", "inspect", folder / "study.yaml").stdout


@pytest.mark.slow
def test_check_tells_how_large_each_network_is(folder):
    yaml = folder / "study.yaml"
    network = "  net: {kind: network, backbones: {raman: {name: mlp, hidden: [4], points: 10}}}"
    yaml.write_text(yaml.read_text().replace("recipes:\n", f"recipes:\n{network}\n"))
    done = polydx("check", yaml)
    assert done.returncode == 0, done.stderr
    assert "recipe net: 54 parameters, 48 multiply-adds an input" in done.stdout


def mangle(folder: Path, what: str) -> tuple[str, str]:
    """Make one mistake of a first user; return the error class and what its message must say."""
    table = pd.read_csv(folder / "samples.csv", dtype=str)
    yaml = (folder / "study.yaml").read_text()
    first = folder / "0_0.txt"
    expected = {
        "misspelt key": ("ConfigError", "did you mean 'column'"),
        "missing file": ("StudyError", "samples.csv row 4"),
        "missing patient": ("StudyError", "samples.csv row 3"),
        "text in a number": ("StudyError", "line 3"),
        "empty file": ("StudyError", "0_0.txt"),
        "other axis": ("StudyError", "0_0.txt"),
        "one class": ("StudyError", "1 class only"),
        "few patients": ("StudyError", "8 patients cannot fill 9 folds"),
        "two diagnoses": ("StudyError", "has 2 answers to 'disease'"),
        "no samples file": ("ReadError", "samples.csv"),
        "unknown class": ("StudyError", "did you mean 'sick'"),
        "no patient column": ("StudyError", "no column 'patient'"),
        "unknown recipe": ("ConfigError", "logistic_regression"),
    }[what]
    if what == "misspelt key":
        yaml = yaml.replace("column: group", "colum: group")
    elif what == "missing file":
        table.loc[2, "file"] = "gone.txt"
    elif what == "missing patient":
        table.loc[1, "patient"] = None
    elif what == "text in a number":
        lines = first.read_text().splitlines()
        first.write_text("\n".join([*lines[:2], lines[2] + " n/a", *lines[3:]]))
    elif what == "empty file":
        first.write_text("")
    elif what == "other axis":
        first.write_text("\n".join(f"{3000 + i}\t1.{i}" for i in range(80)))
    elif what == "one class":
        table["group"] = "sick"
    elif what == "few patients":
        yaml = yaml.replace("folds: 3", "folds: 9")
    elif what == "two diagnoses":
        table.loc[0, "group"] = "sick"
    elif what == "no samples file":
        yaml = yaml.replace("samples.csv", "sample.csv")
    elif what == "unknown class":
        table.loc[3, "group"] = "Sick"
    elif what == "no patient column":
        table = table.rename(columns={"patient": "subject"})
    elif what == "unknown recipe":
        yaml = yaml.replace("logistic_regression", "logistic")
    table.to_csv(folder / "samples.csv", index=False)
    (folder / "study.yaml").write_text(yaml)
    return expected


MISTAKES = [
    "misspelt key", "missing file", "missing patient", "text in a number", "empty file", "other axis", "one class",
    "few patients", "two diagnoses", "no samples file", "unknown class", "no patient column", "unknown recipe",
]  # fmt: skip


@pytest.mark.parametrize("what", MISTAKES)
def test_the_mistakes_of_a_first_user_get_the_one_message_that_helps(folder, what, monkeypatch, capsys):
    kind, message = mangle(folder, what)
    code, told = inside(monkeypatch, capsys, "run", folder / "study.yaml", "--out", folder / "out")
    assert code == 1
    assert f"{kind}: " in told
    assert message in told
    assert not (folder / "out" / "predictions.parquet").exists()


@pytest.mark.slow
def test_bad_usage_ends_with_two_and_help_shows_an_example():
    assert polydx("run").returncode == 2
    assert polydx("fly").returncode == 2
    for verb in (
        "check",
        "run",
        "demo",
        "report",
        "train",
        "tune",
        "predict",
        "pretrain",
        "extract",
        "compare",
        "init",
    ):
        done = polydx(verb, "--help")
        assert done.returncode == 0
        assert f"Example: polydx {verb}" in " ".join(done.stdout.split())


@pytest.mark.slow
def test_a_folder_that_is_no_run_or_no_model_is_refused(tmp_path):
    done = polydx("report", tmp_path)
    assert (done.returncode, "holds no run" in done.stderr) == (1, True)
    done = polydx("predict", tmp_path, "x.txt")
    assert (done.returncode, "is no bundle" in done.stderr) == (1, True)


@pytest.mark.slow
def test_help_and_import_load_nothing_heavy():
    code = (
        "import sys, polydx, polydx.cli, polydx.config, polydx.study, polydx.errors\n"
        "from typer.testing import CliRunner\n"
        "assert CliRunner().invoke(polydx.cli.app, ['--help']).exit_code == 0\n"
        "heavy = {'torch', 'monai', 'lightning_fabric', 'matplotlib', 'sklearn', 'PIL', 'pydicom'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_a_strangers_folder_goes_from_init_to_a_report_with_one_edit(tmp_path, data):
    """Built from a public study: one workbook, one folder a patient, other names."""
    root, rows = tmp_path / "spit", []
    people = [f"{group}_{n:02d}" for group in ("COV+", "COV-", "CTRL") for n in range(1, 35)]
    chosen = [p for p in people if (data / "covid-saliva" / p).is_dir()]
    by_group = [[p for p in chosen if p.startswith(g)][:4] for g in ("COV+", "COV-", "CTRL")]
    for i, name in enumerate(p for group in by_group for p in group):
        source, folder = data / "covid-saliva" / name, root / "measured" / f"person {i}"
        folder.mkdir(parents=True)
        spectra = np.loadtxt(source / "spectra.csv", delimiter=",", ndmin=2)
        axis = np.loadtxt(source / "raman_shift.csv")
        if spectra.shape[0] == len(axis):
            spectra = spectra.T
        for k, y in enumerate(spectra[:3]):
            np.savetxt(folder / f"scan {k}.txt", np.c_[axis, y], fmt="%.4f", delimiter="\t")
        rows.append({"Participant": f"person {i}", "Status": name.split("_")[0], "Age": 30 + i})
    pd.DataFrame(rows).to_excel(root / "people.xlsx", index=False)
    done = polydx("init", root)
    assert done.returncode == 0, done.stderr
    assert "next: look through it, then `polydx check" in done.stdout
    refused = polydx("init", root)
    assert (refused.returncode, "is there already" in refused.stderr) == (1, True)
    yaml = root / "study.yaml"
    text = yaml.read_text()
    assert "folds: 4" in text  # four people a group
    yaml.write_text(text.replace("seeds: [0]", "seeds: [0, 1]"))  # the one edit
    checked = polydx("check", yaml)
    assert checked.returncode == 0, checked.stderr
    done = polydx("run", yaml, "--out", tmp_path / "run", "--jobs", 1)
    assert done.returncode == 0, done.stderr
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    (recipe,) = metrics["recipes"].values()
    assert recipe["tasks"]["status"]["patient"]["n"] == 12
    assert metrics["seeds"] == [0, 1]
    assert (tmp_path / "run" / "report.html").stat().st_size > 50_000


@pytest.mark.slow
def test_features_are_cut_from_pretrained_weights_and_from_a_model(folder):
    yaml = (
        (folder / "study.yaml")
        .read_text()
        .replace(
            "training: {epochs: 2,",
            "pretrain: {method: simclr, epochs: 2, augmentation: {raman: [noise]}}, training: {epochs: 2,",
        )
    )
    (folder / "study.yaml").write_text(yaml)
    weights = folder / "w.safetensors"
    done = polydx("pretrain", folder / "study.yaml", "--recipe", "cnn", "--out", weights)
    assert done.returncode == 0, done.stderr
    done = polydx("extract", weights, folder / "study.yaml", "--stage", "raman.stage1", "--out", folder / "f.csv")
    assert done.returncode == 0, done.stderr
    table = pd.read_csv(folder / "f.csv")
    assert list(table.columns[:3]) == ["sample", "patient", "disease"]
    assert len(table) == 16
    wrong = polydx("extract", weights, folder / "study.yaml", "--stage", "raman.stage9", "--out", folder / "g.csv")
    assert wrong.returncode == 1
    assert "stage9" in wrong.stderr
    assert not (folder / "g.csv").exists()
    wrong = polydx("pretrain", folder / "study.yaml", "--recipe", "logistic", "--out", weights)
    assert "only a network can be pretrained" in wrong.stderr


def test_a_wide_table_beside_the_samples_is_found_again_from_the_run_folder(tmp_path, rng):
    from polydx.workflows import prepare

    axis = np.arange(400, 500, 4)
    pd.DataFrame(rng.random((8, 25)), columns=axis).assign(sample=range(8)).to_csv(tmp_path / "wide.csv", index=False)
    pd.DataFrame({"sample": range(8), "patient": range(8), "group": ["a", "b"] * 4}).to_csv(
        tmp_path / "samples.csv", index=False
    )
    (tmp_path / "study.yaml").write_text(
        "study: {samples: samples.csv, modalities: {raman: {kind: spectra, file: wide.csv, by: sample}},"
        " tasks: {g: {column: group, classes: [a, b]}}}\nvalidation: {folds: 2}\n"
    )
    config = prepare(tmp_path / "study.yaml").config
    assert config.study.modalities["raman"].file == (tmp_path / "wide.csv").resolve()


@pytest.mark.slow
def test_two_runs_are_needed_to_compare(tmp_path):
    done = polydx("compare", tmp_path)
    assert (done.returncode, "give two run folders or more" in done.stderr) == (1, True)


@pytest.mark.slow
def test_named_studies_are_listed_and_fetched_from_a_copy(tmp_path, data):
    listed = polydx("data", "list", "--data", data).stdout
    assert str(data / "als-saliva") in listed.replace("\n", "")
    assert "built in" in listed
    done = polydx("data", "fetch", "mouse-colon", "--data", tmp_path, "--from", data / "mouse-colon")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "mouse-colon" / "spectra.csv").is_file()
    told = polydx("data", "fetch", "bacteria-id", "--data", tmp_path)
    assert told.returncode == 1
    assert "terms" in told.stderr


@pytest.fixture
def small_model(folder):
    from polydx import workflows

    return workflows.train(folder / "study.yaml", recipe="logistic", out=folder / "model.zip")


def test_answers_of_patients_need_a_file(monkeypatch, capsys):
    code, said = inside(monkeypatch, capsys, "predict", "m.zip", "a.txt", "--patients", "folder")
    assert code == 1
    assert "ConfigError: `--patients` writes a second file" in said


@pytest.mark.parametrize(
    ("out", "told"), [("0_0.txt/x.csv", "is a file, not a folder"), ("taken.csv", "it is a folder")]
)
def test_answers_that_cannot_be_written_are_refused_before_predicting(
    small_model, folder, out, told, monkeypatch, capsys
):
    (folder / "taken.csv").mkdir()
    code, said = inside(monkeypatch, capsys, "predict", small_model, folder / "gone.txt", "--out", folder / out)
    assert code == 1
    assert said.startswith(f"ConfigError: {folder / out} cannot be written: ")
    assert told in said
    assert "gone.txt" not in said


def test_what_the_system_refuses_is_one_message(monkeypatch, capsys, tmp_path):
    from polydx import workflows

    for error, told in (
        (PermissionError(13, "Permission denied", "/data/x"), "PermissionError: /data/x cannot be read or written"),
        (OSError("out of handles"), "OSError: the system refused to read or write a file: out of handles"),
    ):
        monkeypatch.setattr(workflows, "report", lambda _, error=error: (_ for _ in ()).throw(error))
        code, said = inside(monkeypatch, capsys, "report", tmp_path)
        assert code == 1
        assert said.startswith(told)
        assert len(said.splitlines()) == 1


def test_a_run_folder_that_is_a_file_is_one_message(folder, monkeypatch, capsys):
    code, said = inside(monkeypatch, capsys, "run", folder / "study.yaml", "--out", folder / "0_0.txt")
    assert code == 1
    assert "0_0.txt" in said
    assert "Traceback" not in said


def test_a_constant_spectrum_is_told_by_file_under_the_public_name_of_its_error(
    small_model, folder, monkeypatch, capsys
):
    flat = folder / "flat.txt"
    flat.write_text("\n".join(f"{a:.3f}\t1.0" for a in np.linspace(600, 1600, 80)))
    code, said = inside(monkeypatch, capsys, "predict", small_model, folder / "0_0.txt", flat)
    assert code == 1
    assert "\nSpectrumError: 1 file with spectra" in f"\n{said}".replace("\r", "\n")
    assert str(flat) in said
    from polydx.cli.app import _public_name
    from polydx.preprocessing.spectra.base import SpectrumValueError

    assert _public_name(SpectrumValueError("x")) == "SpectrumError"


def test_full_or_closed_disks_are_refused_by_path(tmp_path, monkeypatch):
    from polydx.errors import ConfigError
    from polydx.io.atomic import check_writable, replacing, write_text

    def full() -> None:
        with replacing(tmp_path / "a.csv"):
            raise OSError(28, "No space left on device")

    with pytest.raises(ConfigError, match=r"a\.csv cannot be written: No space left on device; name another place"):
        full()
    assert list(tmp_path.iterdir()) == []
    write_text(tmp_path / "b.txt", "here")
    for refuse in (check_writable, lambda path: write_text(path, "x")):
        with pytest.raises(ConfigError, match=r"b\.txt is a file, not a folder"):
            refuse(tmp_path / "b.txt" / "deep" / "c.csv")
    check_writable(tmp_path / "b.txt")
    assert (tmp_path / "b.txt").read_text() == "here"
    assert [p.name for p in tmp_path.iterdir()] == ["b.txt"]


@pytest.fixture
def run_folder(tmp_path, make_study):
    """A finished run without fits: what `read_run` asks for."""
    from polydx.config import Config
    from polydx.validation.predictions import predictions_frame
    from polydx.validation.run_folder import finish_run, start_run

    study = make_study(patients=4)
    config = Config.model_validate({"study": {"dataset": "simulated-tumour"}})
    start_run(tmp_path / "run", config, study, [])
    half = {"disease": np.full((len(study), 2), 0.5)}
    frame = predictions_frame(
        study, half, recipe="it", seed=0, fold=0, thresholds={}, modalities=("raman",)
    )  # fmt: skip
    metrics = {
        "study": "tiny", "simulated": False, "split": "by hand", "recipes": {"it": {"tasks": {}}}, "comparisons": [],
    }  # fmt: skip
    finish_run(tmp_path / "run", frame, pd.DataFrame({"sample": ["a"]}), pd.DataFrame(), metrics)
    return tmp_path / "run"


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("metrics.json", "{}", "recipes"),
        ("metrics.json", "[]", "the file"),
        ("metrics.json", '{"recipes": {"a": 1}}', "recipes.a"),
        ("study.json", "{}", "task_definitions"),
        ("study.json", '{"task_definitions": {"a": {"classes": ["x"]}}}', "patients"),
        ("checks.json", "{}", "the file"),
        ("environment.json", "[]", "the file"),
        ("metrics.json", "{", "is not JSON"),
    ],
)
def test_a_broken_run_folder_is_refused_by_file_and_key(run_folder, name, text, told):
    from polydx.errors import ReadError
    from polydx.validation.run_folder import read_run

    assert read_run(run_folder).tasks["disease"].classes == ("no", "yes")
    (run_folder / name).write_text(text)
    with pytest.raises(ReadError) as caught:
        read_run(run_folder)
    assert str(run_folder / name) in str(caught.value)
    assert told in str(caught.value)


def test_tasks_of_a_run_that_cannot_be_asked_are_refused(run_folder):
    from polydx.errors import ReadError
    from polydx.validation.run_folder import read_run

    found = json.loads((run_folder / "study.json").read_text())
    found["task_definitions"]["disease"]["positive"] = "perhaps"
    (run_folder / "study.json").write_text(json.dumps(found))
    with pytest.raises(ReadError, match=r"1 problem in .*study\.json") as caught:
        read_run(run_folder)
    assert "positive class 'perhaps'" in str(caught.value)


@pytest.mark.parametrize(("told", "expected"), [(None, "passive"), ("active", "active")])
def test_threads_wait_asleep_unless_somebody_says_otherwise(monkeypatch, told, expected):
    monkeypatch.setenv("OMP_WAIT_POLICY", "placeholder")  # so that what `main` sets is taken back
    monkeypatch.delenv("OMP_WAIT_POLICY") if told is None else monkeypatch.setenv("OMP_WAIT_POLICY", told)
    monkeypatch.setattr("sys.argv", ["polydx", "--version"])
    with pytest.raises(SystemExit):
        main()
    assert os.environ["OMP_WAIT_POLICY"] == expected
