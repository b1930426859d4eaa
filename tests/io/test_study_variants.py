"""Variants of a study.yaml: what a patch does, what is refused, and the runs they become."""

from __future__ import annotations

import pytest

from polydx.config import merge_patch
from polydx.errors import ConfigError
from polydx.io.config_file import read_config, read_variants

STUDY = """
study: {dataset: als-saliva}
recipes:
  logistic: {kind: classical, model: logistic_regression, params: {C: 0.01}}
  svm: {kind: classical, model: svm}
validation: {folds: 3, seeds: [0, 1]}
variants:
  plain: {}
  fewer:
    recipes:
      svm: null
      logistic: {params: {max_iter: 50}}
    validation: {seeds: [7]}
"""


@pytest.mark.parametrize(
    ("content", "patch", "expected"),
    [  # the test cases of RFC 7396, appendix A
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        (["a", "b"], ["c", "d"], ["c", "d"]),
        ({"a": "b"}, ["c"], ["c"]),
        ({"a": "foo"}, None, None),
        ({"a": "foo"}, "bar", "bar"),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_a_patch_does_what_its_standard_says(content, patch, expected):
    assert merge_patch(content, patch) == expected


def written(tmp_path, text):
    path = tmp_path / "study.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_variant_is_the_study_with_its_changes_and_the_study_stays_as_it_is(tmp_path):
    path = written(tmp_path, STUDY)
    found = read_variants(path)
    assert list(found) == ["plain", "fewer"]
    base = read_config(path)
    assert found["plain"] == base.model_copy(update={"variants": {}})
    assert list(found["fewer"].recipes) == ["logistic"]
    assert found["fewer"].recipes["logistic"].params == {"C": 0.01, "max_iter": 50}
    assert (found["fewer"].validation.seeds, found["fewer"].validation.folds) == ([7], 3)
    assert list(base.recipes) == ["logistic", "svm"]


def test_a_study_without_the_section_has_none(tmp_path):
    assert read_variants(written(tmp_path, STUDY.partition("variants:")[0])) == {}


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("seeds: [7]", "seds: [7]", r"variants.fewer: validation.seds \(line 13\) +unknown key 'seds'; did you mean 'seeds'"),
        ("svm: null", "svm: {model: 3}", r"variants.fewer: recipes.svm.model \(line 11\) +must be text"),
        ("plain: {}", "plain: {validation: {folds: 1}}", r"variants.plain: validation.folds \(line 8\)"),
        ("plain: {}", "plain: {reports: {}}", "unknown key 'reports'; known here: recipes, study, validation"),
        ("  plain:", "  ../plain:", "variant name '../plain': use letters, digits"),
        ("plain: {}", "plain: []", "variants.plain .*must be a section of keys, found a list"),
    ],
)  # fmt: skip
def test_a_mistake_in_a_variant_is_told_with_its_line(tmp_path, before, after, message):
    with pytest.raises(ConfigError, match=message):
        read_variants(written(tmp_path, STUDY.replace(before, after)))
