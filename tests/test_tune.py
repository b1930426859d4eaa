"""The search for settings as a user does it: the verb, what it leaves behind, and a run that searches in every fold."""

from __future__ import annotations

import json
import subprocess
import sys

import pandas as pd
import pytest
import yaml

from polydx import workflows
from polydx.errors import ConfigError
from polydx.report.searches import is_search, searched
from polydx.validation.run_folder import read_run

YAML = """
study: {dataset: simulated-tumour, options: {patients: 24, spectra_per_patient: 2, effect: 4.0}}
recipes:
  ridge:
    kind: classical
    model: logistic_regression
    preprocessing: {raman: [snv, pca: {components: 5}]}
    params: {C: 1.0e-6}
    search: {space: {params.C: {low: 0.01, high: 10, log: true}, preprocessing.raman.pca.components: [3, 6]}, trials: 4, tasks: [n_stage]}
  plain: {kind: classical, model: logistic_regression, preprocessing: {raman: [snv]}}
validation: {folds: 2, bootstrap: 100}
"""


class Steps:
    def __init__(self):
        self.steps, self.total = [], 0

    def begin(self, what, total):
        self.total = total

    def step(self, what):
        self.steps.append(what)

    def say(self, text): ...


@pytest.fixture
def study(tmp_path):
    path = tmp_path / "study.yaml"
    path.write_text(YAML)
    return path


@pytest.mark.slow
def test_tune_leaves_what_it_tried_and_a_recipe_and_goes_on_where_it_stopped(study, tmp_path):
    study.write_text(
        YAML.replace("    search:", "    calibration: {grade: temperature}  # which tune leaves alone\n    search:")
    )
    told = Steps()
    folder, found = workflows.tune(study, recipe="ridge", out=tmp_path / "tuned", progress=told)
    assert told.total == len(told.steps) == len(found.trials) == 5
    table = pd.read_csv(folder / "trials.csv")
    assert table["log_loss"].tolist() == pytest.approx([t.score for t in found.trials])
    assert set(table["preprocessing.raman.pca.components"].dropna().astype(int)) <= {3, 6}
    recipe = yaml.safe_load((folder / "recipe.yaml").read_text())["recipes"]["ridge"]
    assert found.best.settings  # so small a C cannot be the best
    assert recipe["params"]["C"] == found.best.settings["params.C"]
    assert recipe["preprocessing"]["raman"][1] == {
        "pca": {"components": found.best.settings["preprocessing.raman.pca.components"]}
    }
    again = yaml.safe_load(study.read_text())
    again["recipes"]["found"] = recipe
    study.with_name("again.yaml").write_text(yaml.safe_dump(again))
    workflows.check(study.with_name("again.yaml"))  # may be pasted into a study as it is

    kept = json.loads((folder / "trials.json").read_text())
    kept["trials"] = kept["trials"][:3]
    kept["trials"][1]["score"] = 0.001  # so that it is seen to be taken from the file
    (folder / "trials.json").write_text(json.dumps(kept))
    _, more = workflows.tune(study, recipe="ridge", out=folder, trials=5)
    assert [t.number for t in more.trials] == list(range(6))
    assert more.best.number == 1
    assert len(json.loads((folder / "trials.json").read_text())["trials"]) == 6
    with pytest.raises(ConfigError, match="holds the trials of another search .* give another --out"):
        workflows.tune(study, recipe="ridge", out=folder, seed=1)
    (folder / "trials.json").write_text("{")
    with pytest.raises(ConfigError, match="trials.json is damaged: delete it, and the search starts anew"):
        workflows.tune(study, recipe="ridge", out=folder)


@pytest.mark.slow
def test_tune_on_the_command_line(study, tmp_path):
    def tune(recipe):
        command = [
            sys.executable,
            "-m",
            "polydx",
            "tune",
            study,
            "--recipe",
            recipe,
            "--out",
            tmp_path / "t",
            "--trials",
            "2",
        ]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    done = tune("ridge")
    assert done.returncode == 0, done.stderr
    assert "trials 3/3: " in done.stderr
    assert "as written" in done.stdout
    assert "to judge it, `polydx run` with the `search:` in place" in done.stdout
    plain = tune("plain")
    assert (plain.returncode, "nothing to search for in recipe 'plain'" in plain.stderr) == (1, True)
    assert "it has no `search:`, such as" in plain.stderr


@pytest.mark.slow
def test_a_run_searches_in_every_fold_and_its_report_says_what_was_chosen(study, tmp_path):
    run = read_run(workflows.run(study, out=tmp_path / "run", jobs=1))
    told = [note for note in run.metrics["notes"] if is_search(note)]
    assert len(told) == 2
    (sentence,) = searched(told)
    assert sentence.startswith("ridge: 5 settings tried inside the training part of each fold; ")
    assert sentence in (tmp_path / "run" / "report.html").read_text()
    assert yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())["recipes"]["ridge"]["search"]["trials"] == 4


def test_choices_are_counted():
    notes = [
        "svm, seed 0, fold 0: search of 5 settings on inner patients: params.C = 0.1, a.b = [1, 2] (log loss 0.3, 0.4 as written)",
        "svm, seed 0, fold 1: search of 5 settings on inner patients: params.C = 0.1, a.b = [1, 2] (log loss 0.2)",
        "svm, seed 0, fold 2: search of 5 settings on inner patients: what is written stays (log loss 0.2)",
        "svm, seed 1, fold 0: search of 5 settings on inner patients: none could be judged; what is written stays",
        "svm, seed 1, fold 1: search of 5 settings on inner patients: params.C = 7 (auroc 0.2)",
        "both, seed 0, fold 2: a: search of 2 settings on inner patients: params.C = 1 (log loss 0.2)",
        "svm, seed 0, fold 2: task 'x': too few patients",
    ]
    assert [is_search(note) for note in notes] == [True] * 6 + [False]
    assert searched(notes) == [
        "svm: 5 settings tried inside the training part of each fold; params.C = 0.1, a.b = [1, 2] in 2 fits; "
        "what is written stays in 1 fit; none could be judged; what is written stays in 1 fit; 1 other setting in the rest.",
        "both, a: 2 settings tried inside the training part of each fold; params.C = 1 in 1 fit.",
    ]
