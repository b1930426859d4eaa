"""Files that must read well: real sets, and every way to write the same numbers."""

import time
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from polydx.io.spectra import read_axis, read_spectra, read_spectra_table

DATA = Path(__file__).parents[3] / "shared" / "data"
AXIS = np.array([400.5, 402.25, 404.0, 405.75, 407.5, 409.25, 411.0, 412.75, 414.5])
VALUES = np.array([0.5, 8.76902e-06, -3.0, 120.25, 21063.0, 1.5e9, 0.0, 7.125, 2.0])


def real(name: str) -> Path:
    folder = DATA / name
    if not folder.exists():
        pytest.skip(f"no {folder}")
    return folder


@pytest.mark.slow
def test_every_als_saliva_file_reads_like_numpy_and_quickly():
    files = sorted(real("als-saliva").glob("*/*.txt"))
    assert len(files) == 591
    start = time.process_time()
    read = [read_spectra(file) for file in files]
    assert time.process_time() - start < 3
    assert {values.shape for values, _ in read} == {(1, 1174)}
    assert {(axis[0], axis[-1]) for _, axis in read} == {(405.0, 1795.0)}
    small = [i for i, file in enumerate(files) if "e-006" in file.read_text()]
    assert len(small) > 10
    for i in small + list(range(0, 591, 40)):
        reference = np.loadtxt(files[i])
        np.testing.assert_array_equal(read[i][1], reference[:, 0])
        np.testing.assert_array_equal(read[i][0][0], reference[:, 1])


def test_covid_saliva_spectra_go_with_their_own_raman_shift():
    folders = sorted(path for path in real("covid-saliva").iterdir() if path.is_dir())
    for folder in folders[::25]:
        axis = read_axis(folder / "raman_shift.csv")
        values, same = read_spectra(folder / "spectra.csv", axis=folder / "raman_shift.csv")
        reference = np.loadtxt(folder / "spectra.csv", delimiter=",")
        np.testing.assert_array_equal(axis, np.loadtxt(folder / "raman_shift.csv"))
        np.testing.assert_array_equal(same, axis)
        np.testing.assert_array_equal(values, reference)
        assert values.shape[1] == 991


def test_mouse_colon_keeps_its_labels_beside_the_spectra():
    path = real("mouse-colon") / "spectra.csv"
    table = read_spectra_table(path)
    assert table.values.shape == (753, 696)
    assert list(table.columns) == ["name", "diagnosis", "diagnosis_fine", "tissue", "mouse", "location"]
    assert (table.axis[0], table.axis[-1]) == (400, 1790)
    reference = pd.read_csv(path)
    np.testing.assert_array_equal(table.values, reference.iloc[:, 6:].to_numpy())
    assert table.columns["mouse"].tolist() == reference["mouse"].tolist()
    np.testing.assert_array_equal(read_spectra(path)[0], table.values)


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("labspec_txt_spectrochempy/532nm-191216-Si_200mu.txt", (1, 1024)),  # '#key=' lines, Latin-1
        ("labspec_txt_spectrochempy/serie190214-1.txt", (168, 1024)),  # a map: the axis in a row of its own
        ("spa_omnic_spectrochempy/IR.CSV", (1, 3736)),  # exponents such as 3.991926e+002
    ],
)
def test_exports_of_instruments_read(name, shape):
    values, axis = read_spectra(real("vendor-formats") / name)
    assert values.shape == shape
    assert np.all(np.diff(axis) > 0)


HEADERS = {
    "none": "",
    "names": "wavenumber{d}intensity\n",
    "comments": "# laser 785 nm\n% accumulations = 3\nExposure=10\n\nRaman shift (cm-1){d}counts\n",
    "metadata": "Sample{d}A 12\nDate{d}16.12.2019 09:57\n",
}


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    delimiter=st.sampled_from(["\t", ";", ",", " ", "   ", ", ", "; "]),
    comma=st.booleans(),
    falling=st.booleans(),
    header=st.sampled_from(sorted(HEADERS)),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "latin-1"]),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
    tail=st.sampled_from(["", "\n", "\n\n  \n", "\x1a"]),
    columns=st.integers(1, 4),
    data=st.data(),
)
@pytest.mark.slow
def test_the_same_numbers_read_the_same_however_written(
    tmp_path, delimiter, comma, falling, header, encoding, end, tail, columns, data
):
    comma = comma and "," not in delimiter
    finite = st.floats(-1e12, 1e12).map(lambda x: float(f"{x:.9g}"))
    values = np.array(data.draw(st.lists(finite, min_size=9 * columns, max_size=9 * columns))).reshape(9, columns)
    rows = np.column_stack([AXIS, values])[:: -1 if falling else 1]
    lines = [delimiter.join(f"{x:.9e}" for x in row) for row in rows]
    text = HEADERS[header].format(d=delimiter) + "\n".join(lines).replace(".", "," if comma else ".") + tail
    if encoding == "latin-1":
        text = "# 20 µm, 25 °C\n" + text
    path = tmp_path / "spectrum.txt"
    path.write_bytes(text.replace("\n", end).encode(encoding))
    read, axis = read_spectra(path)
    np.testing.assert_array_equal(axis, AXIS)
    np.testing.assert_array_equal(read, values.T)


@pytest.mark.parametrize("exponent", ["8.76902e-006", "8.76902E-06", "0.876902e-5", "+8.76902e-6", ".00000876902"])
def test_an_exponent_is_never_cut_off(tmp_path, exponent):
    path = write(tmp_path, "\n".join(f"{x}\t{exponent}" for x in AXIS))
    assert read_spectra(path)[0][0].tolist() == [8.76902e-06] * 9


def write(folder: Path, text: str, name: str = "spectrum.txt", encoding: str = "utf-8") -> Path:
    path = folder / name
    path.write_text(text, encoding=encoding)
    return path


def plain_rows(delimiter: str = "\t") -> str:
    return "\n".join(f"{x}{delimiter}{y}" for x, y in zip(AXIS, VALUES, strict=True))


@pytest.mark.parametrize("name", ["s.txt", "s.csv", "s.tsv", "s.dat", "s.asc", "s.xy", "s.unheardof", "s"])
def test_the_extension_of_text_does_not_matter(tmp_path, name):
    values, axis = read_spectra(write(tmp_path, plain_rows(), name))
    np.testing.assert_array_equal(values, [VALUES])
    np.testing.assert_array_equal(axis, AXIS)
    assert values.dtype == axis.dtype == np.float64


def test_blank_lines_and_typographic_minus_and_blanks_do_no_harm(tmp_path):
    text = plain_rows(" \u00a0").replace("-3.0", "\u22123.0").replace("\n", "\n\n")
    np.testing.assert_array_equal(read_spectra(write(tmp_path, text))[0], [VALUES])


def test_a_delimiter_at_the_end_of_lines_adds_no_column(tmp_path):
    text = plain_rows(",").replace("\n", ",\n") + ","
    np.testing.assert_array_equal(read_spectra(write(tmp_path, text))[0], [VALUES])


def test_named_columns_of_whole_numbers_are_several_spectra(tmp_path):
    text = "shift,a,b,c\n" + "\n".join(f"{400 + i},{i},{2 * i},{3 * i}" for i in range(9))
    np.testing.assert_array_equal(read_spectra(write(tmp_path, text))[0], np.outer([1, 2, 3], range(9)))


def wide_frame() -> pd.DataFrame:
    frame = pd.DataFrame(np.vstack([VALUES, VALUES * 2]), columns=[f"{x:g}" for x in AXIS])
    return frame.assign(label=["a", "b"])[["label", *frame.columns]]


@pytest.mark.parametrize("name", ["w.csv", "w.tsv", "w.xlsx", "w.parquet"])
def test_wide_tables_keep_values_axis_and_labels(tmp_path, name):
    path, frame = tmp_path / name, wide_frame()
    if name.endswith("sv"):
        frame.to_csv(path, sep="," if name == "w.csv" else "\t", index=False)
    elif name.endswith("xlsx"):
        frame.to_excel(path, index=False)
    else:
        frame.to_parquet(path)
    table = read_spectra_table(path)
    np.testing.assert_array_equal(table.values, [VALUES, VALUES * 2])
    np.testing.assert_array_equal(table.axis, AXIS)
    assert table.columns.to_dict("list") == {"label": ["a", "b"]}
    np.testing.assert_array_equal(read_spectra(path)[0], table.values)


@pytest.mark.parametrize("form", ["{}", "{} cm-1", "X{}", "{}cm^-1", '"{}"', "{} cm⁻¹"])
def test_wavenumbers_in_a_header_may_have_units(tmp_path, form):
    text = "id;" + ";".join(form.format(x) for x in AXIS) + "\n007;" + ";".join(map(str, VALUES))
    table = read_spectra_table(write(tmp_path, text, "w.csv"))
    np.testing.assert_array_equal(table.axis, AXIS)
    assert table.columns["id"].tolist() == ["007"]


def test_a_wide_table_may_fall_and_have_decimal_commas(tmp_path):
    cells = [";".join(map(str, row[::-1])).replace(".", ",") for row in (AXIS, VALUES)]
    table = read_spectra_table(write(tmp_path, f"id;{cells[0]}\np1;{cells[1]}\n", "w.csv"))
    np.testing.assert_array_equal(table.axis, AXIS)
    np.testing.assert_array_equal(table.values, [VALUES])


def test_an_id_with_the_delimiter_in_quotes_is_one_cell(tmp_path):
    text = f'id,{",".join(map(str, AXIS))}\n"M10, left",{",".join(map(str, VALUES))}\n'
    assert read_spectra_table(write(tmp_path, text, "w.csv")).columns["id"].tolist() == ["M10, left"]


def test_a_wide_table_of_numbers_alone_is_told_from_columns(tmp_path):
    rows = [AXIS, *(VALUES * k for k in range(1, 12))]
    wide = write(tmp_path, "\n".join(",".join(map(str, row)) for row in rows), "wide.csv")
    long = write(tmp_path, "\n".join(",".join(map(str, row)) for row in np.transpose(rows)), "long.csv")
    for path in (wide, long):
        values, axis = read_spectra(path)
        np.testing.assert_array_equal(axis, AXIS)
        np.testing.assert_array_equal(values, rows[1:])


def test_columns_in_a_sheet_read_like_columns_of_text(tmp_path):
    pd.DataFrame({"shift": AXIS, "a": VALUES, "b": VALUES + 1}).to_excel(tmp_path / "c.xlsx", index=False)
    values, axis = read_spectra(tmp_path / "c.xlsx")
    np.testing.assert_array_equal(axis, AXIS)
    np.testing.assert_array_equal(values, [VALUES, VALUES + 1])


@pytest.mark.parametrize("name", ["axis.npy", "wavenumbers.npy", "X_axis.npy"])
def test_an_array_takes_the_axis_beside_it(tmp_path, name):
    np.save(tmp_path / "X.npy", np.vstack([VALUES[::-1], VALUES]).astype(np.float32))
    np.save(tmp_path / name, AXIS[::-1])
    values, axis = read_spectra(tmp_path / "X.npy")
    np.testing.assert_array_equal(axis, AXIS)
    np.testing.assert_array_equal(values, np.vstack([VALUES, VALUES[::-1]]).astype(np.float32))


def test_an_axis_may_be_given(tmp_path):
    np.save(tmp_path / "X.npy", VALUES)
    values, axis = read_spectra(tmp_path / "X.npy", axis=AXIS)
    np.testing.assert_array_equal(values, [VALUES])
    text = write(tmp_path, "\n".join(map(str, VALUES)))
    np.testing.assert_array_equal(read_spectra(text, axis=list(AXIS))[0], [VALUES])
    np.testing.assert_array_equal(axis, AXIS)


@pytest.mark.parametrize(("values_name", "axis_name"), [("spectra", "axis"), ("values", "wavenumbers"), ("X", "axis")])
def test_hdf5_holds_values_and_axis(tmp_path, values_name, axis_name):
    with h5py.File(tmp_path / "s.h5", "w") as file:
        file[values_name], file[axis_name] = np.vstack([VALUES, VALUES]), AXIS
    values, axis = read_spectra(tmp_path / "s.h5")
    np.testing.assert_array_equal(values, [VALUES, VALUES])
    np.testing.assert_array_equal(axis, AXIS)


def test_constant_and_saturated_spectra_are_data(tmp_path):
    path = write(tmp_path, "\n".join(f"{x}\t64500" for x in AXIS))
    assert set(read_spectra(path)[0][0]) == {64500.0}


@pytest.mark.slow
def test_a_million_columns_do_not_hang(tmp_path):
    axis = np.arange(1_000_000)
    path = write(tmp_path, "id," + ",".join(map(str, axis)) + "\na," + ",".join(map(str, axis % 7)), "w.csv")
    start = time.process_time()
    assert read_spectra(path)[0].shape == (1, 1_000_000)
    assert time.process_time() - start < 20
