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
        (GOOD.replace("kind: network, ", ""), "recipes.cnn.*kind"),
        (
            GOOD.replace("epochs: 3", "epochs: three"),
            r"recipes.cnn.training.epochs \(line 5\) +.*should be a valid integer.*found 'three'",
        ),
        (GOOD.replace("epochs: 3", "epochs: 0"), "greater than 0, found 0"),
        (GOOD.replace("leave-one-patient-out", "leave-one-out"), "validation.split.*found 'leave-one-out'"),
        (
            GOOD.replace("versus: logistic", "versus: svm"),
            "validation.primary names recipe 'svm'; the recipes are logistic, cnn",
        ),
        (GOOD.replace("versus: logistic", "versus: cnn"), "compares 'cnn' with itself"),
        (GOOD.replace("recipe: cnn, ", ""), r"validation.primary.*'recipe' is required"),
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
