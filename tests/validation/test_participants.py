import json

import numpy as np
import pandas as pd

from polydx.study import Task
from polydx.validation.participants import describe_participants, subgroup_columns
from polydx.validation.run_folder import describe_for_report


def with_columns(make_study, **columns):
    study = make_study(patients=6, each=2)
    return make_study(patients=6, each=2, samples=study.samples.assign(**columns))


def test_each_patient_has_samples_label_and_groups(make_study):
    study = with_columns(make_study, sex=np.repeat(["f", "m", "f", "f", "m", "m"], 2))
    found = describe_participants(study)["participants"]
    assert found[1] == {"patient": "tiny/p01", "samples": 2, "labels": {"disease": "yes"}, "groups": {"sex": "m"}}
    assert len(found) == 6


def test_ages_become_bands_of_about_equal_size_that_do_not_tell_the_extremes(make_study):
    ages = np.repeat([31.5, 42.25, 55.5, 61.75, 70.5, 88.125], 2)
    study = with_columns(make_study, age=ages)
    assert subgroup_columns(study)["age"][::2] == ["up to 42.25"] * 2 + ["55.5–61.75"] * 2 + ["from 70.5"] * 2


def test_few_distinct_numbers_stay_as_they_are(make_study):
    study = with_columns(make_study, grade=np.repeat([1, 2, 1, 2, 3, 3], 2))
    assert subgroup_columns(study)["grade"][::2] == ["1", "2", "1", "2", "3", "3"]


def test_columns_that_group_nobody_are_left_out(make_study):
    study = with_columns(make_study, same="x", date=[f"day {i}" for i in range(12)])
    assert describe_participants(make_study())["sample_groups"] == {}
    assert set(subgroup_columns(with_columns(make_study, same="x"))) == set()
    assert "same" not in subgroup_columns(study)
    many = make_study(patients=13, each=1)
    many = make_study(patients=13, each=1, samples=many.samples.assign(date=[f"day {i}" for i in range(13)]))
    assert subgroup_columns(many) == {}


def test_columns_that_differ_within_a_patient_are_kept_by_sample(make_study):
    study = with_columns(make_study, site=["left", "right"] * 6)
    found = describe_participants(study)
    assert found["sample_groups"]["site"][study.ids[1]] == "right"
    assert found["participants"][0]["groups"] == {}


def test_unknown_groups_and_labels_are_null_and_the_whole_is_json(make_study):
    sex = pd.Series(["f"] * 4 + ["m"] * 6 + [None] * 2, dtype=object)
    study = with_columns(make_study, sex=sex.to_numpy())
    labels = study.labels.assign(disease=[-1, -1, *study.labels["disease"][2:]])
    study = make_study(patients=6, each=2, samples=study.samples, labels=labels)
    found = json.loads(json.dumps(describe_for_report(study), allow_nan=False))["participants"]
    assert found[0]["labels"] == {"disease": None}
    assert found[5]["groups"] == {"sex": None}


def test_a_patient_whose_samples_differ_has_no_label_of_their_own(make_study):
    labels = make_study().labels.assign(disease=[0, 1, 0] * 8)
    study = make_study(tasks={"disease": Task(("no", "yes"), level="sample")}, labels=labels)
    assert {p["labels"]["disease"] for p in describe_participants(study)["participants"]} == {None}
