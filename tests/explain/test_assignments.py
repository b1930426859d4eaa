import numpy as np

from polydx.explain.assignments import SOURCES, assignments, band_table, candidates, strongest

AXIS = np.linspace(400.0, 1800.0, 701)


def test_the_table_of_bands_is_whole_and_in_order():
    table = assignments()
    positions = [a.position for a in table]
    assert 40 <= len(table) <= 70
    assert positions == sorted(set(positions))
    assert all(a.assignment and a.molecules and a.source in SOURCES and 3 <= a.tolerance <= 12 for a in table)


def test_well_known_bands_are_named_and_nothing_is_made_up_elsewhere():
    for wavenumber, molecule in [
        (1003, "phenylalanine"), (785, "DNA"), (1156, "carotenoid"), (1450, "protein"), (1742, "triglyceride"),
        (1655, "protein"), (621, "phenylalanine"), (643, "tyrosine"), (719, "phosphatidylcholine"), (758, "tryptophan"),
    ]:  # fmt: skip
        assert any(molecule in a.molecules for a in candidates(wavenumber)), wavenumber
    assert candidates(1800) == []
    assert candidates(1004)[0].position == 1003


def test_the_strongest_peaks_come_first_and_apart():
    values = np.zeros(701)
    values[[100, 103, 300, 650]] = [2.0, 1.9, -3.0, 1.0]
    values[0] = np.nan
    assert strongest(values, AXIS) == [300, 100, 650]
    assert strongest(values, AXIS, most=1) == [300]
    assert strongest(np.zeros(701), AXIS) == []


def test_the_band_table_says_in_how_many_folds_the_sign_is_the_same():
    values = np.zeros(701)
    values[302] = 2.0  # 1004 cm^-1
    table = band_table(values, AXIS, [values, -values, values, values])
    row = table.iloc[0]
    assert (row["wavenumber"], row["share"], row["folds_agreeing"]) == (1004.0, 1.0, 0.75)
    assert row["molecules"].startswith("phenylalanine (1003)")
    assert len(band_table(np.zeros(701), AXIS, [values])) == 0
