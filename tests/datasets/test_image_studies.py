"""Named studies of images, and the groups that stand in for patients."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid

from polydx.config import GroupConfig, StudyConfig
from polydx.datasets.b_all import load_b_all
from polydx.datasets.breast_us import load_breast_us
from polydx.datasets.catalogue import build_study
from polydx.datasets.fetch import fetch
from polydx.datasets.grouping import duplicate_groups, joined_by_content, regroup, sequence_groups
from polydx.errors import ConfigError, ReadError, StudyError
from polydx.study import Images, RowIndex
from polydx.validation.checks import check_study
from polydx.validation.checks.near_images import near_images

LEAKING = ["BIRADS", "Interpretation", "Verification", "Diagnosis"]


def picture(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (40, 40), dtype=np.uint8)).save(path)


def dicom(path: Path, patient: str) -> Path:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = SecondaryCaptureImageStorage, generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.PatientID = patient
    dataset.save_as(path, enforce_file_format=True)
    return path


@pytest.fixture
def smears(tmp_path) -> Path:
    for k, (folder, part) in enumerate(
        [("Benign", "Benign"), ("Early", "Malignant-Early"), ("Pre", "Malignant-Pre"), ("Pro", "Malignant-Pro")]
    ):
        for i in (1, 2, 21, 40):
            picture(tmp_path / folder / f"WBC-{part}-{i:03d}.jpg", 100 * k + i)
    return tmp_path


def test_smears_have_linked_tasks_and_groups_of_consecutive_numbers(smears):
    study = load_b_all(smears)
    assert study.ids[0] == "Benign/WBC-Benign-001"
    assert study.patients[:4].tolist() == ["b-all/Benign/1-20"] * 2 + ["b-all/Benign/21-40"] * 2
    assert study.labels["malignancy"].tolist() == [0] * 4 + [1] * 12
    assert study.labels["subtype"].tolist() == [-1] * 4 + [2] * 4 + [0] * 4 + [1] * 4
    assert study.tasks["subtype"].parent == ("malignancy", "malignant")
    assert study.tasks["malignancy"].positive == "malignant"
    assert "patients are not known" in study.notes[0]
    with pytest.raises(ReadError, match="'b-all' needs the folders Benign, Early, Pre, Pro") as caught:
        load_b_all(smears / "Pre")
    assert len(caught.value.problems) == 4


def test_smears_can_be_split_at_random_with_copies_kept_together(smears):
    (smears / "Pro" / "WBC-Malignant-Pro-050.jpg").write_bytes(
        (smears / "Pro" / "WBC-Malignant-Pro-001.jpg").read_bytes()
    )
    study = load_b_all(smears, group=GroupConfig(by="image"))
    assert len(set(study.patients)) == 16
    assert study.patients[-1] == study.patients[-5]
    assert not [f for f in check_study(study) if f.severity == "error"]


def test_the_group_of_the_yaml_reaches_the_reader(smears):
    root = smears.parent
    smears.rename(root / "b-all")
    config = StudyConfig(dataset="b-all", group=GroupConfig(by="sequence", size=2))
    assert len(set(build_study(config, Path(), root).patients)) == 12
    with pytest.raises(ConfigError, match="dataset 'als-saliva' knows its patients; leave `group` out"):
        build_study(StudyConfig(dataset="als-saliva", group=GroupConfig(by="image")), Path(), root)
    assert fetch("b-all", from_dir=root / "b-all", data=root / "data") == root / "data" / "b-all"
    assert len(load_b_all(root / "data" / "b-all")) == 16


def test_runs_are_of_numbers_within_a_folder():
    paths = [Path(f"{f}/x3_{n}.png") for f in ("a", "b") for n in (10, 11, 13, 14, 30)]
    assert sequence_groups(paths[:5], 3) == ["a/10-12", "a/10-12", "a/13-15", "a/13-15", "a/28-30"]
    assert sequence_groups(paths[5:], 1)[2] == "b/13-13"
    assert sequence_groups([Path("a/c/1.png"), Path("b/c/1.png")], 5) == ["a/c/1-5", "b/c/1-5"]
    with pytest.raises(StudyError, match="needs numbered files; group by duplicates instead") as caught:
        sequence_groups([Path("a1.png"), Path("b.png")], 3)
    assert [p.where for p in caught.value.problems] == ["b.png"]


def test_clusters_follow_chains_of_near_duplicates_and_frames_of_a_file():
    hashes = np.array([0, 0b111, 0b111111, 2**63 + 2**40 + 2**20 + 2**50 + 2**10, 2**62 - 1], dtype=np.uint64)
    paths = [Path(n) for n in ("a", "b", "c", "d", "a")]
    found = duplicate_groups(hashes, 3, paths)
    assert found[0] == found[1] == found[2] == found[4] != found[3]


def test_groups_that_share_a_file_become_one():
    assert joined_by_content(["a", "b", "c", "d"], ["1", "2", "2", "3"]) == ["a", "b", "b", "d"]
    assert joined_by_content(["a", "b", "b", "c"], ["1", "1", "4", "4"]) == ["a"] * 4


def test_what_cannot_be_grouped_is_told(make_study, tmp_path):
    with pytest.raises(StudyError, match="`group` groups images, and study 'tiny' has none; name patients in a column"):
        regroup(make_study(), GroupConfig(by="image"))
    picture(tmp_path / "a1.png", 0)
    photo = {"photo": Images((tmp_path / "a1.png",))}
    study = make_study(modalities=photo, rows={"photo": RowIndex.from_lists([[0]] + [[]] * 23)})
    with pytest.raises(StudyError, match="23 samples without an image cannot be grouped; leave them out"):
        regroup(study, GroupConfig(by="image"))


def test_dicom_files_can_say_whose_they_are(make_study, tmp_path):
    paths = [dicom(tmp_path / f"{i}.dcm", f"X{i // 2}") for i in range(4)]
    study = make_study(patients=4, each=1, modalities={"ct": Images(tuple(paths))}, rows={"ct": RowIndex.one_each(4)})
    study = replace(study, tasks={"disease": replace(study.tasks["disease"], level="sample")})
    assert regroup(study, GroupConfig(by="patient-id")).patients.tolist() == [
        "tiny/X0",
        "tiny/X0",
        "tiny/X1",
        "tiny/X1",
    ]
    dicom(paths[2], "")
    with pytest.raises(StudyError, match="needs the PatientID of every file; name patients in a column") as caught:
        regroup(study, GroupConfig(by="patient-id"))
    assert caught.value.problems[0].where == "2.dcm"


def test_images_of_two_patients_that_look_alike_are_a_warning(make_study, tmp_path, rng):
    for i in range(6):
        coarse = Image.fromarray(np.random.default_rng(i).integers(0, 256, (8, 8), dtype=np.uint8))
        coarse.resize((160, 160), Image.Resampling.BICUBIC).save(tmp_path / f"{i}.png")
    with Image.open(tmp_path / "0.png") as image:
        image.resize((80, 80)).save(tmp_path / "5.png")
        image.resize((90, 90)).save(tmp_path / "1.png")
    images = Images(tuple(tmp_path / f"{i}.png" for i in range(6)))
    study = make_study(patients=3, each=2, modalities={"photo": images}, rows={"photo": RowIndex.one_each(6)})
    (finding,) = near_images(study)
    assert (finding.severity, finding.check, finding.details["count"]) == ("warning", "near-images", 2)
    assert [p["samples"] for p in finding.details["pairs"]] == [["p0/s0", "p2/s1"], ["p0/s1", "p2/s1"]]
    assert "2 pairs of images of different patients look alike" in finding.message
    (tmp_path / "1.png").write_bytes(b"none")
    with pytest.raises(ReadError, match="1 of 6 images cannot be read"):
        near_images(study)


MANIFEST = [
    (1, "benign", "57", "palpable&redness", "not circumscribed - angular&indistinct", "2"),
    (2, "malignant", "not available", "no", "circumscribed", "5"),
    (3, "normal", "30", "not available", "not applicable", "1"),
]


@pytest.fixture
def ultrasound(tmp_path) -> Path:
    rows = []
    for case, answer, age, signs, margin, birads in MANIFEST:
        picture(tmp_path / "images" / f"case{case}.jpg", case)
        rows.append(
            {"CaseID": case, "image": f"images/case{case}.jpg", "Age": age, "Pixel_size": 0.01, "Classification": answer,
             "Shape": "oval", "Echogenicity": "hypoechoic", "Posterior_features": "no", "Halo": "no", "Calcifications": "no",
             "Skin_thickening": "no", "Tissue_composition": "lactating&homogeneous: fat", "Signs": signs, "Symptoms": "no",
             "Margin": margin, "BIRADS": birads, "Interpretation": "x", "Verification": "y", "Diagnosis": "z"}
        )  # fmt: skip
    pd.DataFrame(rows).to_csv(tmp_path / "manifest.csv", index=False)
    return tmp_path


def test_clinical_columns_are_typed_split_and_do_not_give_the_answer_away(ultrasound):
    study = load_breast_us(ultrasound)
    assert study.ids.tolist() == ["case-1", "case-2"]
    assert study.patients.tolist() == ["breast-us/1", "breast-us/2"]
    assert study.label_codes("malignancy").tolist() == [0, 1]
    assert study.notes == ("1 case without a lesion (normal) left out: no answer to the task",)
    table = study.modalities["clinical"].frame
    assert table["Age"].tolist()[0] == 57
    assert np.isnan(table["Age"][1])
    assert table["Signs: palpable"].tolist() == table["Signs: redness"].tolist() == ["yes", "no"]
    assert table["Margin: angular"].tolist() == ["yes", "no"]
    assert table["Tissue_composition: homogeneous: fat"].tolist() == ["yes", "yes"]
    assert not set(LEAKING) & set(table)
    assert load_breast_us(ultrasound, leaking=["BIRADS"]).modalities["clinical"].frame["BIRADS"].tolist() == ["2", "5"]


def test_a_manifest_that_is_not_the_sources_is_told(ultrasound):
    path = ultrasound / "manifest.csv"
    table = pd.read_csv(path, dtype=str)
    table.drop(columns="Margin").to_csv(path, index=False)
    with pytest.raises(ReadError, match="has no column 'Margin'; found CaseID, image"):
        load_breast_us(ultrasound)
    table.loc[0, ["Classification", "Age"]] = ["odd", "old"]
    table.loc[1, "image"] = ""
    table.to_csv(path, index=False)
    with pytest.raises(ReadError, match="3 problems in") as caught:
        load_breast_us(ultrasound)
    assert [p.what for p in caught.value.problems] == [
        "image is empty",
        "Classification is 'odd'; expected benign, malignant, normal",
        "Age is 'old'; expected a number of years, or 'not available'",
    ]


def test_the_real_smears_are_counted_as_described(data):
    study = build_study(StudyConfig(dataset="b-all"), Path(), data)
    classes = study.describe()["tasks"]
    assert classes["malignancy"]["classes"]["benign"]["samples"] == 403
    assert {c: n["samples"] for c, n in classes["subtype"]["classes"].items()} == {
        "pre-B": 770,
        "pro-B": 643,
        "early pre-B": 788,
    }
    assert len(set(study.patients)) == 133


@pytest.mark.slow
def test_every_leaking_column_of_the_real_ultrasound_is_named(data):
    config = StudyConfig(dataset="breast-us", options={"leaking": LEAKING})
    study = build_study(config, Path(), data)
    assert study.describe()["tasks"]["malignancy"]["classes"]["malignant"]["patients"] == 98
    found = check_study(study)
    for column in LEAKING:
        checks = {f.check for f in found if f.where == f"column '{column}' of 'clinical'"}
        assert checks & {"gives-answer-away", "strong-column", "deciding-value"}, column
    plain = check_study(build_study(StudyConfig(dataset="breast-us"), Path(), data))
    assert not {f.check for f in plain} & {"gives-answer-away", "answer-in-table", "strong-column"}
