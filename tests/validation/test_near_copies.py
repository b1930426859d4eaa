"""The search for spectra of different patients that are all but equal."""

from __future__ import annotations

import numpy as np
import pytest

from polydx.validation.checks import near_copies as module
from polydx.validation.checks.near_copies import correlated_pairs, near_copies


def slow_pairs(values: np.ndarray, owners: np.ndarray, limit: float) -> set[tuple[int, int]]:
    """Every pair by a plain loop."""
    found = set()
    varied = np.ptp(values, axis=1) > 0
    for i in range(len(values)):
        for j in range(i + 1, len(values)):
            apart = owners[i] != owners[j] and min(owners[i], owners[j]) >= 0 and (values[i] != values[j]).any()
            if (
                apart
                and varied[i]
                and varied[j]
                and np.corrcoef(values[i].astype(float), values[j].astype(float))[0, 1] > limit
            ):
                found.add((i, j))
    return found


@pytest.mark.parametrize("block", [7, 2048])
@pytest.mark.parametrize("noise", [0.0, 0.05, 1.0])
def test_pairs_are_those_of_a_plain_loop(rng, monkeypatch, block, noise):
    monkeypatch.setattr(module, "BLOCK", block)
    shapes = rng.normal(size=(6, 30))
    values = (1000 + 50 * shapes[rng.integers(0, 6, 60)] + noise * rng.normal(size=(60, 30))).astype(np.float32)
    values *= rng.uniform(0.5, 2, size=(60, 1)).astype(np.float32)
    owners = rng.integers(-1, 8, 60)
    values[9] = values[8]
    values[3] = 5.0
    first, second, correlation = correlated_pairs(values, owners, 0.9995)
    expected = slow_pairs(values, owners, 0.9995)
    assert set(zip(first.tolist(), second.tolist(), strict=True)) == expected
    assert (np.diff(correlation) <= 0).all()
    assert noise == 1.0 or expected


def test_a_spectrum_with_more_points_than_directions_is_still_compared_in_full(rng):
    values = rng.normal(size=(200, 300))
    values[31] = 3 * values[4] + 1e-3 * rng.normal(size=300) + 7
    first, second, correlation = correlated_pairs(values.astype(np.float32), np.arange(200))
    assert (first.tolist(), second.tolist()) == ([4], [31])
    assert correlation[0] == pytest.approx(np.corrcoef(values[4], values[31])[0, 1], abs=1e-6)


def test_the_search_ends_after_enough_pairs(rng, monkeypatch):
    monkeypatch.setattr(module, "ENOUGH", 50)
    monkeypatch.setattr(module, "BLOCK", 16)
    values = np.linspace(0, 1, 20) + 1e-4 * rng.normal(size=(64, 20))
    assert 50 <= len(correlated_pairs(values, np.arange(64))[0]) < 64 * 63 / 2


def test_a_scaled_copy_in_another_patient_is_a_warning_that_names_the_pair(make_study):
    study = make_study(patients=6, each=2)
    assert near_copies(study) == []
    values = study.modalities["raman"].values
    values[11] = 2 * values[0] + 1
    (finding,) = near_copies(study)
    assert finding.severity == "warning"
    assert finding.details["pairs"][0]["samples"] == [study.ids[0], study.ids[11]]
    assert finding.details["pairs"][0]["patients"] == [study.patients[0], study.patients[11]]


def test_near_copies_within_a_patient_are_repeats_not_leaks(make_study):
    study = make_study(patients=6, each=2)
    values = study.modalities["raman"].values
    values[1] = 2 * values[0] + 1
    assert near_copies(study) == []


@pytest.mark.slow
def test_no_spectrum_of_the_covid_study_is_nearly_another_patients(data):
    folders = sorted(p for p in (data / "covid-saliva").iterdir() if p.is_dir())
    blocks = [np.loadtxt(folder / "spectra.csv", delimiter=",", ndmin=2) for folder in folders]
    owners = np.repeat(np.arange(len(blocks)), [len(b) for b in blocks])
    values = np.vstack(blocks).astype(np.float32)
    assert len(folders) == 101
    assert len(correlated_pairs(values, owners)[0]) == 0
    assert len(correlated_pairs(values[::4], owners[::4], limit=0.99)[0]) > 0
