"""From the predictions table to arrays: patients, parents and leaves; and every way a table can be wrong."""

import numpy as np
import pandas as pd
import pytest
from validation_tables import ALS, SMEARS, als_table, rows, smears_table

from polydx.errors import PolydxError
from polydx.study import Task
from polydx.validation.outcomes import leaves, under_parent
from polydx.validation.table import read_outcomes


def test_the_order_of_rows_does_not_matter():
    table = als_table(recipes=(("svm", 1.0), ("cnn", 2.0)), seeds=(3, 1))
    one = read_outcomes(table, ALS)["als"]
    other = read_outcomes(table.sample(frac=1, random_state=1), ALS)["als"]
    np.testing.assert_array_equal(one.labels, other.labels)
    assert one.seeds["svm"] == other.seeds["svm"] == (1, 3)
    for recipe in ("svm", "cnn"):
        np.testing.assert_array_equal(one.probabilities[recipe], other.probabilities[recipe])


def test_arrays_hold_what_the_table_says():
    table = als_table(recipes=(("svm", 1.0), ("cnn", 2.0)), seeds=(0, 1))
    own = read_outcomes(table, ALS)["als"]
    row = table[(table["recipe"] == "cnn") & (table["seed"] == 1) & (table["class"] == "ALS")].iloc[17]
    n = list(own.units).index(row["sample"])
    assert own.probabilities["cnn"][1, n, 1] == row["probability"]
    assert own.patient_names[own.patients[n]] == row["patient"]
    assert own.classes[own.labels[n]] == row["label"]
    assert own.thresholds["cnn"][1, n] == 0.5


def test_a_patient_has_the_mean_probability_and_mean_threshold_of_all_their_samples():
    p = np.array([[0.9, 0.1], [0.5, 0.5], [0.2, 0.8], [0.3, 0.7]])
    table = rows(p, [0, -1, 1, 1], [0, 0, 1, 1], "als", ALS)
    table["threshold"] = np.repeat([0.4, 0.4, 0.6, 0.2], 2)
    own = read_outcomes(table, ALS)["als"].to_patients()
    np.testing.assert_allclose(own.probabilities["svm"][0], [[0.7, 0.3], [0.25, 0.75]])
    np.testing.assert_allclose(own.thresholds["svm"][0], [0.4, 0.4])
    assert own.labels.tolist() == [0, 1]
    assert own.units.tolist() == ["p00", "p01"]


def test_seeds_may_test_different_samples():
    table = als_table(seeds=(0, 1))
    gone = (table["seed"] == 1) & (table["patient"] == "p00")
    own = read_outcomes(table[~gone], ALS)["als"]
    assert own.tested("svm").sum(axis=1).tolist() == [64, 64 - (table.loc[gone, "class"] == "ALS").sum()]
    assert np.isnan(own.to_patients().probabilities["svm"][1, 0]).all()
    assert not np.isnan(own.to_patients().probabilities["svm"][0]).any()


def test_a_child_task_is_asked_only_of_samples_of_its_parents_class():
    raw = read_outcomes(smears_table(), SMEARS)
    child = under_parent(raw["subtype"], raw["malignancy"], 1)
    assert len(child) == (raw["malignancy"].labels == 1).sum()
    assert set(child.units) == set(raw["malignancy"].units[raw["malignancy"].labels == 1])
    assert under_parent(raw["subtype"], None, 1) is raw["subtype"]


def test_leaves_are_products_that_sum_to_one_with_labels_where_the_subtype_is_known():
    raw = read_outcomes(smears_table(), SMEARS)
    tree = leaves("malignancy", SMEARS, raw)
    assert tree.classes == ("benign", "pre-B", "pro-B", "early")
    p, parent, child = tree.probabilities["svm"], raw["malignancy"], raw["subtype"]
    np.testing.assert_allclose(p.sum(axis=2), 1)
    np.testing.assert_allclose(p[:, :, 0], parent.probabilities["svm"][:, :, 0])
    np.testing.assert_allclose(p[:, :, 2], parent.probabilities["svm"][:, :, 1] * child.probabilities["svm"][:, :, 1])
    expected = np.where(parent.labels == 0, 0, np.where(child.labels >= 0, child.labels + 1, -1))
    np.testing.assert_array_equal(tree.labels, expected)
    assert (tree.labels == -1).sum() == 4


def test_leaves_of_three_generations_sum_to_one_and_repeated_names_carry_their_path():
    tasks = SMEARS | {"stage": Task(("early", "late"), level="sample", parent=("subtype", "pro-B"))}
    deepest = rows(np.full((60, 2), 0.5), np.full(60, -1), np.arange(60) % 10, "stage", tasks)
    tree = leaves("malignancy", tasks, read_outcomes(pd.concat([smears_table(), deepest]), tasks))
    names = ("benign", "pre-B", "malignant/pro-B/early", "late", "malignant/early")
    assert tree.classes == names
    np.testing.assert_allclose(tree.probabilities["svm"].sum(axis=2), 1)


def test_two_tasks_under_one_class_have_no_leaves_and_the_reason_says_so():
    tasks = SMEARS | {"grade": Task(("low", "high"), level="sample", parent=("malignancy", "malignant"))}
    grade = rows(np.full((60, 2), 0.5), np.full(60, -1), np.arange(60) % 10, "grade", tasks)
    raw = read_outcomes(pd.concat([smears_table(), grade]), tasks)
    assert "two tasks hang under one class" in leaves("malignancy", tasks, raw)


def test_leaves_need_the_child_for_the_same_samples_and_recipe():
    table = smears_table()
    part = table[(table["task"] == "malignancy") | (table["sample"] < "s030")]
    assert "same samples" in leaves("malignancy", SMEARS, read_outcomes(part, SMEARS))
    alone = read_outcomes(table[table["task"] == "malignancy"], SMEARS)
    assert "no predictions for task 'subtype'" in leaves("malignancy", SMEARS, alone)
    split = table.assign(recipe=np.where(table["task"] == "subtype", "cnn", "svm"))
    assert "no recipe predicts all" in leaves("malignancy", SMEARS, read_outcomes(split, SMEARS))


def spoil(**change):
    """A table with one cell changed: that of sample s005, class ALS."""
    table = als_table()
    row = (table["sample"] == "s005") & (table["class"] == "ALS")
    for column, value in change.items():
        table[column] = table[column].astype(object)
        table.loc[row, column] = value
    return table


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"probability": np.nan}, "probability of 'ALS' is nan, expected 0 to 1"),
        ({"probability": 1.7}, "probability of 'ALS' is 1.7"),
        ({"probability": "high"}, "probability of 'ALS' is high"),
        ({"probability": 0.123}, "probabilities of 'als' do not sum to 1"),
        ({"class": "MS"}, "class 'MS' is none of those of 'als': CTRL, ALS"),
        ({"class": "CTRL"}, "stands more than once for a class of 'als'"),
        ({"label": "MS"}, "label 'MS' is none of the classes of 'als'"),
        ({"label": None}, "sample 's005' +has two different labels of 'als'"),
        ({"level": "sample"}, "level of 'als' is 'sample', the task's is 'patient'"),
        ({"task": "mnd"}, "task 'mnd' is none of als"),
        ({"patient": "p15"}, "sample 's005' +belongs to more than one patient"),
        ({"patient": None}, "patient is empty"),
        ({"recipe": None}, "recipe is empty"),
        ({"sample": None}, "sample is empty"),
        ({"seed": "first"}, "seed is not a whole number"),
    ],
)
def test_a_wrong_cell_is_named(change, message):
    with pytest.raises(PolydxError, match=message):
        read_outcomes(spoil(**change), ALS)


def test_a_problem_names_recipe_seed_fold_and_sample():
    with pytest.raises(PolydxError, match=r"1 problem in the predictions table\n.*'svm' seed 0 fold 2 sample 's005'"):
        read_outcomes(spoil(probability=0.123), ALS)


def test_all_problems_are_listed_at_once():
    table = als_table()
    table.loc[[0, 8, 9], "probability"] = np.inf
    with pytest.raises(PolydxError) as error:
        read_outcomes(table, ALS)
    assert len(error.value.problems) == 3


def test_a_missing_class_is_named():
    table = als_table()
    with pytest.raises(PolydxError, match=r"'s000'.*lacks a class of 'als'; expected one row each for CTRL, ALS"):
        read_outcomes(table.iloc[1:], ALS)


def test_a_sample_that_one_recipe_lacks_is_named():
    table = als_table(recipes=(("svm", 1.0), ("cnn", 1.0)))
    gone = (table["recipe"] == "cnn") & (table["sample"] == "s004")
    with pytest.raises(PolydxError, match=r"recipe 'cnn' seed 0 sample 's004' +has no prediction of 'als'"):
        read_outcomes(table[~gone], ALS)


def test_two_labels_of_a_patient_are_refused_at_patient_level():
    table = rows(np.full((2, 2), 0.5), [0, 1], [4, 4], "als", ALS)
    with pytest.raises(PolydxError, match=r"patient 'p04' +has two different labels of 'als', a patient-level task"):
        read_outcomes(table, ALS)


def test_two_thresholds_of_a_sample_are_refused():
    table = als_table()
    table["threshold"] = np.where((table["sample"] == "s003") & (table["class"] == "ALS"), 0.3, 0.4)
    with pytest.raises(PolydxError, match=r"sample 's003' +has two different thresholds of 'als'"):
        read_outcomes(table, ALS)


def test_missing_columns_and_an_empty_table_are_refused():
    with pytest.raises(PolydxError, match="lacks patient, label; expected columns recipe, seed"):
        read_outcomes(als_table().drop(columns=["patient", "label"]), ALS)
    with pytest.raises(PolydxError, match="empty"):
        read_outcomes(als_table().iloc[:0], ALS)
