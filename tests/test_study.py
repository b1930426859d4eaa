from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from polydx.errors import StudyError
from polydx.study import Images, RowIndex, Spectra, Table, Task


def test_a_subset_keeps_only_its_own_rows_in_the_order_asked_for(make_study):
    study = make_study()
    ids = list(study.ids[[5, 2]])
    small = study.subset(ids)
    assert list(small.ids) == ids
    assert len(small.modalities["raman"]) == 2
    for i, sample in enumerate(ids):
        own = small.spectra("raman").values[small.rows["raman"][i]]
        whole = study.spectra("raman").values[study.rows["raman"][list(study.ids).index(sample)]]
        np.testing.assert_array_equal(own, whole)
    assert small.labels.index.equals(small.samples.index)


def test_a_subset_never_changes_the_study(make_study):
    study = make_study()
    before = study.fingerprint()
    small = study.subset(list(study.ids[:3]))
    small.spectra("raman").values[:] = 0
    small.labels.iloc[:] = 0
    assert study.fingerprint() == before


def test_an_unknown_sample_is_refused_by_name(make_study):
    with pytest.raises(StudyError, match="no sample 'nobody' in study 'tiny'"):
        make_study().subset(["nobody"])


def test_bags_and_gaps_survive_a_subset():
    index = RowIndex.from_lists([[4, 5], [], [0], [5]])
    small, needed = index.take(np.array([3, 1, 0]))
    assert list(needed) == [4, 5]
    assert [list(small[i]) for i in range(3)] == [[1], [], [0, 1]]
    assert list(small.counts) == [1, 0, 2]
    assert list(small.sample_of_row) == [0, 2, 2]


def test_a_row_measured_once_a_patient_serves_all_samples():
    small, needed = RowIndex.from_lists([[0], [0], [1]]).take(np.array([0, 1]))
    assert list(needed) == [0]
    assert list(small.rows) == [0, 0]


def test_all_problems_are_told_at_once(make_study):
    study = make_study()
    samples = study.samples.copy()
    samples.iloc[0, 0] = ""
    samples.iloc[4, 0] = None
    with pytest.raises(StudyError) as caught:
        replace(study, samples=samples, tasks={"disease": Task(("no", "yes"), positive="maybe")})
    text = str(caught.value)
    assert "3 problems in study 'tiny'" in text
    assert text.count("patient is empty; every sample needs a patient") == 2
    assert "positive class 'maybe' is none of its classes: no, yes" in text


@pytest.mark.parametrize(
    ("task", "message"),
    [
        (Task(("only",)), "has 1 class; a task needs at least two"),
        (Task(("a", "a")), "repeats a class: a, a"),
        (Task(("no", "yes"), level="visit"), "level is 'visit'; expected 'patient' or 'sample'"),
        (Task(("a", "b", "c"), positive="a"), "has a positive class and more than two classes"),
        (Task(("no", "yes"), parent=("other", "x")), "parent task 'other' is none of the study's tasks: disease"),
        (Task(("no", "yes"), parent=("disease", "x")), "parent class 'x' is none of the classes of 'disease'"),
        (Task(("no", "yes"), parent=("disease", "yes")), "is its own ancestor"),
    ],
)
def test_a_task_that_cannot_be_is_refused(make_study, task, message):
    with pytest.raises(StudyError, match=message):
        make_study(tasks={"disease": task})


def test_a_patient_with_two_diagnoses_is_refused_by_name(make_study):
    study = make_study()
    labels = study.labels.copy()
    labels.iloc[1, 0] = 1
    with pytest.raises(StudyError, match=r"patient 'tiny/p00' +has 2 answers to 'disease' \(no, yes\)"):
        replace(study, labels=labels)
    assert replace(study, labels=labels, tasks={"disease": Task(("no", "yes"), level="sample")})


def test_a_label_under_another_class_of_the_parent_is_refused(make_study):
    study = make_study()
    labels = study.labels.assign(subtype=0)
    tasks = {"disease": Task(("no", "yes")), "subtype": Task(("x", "y"), parent=("disease", "yes"))}
    with pytest.raises(StudyError, match="has a 'subtype' although its 'disease' is not 'yes'"):
        replace(study, tasks=tasks, labels=labels)
    kept = replace(study, tasks=tasks, labels=labels.assign(subtype=np.where(study.labels["disease"] == 1, 0, -1)))
    assert kept.describe()["tasks"]["subtype"]["unlabelled"] == 12


def test_repeated_sample_ids_are_refused(make_study):
    study = make_study()
    twice = study.samples.index.to_list()
    twice[1] = twice[0]
    index = pd.Index(twice, name="sample")
    with pytest.raises(StudyError, match="sample 'p0/s0' +stands more than once"):
        replace(study, samples=study.samples.set_axis(index, axis=0), labels=study.labels.set_axis(index, axis=0))


def test_label_codes_beyond_the_classes_are_refused(make_study):
    study = make_study()
    with pytest.raises(StudyError, match=r"label codes outside -1\.\.1"):
        replace(study, labels=study.labels + 5)


@pytest.mark.parametrize(
    ("axis", "values", "message"),
    [
        (np.array([1.0, 2.0, 2.0]), np.ones((24, 3)), "the axis must rise strictly"),
        (np.array([1.0, 2.0]), np.ones((24, 3)), r"expected values \(n, L\) and axis \(L,\)"),
        (np.array([1.0, 2.0, 3.0]), np.full((24, 3), np.nan), "24 rows with NaN or infinite values"),
    ],
)
def test_spectra_that_cannot_be_are_refused(make_study, axis, values, message):
    with pytest.raises(StudyError, match=message):
        make_study(modalities={"raman": Spectra(values, axis)})


def test_a_missing_image_and_a_repeated_column_are_told(make_study):
    modalities = {
        "photo": Images((Path("nowhere.png"),)),
        "clinical": Table(pd.DataFrame([[1, 2]], columns=["a", "a"])),
    }
    rows = {name: RowIndex.from_lists([[0]] + [[]] * 23) for name in modalities}
    with pytest.raises(StudyError, match="no file nowhere.png") as caught:
        make_study(modalities=modalities, rows=rows)
    assert "column 'a' stands twice" in str(caught.value)


def test_frames_go_with_their_files(tmp_path, make_study):
    (tmp_path / "a.tif").write_bytes(b"pages")
    path = tmp_path / "a.tif"
    images = Images((path, path, path), (0, 1, 2), (40.0, 400.0))
    assert images.take(np.array([2, 0])) == Images((path, path), (2, 0), (40.0, 400.0))
    assert images.content(0) == b"pages" != images.content(1) != images.content(2)
    assert Images((path,)).frames == (0,)
    rows = {"photo": RowIndex.from_lists([[0, 1, 2]] + [[]] * 23)}
    assert make_study(modalities={"photo": images}, rows=rows).images("photo") is images
    plain = {"photo": Images((path,) * 3, (0, 1, 2))}
    prints = {make_study(modalities=m, rows=rows).fingerprint() for m in ({"photo": images}, plain)}
    assert len(prints) == 2
    with pytest.raises(StudyError, match="1 frame for 3 paths"):
        make_study(modalities={"photo": Images((path,) * 3, (0,))}, rows=rows)
    with pytest.raises(StudyError, match=r"a frame below 0 of .*a.tif; frames are counted from 0"):
        make_study(modalities={"photo": Images((path,) * 3, (0, 1, -1))}, rows=rows)
    with pytest.raises(StudyError, match="modality 'raman' of study 'tiny' holds spectra; expected images"):
        make_study().images("raman")


def test_an_index_beyond_the_rows_is_refused(make_study):
    with pytest.raises(StudyError, match="index points at rows that are not there"):
        make_study(rows={"raman": RowIndex.from_lists([[99]] * 24)})


def test_a_patient_twice_in_a_study_of_patients_is_refused(make_study):
    with pytest.raises(StudyError, match="unit is 'patient', yet a patient stands in several samples"):
        make_study(unit="patient")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"modalities": {}, "rows": {}}, "has no modality"),
        ({"tasks": {}}, "has no task"),
        ({"rows": {}}, "has no index from every sample to its rows"),
    ],
)
def test_a_study_without_its_parts_is_refused(make_study, changes, message):
    with pytest.raises(StudyError, match=message):
        make_study(**changes)


def test_a_modality_of_another_kind_is_not_taken_for_spectra(make_study):
    study = make_study(
        modalities={"clinical": Table(pd.DataFrame({"age": [1] * 24}))}, rows={"clinical": RowIndex.one_each(24)}
    )
    with pytest.raises(StudyError, match="modality 'clinical' of study 'tiny' holds table; expected spectra"):
        study.spectra("clinical")
    with pytest.raises(StudyError, match="is not there"):
        study.spectra("raman")


def test_the_fingerprint_follows_measurements_labels_and_ids_only(make_study):
    study = make_study()
    assert study.fingerprint() == make_study().fingerprint()
    assert study.fingerprint() != make_study(seed=1).fingerprint()
    assert study.fingerprint() != replace(study, labels=1 - study.labels).fingerprint()
    assert study.fingerprint() == replace(study, notes=("a note",)).fingerprint()


def clinical(make_study, frame):
    return make_study(modalities={"clinical": Table(frame)}, rows={"clinical": RowIndex.one_each(24)})


def test_the_fingerprint_follows_the_names_and_types_of_a_tables_columns(make_study):
    frame = pd.DataFrame({"age": np.arange(24), "weight": np.arange(24)})
    first = clinical(make_study, frame)
    assert first.fingerprint() == clinical(make_study, frame.copy()).fingerprint()
    renamed = clinical(make_study, frame.rename(columns={"weight": "height"}))
    assert first.fingerprint() != renamed.fingerprint()
    assert first.content_hashes()["clinical"][0] != renamed.content_hashes()["clinical"][0]
    assert first.fingerprint() != clinical(make_study, frame.astype(np.float32)).fingerprint()
    gap = pd.DataFrame({"age": np.arange(24), "weight": [0.0, *[np.nan] * 23]})
    whole = pd.DataFrame({"age": np.arange(24.0), "weight": np.arange(24.0)})
    assert Table(gap).content(0) == Table(whole).content(0)


def test_the_fingerprint_follows_the_order_of_the_tasks(make_study):
    tasks = {"disease": Task(("no", "yes")), "more": Task(("no", "yes"))}
    study = make_study()
    labels = study.labels.assign(more=study.labels["disease"])
    first = replace(study, tasks=tasks, labels=labels)
    assert first.fingerprint() != replace(first, tasks=dict(reversed(tasks.items()))).fingerprint()


def test_a_description_counts_patients_and_samples(make_study):
    described = make_study(patients=6, each=2).describe()
    assert (described["samples"], described["patients"]) == (12, 6)
    assert described["tasks"]["disease"]["classes"]["yes"] == {"samples": 6, "patients": 3}
    assert described["modalities"]["raman"]["points"] == 60


def test_a_task_survives_json():
    task = Task(("a", "b"), level="sample", parent=("up", "x"), positive="b")
    assert Task.from_dict(task.to_dict()) == task
    assert task.positive_code == 1
    assert Task(("a", "b")).positive_code == 1
    assert Task(("a", "b", "c")).positive_code is None


def with_second(study, absent):
    """The study with a second modality, `blood`, that the samples at `absent` lack."""
    raman = study.modalities["raman"]
    index = RowIndex.from_lists([[] if i in absent else [i] for i in range(len(study))])
    return replace(
        study, modalities={"raman": raman, "blood": Spectra(raman.values * 2, raman.axis)},
        rows={"raman": study.rows["raman"], "blood": index},
    )  # fmt: skip


def test_samples_that_have_a_modality_are_chosen_with_their_rows(make_study):
    study = with_second(make_study(), absent={0, 5})
    some = study.having(["blood"])
    assert list(some.ids) == [i for n, i in enumerate(study.ids) if n not in (0, 5)]
    np.testing.assert_array_equal(some.modalities["blood"].values, 2 * some.modalities["raman"].values)
    assert study.having(["blood", "raman"]) is study


def test_a_modality_that_no_sample_has_is_refused(make_study):
    study = with_second(make_study(), absent=set(range(24)))
    with pytest.raises(StudyError, match="none of the 24 samples of study 'tiny' has any of: blood"):
        study.having(["blood"])


def test_a_study_counts_which_modalities_samples_have_together(make_study):
    study = with_second(make_study(), absent={0, 1, 2, 3})
    assert study.describe()["availability"] == {
        "blood+raman": {"samples": 20, "patients": 7},
        "raman": {"samples": 4, "patients": 2},
    }
    alone = replace(study, modalities={"blood": study.modalities["blood"]}, rows={"blood": study.rows["blood"]})
    assert alone.describe()["availability"][""] == {"samples": 4, "patients": 2}


def test_what_samples_have_together_is_printed(make_study, capsys):
    from polydx.terminal import print_study

    print_study(with_second(make_study(), absent={0, 1, 2, 3}))
    told = capsys.readouterr().out
    assert "blood: 24 spectra, 60 points 600-1600 cm^-1; 20 samples with, 4 without" in told
    assert "samples by what they have: 20 blood + raman, 4 raman" in told
