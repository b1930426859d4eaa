"""Whole runs and trained models, of studies whose samples may lack modalities."""

import pytest

from polydx import workflows
from polydx.bundle import load
from polydx.errors import ReadError, StudyError
from polydx.validation.run_folder import read_run

FEW = """
study: {dataset: simulated-multimodal, options: {patients: 24, missing: {clinical: 0.95}}}
recipes:
  fused: {kind: classical, model: logistic_regression, preprocessing: {raman: [snv, standardise], clinical: [impute, one_hot, standardise]}}
validation: {folds: 2}
"""
YAML = """
study: {dataset: simulated-multimodal, options: {patients: 24, missing: {clinical: 0.3}}}
recipes:
  fused: {kind: classical, model: logistic_regression, preprocessing: {raman: [snv, standardise], clinical: [impute, one_hot, standardise]}}
  clinical-only: {kind: classical, model: logistic_regression, preprocessing: {clinical: [impute, one_hot, standardise]}}
validation: {folds: 2, bootstrap: 100, missing: {at_random: 0.3}, primary: {recipe: fused, task: disease, level: patient, metric: auroc}}
"""


class Told:
    """A progress display that keeps what it was told."""

    def __init__(self):
        self.lines, self.steps = [], []

    def say(self, text):
        self.lines.append(text)

    def begin(self, what, total): ...

    def step(self, what):
        self.steps.append(what)

    def close(self): ...


@pytest.mark.slow
def test_a_run_keeps_what_its_recipes_answer_without_modalities(tmp_path):
    (tmp_path / "study.yaml").write_text(YAML)
    run = read_run(workflows.run(tmp_path / "study.yaml", out=tmp_path / "run", jobs=1))
    assert set(run.scenarios["scenario"]) == {"without:raman", "without:clinical", "at-random:0.3"}
    assert set(run.scenarios["recipe"]) == {"fused"}
    fused, alone = (run.metrics["recipes"][r]["tasks"]["disease"] for r in ("fused", "clinical-only"))
    assert alone["patient"]["n"] < fused["patient"]["n"] == 24
    assert "scenarios" not in alone
    assert set(fused["availability"]) == {"clinical+raman", "raman"}
    assert fused["scenarios"]["without:raman"]["patient"]["n"] == alone["patient"]["n"]
    (compared,) = run.metrics["comparisons"]
    assert compared["n_common"] == alone["patient"]["n"]
    assert any(note.startswith("clinical-only answers") for note in run.metrics["notes"])
    assert "Which modalities does it need?" in (tmp_path / "run" / "report.html").read_text()


@pytest.mark.slow
def test_training_leaves_out_samples_without_the_recipes_modalities_and_says_so(tmp_path):
    (tmp_path / "study.yaml").write_text(YAML)
    told = Told()
    workflows.train(tmp_path / "study.yaml", recipe="clinical-only", out=tmp_path / "model", progress=told)
    (left,) = [line for line in told.lines if line.startswith("left out: ")]
    assert left.endswith(" samples with none of clinical")


@pytest.mark.slow
def test_a_model_is_not_lost_where_inner_folds_are_too_small_for_prediction_sets(tmp_path):
    (tmp_path / "study.yaml").write_text(
        FEW
    )  # one patient has a clinical row: four inner folds have none to learn from
    told = Told()
    path = workflows.train(tmp_path / "study.yaml", recipe="fused", out=tmp_path / "model.zip", progress=told)
    assert any(line.startswith("no prediction sets: an inner fold cannot be fitted") for line in told.lines)
    predictor = load(path)
    assert predictor.model.sets is None
    assert "No prediction sets" in predictor.card


@pytest.mark.slow
def test_what_is_tuned_says_that_inner_folds_are_too_small(tmp_path):
    (tmp_path / "study.yaml").write_text(FEW.replace("{kind", "{calibration: temperature, kind"))
    with pytest.raises(StudyError, match="temperature or threshold need fits on inner folds, and one cannot be made"):
        workflows.train(tmp_path / "study.yaml", recipe="fused", out=tmp_path / "model.zip")
    assert not (tmp_path / "model.zip").exists()


@pytest.mark.slow
@pytest.mark.parametrize("tuned", ["", "calibration: temperature, operating_point: {rule: youden}, "])
def test_one_set_of_inner_fits_serves_all_that_is_tuned(tmp_path, tuned):
    (tmp_path / "study.yaml").write_text(YAML.replace("{kind", f"{{{tuned}kind"))
    told = Told()
    options = {"recipe": "fused", "out": tmp_path / "model.zip", "progress": told}
    with pytest.raises(ReadError, match="holds no run"):
        workflows.train(tmp_path / "study.yaml", run=tmp_path, **options)
    assert told.steps == []  # nothing was fitted in vain
    model = load(workflows.train(tmp_path / "study.yaml", **options)).model
    assert len(told.steps) == 6
    assert sum(map(len, model.sets.scores["disease"].values())) == 24
    assert set(model.fitted.temperatures) == ({"disease", "grade"} if tuned else set())
    assert set(model.fitted.thresholds) == ({"disease"} if tuned else set())


@pytest.mark.slow
def test_a_model_says_that_its_weights_have_seen_the_patients_it_was_tuned_on(tmp_path):
    small = "kind: network, backbones: {raman: {name: cnn, width: 4}}, training: {epochs: 1, patience: null}"
    seen = f"init: {{from: {tmp_path / 'seen.safetensors'}}}"
    (tmp_path / "study.yaml").write_text(
        "study: {dataset: simulated-tumour, options: {patients: 24, spectra_per_patient: 2}}\n"
        "recipes:\n"
        f"  first: {{{small}, pretrain: {{method: simclr, epochs: 1, augmentation: {{raman: [noise]}}}}}}\n"
        f"  after: {{{small}, {seen}, calibration: temperature}}\n"
        f"  plain: {{{small}, {seen}}}\n"
    )
    workflows.pretrain(tmp_path / "study.yaml", recipe="first", out=tmp_path / "seen.safetensors", threads=1)
    remark = "the weights to start from have seen 24 patients of these"
    after = load(workflows.train(tmp_path / "study.yaml", recipe="after", out=tmp_path / "a.zip", sets=False))
    assert remark in after.card
    plain = load(workflows.train(tmp_path / "study.yaml", recipe="plain", out=tmp_path / "b.zip", sets=False))
    assert remark not in plain.card  # nothing of it was told by inner folds
