from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from polydx.study import Task
from polydx.validation.coverage import coverage, coverages
from polydx.validation.intervals import wilson

TASK = Task(("a", "b", "c"))


def test_coverage_counts_the_sets_that_hold_the_truth():
    sets = pd.Series([["a"], ["a", "b"], ["c"], [], ["b"]], index=list("vwxyz"))
    labels = pd.Series(["a", "b", "a", "b", None], index=list("vwxyz"))
    found = coverage(sets, labels, TASK)
    low, high = wilson(0.5, 4)
    assert found["coverage"] == {"estimate": 0.5, "low": low, "high": high, "method": "wilson"}
    assert (found["n"], found["mean_size"]) == (4, 1.0)
    assert {c: own["coverage"]["estimate"] for c, own in found["per_class"].items()} == {"a": 0.5, "b": 0.5}


def test_nothing_is_said_where_nobody_has_a_label():
    assert coverage(pd.Series([["a"]]), pd.Series([None], dtype=object), TASK) is None


@pytest.mark.parametrize("unit", ["patient", "sample"])
def test_sets_are_joined_to_the_labels_of_their_unit(make_study, unit):
    study = make_study(patients=4, each=2)
    (name,) = study.tasks
    study = replace(study, tasks={name: replace(study.tasks[name], level="patient")})
    units = study.ids if unit == "sample" else pd.unique(study.patients)[::-1]
    truth = dict(zip(study.ids if unit == "sample" else study.patients, study.label_codes(name), strict=True))
    sets = [[study.tasks[name].classes[truth[u]]] for u in units]
    sets[0] = []
    found = coverages(pd.DataFrame({unit: units, f"{name} set": sets}), study, unit)
    assert found[name]["coverage"]["estimate"] == pytest.approx(1 - 1 / len(units))
    assert (found[name]["unit"], found[name]["n"]) == (unit, len(units))
    assert coverages(pd.DataFrame({unit: units}), study, unit) == {}
    of_samples = replace(study, tasks={name: replace(study.tasks[name], level="sample")})
    assert (coverages(pd.DataFrame({unit: units, f"{name} set": sets}), of_samples, unit) == {}) == (unit == "patient")
    assert np.isfinite(found[name]["mean_size"])
