import time

import numpy as np
import pytest
import torch
from sklearn.metrics import log_loss

from polydx.errors import ConfigError, StudyError
from polydx.models.network import build_network
from polydx.models.seeding import OwnStream
from polydx.training.freezing import freeze, train_mode
from polydx.training.loop import Fit, fit
from polydx.training.losses import LearnedTaskWeights
from polydx.training.monitor import patient_mean
from polydx.training.options import TrainingOptions
from polydx.training.predict import extract_features, predict_logits
from polydx.training.schedule import build_optimiser, rate_factor
from polydx.training.streams import shuffled_batches
from polydx.training.tensors import TensorSet, label_groups, tensor_set
from polydx.training.threads import limited_threads

POINTS = 120


def spectra(count, seed):
    """Two classes: a band at the same place, and a second one that is higher in class 1."""
    rng = np.random.default_rng(seed)
    axis, classes = np.linspace(0, 1, POINTS), rng.integers(0, 2, count)
    height = np.where(classes == 1, 1.0, 0.5)[:, None] * rng.uniform(0.8, 1.2, (count, 1))
    bands = np.exp(-((axis - 0.3) ** 2) / 0.002) + height * np.exp(-((axis - 0.7) ** 2) / 0.002)
    return bands + rng.normal(0, 0.1, bands.shape), classes


def rows(count, seed, **labels):
    x, y = spectra(count, seed)
    return tensor_set({"raman": x}, {"als": y, **labels}, patients=np.arange(count) // 2)


def network(seed=0, dropout=0.0, **backbone):
    return build_network(
        {"raman": (1, POINTS)},
        backbones={"raman": {"name": "cnn", "width": 8, **backbone}},
        heads={"als": {"classes": 2, "hidden": [8], "dropout": dropout}},
        seed=seed,
    )


def weights(net):
    return b"".join(v.numpy().tobytes() for v in net.state_dict().values())


def test_two_kinds_of_spectra_are_learned_in_seconds():
    net, test = network(), rows(200, 1)
    start = time.perf_counter()
    fit(net, rows(200, 0), options=TrainingOptions(epochs=8, batch_size=16, lr=0.005), seed=0)
    assert time.perf_counter() - start < 30
    answers = predict_logits(net, test.inputs)["als"].argmax(axis=1)
    assert (answers == test.labels["als"].numpy()).mean() > 0.95


def test_the_same_seed_gives_the_same_bytes_whatever_ran_before():
    options = TrainingOptions(epochs=2, batch_size=16, schedule="cosine", patience=2)
    jitter = {"raman": lambda x, g: x + 0.1 * torch.randn(x.shape, generator=g)}
    found = []
    for before in (0, 1, 2):
        if before:
            fit(network(9), rows(40, 5), options=options, seed=before)
            torch.rand(before)
        net = network(3, dropout=0.5)
        fit(net, rows(40, 0), rows(20, 1), options, seed=7, augment=jitter)
        found.append(weights(net))
    assert found[0] == found[1] == found[2]
    other = network(3, dropout=0.5)
    fit(other, rows(40, 0), rows(20, 1), options, seed=8, augment=jitter)
    assert weights(other) != found[0]


def test_a_fit_gives_the_global_stream_back():
    before = torch.get_rng_state()
    fit(network(dropout=0.5), rows(20, 0), options=TrainingOptions(epochs=1), seed=0)
    assert torch.equal(before, torch.get_rng_state())


def test_rows_without_any_label_do_not_change_the_fit():
    x, y = spectra(60, 0)
    kept = np.arange(60) % 3 > 0
    options = TrainingOptions(epochs=2, batch_size=16)
    some, masked = network(), network()
    fit(some, tensor_set({"raman": x[kept]}, {"als": y[kept]}), options=options, seed=0)
    fit(masked, tensor_set({"raman": x}, {"als": np.where(kept, y, -1)}), options=options, seed=0)
    assert weights(some) == weights(masked)


def test_a_last_batch_of_one_row_joins_the_one_before():
    batches = shuffled_batches(33, 16, torch.Generator().manual_seed(0))
    assert [len(b) for b in batches] == [16, 17]
    assert sorted(torch.cat(batches).tolist()) == list(range(33))
    net = build_network(
        {"raman": (1, POINTS)},
        backbones={"raman": {"name": "mlp", "batch_norm": True}},
        heads={"als": {"classes": 2}},
        seed=0,
    )
    fit(net, rows(33, 0), options=TrainingOptions(epochs=1, batch_size=16), seed=0)


def test_the_best_epoch_by_the_monitor_is_restored():
    net, monitor = network(), rows(40, 1)
    kept = []

    def keep(epoch, row):
        kept.append({k: v.clone() for k, v in net.state_dict().items()})

    options = TrainingOptions(epochs=6, batch_size=8, lr=0.05)
    history = fit(net, rows(40, 0), monitor, options, seed=0, on_epoch=keep)
    losses = [row["monitor"] for row in history.epochs]
    assert history.best_epoch == int(np.argmin(losses))
    assert all(torch.equal(kept[history.best_epoch][k], v) for k, v in net.state_dict().items())
    assert not net.training


def test_the_monitor_is_the_mean_over_patients():
    net, monitor = network(), rows(31, 1)
    options = TrainingOptions(epochs=1, batch_size=16)
    history = fit(net, rows(40, 0), monitor, options, seed=0)
    logits = predict_logits(net, monitor.inputs)["als"]
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    codes, y = monitor.patients.numpy(), monitor.labels["als"].numpy()
    by_patient = [log_loss(y[codes == c], p[codes == c], labels=[0, 1]) for c in np.unique(codes)]
    assert history.epochs[0]["monitor/als"] == pytest.approx(np.mean(by_patient), rel=1e-5)


def test_patients_with_many_rows_count_once():
    assert float(patient_mean(torch.tensor([1.0, 1.0, 1.0, 5.0]), torch.tensor([7, 7, 7, 3]))) == 3.0


def test_a_fit_stops_when_the_monitor_stays_worse():
    x, y = spectra(40, 1)
    contrary = tensor_set({"raman": x}, {"als": 1 - y})
    options = TrainingOptions(epochs=30, batch_size=8, lr=0.01, patience=2)
    history = fit(network(), rows(80, 0), contrary, options, seed=0)
    assert len(history.epochs) == history.best_epoch + 3 < 30


def test_several_tasks_with_missing_labels_are_fitted_together():
    x, y = spectra(60, 0)
    half = np.where(np.arange(60) < 30, y, -1)
    train = tensor_set({"raman": x}, {"als": half, "other": np.where(half < 0, 1 - y, -1)})
    net = build_network(
        {"raman": (1, POINTS)},
        backbones={"raman": {"name": "cnn", "width": 8}},
        heads={"als": {"classes": 2}, "other": {"classes": 2}},
        seed=0,
    )
    learned = LearnedTaskWeights(["als", "other"])
    history = fit(net, train, options=TrainingOptions(epochs=2, batch_size=8), seed=0, task_weights=learned)
    assert {"loss", "loss/als", "loss/other"} <= set(history.epochs[0])
    assert all(float(s.detach()) != 0 for s in learned.log_variance.values())


def test_mixup_within_classes_is_part_of_the_seeded_stream():
    options = TrainingOptions(epochs=1, batch_size=16, mixup=0.5)
    first, second, without = network(), network(), network()
    fit(first, rows(40, 0), options=options, seed=0)
    fit(second, rows(40, 0), options=options, seed=0)
    fit(without, rows(40, 0), options=TrainingOptions(epochs=1, batch_size=16), seed=0)
    assert weights(first) == weights(second) != weights(without)


def test_certain_probabilities_as_labels_train_like_codes():
    x, y = spectra(40, 0)
    options = TrainingOptions(epochs=2, batch_size=16)
    hard, soft = network(), network()
    fit(hard, tensor_set({"raman": x}, {"als": y}), rows(20, 1), options, seed=0)
    fit(soft, tensor_set({"raman": x}, {"als": np.eye(2)[y]}), rows(20, 1), options, seed=0)
    for key, value in hard.state_dict().items():
        torch.testing.assert_close(soft.state_dict()[key], value, atol=1e-4, rtol=1e-3)


def test_augmentation_sees_the_rows_to_learn_from_and_no_others():
    seen = []

    def mark(x, generator):
        seen.append(x.clone())
        return x

    train, options = rows(40, 0), TrainingOptions(epochs=1, batch_size=16)
    fit(network(), train, rows(20, 1), options, seed=0, augment={"raman": mark})
    passed = torch.cat(seen).flatten(1)
    assert sorted(map(tuple, passed.tolist())) == sorted(map(tuple, train.inputs["raman"].flatten(1).tolist()))


def test_rows_with_the_same_labels_in_every_task_are_one_group():
    found = label_groups(tensor_set({"r": np.zeros((4, 3))}, {"a": [0, 0, 1, 0], "b": [1, 1, 1, -1]})).tolist()
    assert found[0] == found[1]
    assert len({found[0], found[2], found[3]}) == 3


@pytest.mark.parametrize(
    "options",
    [
        {"optimiser": "sgd", "lr": 0.01, "gradient_clip": 1.0},
        {"optimiser": "adamw", "weight_decay": 0.01, "schedule": "onecycle"},
        {"precision": "bf16-mixed", "schedule": "step", "step_every": 1},
        {"schedule": "cosine", "warmup": 1},
    ],
)
def test_every_kind_of_fit_lowers_the_loss(options):
    history = fit(network(), rows(80, 0), options=TrainingOptions(epochs=4, batch_size=16, **options), seed=0)
    assert history.epochs[-1]["loss"] < history.epochs[0]["loss"]


def test_one_cycle_matches_torch():
    options = TrainingOptions(epochs=5, lr=0.1, schedule="onecycle")
    optimiser = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
    theirs = torch.optim.lr_scheduler.OneCycleLR(optimiser, max_lr=0.1, total_steps=20, cycle_momentum=False)
    for step in range(20):
        assert 0.1 * rate_factor(step, 4, options) == pytest.approx(theirs.get_last_lr()[0], rel=1e-9)
        if step < 19:
            optimiser.step()
            theirs.step()


def test_the_other_schedules_follow_their_definitions():
    def factors(**options):
        return [rate_factor(s, 2, TrainingOptions(epochs=4, **options)) for s in range(8)]

    assert factors() == [1.0] * 8
    assert factors(schedule="step", step_every=2, step_factor=0.5) == [1.0] * 4 + [0.5] * 4
    np.testing.assert_allclose(factors(schedule="cosine"), 0.5 * (1 + np.cos(np.pi * np.arange(8) / 8)))
    assert factors(warmup=2)[:4] == [0.25, 0.5, 0.75, 1.0]
    assert factors(schedule="onecycle")[0] == pytest.approx(1 / 25)


def test_optimisers_take_their_options():
    net = network()
    adam = build_optimiser(net.parameters(), TrainingOptions(betas=(0.5, 0.999), lr=0.02))
    assert (adam.defaults["betas"], adam.defaults["lr"]) == ((0.5, 0.999), 0.02)
    sgd = build_optimiser(net.parameters(), TrainingOptions(optimiser="sgd", momentum=0.8))
    assert sgd.defaults["momentum"] == 0.8


def test_frozen_stages_keep_their_weights_and_their_running_means():
    net = network()
    before = {k: v.clone() for k, v in net.state_dict().items()}
    freeze(net, ["backbones.raman.stem", "backbones.raman.stage1"])
    fit(net, rows(40, 0), options=TrainingOptions(epochs=2, batch_size=16), seed=0)
    frozen = ("backbones.raman.stem.", "backbones.raman.stage1.")
    for key, value in net.state_dict().items():
        assert torch.equal(value, before[key]) == key.startswith(frozen), key


def test_a_frozen_module_stays_in_evaluation():
    net = network()
    freeze(net, ["backbones.raman.stem"])
    train_mode(net)
    assert not net.backbone("raman").stem.bn.training
    assert net.backbone("raman").stage1.bn.training


@pytest.mark.parametrize(
    ("names", "message"),
    [(["backbones.raman.stm"], "unknown module 'backbones.raman.stm'.*Did you mean"), (["heads.x"], "unknown module")],
)
def test_freezing_what_is_not_there_is_refused(names, message):
    with pytest.raises(ConfigError, match=message):
        freeze(network(), names)


def test_a_network_that_is_frozen_whole_is_refused():
    net = network()
    net.requires_grad_(False)
    with pytest.raises(ConfigError, match="every parameter of the network is frozen"):
        fit(net, rows(10, 0), seed=0)


def test_a_fit_that_diverges_says_so():
    with pytest.raises(ConfigError, match="training diverged in epoch 0"):
        fit(network(), rows(40, 0), options=TrainingOptions(optimiser="sgd", lr=1e30, batch_size=4), seed=0)


def with_labels(**labels):
    return tensor_set({"raman": np.zeros((4, POINTS))}, labels)


@pytest.mark.parametrize(
    ("train", "monitor", "message"),
    [
        (with_labels(als=[-1, -1, 0, -1]), None, "at least 2 labelled training rows, but there are 1"),
        (with_labels(als=[0, 1, 0, 1]), with_labels(als=[-1] * 4), "at least 1 labelled monitor rows"),
        (with_labels(other=[0, 1, 0, 1]), None, "no labels for the tasks of the network: als"),
        (with_labels(als=[0, 1, 2, 0]), None, "has the class code 2, its head 2 classes"),
        (with_labels(als=np.full((4, 3), 1 / 3)), None, "has probabilities of 3 classes, its head 2"),
    ],
)
def test_rows_that_cannot_be_fitted_are_refused(train, monitor, message):
    with pytest.raises(StudyError, match=message):
        fit(network(), train, monitor, seed=0)


def test_every_problem_of_a_tensor_set_is_listed():
    x = torch.zeros(4, 1, 5)
    x[2] = float("nan")
    with pytest.raises(StudyError) as caught:
        TensorSet({"raman": x}, {"als": torch.zeros(3, dtype=torch.int64), "t": torch.tensor([0, -2, 0, 0])})
    text = str(caught.value)
    assert "expected 4 rows, found 3" in text
    assert "not finite (NaN or infinity) in rows 2" in text
    assert "-1 for no label" in text


def test_a_tensor_set_without_modalities_is_refused():
    with pytest.raises(StudyError, match="no modality"):
        TensorSet({}, {})


def test_every_impossible_option_is_listed():
    with pytest.raises(ConfigError) as caught:
        TrainingOptions(epochs=0, batch_size=1, lr=0.0, mixup=2.0, schedule="onecycle", warmup=1)
    assert {p.where for p in caught.value.problems} == {"epochs", "batch_size", "lr", "mixup", "warmup"}


@pytest.mark.parametrize("option", ["optimiser", "schedule", "precision"])
def test_unknown_choices_are_refused(option):
    with pytest.raises(ConfigError, match=f"unknown {option} 'best'"):
        TrainingOptions(**{option: "best"})


@pytest.mark.parametrize("batch_size", [1, 7, 64])
def test_answers_do_not_depend_on_the_batch_size(batch_size):
    net, x = network(dropout=0.5), rows(33, 0).inputs
    expected = predict_logits(net, x, 33)["als"]
    found = predict_logits(net, x, batch_size)["als"]
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_features_are_flattened_maps_or_the_embedding():
    net, x = network(), rows(9, 0).inputs
    stage = extract_features(net, x, "raman.stage2", batch_size=4)
    assert stage.shape == (9, 16 * 8)
    np.testing.assert_allclose(stage, net.features(x, "raman.stage2").flatten(1).detach().numpy(), atol=1e-5)
    assert extract_features(net, x, "embedding").shape == (9, net.embedding_width)


def test_the_number_of_threads_is_given_back():
    before = torch.get_num_threads()
    with limited_threads(before + 1):
        assert torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before
    with pytest.raises(ConfigError, match="at least 1"), limited_threads(0):
        pass


def test_fits_that_take_turns_give_what_each_gives_alone():
    """Batches, schedule, early stopping, unfreezing and every random stream belong to the fit."""
    jitter = {"raman": lambda x, g: x + 0.1 * torch.randn(x.shape, generator=g)}
    plans = [
        (3, TrainingOptions(epochs=4, batch_size=16, schedule="onecycle", mixup=0.5)),
        (7, TrainingOptions(epochs=6, batch_size=8, lr=0.05, patience=1, oversample="patient", unfreeze_every=2)),
    ]

    def fits():
        nets = [network(seed, dropout=0.5) for seed, _ in plans]
        return nets, [
            Fit(net, rows(40, seed), rows(20, 1), options, seed=seed, augment=jitter)
            for net, (seed, options) in zip(nets, plans, strict=True)
        ]

    alone, runs = fits()
    for run in runs:
        while not run.finished:
            run.epoch()
    together, turns = fits()
    while not all(run.finished for run in turns):
        for run in turns:
            if not run.finished:
                torch.rand(3)
                run.epoch()
    assert [run.finish() for run in runs] == [run.finish() for run in turns]
    assert [weights(net) for net in alone] == [weights(net) for net in together]
    once = network(3, dropout=0.5)
    fit(once, rows(40, 3), rows(20, 1), plans[0][1], seed=3, augment=jitter)
    assert weights(once) == weights(alone[0])


def test_a_stream_of_ones_own_goes_on_where_it_stood():
    stream, found = OwnStream(5), []
    for _ in range(3):
        torch.rand(2)
        before = torch.get_rng_state()
        with stream.borrowed():
            found.append(torch.rand(4))
        assert torch.equal(before, torch.get_rng_state())
    expected = torch.rand(12, generator=torch.Generator().manual_seed(5))
    assert torch.equal(torch.cat(found), expected)
