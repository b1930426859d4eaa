from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polydx.config import ValidationConfig
from polydx.errors import LeakageError, StudyError
from polydx.splits import (
    Fold,
    check_disjoint,
    inner_folds,
    inner_split,
    leave_one_patient_out,
    make_folds,
    stratified_group_k_fold,
)


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
    with pytest.raises(StudyError, match="class 'yes' of task 'disease' has 1 patient, who would be missing from training"):
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
    from dataclasses import replace

    folds = make_folds(replace(study, labels=labels), ValidationConfig(folds=3), seed=0)
    assert sum(len(f.test) for f in folds) == len(study)
