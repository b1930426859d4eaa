from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from polydx.errors import ConfigError, StudyError
from polydx.recipes.build import build_recipes
from polydx.recipes.network import FittedNetwork, watching_patients
from polydx.splits import inner_split
from polydx.study import RowIndex, Task

CONFIG = {
    "kind": "network",
    "backbones": {"raman": {"name": "cnn", "width": 8}},
    "preprocessing": {"raman": ["snv"]},
    "heads": {"disease": {"hidden": [8], "dropout": 0.2}},
    "augmentation": {"raman": ["offset", "scale", {"noise": {"amount": 0.05}}]},
    "training": {"epochs": 12, "batch_size": 8, "lr": 0.01},
}


def recipe(study, threads=1, **changes):
    return build_recipes({"net": CONFIG | changes}, study, threads)["net"]


def two_tasks(make_study, **options):
    """A second, noisy task with gaps, at sample level."""
    study = make_study(**options)
    codes = np.where(np.arange(len(study)) % 4 == 0, -1, np.arange(len(study)) % 3)
    tasks = {"disease": Task(("no", "yes")), "site": Task(("a", "b", "c"), level="sample")}
    return replace(study, tasks=tasks, labels=study.labels.assign(site=codes))


@pytest.mark.slow
def test_a_planted_band_is_learned_for_patients_not_seen(make_study):
    train, test = make_study(patients=16, effect=4.0), make_study(patients=10, effect=4.0, seed=5)
    fitted = recipe(train).fit(train, 0)
    found = fitted.predict_proba(test)["disease"]
    assert (found.argmax(axis=1) == test.label_codes("disease")).mean() > 0.9
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-12)


@pytest.mark.slow
def test_the_same_seed_gives_the_same_bytes_whatever_ran_before(make_study):
    study = two_tasks(make_study)
    first = recipe(study).fit(study, 4).predict_proba(study)
    torch.manual_seed(99)
    recipe(study).fit(study, 5)
    again = recipe(study).fit(study, 4).predict_proba(study)
    assert {t: p.tobytes() for t, p in first.items()} == {t: p.tobytes() for t, p in again.items()}


def test_the_global_random_state_is_left_alone(make_study):
    study = make_study()
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    recipe(study).fit(study, 0)
    torch.testing.assert_close(torch.rand(3), expected)


def test_a_saved_network_predicts_the_same_bytes(make_study):
    study = two_tasks(make_study)
    fitted = recipe(study).fit(study, 1)
    again = FittedNetwork.from_state(*fitted.state())
    assert again.predict_proba(study)["site"].tobytes() == fitted.predict_proba(study)["site"].tobytes()


def test_one_head_a_task_and_a_history_an_epoch(make_study):
    study = two_tasks(make_study)
    fitted = recipe(study, training={"epochs": 3, "patience": None}).fit(study, 0)
    assert {t: p.shape for t, p in fitted.predict_proba(study).items()} == {"disease": (24, 2), "site": (24, 3)}
    assert [row["epoch"] for row in fitted.history] == [0, 1, 2]
    assert "monitor" not in fitted.history[0]
    watched = recipe(study, training={"epochs": 3, "patience": 2}).fit(study, 0)
    assert {"loss/disease", "loss/site", "monitor/disease", "best"} <= set(watched.history[0])


def test_inner_patients_take_no_part_in_learning(make_study):
    study = make_study(patients=12)
    own = recipe(study)
    start = own.start(study, 0)
    train, monitor = start.train, start.monitor
    assert not set(train.patients.tolist()) & set(monitor.patients.tolist())
    assert len(train) + len(monitor) == len(study)


def test_one_task_is_watched_by_the_patients_of_a_plain_inner_split(make_study):
    study = make_study(patients=13)
    found, plain = watching_patients(study, 0.2, 3), inner_split(study, "disease", 0.2, 3)
    np.testing.assert_array_equal(found.test, plain.test)


def test_the_order_of_the_tasks_does_not_choose_who_watches(make_study):
    study = two_tasks(make_study, patients=12)
    turned = replace(study, tasks=dict(reversed(study.tasks.items())))
    for seed in range(5):
        first, second = watching_patients(study, 0.2, seed), watching_patients(turned, 0.2, seed)
        np.testing.assert_array_equal(first.test, second.test)


def test_a_task_with_few_labels_is_watched_too(make_study):
    """Four of twenty patients have an answer: by the first task alone, mostly none of them would watch."""
    study = make_study(patients=20)
    owner = study.patient_codes[0]
    codes = np.where(owner < 4, owner % 2, -1)
    tasks = {**study.tasks, "more": Task(("a", "b"))}
    study = replace(study, tasks=tasks, labels=study.labels.assign(more=codes))
    splits = [watching_patients(study, 0.2, seed) for seed in range(10)]
    alone = [inner_split(study, "disease", 0.2, seed) for seed in range(10)]
    assert all((codes[split.test] >= 0).any() for split in splits)
    assert not all((codes[split.test] >= 0).any() for split in alone)
    for split in splits:
        assert set(codes[split.train]) == {-1, 0, 1}
        assert not set(owner[split.train]) & set(owner[split.test])


def test_one_patient_can_spare_none_to_watch(make_study):
    study = two_tasks(make_study, patients=1, each=6)
    with pytest.raises(StudyError, match="1 patient in a training set: nothing can be held out"):
        recipe(study).fit(study, 0)


def test_raw_counts_are_brought_within_reach(make_study):
    study = make_study(patients=16, effect=4.0)
    spectra = study.spectra("raman")
    counts = replace(study, modalities={"raman": replace(spectra, values=spectra.values * 5000)})
    found = recipe(counts, preprocessing={}).fit(counts, 0).predict_proba(counts)["disease"]
    assert (found.argmax(axis=1) == counts.label_codes("disease")).mean() > 0.8


@pytest.mark.slow
def test_a_bag_gets_the_mean_of_its_spectra(make_study):
    study = make_study(patients=8, each=3)
    fitted = recipe(study).fit(study, 0)
    bags = replace(
        study.take(np.arange(0, 24, 3)),
        modalities=study.modalities,
        rows={"raman": RowIndex.from_lists([[3 * i, 3 * i + 1, 3 * i + 2] for i in range(8)])},
    )
    single = fitted.predict_proba(study)["disease"].reshape(8, 3, 2).mean(axis=1)
    np.testing.assert_allclose(fitted.predict_proba(bags)["disease"], single, atol=1e-6)
    assert recipe(bags).fit(bags, 0).predict_proba(bags)["disease"].shape == (8, 2)


def test_a_task_without_any_label_trains_without_nan(make_study):
    study = two_tasks(make_study)
    none = replace(study, labels=study.labels.assign(site=-1))
    fitted = recipe(none).fit(none, 0)
    assert all(np.isfinite(p).all() for p in fitted.predict_proba(none).values())


def test_features_are_cut_at_a_named_stage(make_study):
    study = make_study()
    fitted = recipe(study).fit(study, 0)
    assert fitted.features(study, "embedding").shape[0] == len(study)
    assert fitted.features(study, "raman.stage1").shape[0] == len(study)
    with pytest.raises(ConfigError, match="stage9"):
        fitted.features(study, "raman.stage9")


def test_tensorboard_holds_the_losses(make_study, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    study = make_study()
    fitted = recipe(study).fit(study, 0, log=tmp_path / "log")
    events = EventAccumulator(str(tmp_path / "log")).Reload()
    losses = [e.value for e in events.Scalars("loss")]
    np.testing.assert_allclose(losses, [row["loss"] for row in fitted.history], rtol=1e-5)
    assert "monitor" in events.Tags()["scalars"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"backbones": {"raman": {"name": "cnnn"}}}, "cnn"),
        ({"backbones": {"raman": {"name": "cnn", "widht": 3}}}, "widht"),
        ({"backbones": {"photo": {"name": "cnn"}}}, "no modality 'photo'; it has raman"),
        ({"neck": "averge"}, "average"),
        ({"heads": {"grade": {}}}, r"heads.grade +'grade' is none of disease"),
        ({"augmentation": {"raman": ["offsett"]}}, "augmentation offsett +unknown; expected one of offset"),
        ({"augmentation": {"raman": [{"noise": {"amont": 1}}]}}, "noise"),
        ({"preprocessing": {"raman": ["snvv"]}}, "did you mean 'snv'"),
        ({"preprocessing": {"clinical": []}}, "'clinical' is none of raman"),
        ({"training": {"task_weights": {"grade": 1.0}}}, "'grade' is none of disease"),
    ],
)
def test_a_network_that_cannot_be_is_refused_before_anything_is_fitted(make_study, change, message):
    with pytest.raises(ConfigError, match=message):
        recipe(make_study(), **change)
