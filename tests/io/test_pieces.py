from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from polydx.errors import ReadError
from polydx.io import pieces
from polydx.io.pieces import spectra_in_pieces
from polydx.io.spectra import read_spectra

AXIS = np.linspace(600.0, 700.0, 11)


@pytest.fixture
def folder(tmp_path, rng, monkeypatch):
    monkeypatch.setattr(pieces, "LARGE", 10)
    values = rng.random((25, 11)).round(4)
    frame = pd.DataFrame(values, columns=[f"{a:g}" for a in AXIS]).assign(name="x")
    frame.to_csv(tmp_path / "wide.csv", index=False)
    frame.to_parquet(tmp_path / "wide.parquet")
    np.save(tmp_path / "rows.npy", values)
    np.save(tmp_path / "rows_axis.npy", AXIS)
    return tmp_path


def test_long_lines_make_pieces_of_fewer_rows(tmp_path, monkeypatch):
    monkeypatch.setattr(pieces, "LARGE", 10)
    monkeypatch.setattr(pieces, "TEXT", 100)
    axis, values = np.linspace(600, 1600, 20), np.arange(140.0).reshape(7, 20)
    pd.DataFrame(values, columns=[f"{a:.6f}" for a in axis]).to_csv(tmp_path / "wide.csv", index=False)
    found = list(spectra_in_pieces(tmp_path / "wide.csv", 5))
    assert [len(v) for v, _ in found] == [2, 1, 1, 1, 1, 1]
    np.testing.assert_array_equal(np.vstack([v for v, _ in found]), values)


@pytest.mark.parametrize("name", ["wide.csv", "wide.parquet", "rows.npy"])
def test_pieces_are_the_rows_of_the_whole_file_in_their_order(folder, name):
    found = list(spectra_in_pieces(folder / name, 10))
    values, axis = read_spectra(folder / name)
    assert [len(rows) for rows, _ in found] == [10, 10, 5]
    np.testing.assert_array_equal(np.vstack([rows for rows, _ in found]), values)
    np.testing.assert_array_equal(found[2][1], axis)


def test_a_large_file_in_columns_is_read_whole(folder):
    np.savetxt(folder / "one.txt", np.column_stack([AXIS, np.arange(11)]))
    (found,) = spectra_in_pieces(folder / "one.txt", 2)
    assert found[0].shape == (1, 11)


def test_large_files_that_are_broken_or_hold_no_rows_are_refused(folder):
    (folder / "rows.npy").write_bytes((folder / "rows.npy").read_bytes()[:40])
    with pytest.raises(ReadError, match="is no NumPy array that can be read safely"):
        list(spectra_in_pieces(folder / "rows.npy", 9))
    np.save(folder / "rows.npy", np.arange(30.0))
    with pytest.raises(ReadError, match=r"expected numbers \(spectra, points\)"):
        list(spectra_in_pieces(folder / "rows.npy", 9))
    (folder / "wide.parquet").write_bytes((folder / "wide.parquet").read_bytes()[:-200])
    with pytest.raises(ReadError, match="is a broken Parquet file"):
        list(spectra_in_pieces(folder / "wide.parquet", 9))


def test_small_row_groups_are_read_in_order_and_let_go(tmp_path, monkeypatch):
    import pyarrow as pa
    import pyarrow.parquet as pq

    values = np.random.default_rng(0).random((8000, 60))
    table = pa.table({f"{400 + i}": values[:, i] for i in range(60)})
    pq.write_table(table, tmp_path / "many.parquet", row_group_size=200)
    monkeypatch.setattr(pieces, "LARGE", 10)
    before, held, found = pa.total_allocated_bytes(), [], []
    for piece, _ in spectra_in_pieces(tmp_path / "many.parquet", 400):
        held.append(pa.total_allocated_bytes() - before)
        found.append(piece)
    np.testing.assert_allclose(np.concatenate(found), values, rtol=1e-6)
    assert len(found) > 10
    assert max(held) < values.nbytes / 2  # a pass over all groups at once holds more than the whole file
