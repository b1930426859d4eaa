"""The reader of bacteria-ID, on small arrays of the same layout."""

from __future__ import annotations

import numpy as np
import pytest

from polydx.datasets.bacteria_id import ISOLATES, ROWS_A_PATIENT, TREATMENT_OF_ISOLATE, TREATMENTS, load_bacteria_id
from polydx.errors import AxisError, ConfigError, ReadError, StudyError


def write(folder, part, codes, points=16, axis=None):
    rng = np.random.default_rng(0)
    np.save(folder / f"X_{part}.npy", rng.random((len(codes), points)))
    np.save(folder / f"y_{part}.npy", np.asarray(codes, dtype=float))
    np.save(folder / "wavenumbers.npy", np.linspace(381.98, 1792.4, points) if axis is None else axis)
    return folder


def test_reference_spectra_have_isolates_and_no_patients(tmp_path):
    study = load_bacteria_id(write(tmp_path, "reference", [0, 29, 16, 16]))
    assert len(ISOLATES) == len(set(ISOLATES)) == 30
    assert [study.tasks["isolate"].classes[c] for c in study.label_codes("isolate")] == [
        "C. albicans",
        "Group G Strep.",
        "MRSA 1 (isogenic)",
        "MRSA 1 (isogenic)",
    ]
    assert study.patients.tolist() == study.ids.tolist()
    assert "no patients behind these spectra" in study.notes[0]


def test_the_treatment_of_an_isolate_is_a_task_on_demand(tmp_path):
    study = load_bacteria_id(write(tmp_path, "finetune", range(30)), part="finetune", tasks=["isolate", "treatment"])
    treated = {ISOLATES[i]: TREATMENTS[c] for i, c in enumerate(study.label_codes("treatment"))}
    assert treated["C. glabrata"] == "caspofungin"
    assert treated["E. coli 1"] == treated["S. marcescens"] == "meropenem"
    assert treated["MSSA 1"] == treated["S. lugdunensis"] == "vancomycin"
    assert treated["P. aeruginosa 2"] == "piperacillin-tazobactam"
    assert treated["S. enterica"] == "ciprofloxacin"
    assert treated["E. faecium"] == "daptomycin"
    assert treated["S. pneumoniae 1"] == "ceftriaxone"
    assert treated["E. faecalis 2"] == treated["S. sanguinis"] == "penicillin"
    assert len(TREATMENT_OF_ISOLATE) == 30


def test_a_falling_axis_is_turned_with_its_spectra(tmp_path):
    write(tmp_path, "test", [1, 2], axis=np.linspace(1792.4, 381.98, 16))
    study = load_bacteria_id(tmp_path, part="test")
    raman = study.spectra("raman")
    assert raman.axis[0] == pytest.approx(381.98)
    np.testing.assert_allclose(raman.values, np.load(tmp_path / "X_test.npy")[:, ::-1], rtol=1e-6)


@pytest.mark.parametrize("part", ["2018clinical", "2019clinical"])
def test_clinical_patients_are_blocks_of_rows(tmp_path, part):
    size = ROWS_A_PATIENT[part]
    study = load_bacteria_id(write(tmp_path, part, [5] * 2 * size + [0] * size), part=part)
    assert list(study.tasks) == ["treatment"]
    assert study.patients[size - 1] == f"bacteria-id/{part}/P01"
    assert study.patients[size] == f"bacteria-id/{part}/P02"
    assert study.describe()["tasks"]["treatment"]["classes"]["penicillin"]["patients"] == 2
    assert f"{size} rows in a row count as one" in study.notes[0]


def test_isolates_of_a_clinical_part_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="part '2018clinical' has no isolates"):
        load_bacteria_id(tmp_path, part="2018clinical", tasks=["isolate"])


def test_blocks_that_are_no_patients_are_refused(tmp_path):
    write(tmp_path, "2019clinical", [0] * 150 + [5] * 50)
    with pytest.raises(StudyError, match="blocks of 100 rows") as caught:
        load_bacteria_id(tmp_path, part="2019clinical")
    assert caught.value.problems[0].where == "rows 101-200"


def test_a_last_block_cut_short_is_refused(tmp_path):
    with pytest.raises(StudyError, match="has 150 rows, no multiple of 100"):
        load_bacteria_id(write(tmp_path, "2019clinical", [0] * 150), part="2019clinical")


def test_labels_that_are_no_codes_are_listed(tmp_path):
    with pytest.raises(StudyError, match=r"3 labels of .* out of range") as caught:
        load_bacteria_id(write(tmp_path, "reference", [0, 30, -1, 2.5]))
    assert caught.value.problems[0].where == "y_reference.npy row 2"


def test_labels_of_another_number_are_refused(tmp_path):
    write(tmp_path, "reference", [0, 1, 2])
    np.save(tmp_path / "y_reference.npy", np.zeros(2))
    with pytest.raises(StudyError, match=r"labels of shape \(2,\) for 3 spectra"):
        load_bacteria_id(tmp_path)


def test_missing_arrays_are_named(tmp_path):
    with pytest.raises(ReadError, match=r"X_reference\.npy"):
        load_bacteria_id(tmp_path)
    write(tmp_path, "reference", [0, 1])
    (tmp_path / "y_reference.npy").unlink()
    with pytest.raises(ReadError, match=r"needs X_PART\.npy, y_PART\.npy and wavenumbers\.npy"):
        load_bacteria_id(tmp_path)


def test_an_axis_of_another_length_is_refused(tmp_path):
    write(tmp_path, "reference", [0, 1], axis=np.linspace(400, 1700, 20))
    with pytest.raises(AxisError, match="16 points, the axis 20"):
        load_bacteria_id(tmp_path)
