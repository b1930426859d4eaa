from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from polydx.errors import ConfigError, StudyError
from polydx.explain.choice import chosen_modality, chosen_task, reference_spectrum, targets
from polydx.study import Spectra, Table, Task


def three(make_study):
    study = make_study(patients=9)
    codes = np.repeat(np.arange(9) % 3, 3)
    labels = pd.DataFrame({"stage": codes}, index=study.samples.index)
    return make_study(patients=9, tasks={"stage": Task(("I", "II", "III"))}, labels=labels)


def test_the_positive_class_of_two_or_all_of_more_against_all_others(make_study):
    (only,) = targets(make_study(), "disease")
    assert (only.label, only.reference, only.against) == ("yes", (0,), "no")
    found = targets(three(make_study), "stage")
    assert [(t.label, t.reference, t.against) for t in found] == [
        ("I", (1, 2), "rest"), ("II", (0, 2), "rest"), ("III", (0, 1), "rest"),
    ]  # fmt: skip
    assert [(t.label, t.against) for t in targets(three(make_study), "stage", reference="I")] == [
        ("II", "I"),
        ("III", "I"),
    ]
    assert targets(three(make_study), "stage", "II", "none")[0].reference == ()


def test_what_is_not_there_is_refused(make_study):
    study = make_study()
    with pytest.raises(ConfigError, match="--task diseases: .*disease"):
        targets(study, "diseases")
    with pytest.raises(ConfigError, match="--class maybe"):
        targets(study, "disease", "maybe")
    with pytest.raises(ConfigError, match="--reference maybe"):
        targets(study, "disease", reference="maybe")
    with pytest.raises(ConfigError, match="--reference yes is the class to explain"):
        targets(study, "disease", "yes", "yes")


def test_the_reference_counts_each_patient_once(make_study):
    study = make_study()
    (target,) = targets(study, "disease")
    values, patients = study.spectra("raman").values, study.patients
    healthy = sorted(set(patients[study.label_codes("disease") == 0]))
    expected = np.mean([values[patients == p].mean(axis=0) for p in healthy], axis=0)
    np.testing.assert_allclose(reference_spectrum(study, "raman", target), expected, rtol=1e-5)
    assert reference_spectrum(study, "raman", targets(study, "disease", reference="none")[0]) is None
    ill = study.take(np.flatnonzero(study.label_codes("disease") == 1))
    with pytest.raises(StudyError, match="no patient to hold class yes of task 'disease' against \\(no\\)"):
        reference_spectrum(ill, "raman", target)


def test_the_modality_of_the_method_s_kind_is_found(make_study):
    study = make_study()
    rows = {**study.rows, "clinical": study.rows["raman"]}
    both = make_study(
        modalities={**study.modalities, "clinical": Table(pd.DataFrame({"age": np.arange(24.0)}))}, rows=rows
    )
    assert chosen_modality(both, ["raman", "clinical"], None, Spectra) == "raman"
    assert chosen_modality(both, ["raman", "clinical"], "clinical", Table) == "clinical"
    with pytest.raises(
        ConfigError,
        match=r"--modality clinical: no spectra of that name; the recipe uses raman \(spectra\), clinical \(table\)",
    ):
        chosen_modality(both, ["raman", "clinical"], "clinical", Spectra)
    with pytest.raises(
        ConfigError, match=r"explains tables, of which there are none: choose another --method; .* raman"
    ):
        chosen_modality(both, ["raman"], None, Table)
    with pytest.raises(ConfigError, match=r"explains spectra, of which there are several: name one with --modality"):
        chosen_modality(both, ["raman", "raman"], None, Spectra)


def test_a_task_is_named_where_there_are_several(make_study):
    study = make_study()
    assert chosen_task(study, None) == "disease"
    assert chosen_task(study, "other") == "other"
    several = replace(
        study,
        tasks={**study.tasks, "again": study.tasks["disease"]},
        labels=study.labels.assign(again=study.labels["disease"]),
    )
    with pytest.raises(ConfigError, match="name the task to explain with --task: one of disease, again"):
        chosen_task(several, None)
