from __future__ import annotations

from dataclasses import replace
from typing import get_args

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from polydx.config import SplitName, ValidationConfig
from polydx.errors import ConfigError, LeakageError, StudyError
from polydx.io.config_file import read_config, to_yaml
from polydx.splits import (
    Fold,
    check_disjoint,
    describe_split,
    fold_notes,
    group_k_fold,
    inner_folds,
    inner_split,
    joint_codes,
    leave_one_patient_out,
    make_folds,
    patients,
    stratified_group_k_fold,
    stratifying_tasks,
)
from polydx.splits.make import SPLITS
from polydx.study import RowIndex, Spectra, Study, Task
from polydx.validation.cross_validation import cross_validate, split_notes


def cohort(owner, tasks, **columns) -> Study:
    """A study of these samples: `owner` their patients, `tasks` name -> codes, and columns of the samples table."""
    n = len(owner)
    ids = pd.Index([f"s{i:03d}" for i in range(n)], name="sample", dtype=object)
    tasks = {name: np.asarray(codes) for name, codes in tasks.items()}
    return Study(
        "own",
        pd.DataFrame({"patient": [f"p{i:02d}" for i in owner], **columns}, index=ids),
        {"raman": Spectra(np.arange(2 * n, dtype=np.float32).reshape(n, 2), np.array([600.0, 601.0]))},
        {"raman": RowIndex.one_each(n)},
        {name: Task(tuple("abcdef"[: max(2, codes.max() + 1)]), "sample") for name, codes in tasks.items()},
        pd.DataFrame(tasks, index=ids),
    )


def section(split, **options):
    column = {"predefined": "fold"}.get(split)
    return ValidationConfig(**{"split": split, "folds": 3, "column": column, **options})


@settings(max_examples=30, deadline=None)
@given(patients=st.integers(6, 20), most=st.integers(1, 5), folds=st.integers(2, 5), seed=st.integers(0, 2**31))
def test_a_patient_never_stands_on_both_sides_and_every_sample_is_tested_once(patients, most, folds, seed):
    rng = np.random.default_rng(seed)
    owner = np.repeat(np.arange(patients), rng.integers(1, most + 1, patients)).astype(str)
    codes = (np.char.str_len(owner) + owner.astype(int)) % 2
    drawn = stratified_group_k_fold(owner, codes, folds, seed)
    assert sorted(np.concatenate([f.test for f in drawn])) == list(range(len(owner)))
    for fold in drawn:
        assert not set(owner[fold.train]) & set(owner[fold.test])
        assert len(fold.train) + len(fold.test) == len(owner)


def test_folds_equal_scikit_learn_where_its_first_draw_serves():
    from sklearn.model_selection import StratifiedGroupKFold

    owner = np.repeat([f"p{i:02d}" for i in range(20)], 4)
    codes = np.repeat(np.arange(20) % 2, 4)
    expected = StratifiedGroupKFold(5, shuffle=True, random_state=3).split(codes, codes, owner)
    for fold, (train, test) in zip(stratified_group_k_fold(owner, codes, 5, 3), expected, strict=True):
        np.testing.assert_array_equal(fold.train, train)
        np.testing.assert_array_equal(fold.test, test)


def test_the_same_seed_gives_the_same_folds_and_another_seed_others():
    owner, codes = np.repeat(np.arange(30), 2).astype(str), np.repeat(np.arange(30) % 3, 2)
    tests = [np.concatenate([f.test for f in stratified_group_k_fold(owner, codes, 5, seed)]) for seed in (1, 1, 2)]
    np.testing.assert_array_equal(tests[0], tests[1])
    assert not np.array_equal(tests[0], tests[2])


def test_leave_one_patient_out_has_one_fold_a_patient(make_study):
    study = make_study(patients=7, each=2)
    folds = make_folds(study, ValidationConfig(split="leave-one-patient-out"), seed=0)
    assert [set(study.patients[f.test]) for f in folds] == [{p} for p in sorted(set(study.patients))]


def test_one_patient_cannot_be_left_out():
    with pytest.raises(StudyError, match="needs at least 2 patients, found 1"):
        leave_one_patient_out(["a", "a"])


def test_fewer_patients_than_folds_is_refused_with_what_to_do(make_study):
    with pytest.raises(StudyError, match=r"4 patients cannot fill 5 folds: set `folds: 4` or less"):
        make_folds(make_study(patients=4), ValidationConfig(folds=5), seed=0)


def test_one_class_only_is_refused_with_counts(make_study):
    study = make_study()
    one = study.take(np.flatnonzero(study.label_codes("disease") == 1))
    with pytest.raises(StudyError, match=r"has labels of 1 class only \(no: 0 patients, yes: 4 patients\)"):
        make_folds(one, ValidationConfig(folds=2), seed=0)


def test_a_class_of_one_patient_is_refused_by_name(make_study):
    study = make_study()
    kept = study.take(np.flatnonzero((study.label_codes("disease") == 0) | (study.patients == "tiny/p01")))
    with pytest.raises(
        StudyError, match="class 'yes' of task 'disease' has 1 patient, who would be missing from training"
    ):
        make_folds(kept, ValidationConfig(split="leave-one-patient-out"), seed=0)


def test_an_unknown_stratifying_task_is_refused(make_study):
    with pytest.raises(StudyError, match="validation names task 'stage'; the tasks of 'tiny' are disease"):
        make_folds(make_study(), ValidationConfig(stratify="stage"), seed=0)


def test_a_patient_on_both_sides_is_leakage(make_study):
    study = make_study(patients=4, each=2)
    with pytest.raises(LeakageError, match="patient 'tiny/p01' stands on both sides of fold 0"):
        check_disjoint(study, [Fold(0, np.array([0, 1, 2]), np.array([3]))])
    with pytest.raises(LeakageError, match="tested in two folds"):
        check_disjoint(study, [Fold(0, np.array([2, 3]), np.array([0])), Fold(1, np.array([2, 3]), np.array([0]))])


def test_inner_folds_stay_within_patients_and_fit_their_number(make_study):
    study = make_study(patients=4, each=3)
    folds = inner_folds(study, "disease", 5, seed=0)
    assert len(folds) == 4
    check_disjoint(study, folds)
    split = inner_split(make_study(patients=20), "disease", 0.2, seed=0)
    assert len(split.test) == 12


def test_nothing_can_be_held_out_of_one_patient(make_study):
    study = make_study()
    with pytest.raises(StudyError, match="1 patient in a training set"):
        inner_folds(study.take(np.arange(3)), "disease", 5, seed=0)


def test_unlabelled_patients_are_split_too(make_study):
    study = make_study(patients=10)
    labels = study.labels.copy()
    labels.iloc[:6] = -1
    folds = make_folds(replace(study, labels=labels), ValidationConfig(folds=3), seed=0)
    assert sum(len(f.test) for f in folds) == len(study)


@settings(max_examples=40, deadline=None)
@given(
    split=st.sampled_from(get_args(SplitName)),
    people=st.integers(6, 14),
    most=st.integers(1, 4),
    gaps=st.booleans(),
    seed=st.integers(0, 2**31),
)
def test_every_split_keeps_patients_apart_and_tests_a_sample_at_most_once(split, people, most, gaps, seed):
    rng = np.random.default_rng(seed)
    owner = np.repeat(np.arange(people), rng.integers(1, most + 1, people))
    named = np.array(["x", "y", "z"], dtype=object)[owner // 2 % 3]
    named[gaps & (owner >= 6) & (rng.random(len(owner)) < 0.3)] = None  # the first six keep both classes in each fold
    study = cohort(owner, {"a": owner % 2}, fold=named, centre=named)
    folds = make_folds(study, section(split), seed)
    tested = np.concatenate([f.test for f in folds])
    assert len(set(tested)) == len(tested)
    by_column = split in ("predefined", "leave-one-centre-out")
    expected = [i for i, name in enumerate(named) if name is not None] if by_column else range(len(owner))
    assert sorted(tested) == list(expected)
    for fold in folds:
        assert not set(owner[fold.train]) & set(owner[fold.test])
        assert len(fold.train)
        assert len(fold.test)
        assert set(fold.train) | set(fold.test) == set(expected)


def test_every_split_of_the_schema_is_there():
    assert tuple(SPLITS) == get_args(SplitName)


def test_unstratified_folds_equal_scikit_learn_and_change_with_the_seed():
    from sklearn.model_selection import GroupKFold

    owner = np.repeat([f"p{i:02d}" for i in range(20)], 4)
    expected = GroupKFold(5, shuffle=True, random_state=3).split(owner, owner, owner)
    found = group_k_fold(owner, 5, 3)
    for fold, (train, test) in zip(found, expected, strict=True):
        np.testing.assert_array_equal(fold.train, train)
        np.testing.assert_array_equal(fold.test, test)
    assert any(not np.array_equal(f.test, g.test) for f, g in zip(found, group_k_fold(owner, 5, 4), strict=True))


def test_an_unstratified_draw_that_loses_a_class_is_drawn_again():
    from sklearn.model_selection import GroupKFold

    owner, codes = np.arange(12), np.isin(np.arange(12), [0, 1]).astype(int)

    def together(seed):
        plain = GroupKFold(3, shuffle=True, random_state=seed).split(owner, owner, owner)
        return any({0, 1} <= set(test) for _, test in plain)

    seed = next(s for s in range(50) if together(s))
    study = cohort(owner, {"a": owner // 2 % 2, "rare": codes})
    folds = make_folds(study, section("group-k-fold"), seed)
    assert all(set(codes[f.train]) == {0, 1} for f in folds)
    assert fold_notes(study, folds) == []


def test_a_stratified_draw_that_loses_a_class_of_another_task_is_drawn_again():
    owner, rare = np.arange(16), np.isin(np.arange(16), [0, 2]).astype(int)
    study = cohort(owner, {"a": owner % 2, "rare": rare})
    plain = [stratified_group_k_fold(study.patients, owner % 2, 4, seed) for seed in range(40)]
    seed = next(s for s, folds in enumerate(plain) if any({0, 2} <= set(f.test) for f in folds))
    folds = make_folds(study, section("stratified-group-k-fold", folds=4), seed)
    assert all(set(rare[f.train]) == {0, 1} for f in folds)


def test_a_class_of_one_patient_in_another_task_is_reported_and_not_refused():
    owner = np.repeat(np.arange(8), 2)
    study = cohort(owner, {"a": owner % 2, "stage": (owner == 5).astype(int)})
    folds = make_folds(study, section("leave-one-patient-out"), 0)
    assert fold_notes(study, folds) == ["fold 5 trains without class 'b' of 'stage' (1 patient)"]


def test_a_class_of_one_patient_does_not_change_the_first_draw():
    from sklearn.model_selection import StratifiedGroupKFold

    owner = np.repeat([f"p{i:02d}" for i in range(18)], 2)
    codes = np.where(owner == "p07", 2, np.repeat(np.arange(18), 2) % 2)
    expected = StratifiedGroupKFold(3, shuffle=True, random_state=1).split(codes, codes, owner)
    for fold, (_, test) in zip(stratified_group_k_fold(owner, codes, 3, 1), expected, strict=True):
        np.testing.assert_array_equal(fold.test, test)


def test_a_class_that_no_draw_can_keep_costs_one_draw_only(monkeypatch):
    draws, plain = [], patients._draw
    monkeypatch.setattr(patients, "_draw", lambda *given, **more: draws.append(given) or plain(*given, **more))
    stratified_group_k_fold(np.arange(10), np.array([2] + [0, 1, 0] * 3), 2, 0)
    assert len(draws) == 1


def test_where_every_draw_loses_a_class_the_first_that_loses_least_is_taken(monkeypatch):
    codes = np.array([0, 0, 1, 1, 2, 2, 2, 2])
    loses_two, loses_one, also_one = (
        ([0, 1, 2, 3], [4, 5, 6, 7]),
        ([0, 1, 2, 4], [3, 5, 6, 7]),
        ([2, 3, 4], [0, 1, 5, 6, 7]),
    )

    def draw(groups, codes, folds, seed, *, stratify):
        test, train = {3 + 1009: loses_one, 3 + 2018: also_one}.get(seed, loses_two)
        return [Fold(0, np.array(train), np.array(test))]

    monkeypatch.setattr(patients, "_draw", draw)
    (fold,) = stratified_group_k_fold(np.arange(8), codes, 2, 3)
    assert list(fold.test) == loses_one[0]


def test_folds_that_share_a_patient_are_stopped_whoever_drew_them(make_study, monkeypatch):
    study = make_study(patients=4, each=2)
    torn = [Fold(0, np.array([0, 2, 4, 6]), np.array([1, 3, 5, 7]))]
    monkeypatch.setitem(SPLITS, "group-k-fold", lambda *_: torn)
    with pytest.raises(LeakageError, match="patient 'tiny/p00' stands on both sides of fold 0"):
        make_folds(study, section("group-k-fold"), 0)


def test_an_inner_split_never_trains_without_a_class_that_it_tests():
    owner = np.repeat(np.arange(12), 2)
    study = cohort(owner, {"a": np.where(owner == 7, 2, owner % 2)})
    seeds = range(12)
    assert any(7 in owner[inner_folds(study, "a", 4, seed)[0].test] for seed in seeds)
    assert all(7 in owner[inner_split(study, "a", 0.25, seed).train] for seed in seeds)


def test_a_fold_that_no_draw_fills_is_refused(monkeypatch):
    whole = np.arange(4)
    monkeypatch.setattr(patients, "_draw", lambda *_, **__: [Fold(0, whole, whole[:0]), Fold(1, whole[:0], whole)])
    with pytest.raises(StudyError, match="a fold would be empty: use fewer than 2 folds"):
        stratified_group_k_fold(["a", "b", "c", "d"], np.array([0, 1, 0, 1]), 2, 0)


def test_leaving_one_of_very_many_patients_out_is_refused_before_memory_runs_out():
    with pytest.raises(StudyError, match=r"20000 fits a recipe.*use `split: stratified-group-k-fold`"):
        leave_one_patient_out(np.arange(20_000))


def test_samples_of_one_class_have_nothing_to_tell_apart_in_a_given_split_too():
    study = cohort(np.arange(4), {"a": [1, 1, 1, 1]}, fold=["x", "x", "y", "y"])
    with pytest.raises(StudyError, match=r"labels of 1 class only \(a: 0 patients, b: 4 patients\)"):
        make_folds(study, section("predefined"), 0)


def test_given_folds_are_tested_in_turn_in_the_order_of_their_numbers():
    owner = np.arange(12)
    study = cohort(owner, {"a": owner // 3 % 2}, fold=[10.0, 2.0, 1.0] * 4)
    folds = make_folds(study, section("predefined"), 0)
    assert [f.name for f in folds] == ["1", "2", "10"]
    assert [list(f.test) for f in folds] == [[2, 5, 8, 11], [1, 4, 7, 10], [0, 3, 6, 9]]
    assert describe_split(section("predefined"), folds) == (
        "folds of patients as given in column 'fold', 3 folds ('1', '2', '10')"
    )


def test_given_roles_are_one_fold_and_other_rows_are_left_out_aloud():
    owner = np.repeat(np.arange(6), 2)
    role = np.array(["train", "train", "Test", "test ", None, "validation"], dtype=object)[owner]
    role[1] = ""
    study = cohort(owner, {"a": owner % 2}, fold=role)
    (fold,) = make_folds(study, section("predefined"), 0)
    assert (list(fold.train), list(fold.test)) == ([0, 2, 3], [4, 5, 6, 7])
    assert fold_notes(study, [fold]) == ["left out, in no fold: 5 samples, among them all samples of 2 patients"]
    assert describe_split(section("predefined"), [fold]) == "training and test patients as given in column 'fold'"


def test_a_class_that_only_rows_left_out_have_is_not_missed():
    study = cohort(np.arange(8), {"a": [0, 2, 0, 2, 0, 2, 1, 1]}, fold=["train"] * 4 + ["test"] * 2 + [None] * 2)
    (fold,) = make_folds(study, section("predefined"), 0)
    assert fold_notes(study, [fold]) == ["left out, in no fold: 2 samples, among them all samples of 2 patients"]


def test_a_patient_in_two_given_folds_is_leakage_and_all_are_named():
    owner = np.repeat(np.arange(4), 2)
    for values in (["1", "2", "1", "1", "2", "1", "2", "2"], ["train", "test"] + ["train"] * 2 + ["test", "train"] * 2):
        study = cohort(owner, {"a": owner % 2}, fold=values)
        with pytest.raises(LeakageError, match=r"patients under several values of column 'fold'.*") as caught:
            make_folds(study, section("predefined"), 0)
        assert {"patient 'p00'", "patient 'p02'"} <= {p.where for p in caught.value.problems}
        assert "patient 'p01'" not in {p.where for p in caught.value.problems}
        assert all("stands under '" in p.what for p in caught.value.problems)


def test_a_patient_measured_at_two_centres_is_leakage():
    study = cohort([0, 0, 1, 2], {"a": [0, 0, 1, 1]}, centre=["Graz", "Wien", "Graz", "Wien"])
    with pytest.raises(LeakageError, match=r"1 patient under several values of column 'centre'[^$]*'Graz' and 'Wien'"):
        make_folds(study, section("leave-one-centre-out"), 0)


def test_each_centre_is_tested_by_models_that_saw_the_others_alone():
    owner = np.repeat(np.arange(8), 2)
    site = np.array(["Wien", "Graz"])[owner // 2 % 2]
    study = cohort(owner, {"a": owner % 2}, centre="all the same", hospital=site)
    asked = section("leave-one-centre-out", column="hospital")
    folds = make_folds(study, asked, 0)
    assert [(set(site[f.train]), set(site[f.test]), f.name) for f in folds] == [
        ({"Wien"}, {"Graz"}, "Graz"),
        ({"Graz"}, {"Wien"}, "Wien"),
    ]
    assert describe_split(asked, folds) == "leave one centre out by column 'hospital', 2 folds ('Graz', 'Wien')"


def test_samples_without_a_centre_are_on_no_side():
    owner = np.arange(10)
    study = cohort(owner, {"a": owner % 2}, centre=[*"xxyyxxyy", None, " "])
    folds = make_folds(study, section("leave-one-centre-out"), 0)
    assert [sorted([*f.train, *f.test]) for f in folds] == [list(range(8))] * 2
    assert fold_notes(study, folds) == ["left out, in no fold: 2 samples, among them all samples of 2 patients"]


@pytest.mark.parametrize(
    ("split", "columns", "message"),
    [
        ("leave-one-centre-out", {"center": list("xxyy")}, "no column 'centre' to split by; did you mean 'center'"),
        ("predefined", {"site": list("xxyy")}, r"no column 'fold' to split by; there are: site \(columns that"),
        ("predefined", {}, r"there are: \(none\)"),
        ("leave-one-centre-out", {"centre": list("xxxx")}, "has to name at least 2 centres, found 'x'"),
        ("predefined", {"fold": [None] * 4}, "has to name at least 2 folds, found empty cells only"),
        ("leave-one-centre-out", {"centre": ["Graz", "graz", "x", "x"]}, "'Graz' and 'graz' differ by case only"),
        ("predefined", {"fold": ["train"] * 4}, "holds 'train': for one split write both 'train' and 'test'"),
        ("predefined", {"fold": ["training", "testing"] * 2}, "holds 'testing', 'training': for one split write both"),
        ("predefined", {"fold": list("xyxy")}, r"fold 0 \('x'\) +would train without class 'a' \(2 patients\)"),
        ("predefined", {"fold": ["train", None, "test", None]}, r"fold 0 +would train with fewer than two classes"),
    ],
)
def test_a_column_that_names_no_split_is_refused_with_what_to_do(split, columns, message):
    with pytest.raises(StudyError, match=message):
        make_folds(cohort(np.arange(4), {"a": [0, 1, 0, 1]}, **columns), section(split), 0)


def test_every_fold_that_lacks_a_class_is_told_at_once():
    study = cohort(np.arange(6), {"a": [0, 1, 2, 0, 1, 2]}, fold=list("xyzxyz"))
    with pytest.raises(
        StudyError, match="task 'a' cannot be learned in 3 folds of this split: merge rare classes"
    ) as e:
        make_folds(study, section("predefined"), 0)
    assert [p.what for p in e.value.problems] == [f"would train without class '{c}' (2 patients)" for c in "abc"]


def test_joint_strata_balance_two_tasks_at_once():
    owner = np.arange(40)
    a, b = owner % 2, owner // 10 % 2
    study = cohort(owner, {"a": a, "b": b})
    for seed in range(5):
        for fold in make_folds(study, section("stratified-group-k-fold", folds=5, stratify=["a", "b"]), seed):
            assert sorted(zip(a[fold.test], b[fold.test], strict=True)) == [
                (i, j) for i in (0, 1) for j in (0, 1) for _ in "12"
            ]


def test_rare_combinations_fall_back_on_the_leading_tasks():
    owner = np.arange(12)
    a = np.array([0] * 6 + [1] * 6)
    b = np.array([0, 0, 0, 1, 1, 1] * 2)
    c = np.array([0, 1, 2, 0, 1, 2, 0, 1, -1, 0, 0, 0])
    joint = joint_codes(owner, [a, b, c], 3)
    groups = [sorted(np.flatnonzero(joint == code).tolist()) for code in np.unique(joint)]
    assert sorted(groups) == [[0, 1, 2], [3, 4, 5], [6, 7, 8], [9, 10, 11]]
    lone = joint_codes(np.array([0, 0, 0, 1, 2, 3]), [np.array([0, 0, 0, 0, 1, 1]), np.array([1, 1, 1, 0, 0, 0])], 2)
    assert len(set(lone[:4])) == 1  # three samples of one patient are one patient
    np.testing.assert_array_equal(joint_codes(owner, [a], 3), a)


def test_the_tasks_to_balance_are_those_asked_for_else_the_endpoints_else_the_first():
    study = cohort(np.arange(4), {"a": [0, 1, 0, 1], "b": [0, 1, 0, 1]})
    primary = {"recipe": "r", "task": "b/leaves"}
    assert stratifying_tasks(study, ValidationConfig()) == ["a"]
    assert stratifying_tasks(study, ValidationConfig(primary=primary)) == ["b"]
    assert stratifying_tasks(study, ValidationConfig(primary=primary, stratify="a")) == ["a"]
    with pytest.raises(StudyError, match="validation names task 'c'; the tasks of 'own' are a, b"):
        stratifying_tasks(study, ValidationConfig(stratify="a", primary={"recipe": "r", "task": "c"}))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "stratified 3-fold by patient (seed 0)"),
        (
            {"stratify": ["a", "b"], "repeats": 2},
            "stratified 3-fold by patient, balanced over 'a' and 'b' (seeds 0, 1)",
        ),
        ({"split": "group-k-fold", "seeds": [4]}, "3-fold by patient, not stratified (seed 4)"),
        ({"split": "leave-one-patient-out"}, "leave one patient out, 12 folds"),
        (
            {"split": "leave-one-centre-out"},
            "leave one centre out by column 'centre', 8 folds ('c0', 'c1', 'c2', 'c3', 'c4', 'c5', 2 more)",
        ),
    ],
)
def test_a_split_is_described_in_words(options, words):
    owner = np.arange(12)
    study = cohort(owner, {"a": owner % 2, "b": owner // 2 % 2}, centre=[f"c{i % 8}" for i in owner])
    asked = ValidationConfig(**{"folds": 3, **options})
    assert describe_split(asked, make_folds(study, asked, asked.seeds[0])) == words


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"split": "predefined"}, "`split: predefined` needs `column: NAME`"),
        ({"column": "fold"}, "'stratified-group-k-fold' draws its own folds"),
        ({"split": "group-k-fold", "stratify": "a"}, "'group-k-fold' balances no classes"),
        ({"stratify": ["a", "a"]}, "a task stands twice in `stratify`"),
        ({"stratify": []}, "at least 1 item"),
        ({"split": "leave-one-patient-out", "repeats": 2}, "those of 'leave-one-patient-out' never change"),
        ({"repeats": 2, "seeds": [0, 1]}, "give `repeats: n` with one seed to count from"),
        ({"repeats": 0}, "greater than or equal to 1"),
    ],
)
def test_options_that_do_not_belong_to_the_split_are_refused(options, message):
    with pytest.raises(ValidationError, match=message):
        ValidationConfig(**options)
    split, rest = options.get("split", "stratified-group-k-fold"), {k: v for k, v in options.items() if k != "split"}
    if "repeats" not in rest:
        with pytest.raises(ConfigError, match=message):
            cross_validate(cohort([0, 1], {"a": [0, 1]}), {}, split, **rest)


def test_repeats_are_seeds_counted_up_and_the_resolved_file_says_so(tmp_path):
    path = tmp_path / "study.yaml"
    path.write_text("study: {dataset: als-saliva}\nvalidation: {repeats: 3, seeds: [7], stratify: als}\n")
    config = read_config(path)
    assert config.validation.seeds == [7, 8, 9]
    assert config.validation.stratify == ["als"]
    path.write_text(to_yaml(config))
    assert "repeats" not in path.read_text()
    assert read_config(path) == config
    assert ValidationConfig(repeats=2).seeds == [0, 1]


def test_an_unknown_split_is_refused_with_the_one_that_was_meant():
    with pytest.raises(ConfigError, match="unknown split 'group_kfold'; did you mean 'group-k-fold'"):
        cross_validate(cohort([0, 1], {"a": [0, 1]}), {}, "group_kfold")


def test_cross_validation_takes_the_options_of_a_split_and_says_what_was_left_out():
    owner = np.repeat(np.arange(8), 3)
    role = np.array(["train"] * 4 + ["test"] * 2 + [None] * 2, dtype=object)[owner]
    study = cohort(owner, {"a": owner % 2}, role=role)
    result = cross_validate(
        study,
        {"logistic": {"kind": "classical", "model": "logistic_regression"}},
        "predefined",
        column="role",
        seeds=[0, 1],
    )
    assert set(result.predictions["sample"]) == set(study.ids[role == "test"])
    assert result.notes == ["left out, in no fold: 6 samples, among them all samples of 2 patients"]


def test_a_note_on_some_seeds_names_them():
    study = cohort(np.arange(4), {"a": [0, 0, 0, 1]})
    drawn = {0: [Fold(0, np.array([0, 3]), np.array([1, 2]))], 4: [Fold(0, np.array([0, 1]), np.array([2, 3]))]}
    assert split_notes(study, drawn) == ["seed 4: fold 0 trains without class 'b' of 'a' (1 patient)"]
