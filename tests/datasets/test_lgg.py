"""Brain MRI of gliomas: copies of a sequence are missing, and no answer stands in the table."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from polydx.config import StudyConfig
from polydx.datasets.catalogue import build_study
from polydx.datasets.lgg import ANSWERS, CODED, FLAGS, OMICS, load_lgg
from polydx.errors import ReadError

SEQUENCES = ("pre", "flair", "post")


@pytest.fixture
def gliomas(tmp_path) -> Path:
    rows, slices = [], []
    for i, name in enumerate(("TCGA_CS_1", "TCGA_DU_2", "TCGA_DU_3")):
        row: dict[str, object] = dict.fromkeys((*CODED.values(), *OMICS), 1.0)
        row |= {
            "Patient": name,
            "age_at_initial_pathologic": 40 + i,
            "pre_is_flair_copy": 0,
            "post_is_flair_copy": i % 2,
        }
        row |= {"neoplasm_histologic_grade": 1 + i % 2, "histological_type": i + 1, "death01": i % 2}
        for sequence in SEQUENCES:
            row[f"image_{sequence}"] = f"keyslices/{name}_{sequence}.png"
            picture(tmp_path / f"keyslices/{name}_{sequence}.png")
        for k in (9, 10, 11):
            slices.append({"patient": name, "slice": k, "file": f"{name}/{name}_{k}.tif", "tumor_px": 5 * (k > 9)})
            picture(tmp_path / f"slices/{name}_{k}.jpg")
        rows.append(row)
    for column in ("age_at_initial_pathologic", *CODED.values(), *(c for c, _ in ANSWERS.values())):
        rows[2][column] = None
    pd.DataFrame(rows).to_csv(tmp_path / "manifest.csv", index=False)
    pd.DataFrame(slices[::-1]).to_csv(tmp_path / "slices.csv", index=False)
    return tmp_path


def picture(path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(path)


def test_a_copy_of_flair_is_missing_and_so_is_a_row_of_gaps(gliomas):
    study = load_lgg(gliomas)
    assert study.patients.tolist() == ["lgg/TCGA_CS_1", "lgg/TCGA_DU_2", "lgg/TCGA_DU_3"]
    assert study.samples["centre"].tolist() == ["CS", "DU", "DU"]
    assert study.present("post").tolist() == [True, False, True]
    assert study.present("flair").all()
    assert study.present("clinical").tolist() == [True, True, False]
    assert study.labels.to_numpy().tolist() == [[0, 0, 0], [1, 1, 1], [-1, -1, -1]]
    assert study.modalities["clinical"].frame.loc[1].tolist() == [41.0, "1", "1", "1", "1", "1"]
    assert "'post' is missing in 1 patient and 'pre' in 0 patients" in study.notes[0]
    assert "omics" not in study.modalities
    assert next(iter(load_lgg(gliomas, omics=True).modalities["omics"].frame)) == "RNASeq"


def test_all_slices_are_a_bag_in_order(gliomas):
    study = load_lgg(gliomas, slices="all")
    assert list(study.modalities) == ["mr", "clinical"]
    assert study.rows["mr"].counts.tolist() == [2, 2, 2]
    paths = study.images("mr").paths
    assert [paths[i].name for i in study.rows["mr"][1]] == ["TCGA_DU_2_10.jpg", "TCGA_DU_2_11.jpg"]
    assert "cannot be taken away" in study.notes[0]


def test_tables_that_are_not_the_sources_are_told(gliomas):
    table = pd.read_csv(gliomas / "manifest.csv")
    pd.read_csv(gliomas / "slices.csv").drop(columns="slice").to_csv(gliomas / "slices.csv", index=False)
    with pytest.raises(ReadError, match=r"slices.csv has no column 'slice'; found patient"):
        load_lgg(gliomas, slices="all")
    table.assign(neoplasm_histologic_grade=[1, 7, 2], image_pre=["x", None, "y"]).to_csv(gliomas / "manifest.csv")
    with pytest.raises(ReadError, match="2 problems in") as caught:
        load_lgg(gliomas)
    assert [p.what for p in caught.value.problems] == [
        "image_pre is empty",
        "neoplasm_histologic_grade is '7'; expected 1, 2",
    ]
    table.drop(columns="death01").to_csv(gliomas / "manifest.csv", index=False)
    with pytest.raises(ReadError, match="has no column 'death01'; found gender"):
        load_lgg(gliomas)


def test_the_real_gliomas_are_counted_as_described(data):
    study = build_study(StudyConfig(dataset="lgg"), Path(), data)
    assert len(study) == 110
    missing = {name: int((~study.present(name)).sum()) for name in study.modalities}
    assert missing == {"pre": 6, "flair": 0, "post": 10, "clinical": 1}
    counts = {task: study.labels[task].value_counts().to_dict() for task in study.tasks}
    assert counts["grade"] == {0: 51, 1: 58, -1: 1}
    assert counts["histology"] == {0: 33, 1: 29, 2: 47, -1: 1}
    assert counts["vital"] == {0: 82, 1: 27, -1: 1}
    assert list(study.modalities["clinical"].frame) == ["age", *CODED]
    assert set(FLAGS) == {"pre", "post"}
    bags = build_study(StudyConfig(dataset="lgg", options={"slices": "all", "omics": True}), Path(), data)
    assert bags.rows["mr"].counts.sum() == 1373
    assert len(set(bags.images("mr").paths)) == 1373
