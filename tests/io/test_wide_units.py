import pandas as pd
import pytest

from polydx.errors import AxisError
from polydx.io.spectra import read_spectra, read_spectra_table

NUMBERS = [800 + 2 * i for i in range(10)]


def table(unit):
    return pd.DataFrame([["p1", *range(10)], ["p2", *range(10)]], columns=["patient", *(f"{x}{unit}" for x in NUMBERS)])


@pytest.mark.parametrize(
    ("unit", "told"),
    [(" nm", "nm"), ("nm", "nm"), (" (nm)", "nm"), (" eV", "eV"), (".5 µm", "µm"), (" nanometres", "nanometres")],
)
@pytest.mark.parametrize("kind", ["csv", "xlsx", "parquet"])
def test_a_header_in_another_unit_is_refused(tmp_path, unit, told, kind):
    path = tmp_path / f"wide.{kind}"
    frame = table(unit)
    {"csv": frame.to_csv, "xlsx": frame.to_excel, "parquet": frame.to_parquet}[kind](path, index=False)
    for read in (read_spectra_table, read_spectra):
        if read is read_spectra and kind == "parquet":
            continue
        with pytest.raises(AxisError, match=rf"the axis is in {told} \('800.*'\); convert it to cm\^-1"):
            read(path)


@pytest.mark.parametrize("unit", ["", " cm-1", " 1/cm"])
def test_wavenumbers_and_bare_numbers_are_read(tmp_path, unit):
    table(unit).to_csv(tmp_path / "wide.csv", index=False)
    assert read_spectra_table(tmp_path / "wide.csv").axis.tolist() == NUMBERS
