"""Classical models on features of a network, fitted in the fold; and features as a table."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

from polydx.config import NetworkConfig
from polydx.errors import AxisError, ConfigError
from polydx.recipes.build import build_recipes
from polydx.recipes.classical import FittedClassical
from polydx.recipes.extract import extract, load_network, write_features
from polydx.recipes.features_fitted import FittedFeatures
from polydx.recipes.pretrain import pretrain, save_pretrained
from polydx.recipes.protocol import stream_seed
from polydx.recipes.provenance import seen, seen_in
from polydx.recipes.store import load_model
from polydx.study import RowIndex, Task
from polydx.training.weights import save_weights
from polydx.validation.cross_validation import cross_validate
from saved import save_model

NETWORK = {
    "kind": "network",
    "backbones": {"raman": {"name": "cnn", "width": 8}},
    "preprocessing": {"raman": ["snv"]},
    "augmentation": {"raman": ["offset", {"noise": {"amount": 0.2}}]},
    "training": {"epochs": 4, "batch_size": 8, "lr": 0.01, "patience": None},
}
CUT = {"from": "net", "stage": "raman.stage3", "steps": ["standardise"]}
TREE = {"kind": "features", "features": CUT, "model": "logistic_regression", "params": {"C": 0.1}}


def build(study, network=NETWORK, cut=None, **changes):
    recipe = TREE | {"features": CUT | (cut or {})} | changes
    return build_recipes({"net": network, "tree": recipe}, study)["tree"]


def test_a_model_learns_from_the_features_of_the_fold(make_study):
    train, test = make_study(patients=16, effect=4.0), make_study(patients=10, effect=4.0, seed=5)
    fitted = build(train).fit(train, 0)
    found = fitted.predict_proba(test)["disease"]
    assert (found.argmax(axis=1) == test.label_codes("disease")).mean() > 0.9
    assert [row["epoch"] for row in fitted.history] == [0, 1, 2, 3]
    assert fitted.features(test, "raman.stem").shape[0] == len(test)


def test_it_is_the_model_on_the_standardised_features_of_the_network(make_study):
    study = make_study()
    fitted = build(study, params={"C": 0.1}).fit(study, 0)
    x = network_of(fitted).features(study, "raman.stage3", "average").astype(np.float32).astype(np.float64)
    scaled = (x - x.mean(axis=0)) / np.where(x.std(axis=0) == 0, 1, x.std(axis=0))
    model = LogisticRegression(C=0.1, max_iter=500, class_weight="balanced")
    expected = model.fit(scaled, study.label_codes("disease")).predict_proba(scaled)
    np.testing.assert_allclose(fitted.predict_proba(study)["disease"], expected, atol=1e-3)


@pytest.mark.parametrize("model", ["svm", "random_forest"])
@pytest.mark.parametrize("pool", ["average", "flat"])
@pytest.mark.slow
def test_models_and_pools_can_be_changed_and_saved(make_study, tmp_path, model, pool):
    study = make_study()
    params = {"n_estimators": 3} if model == "random_forest" else {}
    own = build(study, cut={"pool": pool, "stage": "raman.stage2"}, model=model, params=params)
    fitted = own.fit(study, 0)
    assert fitted.classical.features(study_of(fitted, study), "input").shape[1] == (16 if pool == "average" else 16 * 4)
    again = FittedFeatures.from_state(*fitted.state())
    expected = fitted.predict_proba(study)["disease"]
    np.testing.assert_allclose(again.predict_proba(study)["disease"], expected, atol=1e-12)
    save_model(tmp_path / "model.zip", fitted, own, study)
    loaded = load_model(tmp_path / "model.zip").fitted
    np.testing.assert_allclose(loaded.predict_proba(study)["disease"], expected, atol=1e-12)


@pytest.mark.parametrize("model", ["svm", "pls_da"])
@pytest.mark.slow
def test_decisions_are_calibrated_on_patients_that_the_network_did_not_see(make_study, model):
    """On noise, a network separates its own training patients; who calibrates on those is certain of everything."""
    study, others = make_study(patients=30, effect=0.0), make_study(patients=30, effect=0.0, seed=1)
    network = NETWORK | {"augmentation": {}, "training": NETWORK["training"] | {"epochs": 30}}
    fitted = build(study, network, model=model, params={}).fit(study, 0)
    own = fitted.classical.decisions(study_of(fitted, study), "disease")[:, 0]
    # How well differs between processors, for rounding grows over the epochs; chance is 0.5.
    assert ((own > np.median(own)) == study.label_codes("disease")).mean() > 0.7
    told = fitted.predict_proba(others)["disease"]
    loss = -np.log(told[np.arange(len(others)), others.label_codes("disease")]).mean()
    assert loss < 0.78


@pytest.mark.slow
def test_every_calibrating_fit_is_of_network_and_model_without_the_patients_it_is_asked_about(make_study, monkeypatch):
    study = make_study(patients=10)
    own, taught, asked = build(study, model="svm"), [], []
    fit, decide = type(own)._fit, FittedClassical.decisions
    monkeypatch.setattr(type(own), "_fit", lambda self, s, *rest: taught.append(s) or fit(self, s, *rest))
    monkeypatch.setattr(FittedClassical, "decisions", lambda self, s, task: asked.append(s) or decide(self, s, task))
    own.fit(study, 0)
    assert len(taught) == 6
    assert len(taught[0]) == len(study)
    for learned, told in zip(taught[1:], asked, strict=True):
        assert not set(learned.patients) & set(told.patients)
    assert sorted(i for s in asked for i in s.ids) == sorted(study.ids)


@pytest.mark.parametrize(("patients", "each"), [(2, 3), (1, 6)])
def test_too_few_patients_to_calibrate_are_noted(make_study, patients, each):
    study = make_study(patients=patients, each=each)
    task = Task(("no", "yes"), level="sample")
    study = replace(study, tasks={"disease": task}, labels=study.labels.assign(disease=np.arange(6) % 2))
    fitted = build(study, model="linear_svm").fit(study, 0)
    assert fitted.notes == ["task 'disease': too few patients to calibrate decision values; taken as log-odds"]
    assert np.isfinite(fitted.predict_proba(study)["disease"]).all()


@pytest.mark.slow
def test_a_network_pretrained_on_the_rows_is_pretrained_again_for_calibration(make_study, monkeypatch):
    study = make_study(patients=10)
    section = {"method": "simclr", "epochs": 1, "projection": [8, 8]}
    own = build(study, NETWORK | {"pretrain": section}, cut={"train": False}, model="svm")
    taught, fit = [], type(own)._fit
    monkeypatch.setattr(type(own), "_fit", lambda self, s, *rest: taught.append(s) or fit(self, s, *rest))
    own.fit(study, 0)
    assert len(taught) == 6


def network_of(fitted):
    return fitted.cuts["features"].network


def study_of(fitted, study):
    return fitted.on_features(study)


@pytest.mark.slow
def test_the_same_seed_gives_the_same_bytes(make_study):
    study = make_study()
    own = build(study, cut={"copies": 2})
    found = own.fit(study, 1).predict_proba(study)["disease"]
    assert own.fit(study, 1).predict_proba(study)["disease"].tobytes() == found.tobytes()
    assert own.fit(study, 2).predict_proba(study)["disease"].tobytes() != found.tobytes()


def test_augmented_copies_teach_the_model_and_keep_their_patients(make_study, monkeypatch):
    study = replace(make_study(patients=8, each=1), unit="patient")
    own = build(study, cut={"copies": 2})
    taught = []
    inner = type(own.classical).fit
    monkeypatch.setattr(type(own.classical), "fit", lambda self, s, seed: taught.append(s) or inner(self, s, seed))
    fitted = own.fit(study, 0)
    (learned,) = taught
    assert len(learned) == 24
    assert learned.patients.tolist() == study.patients.tolist() * 3
    values = learned.spectra("features").values.reshape(3, 8, -1)
    np.testing.assert_allclose(values[0], network_of(fitted).features(study, "raman.stage3", "average"), rtol=1e-6)
    assert not np.allclose(values[1], values[0])
    assert not np.allclose(values[1], values[2])


def test_a_network_that_is_not_trained_keeps_the_weights_it_starts_from(make_study, tmp_path):
    others, study = make_study(seed=9), make_study()
    others = replace(others, samples=others.samples.assign(patient="others/" + others.patients.astype(str)))
    section = {"method": "simclr", "epochs": 1, "projection": [8, 8]}
    first = pretrain(others, NetworkConfig.model_validate(NETWORK | {"pretrain": section}), 0)
    save_pretrained(tmp_path / "w.safetensors", first)
    network = NETWORK | {"init": {"from": tmp_path / "w.safetensors"}}
    own = build(study, network, cut={"train": False})
    fitted = own.fit(study, 0)
    np.testing.assert_array_equal(fitted.features(study, "raman.stage3"), first.features(study, "raman.stage3"))
    assert not fitted.history
    assert seen(own) == seen_in(others)
    with pytest.raises(ConfigError, match="a network that is not trained needs weights"):
        build(study, cut={"train": False})


@pytest.mark.slow
def test_a_fold_gives_what_a_plain_loop_gives(make_study):
    study = make_study(patients=6)
    table = cross_validate(study, {"net": NETWORK, "tree": TREE}, folds=2).predictions
    from polydx.splits import stratified_group_k_fold

    own = build(study)
    for fold in stratified_group_k_fold(study.patients, study.label_codes("disease"), 2, 0):
        fitted = own.fit(study.take(fold.train), stream_seed(0, "tree", fold.number))
        found = table[(table["recipe"] == "tree") & (table["fold"] == fold.number)]["probability"]
        np.testing.assert_array_equal(found, fitted.predict_proba(study.take(fold.test))["disease"].ravel())


def test_a_bag_gives_the_mean_of_its_features(make_study):
    study = make_study(patients=8, each=3)
    bags = replace(
        study.take(np.arange(0, 24, 3)),
        modalities=study.modalities,
        rows={"raman": RowIndex.from_lists([[3 * i, 3 * i + 1, 3 * i + 2] for i in range(8)])},
    )
    fitted = build(bags).fit(bags, 0)
    single = network_of(fitted).features(study, "raman.stage3", "average").reshape(8, 3, -1).mean(axis=1)
    np.testing.assert_allclose(network_of(fitted).features(bags, "raman.stage3", "average"), single, atol=1e-6)
    assert fitted.predict_proba(bags)["disease"].shape == (8, 2)


@pytest.mark.slow
def test_features_stand_as_a_member_of_an_ensemble_and_with_an_operating_point(make_study):
    study = make_study()
    own = {
        "net": NETWORK,
        "tree": TREE | {"operating_point": {"rule": "youden"}},
        "both": {"kind": "ensemble", "members": ["net", "tree"]},
    }
    built = build_recipes(own, study)
    fitted = built["both"].fit(study, 0)
    assert fitted.predict_proba(study)["disease"].shape == (24, 2)
    assert set(built["tree"].fit(study, 0).thresholds) == {"disease"}


def test_a_network_can_be_written_in_place(make_study):
    study = make_study()
    network = {k: v for k, v in NETWORK.items() if k != "kind"}
    own = build_recipes({"tree": TREE | {"features": {"from": network, "stage": "embedding"}}}, study)["tree"]
    assert own.fit(study, 0).predict_proba(study)["disease"].shape == (24, 2)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"features": CUT | {"from": "nett"}}, "unknown network recipe 'nett'; did you mean 'net'"),
        ({"features": {"stage": "raman.stage3"}}, "`from` is missing"),
        ({"features": CUT | {"stage": "raman.stage9"}}, r"features\.stage +unknown stage 'stage9'"),
        ({"features": CUT | {"steps": ["standardize"]}}, r"features\.steps +.*did you mean 'standardise'"),
        ({"model": "logistic"}, "unknown model 'logistic'"),
        (
            {"features": {"from": {"backbones": {"raman": "cnn"}}, "stage": "embedding", "copies": 1}},
            "copies are made by",
        ),
        ({"features": {"from": {"backbones": {"raman": "cnnn"}}, "stage": "embedding"}}, "features.network.* 'cnn'"),
    ],
)
def test_features_that_cannot_be_are_refused_before_anything_is_fitted(make_study, changes, message):
    with pytest.raises(ConfigError, match=message):
        build_recipes({"net": NETWORK, "tree": TREE | changes}, make_study())


def test_a_mapped_network_has_no_features_to_learn_from(make_study, tmp_path):
    study = make_study()
    fitted = build_recipes({"net": NETWORK}, study)["net"].fit(study, 0)
    save_pretrained(tmp_path / "w.safetensors", fitted)
    network = NETWORK | {"init": {"from": tmp_path / "w.safetensors"}, "head": "mapped"}
    with pytest.raises(ConfigError, match="features need no head"):
        build(study, network)


@pytest.mark.parametrize("name", ["features.parquet", "features.csv"])
def test_features_are_written_by_sample_with_their_labels(make_study, tmp_path, name):
    study = make_study()
    study = replace(study, labels=study.labels.where(study.patients[:, None] != study.patients[0], -1))
    fitted = build_recipes({"net": NETWORK}, study)["net"].fit(study, 0)
    save_pretrained(tmp_path / "w.safetensors", fitted)
    shuffled = study.take(np.random.default_rng(0).permutation(len(study)))
    frame = extract(load_network(tmp_path / "w.safetensors"), shuffled, "raman.stage2", "flat")
    write_features(frame, tmp_path / name)
    read = pd.read_parquet(tmp_path / name) if name.endswith("parquet") else pd.read_csv(tmp_path / name)
    found = read.set_index("sample").loc[study.ids]
    expected = fitted.features(study, "raman.stage2")
    np.testing.assert_allclose(found.filter(regex="^f[0-9]").to_numpy(), expected, rtol=1e-6)
    assert found["patient"].tolist() == study.patients.tolist()
    assert found["disease"].isna().sum() == 3
    assert found["disease"].iloc[3] == "yes"


def test_what_cannot_be_extracted_is_refused(make_study, tmp_path):
    study = make_study()
    save_weights(tmp_path / "w.safetensors", {"stem.weight": study_tensor()})
    with pytest.raises(ConfigError, match="holds weights without preprocessing"):
        load_network(tmp_path / "w.safetensors")
    fitted = build_recipes({"net": NETWORK}, study)["net"].fit(study, 0)
    with pytest.raises(ConfigError, match="unknown stage"):
        extract(fitted, study, "raman.stage9")
    with pytest.raises(AxisError, match="another axis"):
        extract(fitted, make_study(points=61), "raman.stage1")
    with pytest.raises(ConfigError, match=r"written as \.parquet or \.csv"):
        write_features(pd.DataFrame(), tmp_path / "x.xlsx")


def study_tensor():
    import torch

    return torch.ones(2)
