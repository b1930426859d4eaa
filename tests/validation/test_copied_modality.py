"""A copy of one modality in another's place is found by what it shows; samples without a modality are named."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from polydx.config import StudyConfig
from polydx.datasets.own import load_own
from polydx.errors import ReadError
from polydx.study import Images, RowIndex, Spectra
from polydx.validation.checks import check_study
from polydx.validation.checks.copied_modality import copied_modalities
from polydx.validation.checks.coverage import coverage
from polydx.validation.scenarios import lacking


def pictures(folder: Path, n: int, copied: dict[str, list[int]]) -> dict[str, Images]:
    found = {}
    for k, name in enumerate(("flair", "pre", "post")):
        paths = []
        for i in range(n):
            seed = [i, 0] if i in copied.get(name, []) else [i, k]
            path = folder / f"{name}{i}.{'bmp' if k else 'png'}"
            Image.fromarray(np.random.default_rng(seed).integers(0, 256, (12, 12), dtype=np.uint8)).save(path)
            paths.append(path)
        found[name] = Images(tuple(paths))
    return found


def test_pixels_of_another_modality_are_found_whatever_the_file_format(make_study, tmp_path):
    images = pictures(tmp_path, 24, {"pre": [3], "post": [5, 6]})
    each = dict.fromkeys(images, RowIndex.one_each(24))
    study = replace(make_study(), modalities=images, rows=each)
    found = {f.where: f for f in copied_modalities(study)}
    assert set(found) == {"modality 'pre'", "modality 'post'"}
    post = found["modality 'post'"]
    assert (post.severity, post.check) == ("warning", "copied-modality")
    assert post.details == {"original": "flair", "count": 2, "samples": study.ids[[5, 6]].tolist()}
    assert "set `copy_of: flair` at 'post'" in post.message
    assert copied_modalities(replace(study, modalities=images | {"post": images["flair"].take(np.arange(24)[::-1])}))
    (tmp_path / "flair0.png").write_bytes(b"none")
    with pytest.raises(ReadError, match="flair0"):
        copied_modalities(study)


def test_spectra_of_one_sample_in_two_modalities_are_found(make_study):
    study = make_study()
    raman = study.spectra("raman")
    values = raman.values + 1
    values[4] = raman.values[4]
    both = {"raman": raman, "again": Spectra(values, raman.axis)}
    study = replace(study, modalities=both, rows=dict.fromkeys(both, study.rows["raman"]))
    (finding,) = copied_modalities(study)
    assert finding.details["samples"] == [study.ids[4]]
    assert "the same spectrum as in 'raman'" in finding.message
    assert not [f for f in check_study(study) if f.check == "copies" and f.severity == "error"]


def test_samples_without_a_modality_are_named(make_study):
    study = make_study()
    assert coverage(study) == []
    (finding,) = coverage(lacking(study, {"raman": np.arange(24) < 7}))
    assert finding.severity == "note"
    assert finding.message.startswith("17 of 24 samples have it; 7 samples without: 'p0/s0'")
    assert finding.message.endswith("and 2 more")


@pytest.mark.slow
def test_the_real_copies_of_flair_are_found_in_a_users_own_study(data):
    images = {s: {"kind": "images", "column": f"image_{s}"} for s in ("pre", "flair", "post")}
    task = {"column": "death01", "classes": ["0", "1"]}
    section = {
        "samples": str(data / "lgg" / "manifest.csv"), "name": "lgg", "modalities": images, "tasks": {"vital": task},
    }  # fmt: skip
    study = load_own(StudyConfig.model_validate(section), data)
    found = [(f.where, f.details["original"], f.details["count"]) for f in copied_modalities(study)]
    assert sorted(found) == [("modality 'post'", "flair", 10), ("modality 'pre'", "flair", 6)]
