"""The shipped study against a script of plain scikit-learn that shares no code with polydx."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import openpyxl
import pytest
from scipy.signal import savgol_filter
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

import polydx
from polydx.io.config_file import read_config


def by_hand(folder: Path) -> dict[tuple[str, int], tuple[str, float]]:
    """Leave one patient out: (group, file number) -> (patient, probability of ALS)."""
    owner = {}
    for patient, span, *_ in openpyxl.load_workbook(folder / "Spectral Number SLA and CTRL.xlsx").active.values:
        if found := re.match(r"(\d+) a (\d+)", str(span)):
            for number in range(int(found[1]), int(found[2]) + 1):
                owner["CTRL" if patient.startswith("CTRL") else "ALS", number] = patient
    keys, rows = [], []
    for group in ("ALS", "CTRL"):
        for path in sorted((folder / group).glob("*.txt")):
            keys.append((group, int(path.name.split("_")[0])))
            rows.append(np.loadtxt(path)[:, 1])
    x = savgol_filter(np.array(rows), 11, 3, deriv=1, axis=1)
    x = (x - x.mean(axis=1, keepdims=True)) / x.std(axis=1, keepdims=True)
    y = np.array([group == "ALS" for group, _ in keys])
    patients = np.array([owner[key] for key in keys])
    found = {}
    for patient in sorted(set(patients)):
        test = patients == patient
        scaler = StandardScaler().fit(x[~test])
        model = LogisticRegression(C=0.01, max_iter=500, class_weight="balanced")
        model.fit(scaler.transform(x[~test]), y[~test])
        p = model.predict_proba(scaler.transform(x[test]))[:, 1]
        found |= {keys[i]: (patient, float(v)) for i, v in zip(np.flatnonzero(test), p, strict=True)}
    return found


@pytest.mark.slow
def test_logistic_equals_a_plain_script_in_every_probability(data, studies):
    config = read_config(studies / "als-saliva.yaml")
    study = polydx.load_study("als-saliva", data)
    table = polydx.cross_validate(study, {"logistic": config.recipes["logistic"]}, config.validation).predictions
    with threadpool_limits(1):
        expected = by_hand(data / "als-saliva")
    als = table[table["class"] == "ALS"]
    assert len(als) == len(expected) == 591
    for sample, patient, probability in als[["sample", "patient", "probability"]].itertuples(index=False):
        number, group = sample.removeprefix("als-saliva/").split("_")
        own, value = expected[group, int(number)]
        assert patient == f"als-saliva/{own}"
        assert abs(value - probability) < 1e-4


@pytest.mark.slow
def test_the_study_holds_what_its_source_says(data):
    study = polydx.load_study("als-saliva", data)
    described = study.describe()
    classes = described["tasks"]["als"]["classes"]
    assert classes == {"CTRL": {"samples": 198, "patients": 10}, "ALS": {"samples": 393, "patients": 20}}
    assert described["modalities"]["raman"]["points"] == 1174
    assert any("227_ALS" in note for note in study.notes)
    assert any("59_AD.txt" in note for note in study.notes)
    assert study.spectra("raman").values.max() < 1e3  # 8.76902e-006 read as 8.76902 would hide here
    assert (np.abs(study.spectra("raman").values) < 1e-4).any()
