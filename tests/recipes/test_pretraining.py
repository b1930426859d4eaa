"""Pretraining as a step of a recipe: on the rows of the fold, on another study, and as a file of weights."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors import safe_open

import polydx.recipes.pretrain as module
from polydx.config import NetworkConfig
from polydx.errors import BundleError, ConfigError
from polydx.progress import Silent
from polydx.recipes import elsewhere as other_module
from polydx.recipes.build import build_recipes
from polydx.recipes.elsewhere import keep_pretrained
from polydx.recipes.network import FittedNetwork
from polydx.recipes.pretrain import load_pretrained, pretrain, save_pretrained
from polydx.recipes.provenance import seen, seen_in
from polydx.recipes.sources import Sources
from polydx.study import Spectra
from polydx.training.weights import save_weights

SIMCLR = {"method": "simclr", "epochs": 2, "batch_size": 12, "projection": [16, 8]}
CONFIG = {
    "kind": "network",
    "backbones": {"raman": {"name": "cnn", "width": 4}},
    "preprocessing": {"raman": ["snv"]},
    "augmentation": {"raman": ["offset", "scale", {"noise": {"amount": 0.2}}]},
    "training": {"epochs": 2, "batch_size": 8, "patience": None},
}


def recipe(study, **changes):
    return build_recipes({"net": CONFIG | changes}, study)["net"]


def config(**changes):
    return NetworkConfig.model_validate(CONFIG | changes)


@pytest.fixture
def elsewhere(make_study, monkeypatch):
    """Another study that recipes find under the name of a dataset."""

    def put(**options):
        found = make_study(seed=9, **options)
        found = replace(
            found, name="others", samples=found.samples.assign(patient="others/" + found.patients.astype(str))
        )
        monkeypatch.setattr(Sources, "load", lambda *_: found)
        other_module.pretrained.cache_clear()
        return found

    yield put
    other_module.pretrained.cache_clear()


@pytest.mark.parametrize("method", ["simclr", "supcon", "supervised"])
def test_a_pretraining_changes_the_fit_repeats_to_the_byte_and_leaves_its_curves(make_study, method):
    study = make_study()
    own = recipe(study, pretrain=SIMCLR | {"method": method})
    fitted = own.fit(study, 0)
    found = fitted.predict_proba(study)["disease"]
    assert own.fit(study, 0).predict_proba(study)["disease"].tobytes() == found.tobytes()
    assert recipe(study).fit(study, 0).predict_proba(study)["disease"].tobytes() != found.tobytes()
    assert [row["epoch"] for row in fitted.history] == [-2, -1, 0, 1]
    first, last = fitted.history[0], fitted.history[-1]
    assert np.isfinite(first["pretrain/loss"])
    assert "loss" in last
    assert "loss" not in first
    if method != "supervised":
        assert {"pretrain/knn/disease", "pretrain/spread", "pretrain/rank"} <= set(first)


def test_the_curves_stand_in_the_tensorboard_log(make_study, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    study = make_study()
    fitted = recipe(study, pretrain=SIMCLR).fit(study, 0, log=tmp_path)
    events = EventAccumulator(str(tmp_path)).Reload()
    found = [e.value for e in events.Scalars("pretrain/spread")]
    np.testing.assert_allclose(found, [row["pretrain/spread"] for row in fitted.history[:2]], rtol=1e-5)


def test_in_a_fold_only_the_rows_to_learn_from_are_seen(make_study, monkeypatch):
    """Rows of patients outside the training set, and of inner patients, carry values that would be recognised."""
    study = make_study(patients=12)
    spectra = study.spectra("raman")
    values = spectra.values.copy()
    own = recipe(
        study, preprocessing={"raman": []}, pretrain=SIMCLR, training={"epochs": 1, "batch_size": 8, "patience": 2}
    )
    train = study.take(np.arange(27))
    monitor = own.start(train, 0).monitor
    inner = {train.patient_codes[1][i] for i in monitor.patients.unique().tolist()}
    planted = study.patients[27:].tolist() + sorted(inner)
    values[np.isin(study.patients, planted), 0] = 12345
    study = replace(study, modalities={"raman": Spectra(values, spectra.axis)})
    looked = []
    inside = module.fit_contrastive
    monkeypatch.setattr(
        module, "fit_contrastive", lambda net, rows, *a, **k: looked.append(rows) or inside(net, rows, *a, **k)
    )
    start = own.start(study.take(np.arange(27)), 0)
    (rows,) = looked
    assert len(rows) == len(start.train) < 27
    top = rows.inputs["raman"][:, 0, 0].max()
    assert top < start.monitor.inputs["raman"][:, 0, 0].min()


def test_another_study_is_used_in_full_once_for_all_folds(make_study, elsewhere, monkeypatch):
    others, study = elsewhere(patients=6), make_study()
    looked = []
    inside = module.fit_contrastive
    monkeypatch.setattr(
        module, "fit_contrastive", lambda net, rows, *a, **k: looked.append(len(rows)) or inside(net, rows, *a, **k)
    )
    own = recipe(study, pretrain=SIMCLR | {"dataset": "covid-saliva"})
    first = own.start(study.take(np.arange(12)), 0).fitted
    second = own.start(study.take(np.arange(12, 24)), 1).fitted
    assert looked == [18]
    a, b = first.network.state_dict(), second.network.state_dict()
    assert all(torch.equal(a[k], b[k]) for k in a if k.startswith("backbones"))
    assert not torch.equal(a["heads.disease.layers.out.weight"], b["heads.disease.layers.out.weight"])
    assert seen(own) == seen_in(others)
    assert first.manifest.seen == seen_in(others) | seen_in(study.take(np.arange(12)))


def test_another_study_is_brought_onto_the_axis_of_the_recipe(make_study, elsewhere, monkeypatch):
    others, study = elsewhere(points=80), make_study(points=60)
    own = recipe(
        study, pretrain=SIMCLR | {"method": "supervised", "study": {"dataset": "als-saliva"}, "task": "disease"}
    )
    own.fit(study, 0)
    # What it saw is told by the spectra as they were read, not as they were resampled.
    assert seen(own).hashes == seen_in(others).hashes
    spectra = others.spectra("raman")
    short = replace(others, modalities={"raman": Spectra(spectra.values[:, 20:], spectra.axis[20:])})
    monkeypatch.setattr(Sources, "load", lambda *_: short)
    with pytest.raises(
        ConfigError, match="study 'others' is on another axis: .* a step `resample` brings both onto one"
    ):
        recipe(study, pretrain=SIMCLR | {"dataset": "als-saliva"})
    common = {"raman": [{"resample": {"start": 900, "stop": 1500, "step": 12}}, "snv"]}
    other_module.pretrained.cache_clear()
    start = recipe(study, preprocessing=common, pretrain=SIMCLR | {"dataset": "als-saliva"}).start(study, 0)
    assert start.fitted.plan["shapes"] == {"raman": [1, 51]}


def test_weights_on_disk_say_what_they_saw_and_how(make_study, tmp_path):
    study = make_study()
    fitted = pretrain(study, config(pretrain=SIMCLR), 3)
    save_pretrained(tmp_path / "w.safetensors", fitted)
    with safe_open(tmp_path / "w.safetensors", "numpy") as file:
        metadata = file.metadata()
    manifest = json.loads(metadata["model"])["manifest"]
    assert manifest["method"] == "simclr"
    assert manifest["study"] == "tiny"
    assert manifest["patients"] == sorted(set(study.patients))
    assert set(manifest["hashes"]) == set(study.content_hashes()["raman"])
    np.testing.assert_array_equal(manifest["axes"]["raman"], study.spectra("raman").axis)
    assert [step["name"] for step in manifest["preprocessing"]["raman"]] == ["snv"]
    again = pretrain(study, config(pretrain=SIMCLR), 3)
    save_pretrained(tmp_path / "again.safetensors", again)
    assert (tmp_path / "w.safetensors").read_bytes() == (tmp_path / "again.safetensors").read_bytes()


def test_weights_from_simulated_data_say_so_wherever_they_go(make_study, tmp_path):
    cohort = replace(make_study(seed=4), simulated=True)
    cohort = replace(cohort, samples=cohort.samples.assign(patient="drawn/" + cohort.patients.astype(str)))
    save_pretrained(tmp_path / "w.safetensors", pretrain(cohort, config(pretrain=SIMCLR), 0))
    study = make_study()
    fitted = recipe(study, init={"from": tmp_path / "w.safetensors"}).fit(study, 0)
    assert "the weights it starts from were fitted on SIMULATED data" in fitted.notes
    assert fitted.manifest.seen.simulated


def test_a_supervised_pretraining_answers_the_tasks_of_its_study(make_study):
    study = make_study(patients=16, effect=4.0)
    section = {"method": "supervised", "epochs": 12, "batch_size": 8, "lr": 0.01}
    fitted = pretrain(study, config(backbones={"raman": {"name": "cnn", "width": 8}}, pretrain=section), 0)
    found = fitted.predict_proba(study)["disease"]
    assert (found.argmax(axis=1) == study.label_codes("disease")).mean() > 0.9
    again = FittedNetwork.from_state(*fitted.state())
    assert again.manifest == fitted.manifest
    contrastive = pretrain(study, config(pretrain=SIMCLR), 0)
    assert contrastive.predict_proba(study) == {}
    assert contrastive.features(study, "embedding").shape[0] == len(study)


def test_what_weights_saw_is_handed_on_from_fit_to_fit(make_study, tmp_path):
    first, second = make_study(seed=1), make_study(seed=2)
    first = replace(first, samples=first.samples.assign(patient="first/" + first.patients.astype(str)))
    save_pretrained(tmp_path / "a.safetensors", pretrain(first, config(pretrain=SIMCLR), 0))
    init = {"from": tmp_path / "a.safetensors"}
    save_pretrained(tmp_path / "b.safetensors", recipe(second, init=init).fit(second, 0))
    third = recipe(make_study(seed=3), init={"from": tmp_path / "b.safetensors"})
    assert seen(third) == seen_in(first) | seen_in(second)
    assert pretrain(second, config(pretrain=SIMCLR, init=init), 0).manifest.seen == seen_in(first) | seen_in(second)


@pytest.mark.parametrize(
    ("section", "changes", "message"),
    [
        ({}, {"augmentation": {}}, "two views of a sample need one"),
        ({"augmentation": {"image": ["offset"]}}, {}, "'image' is none of raman"),
        ({"task": "disease"}, {}, "simclr uses no labels"),
        ({"method": "supcon", "task": "grade"}, {}, "'grade' is none of disease"),
        ({"schedule": "onecycle", "warmup": 1.0}, {}, "onecycle brings its own warm-up"),
    ],
)
def test_a_pretraining_that_cannot_be_is_refused_before_anything_is_fitted(make_study, section, changes, message):
    study = make_study()
    with pytest.raises(ConfigError, match=message):
        recipe(study, pretrain=SIMCLR | section, **changes)
    with pytest.raises(ConfigError, match="the pretraining cannot be done"):
        pretrain(study, config(pretrain=SIMCLR | section, **changes), 0)


def test_a_recipe_without_the_section_cannot_be_pretrained(make_study):
    with pytest.raises(ConfigError, match="has no `pretrain:` section"):
        pretrain(make_study(), config(), 0)


def test_another_study_without_the_modality_is_refused(make_study, elsewhere, monkeypatch):
    others, study = elsewhere(), make_study()
    renamed = replace(others, modalities={"ir": others.modalities["raman"]}, rows={"ir": others.rows["raman"]})
    monkeypatch.setattr(Sources, "load", lambda *_: renamed)
    with pytest.raises(ConfigError, match="study 'others' has not spectra 'raman' for every sample"):
        recipe(study, pretrain=SIMCLR | {"dataset": "covid-saliva"})


def test_spectra_of_the_other_study_that_a_step_refuses_are_told_before_anything_is_fitted(
    make_study, elsewhere, monkeypatch
):
    others, study = elsewhere(), make_study()
    values = others.spectra("raman").values.copy()
    values[5] = 1.0
    flat = replace(others, modalities={"raman": Spectra(values, others.spectra("raman").axis)})
    monkeypatch.setattr(Sources, "load", lambda *_: flat)
    with pytest.raises(ConfigError, match="study 'others': SNV: row 5 is constant"):
        recipe(study, pretrain=SIMCLR | {"dataset": "covid-saliva"})


def test_a_study_that_is_not_there_is_told_where_it_is_named(make_study, tmp_path, monkeypatch):
    monkeypatch.delenv("POLYDX_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    study = make_study()
    with pytest.raises(ConfigError, match=r"net\.pretrain\.study.*no such folder"):
        build_recipes({"net": CONFIG | {"pretrain": SIMCLR | {"dataset": "covid-saliva"}}}, study, data=tmp_path)
    with pytest.raises(ConfigError, match="give either `dataset: NAME` or `study"):
        recipe(study, pretrain=SIMCLR | {"dataset": "covid-saliva", "study": {"dataset": "als-saliva"}})


def test_recipes_that_start_alike_share_one_pretraining_kept_on_disk(make_study, elsewhere, monkeypatch, tmp_path):
    elsewhere(patients=6)
    study, fits = make_study(), []
    inside = module.fit_contrastive
    monkeypatch.setattr(module, "fit_contrastive", lambda *a, **k: fits.append(1) or inside(*a, **k))
    start = CONFIG | {"pretrain": SIMCLR | {"dataset": "covid-saliva"}}
    views = start | {"pretrain": start["pretrain"] | {"augmentation": CONFIG["augmentation"]}, "augmentation": {}}
    asked = {
        "one": start,
        "longer": start | {"training": CONFIG["training"] | {"epochs": 3}},
        "plain": views,
        "frozen": {
            "kind": "features", "features": {"from": "one", "stage": "raman.stage2", "train": False},
            "model": "decision_tree",
        },
        "both": {"kind": "ensemble", "members": ["one", "longer"]},
    }  # fmt: skip
    built = build_recipes(asked, study, store=tmp_path)
    keep_pretrained(built.values(), study, 1, Silent())
    keep_pretrained(built.values(), study, 1, Silent())
    assert (len(fits), len(list(tmp_path.glob("*.safetensors")))) == (1, 1)
    found = built["one"].fit(study, 0)
    other_module.pretrained.cache_clear()
    alone = build_recipes({"one": start}, study)["one"].fit(study, 0)
    assert len(fits) == 2
    assert np.array_equal(found.predict_proba(study)["disease"], alone.predict_proba(study)["disease"])
    assert (found.history, found.manifest, found.notes) == (alone.history, alone.manifest, alone.notes)
    changed = build_recipes({"one": start | {"pretrain": start["pretrain"] | {"seed": 1}}}, study, store=tmp_path)
    keep_pretrained(changed.values(), study, 1, Silent())
    assert len(list(tmp_path.glob("*.safetensors"))) == 2


def test_a_damaged_pretraining_on_disk_is_done_again(make_study, elsewhere, tmp_path):
    elsewhere(patients=6)
    study = make_study()
    built = build_recipes({"net": CONFIG | {"pretrain": SIMCLR | {"dataset": "covid-saliva"}}}, study, store=tmp_path)
    keep_pretrained(built.values(), study, 1, Silent())
    (file,) = tmp_path.glob("*.safetensors")
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    keep_pretrained(built.values(), study, 1, Silent())
    assert file.read_bytes() == whole


def test_weights_of_another_kind_are_no_pretraining(make_study, tmp_path):
    fitted = recipe(make_study()).fit(make_study(), 0)
    save_weights(tmp_path / "w.safetensors", fitted.network.state_dict())
    with pytest.raises(BundleError, match="holds no network that polydx has pretrained"):
        load_pretrained(tmp_path / "w.safetensors")


def test_the_source_network_as_it_is_answers_through_a_map_of_its_classes(make_study, elsewhere):
    others = elsewhere(patients=6, effect=6.0)
    turned = make_study(effect=6.0, labels=1 - make_study().labels)
    section = {"method": "supervised", "dataset": "covid-saliva", "epochs": 30, "lr": 0.01}
    own = recipe(turned, head="mapped", pretrain=section)
    one, other = own.fit(turned.take(np.arange(12)), 0), own.fit(turned.take(np.arange(12, 24)), 1)
    a, b = one.network.state_dict(), other.network.state_dict()
    assert all(torch.equal(a[key], b[key]) for key in a)
    assert one.mapping.source == "disease"
    assert one.manifest.seen.patients >= set(others.patients)
    held_out = turned.take(np.arange(12, 24))
    right = one.predict_proba(held_out)["disease"].argmax(axis=1) == held_out.label_codes("disease")
    assert right.mean() > 0.9


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"dataset": "covid-saliva"}, "`head: mapped` needs a network that answers"),
        ({"method": "supervised"}, "`head: mapped` needs a network that answers"),
    ],
)
def test_only_a_network_that_answers_can_be_mapped(make_study, section, message):
    with pytest.raises(ConfigError, match=message):
        recipe(make_study(), head="mapped", pretrain=SIMCLR | section)
    with pytest.raises(ConfigError, match="give either `init: {from: ...}` or `pretrain`"):
        recipe(make_study(), head="mapped")


def test_of_several_tasks_one_is_named_to_be_mapped(make_study, elsewhere, monkeypatch):
    others, study = elsewhere(), make_study()
    two = replace(others, tasks=others.tasks | {"more": others.tasks["disease"]}, labels=others.labels.assign(more=0))
    monkeypatch.setattr(Sources, "load", lambda *_: two)
    section = {"method": "supervised", "dataset": "covid-saliva", "epochs": 1}
    with pytest.raises(ConfigError, match="which task of 'others' is mapped\\? Name one of disease, more"):
        recipe(study, head="mapped", pretrain=section)
    assert recipe(study, head="mapped", pretrain=section | {"task": "disease"}).fit(study, 0).mapping is not None


@pytest.mark.parametrize(("given", "expected"), [({}, 5), ({"threads": 1}, 1)])
def test_the_command_fits_on_all_cores_unless_told_how_many(given, expected, tmp_path, monkeypatch):
    from polydx import workflows

    asked = []
    monkeypatch.setattr(workflows.os, "cpu_count", lambda: 5)
    monkeypatch.setattr(module, "pretrain", lambda *a: asked.append(a[3]) or SimpleNamespace(notes=["told"]))
    monkeypatch.setattr(module, "save_pretrained", lambda *_: None)
    (tmp_path / "study.yaml").write_text(
        "study: {dataset: simulated-tumour, options: {patients: 21, spectra_per_patient: 1, points: 32}}\n"
        "recipes: {net: {kind: network, backbones: {raman: cnn}, pretrain: {method: simclr}}}\n"
    )
    out = tmp_path / "w.safetensors"
    assert workflows.pretrain(tmp_path / "study.yaml", recipe="net", out=out, **given) == (out, ["told"])
    assert asked == [expected]
