"""The reader of covid-saliva, on folders the test writes and on a slice of the real one."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from polydx.datasets.covid_saliva import load_covid_saliva
from polydx.errors import ReadError, StudyError
from polydx.io.spectra import read_spectra


def write_patient(root, name, values, axis, category=None):
    folder = root / name
    folder.mkdir(parents=True)
    np.savetxt(folder / "spectra.csv", values, delimiter=",")
    np.savetxt(folder / "raman_shift.csv", axis)
    category = category or name.split("_")[0]
    (folder / "user_information.csv").write_text(f"user,category,labels\n{name},{category},0\n")
    return folder


@pytest.fixture
def root(tmp_path, rng):
    """Three patients on axes shifted by hundredths of a cm^-1; the third has a clipped spectrum."""
    line = np.arange(400.0, 440.0, 1.0)
    for i, name in enumerate(("CTRL_01", "COV-_02", "COV+_03H")):
        axis = line + 0.02 * i
        values = np.stack([3 * axis + k for k in range(2 + i)])  # linear in the axis: interpolation is exact
        if i == 2:
            values[1] = np.minimum(values[1], values[1][30])
        write_patient(tmp_path, name, values, axis)
    return tmp_path


def test_patients_samples_and_classes_come_from_folders_and_their_information(root):
    study = load_covid_saliva(root)
    assert study.tasks["diagnosis"].classes == ("CTRL", "COV-", "COV+")
    assert study.ids.tolist()[:3] == [
        "covid-saliva/COV+_03H/01",
        "covid-saliva/COV+_03H/02",
        "covid-saliva/COV+_03H/03",
    ]
    assert dict(zip(study.patients, study.label_codes("diagnosis"), strict=True)) == {
        "covid-saliva/CTRL_01": 0,
        "covid-saliva/COV-_02": 1,
        "covid-saliva/COV+_03H": 2,
    }


def test_axes_are_resampled_to_their_overlap_and_the_notes_say_so(root):
    study = load_covid_saliva(root)
    raman = study.spectra("raman")
    assert raman.axis[0] == pytest.approx(400.04)
    assert raman.axis[-1] <= 439.0
    row = study.ids.tolist().index("covid-saliva/CTRL_01/01")
    np.testing.assert_allclose(raman.values[row], 3 * raman.axis, rtol=1e-6)
    assert "3 axes" in study.notes[0]
    assert "within the overlap" in study.notes[0]


def test_saturated_spectra_are_flagged_with_their_share_and_dropped_on_demand(root):
    study = load_covid_saliva(root)
    flagged = study.ids[study.quality["saturated"]]
    assert flagged.tolist() == ["covid-saliva/COV+_03H/02"]
    assert study.samples.loc[flagged[0], "clipped"] == pytest.approx(10 / 40)
    assert "1 of 9 spectra, of 1 patient clipped" in study.notes[1]
    kept = load_covid_saliva(root, drop_saturated=True)
    assert kept.ids.tolist() == [i for i in study.ids if i != flagged[0]]
    assert "left out" in kept.notes[1]


def test_a_folder_that_is_no_such_dataset_is_refused(tmp_path):
    with pytest.raises(ReadError, match=r"no patients in .*expected folders such as COV\+_01"):
        load_covid_saliva(tmp_path)
    with pytest.raises(ReadError, match="no patients in"):
        load_covid_saliva(tmp_path / "absent")


def test_all_broken_folders_are_listed_at_once(root):
    (root / "CTRL_01" / "raman_shift.csv").unlink()
    (root / "COV-_02" / "spectra.csv").write_text("")
    with pytest.raises(ReadError, match="2 problems") as caught:
        load_covid_saliva(root)
    assert {p.where for p in caught.value.problems} == {"CTRL_01/raman_shift.csv", "COV-_02/spectra.csv"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("user,category\nCTRL_09,CTRL\n", "is about CTRL_09; expected one row, about CTRL_01"),
        ("user,category\nCTRL_01,ILL\n", "category is 'ILL'; expected one of CTRL, COV-, COV+"),
        ("user,labels\nCTRL_01,0\n", "has no column 'category'; found user, labels"),
    ],
)
def test_information_that_contradicts_its_folder_is_refused(root, content, message):
    (root / "CTRL_01" / "user_information.csv").write_text(content)
    with pytest.raises(StudyError) as caught:
        load_covid_saliva(root)
    assert message in str(caught.value)


def test_the_real_files_are_read_as_they_are(data, tmp_path):
    for name in ("COV+_01", "COV-_20", "CTRL_21"):
        shutil.copytree(data / "covid-saliva" / name, tmp_path / name)
    study = load_covid_saliva(tmp_path)
    assert study.quality["saturated"].groupby(study.patients).sum()["covid-saliva/COV-_20"] == 12
    values, axis = read_spectra(tmp_path / "CTRL_21" / "spectra.csv", axis=tmp_path / "CTRL_21" / "raman_shift.csv")
    raman = study.spectra("raman")
    mine = raman.values[study.patients == "covid-saliva/CTRL_21"]
    np.testing.assert_allclose(mine[3], np.interp(raman.axis, axis, values[3]), rtol=1e-6)


@pytest.mark.slow
def test_the_whole_study_has_its_published_size(data):
    study = load_covid_saliva(data / "covid-saliva")
    described = study.describe()
    assert (described["samples"], described["patients"]) == (2501, 101)
    classes = described["tasks"]["diagnosis"]["classes"]
    assert {c: v["patients"] for c, v in classes.items()} == {"CTRL": 34, "COV-": 37, "COV+": 30}
    assert study.quality["saturated"].sum() == 105
