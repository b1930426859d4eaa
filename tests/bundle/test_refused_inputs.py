"""What a bundle is given that it cannot answer: one clear error each, that names the sample."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from tests.bundle.test_bundle import LOGISTIC, exported

import polydx.bundle
from polydx.bundle import load
from polydx.bundle.graphs import GraphNetwork
from polydx.bundle.inputs import gathered, images_of
from polydx.errors import BundleError, ConfigError, ReadError
from polydx.study import RowIndex, Table

NETWORK = {
    "kind": "network",
    "backbones": {"raman": {"name": "cnn", "width": 4}},
    "training": {"epochs": 1, "batch_size": 8, "patience": None},
}


@pytest.fixture
def mixed_path(tmp_path, make_study):
    study = make_study(patients=8, each=1)
    clinical = Table(pd.DataFrame({"age": 40.0 + np.arange(8)}))
    study = replace(
        study,
        modalities={**study.modalities, "clinical": clinical},
        rows={**study.rows, "clinical": RowIndex.one_each(8)},
    )
    path = tmp_path / "m.zip"
    exported(study, {"kind": "classical", "model": "logistic_regression"}, path)
    return path


@pytest.mark.parametrize(
    ("sample", "told"),
    [
        ({"ramna": np.ones(60)}, "unknown modality 'ramna'"),
        ({"raman": np.full(60, np.nan)}, "NaN or infinite intensities"),
        ({"raman": np.ones(5)}, r"spectra of shape \(1, 5\) do not fit an axis"),
        ({"clinical": {"age": "old"}}, "expected a number, found 'old'"),
        ({"clinical": {"age": np.inf}}, "expected a number, found 'inf'"),
    ],
)
def test_a_sample_that_does_not_fit_is_refused_by_its_place(mixed_path, sample, told):
    with pytest.raises(ReadError, match="1 problem in what is to be predicted; nothing was predicted") as refusal:
        load(mixed_path).predict([sample])
    assert re.search(told, str(refusal.value))
    assert "sample 0" in str(refusal.value) or "clinical.age" in str(refusal.value)


def test_nothing_at_all_is_refused(mixed_path):
    with pytest.raises(ReadError, match="nothing to predict"):
        gathered(load(mixed_path).model, [])


def test_what_is_neither_a_file_nor_a_sample_is_refused(make_study, tmp_path):
    exported(make_study(), LOGISTIC, tmp_path / "m.zip")
    with pytest.raises(ConfigError, match="input 0 is neither a file nor a sample"):
        load(tmp_path / "m.zip").predict([3.5])


def test_patients_must_be_as_many_as_answers(make_study, tmp_path):
    study = make_study()
    exported(study, LOGISTIC, tmp_path / "m.zip")
    raman = study.spectra("raman")
    with pytest.raises(ReadError, match="2 patients for 1 answers: name one for each"):
        load(tmp_path / "m.zip").predict([{"raman": (raman.values[:1], raman.axis)}], patients=["a", "b"])


@pytest.mark.parametrize("wrong", [np.ones(4), np.ones((2, 2, 2, 2)), np.array([["a"]]), np.ones((0, 3))])
def test_an_array_that_is_no_image_is_refused(wrong):
    with pytest.raises(ReadError, match=r"expected an image \(H, W\) or \(H, W, C\) of numbers, found"):
        images_of(wrong, None, "scan")


@pytest.mark.slow
def test_graphs_give_no_other_stage_and_cannot_be_stored_again(make_study, tmp_path):
    study = make_study()
    exported(study, NETWORK, tmp_path / "m.zip")
    fitted = load(tmp_path / "m.zip").model.fitted
    assert isinstance(fitted, GraphNetwork)
    assert fitted.features(study, "embedding").shape[0] == len(study)
    with pytest.raises(ConfigError, match="no graph that ends at 'raman.stem': use `polydx extract`"):
        fitted.features(study, "raman.stem")
    with pytest.raises(BundleError, match="graphs are no network that could be stored again"):
        fitted.state()


def test_the_package_has_no_other_names():
    with pytest.raises(AttributeError, match=r"module 'polydx.bundle' has no attribute 'save'"):
        polydx.bundle.save  # noqa: B018
