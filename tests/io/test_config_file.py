from __future__ import annotations

import pytest

from polydx.errors import ConfigError
from polydx.io.config_file import read_config, to_yaml

GOOD = """
study: {dataset: als-saliva}
recipes:
  logistic: {kind: classical, model: logistic_regression, preprocessing: {raman: [savitzky_golay: {window: 11}, snv]}, params: {C: 0.01}}
  cnn: {kind: network, backbones: {raman: cnn}, heads: {als: {hidden: [256], dropout: 0.5}}, training: {epochs: 3}}
validation: {split: leave-one-patient-out, primary: {recipe: cnn, versus: logistic, task: als}}
"""


def read(tmp_path, text, encoding="utf-8"):
    path = tmp_path / "study.yaml"
    path.write_bytes(text.encode(encoding))
    return read_config(path)


def test_a_good_file_is_read_with_defaults_resolved(tmp_path):
    config = read(tmp_path, GOOD)
    step, bare = config.recipes["logistic"].preprocessing["raman"]
    assert (step.name, step.params) == ("savitzky_golay", {"window": 11})
    assert (bare.name, bare.params) == ("snv", {})
    assert config.recipes["cnn"].backbones["raman"].name == "cnn"
    assert config.recipes["cnn"].training.lr == 1e-3
    assert config.validation.seeds == [0]


def test_the_resolved_configuration_reads_back_as_itself(tmp_path):
    config = read(tmp_path, GOOD)
    assert read(tmp_path, to_yaml(config)) == config


def test_a_null_that_overrules_a_default_is_kept(tmp_path):
    config = read(tmp_path, GOOD.replace("epochs: 3", "epochs: 3, patience: null"))
    assert config.recipes["cnn"].training.patience is None
    assert read(tmp_path, to_yaml(config)) == config


def test_every_shipped_study_is_read(studies):
    files = sorted(studies.glob("*.yaml"))
    assert files
    for path in files:
        assert read_config(path).recipes, path


OWN = """
study:
  name: mine
  samples: samples.csv
  modalities: {raman: {kind: spectra, column: file}}
  tasks: {disease: {column: group, classes: [no, yes]}}
"""


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            GOOD.replace("epochs", "epoch"),
            r"recipes.cnn.training.epoch \(line 5\) +unknown key 'epoch'; did you mean 'epochs'",
        ),
        (GOOD.replace("preprocessing", "preprocesing"), "unknown key 'preprocesing'; did you mean 'preprocessing'"),
        (
            GOOD.replace("validation:", "validaton:"),
            r"validaton \(line 6\) +unknown key 'validaton'; did you mean 'validation'",
        ),
        (GOOD.replace("kind: network", "kind: forest"), "recipes.cnn.*classical.*network"),
        (GOOD.replace("kind: network, ", ""), "recipes.cnn.kind .*'kind' is required and not there"),
        (
            GOOD.replace("epochs: 3", "epochs: three"),
            r"recipes.cnn.training.epochs \(line 5\) +must be a whole number, found 'three'",
        ),
        (GOOD.replace("epochs: 3", "epochs: 0"), "must be above 0, found 0"),
        (GOOD.replace("epochs: 3", "mixup: 90"), r"training.mixup \(line 5\) +must be at most 1, found 90"),
        (GOOD.replace("epochs: 3", "mixup: -1"), "must be at least 0, found -1"),
        (GOOD.replace("epochs: 3", "inner_share: 0.5"), "must be below 0.5, found 0.5"),
        (GOOD.replace("epochs: 3", "lr: fast"), "training.lr .*must be a number, found 'fast'"),
        (GOOD.replace("epochs: 3", "lr: null"), "training.lr .*must be a number, found nothing"),
        (GOOD.replace("epochs: 3", "lr: [1]"), "training.lr .*must be a number, found a list"),
        (
            GOOD.replace("epochs: 3", "optimiser: adamm"),
            "optimiser is 'adamm'; did you mean 'adam'. known: adam, adamw, sgd",
        ),
        (GOOD.replace("epochs: 3", "optimiser: {name: adam}"), "optimiser is a section of keys; known: adam, adamw"),
        (GOOD.replace("model: logistic_regression", "model: 3"), "recipes.logistic.model .*must be text, found 3"),
        (GOOD.replace("params: {C: 0.01}", "params: true"), "logistic.params .*must be a section of keys, found true"),
        (GOOD.replace("primary:", "seeds: 3, primary:"), "validation.seeds .*must be a list, found 3"),
        (
            GOOD.replace("task: als", "task: als, metric: auc"),
            "metric is 'auc'; did you mean 'auroc'. known: auroc, accuracy",
        ),
        (
            GOOD.replace("epochs: 3}", "epochs: 3}, operating_point: {rule: yuden}"),
            r"recipes.cnn.operating_point.rule \(line 5\) +rule is 'yuden'; did you mean 'youden'",
        ),
        (
            GOOD.replace("kind: classical", "kind: clasical"),
            r"recipes.logistic.kind \(line 4\) +kind is 'clasical'; did you mean 'classical'. known: classical, network, f",
        ),
        (
            GOOD.replace("leave-one-patient-out", "leave-one-out"),
            r"validation.split \(line 6\) +split is 'leave-one-out'; did you mean 'leave-one-",
        ),
        (
            GOOD.replace("versus: logistic", "versus: svm"),
            "validation.primary names recipe 'svm'; the recipes are logistic, cnn",
        ),
        (GOOD.replace("versus: logistic", "versus: cnn"), "compares 'cnn' with itself"),
        (GOOD.replace("recipe: cnn, ", ""), "validation.primary names no recipe; add `recipe:`, one of logistic, cnn"),
        (GOOD.replace("primary:", "seeds: [1, 1], primary:"), "a seed stands twice"),
        (GOOD.replace("  cnn:", "  my cnn:"), "recipe name 'my cnn': use letters, digits"),
        (GOOD.replace("{dataset: als-saliva}", "{}"), "give either `dataset: NAME`.*or `samples: FILE`"),
        (GOOD.replace("dataset: als-saliva", "samples: a.csv"), "your own samples need `modalities:` and `tasks:`"),
        (
            GOOD.replace("savitzky_golay: {window: 11}, snv", "savitzky_golay: {window: 11}, {a: 1, b: 2}"),
            "a step is a name, or one name with its options",
        ),
        (GOOD + "recipes: {}\n", "line 7 +key 'recipes' stands twice"),
        ("study: [", "is not YAML: line"),
        ("just text", "holds no `study:` section"),
        ("", "holds no `study:` section"),
        (OWN, r"YAML reads yes/no/on/off as true/false: put quotes around the class names"),
        (OWN.replace("[no, yes]", "[control]"), "study.tasks.disease.classes.*at least 2 items"),
        (OWN.replace("kind: spectra", "kind: spectrum"), "study.modalities.raman.*'spectra'"),
        (
            OWN.replace("[no, yes]", "[a, b]").replace("column: file", "colum: file"),
            "unknown key 'colum'; did you mean 'column'",
        ),
        (
            OWN.replace("[no, yes]", "[a, b]").replace("samples:", "dataset: x\n  samples:"),
            "give either `dataset: NAME`",
        ),
    ],
)
def test_each_mistake_gets_the_sentence_that_helps(tmp_path, text, message):
    with pytest.raises(ConfigError, match=message):
        read(tmp_path, text)


def test_all_mistakes_are_told_at_once(tmp_path):
    text = GOOD.replace("epochs: 3", "epoch: 3, lr: fast").replace("dataset:", "datset:")
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, text)
    for part in ("'epoch'", "lr", "'datset'"):
        assert part in str(caught.value)


def test_a_missing_file_and_a_strange_encoding_are_told(tmp_path):
    with pytest.raises(ConfigError, match="no study file"):
        read_config(tmp_path / "none.yaml")
    with pytest.raises(ConfigError, match="not UTF-8 text"):
        read(tmp_path, "study: {name: é}", encoding="latin-1")


def test_numbers_as_class_names_become_text(tmp_path):
    config = read(tmp_path, OWN.replace("[no, yes]", "[0, 1]"))
    assert config.study.tasks["disease"].classes == ["0", "1"]


def test_a_key_that_is_no_text_is_named_without_pydantics_marks(tmp_path):
    with pytest.raises(ConfigError, match=r"recipes.cnn.heads.3 \(line 5\) +must be text, found 3"):
        read(tmp_path, GOOD.replace("heads: {als:", "heads: {3:"))
