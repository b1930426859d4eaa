"""One folder, one run: nothing of another run is ever taken for this one's."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from polydx import workflows
from polydx.errors import ConfigError, ReadError
from polydx.validation.run_folder import read_run
from polydx.validation.run_lock import locked

pytestmark = pytest.mark.slow  # whole runs and pages

YAML = """
study:
  name: folder
  samples: samples.csv
  modalities: {{raman: {{kind: spectra}}}}
  tasks: {{disease: {{column: group, classes: [healthy, sick]}}}}
recipes:
  logistic: {{kind: classical, model: logistic_regression, preprocessing: {{raman: [snv]}}}}
  forest: {{kind: classical, model: random_forest, params: {{n_estimators: 3}}}}
validation: {{folds: {folds}, bootstrap: 100, primary: {{recipe: forest, versus: logistic, task: disease}}}}
"""


@pytest.fixture
def study(tmp_path) -> Path:
    rng = np.random.default_rng(0)
    axis = np.arange(600, 1000, 10)
    values = 5 + rng.random((24, len(axis)))
    frame = pd.DataFrame(values, columns=[str(a) for a in axis])
    frame.insert(0, "patient", [f"p{i // 2}" for i in range(24)])
    frame.insert(1, "group", [("healthy", "sick")[i // 2 % 2] for i in range(24)])
    frame.to_csv(tmp_path / "samples.csv", index=False)
    (tmp_path / "study.yaml").write_text(YAML.format(folds=3))
    return tmp_path / "study.yaml"


def test_a_new_run_in_an_old_folder_that_stops_is_no_finished_run(study, monkeypatch):
    out = study.parent / "out"
    workflows.run(study, out=out, jobs=1)
    study.write_text(YAML.format(folds=4))

    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("polydx.validation.cross_validation.run_jobs", stop)
    with pytest.raises(KeyboardInterrupt):
        workflows.run(study, out=out, jobs=1)
    with pytest.raises(ReadError, match="an unfinished run"):
        read_run(out)


def test_files_of_folds_that_are_no_part_of_the_run_go(study):
    out = study.parent / "out"
    study.write_text(YAML.format(folds=4))
    workflows.run(study, out=out, jobs=1)
    study.write_text(YAML.format(folds=3))
    workflows.run(study, out=out, jobs=1)
    assert sorted(p.stem for p in (out / "folds" / "logistic").iterdir()) == [f"seed-0_fold-00{i}" for i in range(3)]


def test_folds_of_recipes_that_are_left_out_this_time_stay(study):
    out = study.parent / "out"
    workflows.run(study, out=out, jobs=1)
    workflows.run(study, out=out, recipes=["logistic"], jobs=1)
    assert len(list((out / "folds" / "forest").iterdir())) == 3


def test_a_folder_of_another_study_or_of_other_files_is_left_alone(study):
    out = study.parent / "out"
    workflows.run(study, out=out, jobs=1)
    before = (out / "metrics.json").read_bytes()
    study.write_text(YAML.format(folds=3).replace("name: folder", "name: another"))
    with pytest.raises(ConfigError, match="holds a run of study 'folder', not of 'another'"):
        workflows.run(study, out=out, jobs=1)
    assert (out / "metrics.json").read_bytes() == before
    with pytest.raises(ConfigError, match="holds files that are no run"):
        workflows.run(study, out=study.parent, jobs=1)


def test_the_copied_configuration_runs_again(study):
    out, again = study.parent / "out", study.parent / "again"
    workflows.run(study, out=out, jobs=1)
    workflows.run(out / "config.yaml", out=again, jobs=1)
    assert (out / "predictions.parquet").read_bytes() == (again / "predictions.parquet").read_bytes()


def test_two_runs_do_not_write_to_one_folder(study):
    out = study.parent / "out"
    with locked(out), pytest.raises(ConfigError, match="another run is writing to"):
        workflows.run(study, out=out, jobs=1)
    workflows.run(study, out=out, jobs=1)
    assert not (out / ".lock").exists()


def test_an_out_that_is_a_file_is_refused(study):
    with pytest.raises(ConfigError, match="cannot be written"):
        workflows.run(study, out=study, jobs=1)


def test_leaving_a_recipe_of_the_endpoint_out_is_said(study):
    out = study.parent / "out"
    workflows.run(study, out=out, recipes=["logistic"], jobs=1)
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["primary"] is None
    assert "the primary endpoint is left out" in metrics["notes"][0]


@pytest.mark.parametrize("seeds", [[1, 1], [2**32]])
def test_seeds_of_the_command_line_are_checked_like_those_of_the_file(study, seeds):
    with pytest.raises(ConfigError, match="--seed"):
        workflows.run(study, out=study.parent / "out", seeds=seeds)


def test_the_leakage_gap_does_without_a_modality_that_has_gaps(study):
    table = pd.read_csv(study.parent / "samples.csv")
    axis = np.arange(600, 1000, 10)
    other = pd.DataFrame(np.random.default_rng(1).random((20, len(axis))), columns=[str(a) for a in axis])
    other.insert(0, "sample", [f"s{i}" for i in range(20)])
    other.to_csv(study.parent / "ir.csv", index=False)
    table.insert(0, "sample", [f"s{i}" for i in range(24)])
    table.to_csv(study.parent / "samples.csv", index=False)
    text = YAML.format(folds=3).replace(
        "{raman: {kind: spectra}}", "{raman: {kind: spectra}, ir: {kind: spectra, file: ir.csv, by: sample}}"
    )
    text = text.replace("logistic: {kind", "plain: {kind").replace("versus: logistic", "versus: plain")
    study.write_text(text.replace("random_forest,", "random_forest, preprocessing: {raman: []},"))
    workflows.run(study, out=study.parent / "out", jobs=1)
    metrics = json.loads((study.parent / "out" / "metrics.json").read_text())
    assert metrics["leakage_gap"]["disease"]["by_patient"]["estimate"] > 0
