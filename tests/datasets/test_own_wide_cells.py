import pytest

from polydx.config import StudyConfig
from polydx.datasets.own_reading import open_reading
from polydx.errors import AxisError, ReadError, SpectrumError, StudyError

POINTS = range(400, 800, 40)
HEADER = "patient,group," + ",".join(map(str, POINTS))
CELLS = ["1.5"] * len(POINTS)


def read(folder, header, cells):
    rows = "".join(f"p{i},a,{','.join(own)}\n" for i, own in enumerate([CELLS, cells]))
    (folder / "samples.csv").write_text(f"{header}\n{rows}")
    tasks = {"it": {"column": "group", "classes": ["a", "b"]}}
    modalities = {"raman": {"kind": "spectra"}}
    return open_reading(
        StudyConfig.model_validate({"samples": "samples.csv", "modalities": modalities, "tasks": tasks}), folder
    )


@pytest.mark.parametrize(
    ("header", "cells", "error", "message"),
    [
        (HEADER, ["n/a", *CELLS[1:]], ReadError, "line 3, column '400': expected a number, found 'n/a'"),
        (HEADER, ["nan", *CELLS[1:]], SpectrumError, "line 3, column '400': intensity is nan"),
        (HEADER.replace("440", "400"), CELLS, AxisError, "axis point 400 cm.-1 repeats"),
    ],
)
def test_bad_cells_of_a_wide_table_are_not_blamed_on_the_modality(tmp_path, header, cells, error, message):
    with pytest.raises(error, match=message) as caught:
        read(tmp_path, header, cells)
    assert "names neither" not in str(caught.value)


def test_a_table_without_an_axis_is(tmp_path):
    with pytest.raises(StudyError, match="modality 'raman' names neither `column` nor `file`"):
        read(tmp_path, "patient,group," + ",".join(f"c{p}x" for p in POINTS), CELLS)
