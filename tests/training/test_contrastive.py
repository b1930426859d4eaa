import math

import numpy as np
import pytest
import torch
from sklearn.neighbors import KNeighborsClassifier
from torch.nn import functional

from polydx.errors import ConfigError, StudyError
from polydx.models.network import build_network
from polydx.training.contrastive import ContrastiveNetwork, nt_xent, supervised_contrastive
from polydx.training.options import TrainingOptions
from polydx.training.predict import extract_features
from polydx.training.pretrain import ContrastiveOptions, fit_contrastive
from polydx.training.probe import effective_rank, knn_accuracy, selection, spread
from polydx.training.tensors import tensor_set

SMALL = ContrastiveOptions(hidden=16, width=8)


def views(count=5, width=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [functional.normalize(torch.randn(count, width, generator=generator), dim=1) for _ in range(2)]


def slow(first, second, groups, temperature):
    """Khosla et al. (2020), equation 2, written out."""
    z, groups = torch.cat([first, second]).double().tolist(), [*groups, *groups]

    def kernel(i, j):
        return math.exp(sum(a * b for a, b in zip(z[i], z[j], strict=True)) / temperature)

    losses = []
    for i in range(len(z)):
        others = sum(kernel(i, a) for a in range(len(z)) if a != i)
        positives = [p for p in range(len(z)) if p != i and groups[p] == groups[i]]
        losses.append(-sum(math.log(kernel(i, p) / others) for p in positives) / len(positives))
    return sum(losses) / len(losses)


@pytest.mark.parametrize("temperature", [0.1, 0.5])
def test_nt_xent_is_the_published_formula(temperature):
    first, second = views()
    assert float(nt_xent(first, second, temperature)) == pytest.approx(
        slow(first, second, range(5), temperature), rel=1e-5
    )


def test_the_supervised_loss_is_the_published_formula():
    first, second = views()
    found = supervised_contrastive(first, second, torch.tensor([0, 1, 0, 1, 1]), 0.2)
    assert float(found) == pytest.approx(slow(first, second, [0, 1, 0, 1, 1], 0.2), rel=1e-5)


def test_without_labels_the_supervised_loss_is_nt_xent():
    first, second = views()
    found = supervised_contrastive(first, second, torch.full((5,), -1), 0.5)
    torch.testing.assert_close(found, nt_xent(first, second, 0.5))


def test_views_that_agree_cost_less_than_views_that_do_not():
    first, second = views(8, 16)
    assert nt_xent(first, first) < nt_xent(first, second)


def test_the_probe_is_nearest_neighbours_among_other_patients(rng):
    codes = np.repeat([0, 1, 2], 20)
    patients = np.arange(60) // 4
    x = rng.normal(size=(60, 6)) + codes[:, None]
    right = []
    for patient in range(15):
        own = patients == patient
        model = KNeighborsClassifier(5, metric="cosine").fit(x[~own], codes[~own])
        votes = model.predict_proba(x[own])
        clear = (votes == votes.max(axis=1, keepdims=True)).sum(axis=1) == 1
        right += [(c, p == c) for c, p, ok in zip(codes[own], model.predict(x[own]), clear, strict=True) if ok]
    kept = len(right) / 60
    expected = np.mean([np.mean([r for c, r in right if c == k]) for k in range(3)])
    assert kept > 0.8
    assert knn_accuracy(x, codes, patients) == pytest.approx(expected, abs=1 - kept + 1e-9)


def test_recognising_the_patient_is_worth_nothing_to_the_probe(rng):
    patients = np.repeat(np.arange(12), 5)
    codes = patients % 2
    identity = np.eye(12)[patients] + rng.normal(size=(60, 12)) * 0.01
    assert knn_accuracy(identity, codes, patients) < 0.8
    assert knn_accuracy(identity, codes, np.arange(60)) == 1.0


def test_a_probe_of_one_class_or_patient_says_nothing():
    x = np.ones((4, 2))
    assert knn_accuracy(x, np.zeros(4, dtype=np.int64), np.arange(4)) is None
    assert knn_accuracy(x, np.array([0, 1, 0, 1]), np.zeros(4, dtype=np.int64)) is None
    assert knn_accuracy(x, np.full(4, -1), np.arange(4)) is None


def test_spread_and_rank_tell_a_collapse(rng):
    sphere = rng.normal(size=(4000, 10))
    assert spread(sphere) == pytest.approx(1, abs=0.02)
    assert spread(np.ones((50, 10))) == pytest.approx(0, abs=1e-9)
    assert effective_rank(sphere) == pytest.approx(10, abs=0.1)
    assert effective_rank(np.outer(rng.normal(size=50), rng.normal(size=10))) == pytest.approx(1, abs=1e-6)
    assert effective_rank(np.ones((5, 3))) == 0
    assert len(selection(np.arange(10_000))) == 2000


def toy(patients=16, each=5, points=64, seed=0):
    """The class is a narrow band under random baselines, which the views change and the class does not."""
    rng = np.random.default_rng(seed)
    codes = np.repeat(np.arange(patients) % 2, each)
    grid = np.linspace(0, 1, points)
    band = np.exp(-(((grid[None] - np.where(codes, 0.3, 0.6)[:, None]) / 0.03) ** 2))
    x = band * 1.5 + rng.normal(size=(len(codes), points)) * 0.15
    x += rng.normal(size=(len(codes), 1)) * 2 + rng.normal(size=(len(codes), 1)) * 3 * (grid - 0.5)
    return tensor_set({"raman": x}, {"disease": codes}, np.repeat(np.arange(patients), each))


def network(seed=0):
    return build_network({"raman": (1, 64)}, backbones={"raman": {"name": "cnn", "width": 8}}, heads={}, seed=seed)


def baselines(x, generator):
    offset = torch.randn(len(x), 1, 1, generator=generator) * 2
    slope = torch.randn(len(x), 1, 1, generator=generator) * 3 * (torch.linspace(0, 1, x.shape[-1]) - 0.5)
    return x + offset + slope + 0.15 * torch.randn(x.shape, generator=generator)


def pretrained(seed=0, epochs=12, **options):
    net, rows = network(), toy()
    chosen = TrainingOptions(epochs=epochs, batch_size=40, lr=3e-3)
    history = fit_contrastive(
        net, rows, chosen, ContrastiveOptions(hidden=32, width=16, **options), seed=seed, augment={"raman": baselines}
    )
    return net, rows, history


def test_simclr_finds_the_classes_without_labels():
    _, rows, history = pretrained()
    start = knn_accuracy(
        extract_features(network(), rows.inputs, "embedding"), rows.labels["disease"].numpy(), rows.patients.numpy()
    )
    assert history.epochs[-1]["knn/disease"] > start + 0.1
    assert history.epochs[-1]["spread"] > 0.2
    assert history.epochs[-1]["loss"] < history.epochs[0]["loss"]


def test_supervised_contrast_separates_the_classes():
    assert pretrained(task="disease")[2].epochs[-1]["knn/disease"] > 0.9


def test_pretraining_repeats_to_the_byte_whatever_ran_before():
    one = pretrained(epochs=2)[0].state_dict()
    torch.manual_seed(7)
    torch.rand(100)
    other = pretrained(epochs=2)[0].state_dict()
    assert all(torch.equal(one[k], other[k]) for k in one)
    third = pretrained(epochs=2, seed=1)[0].state_dict()
    assert not torch.equal(one["backbones.raman.stem.conv.weight"], third["backbones.raman.stem.conv.weight"])


def test_a_last_batch_of_one_row_and_missing_labels_are_no_problem():
    rows = tensor_set({"raman": np.random.default_rng(0).normal(size=(9, 64))}, {"disease": np.full(9, -1)})
    options = TrainingOptions(epochs=1, batch_size=4)
    chosen = ContrastiveOptions(hidden=16, width=8, task="disease")
    history = fit_contrastive(network(), rows, options, chosen, seed=0, augment={"raman": baselines})
    assert math.isfinite(history.epochs[0]["loss"])
    assert "knn/disease" not in history.epochs[0]


def test_gradients_reach_everything_but_the_heads():
    module = ContrastiveNetwork(network(), 16, 8)
    first, second = module({"raman": torch.randn(12, 1, 64)}).chunk(2)
    torch.testing.assert_close(first.norm(dim=1), torch.ones(6))
    nt_xent(first, second).backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in module.parameters())


def test_what_cannot_be_pretrained_is_refused():
    options = TrainingOptions(epochs=1, lr=1e-3)
    with pytest.raises(ConfigError, match="the two views are the same"):
        fit_contrastive(network(), toy(), options, SMALL, seed=0, augment={})
    one = tensor_set({"raman": np.zeros((1, 64))}, {"disease": [0]})
    with pytest.raises(StudyError, match="at least 2 rows"):
        fit_contrastive(network(), one, options, SMALL, seed=0, augment={"raman": baselines})
    with pytest.raises(ConfigError, match="pretraining diverged in epoch 0"):
        fit_contrastive(network(), toy(), options, SMALL, seed=0, augment={"raman": lambda x, _: x * torch.nan})
