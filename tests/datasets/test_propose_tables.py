"""Clinical columns that `init` proposes, commented out: taken in, they load."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
from PIL import Image

import polydx
from polydx.datasets.propose import propose_study
from polydx.datasets.propose_tables import guess_columns

SHEET = {
    "patient": [f"P{i}" for i in range(8)],
    "image": [f"P{i}.png" for i in range(8)],
    "diagnosis": ["benign", "malignant"] * 4,
    "age": [50, 61, "not available", 43, 38, 70, 66, 59],
    "sex": ["f", "m", "f", "f", "m", "m", "f", None],
    "code": [1, 2, 1, 2, 3, 1, 1, 2],
    "signs": ["a&b", "b", "a", "a&c", "c&b", "no", "a&b&c", "c"],
    "length": [10.5, 12.25, 9, 8, 7, 11, 13.5, 20],
    "remark": [f"free text {i}" for i in range(8)],
    "hospital": ["x", "y"] * 4,
}


def test_columns_are_told_by_what_they_hold():
    found, unknown = guess_columns(pd.DataFrame(SHEET), {"patient", "image", "diagnosis"})
    assert found == {
        "age": "number",
        "sex": "category",
        "code": "category",
        "signs": '{kind: several, separator: "&"}',
        "length": "number",
    }
    assert unknown == ["not available"]


def test_the_proposal_loads_once_its_marks_are_taken_away(tmp_path):
    pd.DataFrame(SHEET).to_csv(tmp_path / "sheet.csv", index=False)
    for i in range(8):
        Image.fromarray(np.random.default_rng(i).integers(0, 256, (16, 16), dtype=np.uint8)).save(
            tmp_path / f"P{i}.png"
        )
    text = propose_study(tmp_path).yaml
    (tmp_path / "study.yaml").write_text(text)
    assert list(polydx.load_study(tmp_path / "study.yaml").modalities) == ["image"]
    head, rest = text.split("  tasks:\n")
    (tmp_path / "study.yaml").write_text(re.sub(r"^    # ", "    ", head, flags=re.MULTILINE) + "  tasks:\n" + rest)
    study = polydx.load_study(tmp_path / "study.yaml")
    frame = study.modalities["clinical"].frame
    assert {"age", "sex", "signs: a", "length"} <= set(frame)
    assert frame["age"].isna().sum() == 1


def test_decimal_commas_are_told_where_the_column_stayed_text():
    frame = pd.DataFrame(
        {"Alter": ["53,7", "60", "n.a.", *["61,25"] * 20], "Code": ["A,1", "B,2", "A,1"] * 7 + ["B,2"] * 2}
    )
    found, unknown = guess_columns(frame, set())
    assert found["Alter"] == '{kind: number, decimal: ","}'
    assert found["Code"] == "category"
    assert unknown == ["n.a."]
