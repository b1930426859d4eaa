import json
import sys
from dataclasses import replace

import pandas as pd
import pytest

from polydx import load_study, workflows
from polydx.cli import main
from polydx.errors import ConfigError, ReadError, StudyError
from polydx.explain.store import explanations, read_explanation
from polydx.study import RowIndex
from polydx.workflows import ExplainOptions

STUDY = """
study: {dataset: simulated-tumour, options: {patients: 21, spectra_per_patient: 2, points: 200, effect: 3.0, missing_labels: 0.0}}
recipes:
  cnn: {kind: network, backbones: {raman: {name: cnn, width: 4}}, preprocessing: {raman: [snv]}, training: {epochs: 2}}
  logistic: {kind: classical, model: logistic_regression, preprocessing: {raman: [snv, standardise]}, params: {C: 0.1}}
validation: {split: group-k-fold, folds: 3, bootstrap: 100, explain: true}
"""

WIDE = ExplainOptions(window=200)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("explained")
    (folder / "study.yaml").write_text(STUDY)
    return workflows.run(folder / "study.yaml", out=folder / "run", jobs=1)


@pytest.mark.slow
def test_a_run_is_explained_by_each_fold_for_the_patients_it_tested(run, monkeypatch, capsys):
    words = [
        "polydx",
        "explain",
        str(run),
        "--recipe",
        "logistic",
        "--task",
        "grade",
        "--class",
        "1",
        "--sanity",
        "--window",
        "200",
    ]
    label = json.loads((run / "study.json").read_text())["task_definitions"]["grade"]["classes"][0]
    words[words.index("1")] = label
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(SystemExit) as left:
        main()
    assert not left.value.code
    told = capsys.readouterr()
    assert f"grade: {label} against rest" in told.out
    assert "sanity: the map" in told.out
    assert "strongest bands; loss of log-odds" in told.out
    folder = run / "explain" / "logistic_grade_occlusion_raman"
    found = read_explanation(folder)
    assert found.about["simulated"]
    assert (folder / f"spectra-{label}.svg").is_file()
    splits = pd.read_csv(run / "splits.csv")
    tested = splits[splits["role"] == "test"].set_index("patient")["fold"].to_dict()
    folds = pd.read_parquet(folder / "folds.parquet").drop_duplicates("patient")
    assert len(folds) == found.about["patients"] > 3
    assert all(tested[p] == f for p, f in zip(folds["patient"], folds["fold"], strict=True))
    assert len(found.tables["maps"]) == 200


@pytest.mark.slow
def test_a_network_s_own_weights_explain_and_the_run_lists_what_there_is(run, tmp_path):
    workflows.explain(run, task="n_stage", recipe="cnn", options=ExplainOptions("grad_cam"))
    methods = {(found.about["method"], found.about["task"]) for found in explanations(run)}
    own = {("integrated_gradients", task) for task in ("t_stage", "n_stage", "grade")}  # `explain: true`
    assert own | {("grad_cam", "n_stage")} <= methods
    assert "What do the answers rest on?" in (run / "report.html").read_text()
    splits = pd.read_csv(run / "splits.csv")
    sample = splits.loc[splits["role"] == "test", "sample"].iloc[3]
    one = workflows.explain(
        run, task="n_stage", label="N0", recipe="cnn", sample=sample, options=WIDE, out=tmp_path / "one"
    )
    assert read_explanation(one).about["patients"] == 1


@pytest.mark.slow
def test_a_model_explains_a_study(run, tmp_path, make_study):
    model = workflows.train(run.parent / "study.yaml", recipe="logistic", out=tmp_path / "model")
    with pytest.raises(ConfigError, match="name a folder with --out"):
        workflows.explain(model, run.parent / "study.yaml", task="grade")
    with pytest.raises(ConfigError, match="is a model: name the study"):
        workflows.explain(model, task="grade", out=tmp_path / "out")
    with pytest.raises(StudyError, match="has no sample 'x' to explain"):
        workflows.explain(model, run.parent / "study.yaml", task="grade", sample="x", out=tmp_path / "out")
    with pytest.raises(StudyError, match="the model cannot be asked about study 'tiny'"):
        workflows.explain(model, make_study(), out=tmp_path / "out")
    whole = load_study(run.parent / "study.yaml")
    rows = RowIndex.from_lists([[], *([i] for i in range(1, len(whole)))])
    with pytest.raises(StudyError, match="sample '.*' has none of the modalities of the model: raman"):
        workflows.explain(
            model, replace(whole, rows={"raman": rows}), task="grade", sample=whole.ids[0], out=tmp_path / "out"
        )
    out = workflows.explain(model, run.parent / "study.yaml", task="grade", options=WIDE, out=tmp_path / "out")
    assert read_explanation(out).about["of"] == "model"


@pytest.mark.slow
def test_another_study_sample_or_recipe_is_refused(run, tmp_path):
    with pytest.raises(ConfigError, match="is a run of 2 recipes: name one of cnn, logistic"):
        workflows.explain(run, task="grade")
    with pytest.raises(ConfigError, match="recipe"):
        workflows.explain(run, task="grade", recipe="cnnn")
    with pytest.raises(StudyError, match="no fold of .* tested a sample 'x'"):
        workflows.explain(run, task="grade", recipe="cnn", sample="x")
    other = tmp_path / "other.yaml"
    other.write_text(STUDY.replace("effect: 3.0", "effect: 2.0"))
    with pytest.raises(StudyError, match="probabilities of '.*' differ by .*: the data or the versions"):
        workflows.explain(run, other, task="grade", recipe="logistic")
    other.write_text(STUDY.replace("effect: 3.0", "name: other"))
    with pytest.raises(StudyError, match="is a run of study 'simulated-tumour', not of this 'other'"):
        workflows.explain(run, other, task="grade", recipe="cnn")


def test_a_folder_without_an_explanation_or_with_a_broken_one_is_refused(tmp_path):
    with pytest.raises(ReadError, match="holds no explanation: explanation.json is missing"):
        read_explanation(tmp_path)
    (tmp_path / "explanation.json").write_text("{")
    with pytest.raises(ReadError, match="the explanation is broken"):
        read_explanation(tmp_path)
    (tmp_path / "explanation.json").write_text('{"recipe": "a"}')
    with pytest.raises(ReadError, match="problems in .*explanation.json"):
        read_explanation(tmp_path)


def test_no_sample_of_a_class_is_said(make_study):
    import numpy as np

    from polydx.explain.choice import targets
    from polydx.explain.spectral import explain_spectra, occlusion
    from polydx.explain.subjects import Subject

    study = make_study()
    none = study.take(np.flatnonzero(study.label_codes("disease") == 0))
    with pytest.raises(StudyError, match="no sample of class yes of task 'disease' to explain"):
        explain_spectra([Subject(None, study, none)], occlusion(), "raman", targets(study, "disease"))
