import numpy as np
import pytest
import torch

from polydx.errors import ConfigError
from polydx.models.network import build_network
from polydx.training.freezing import freeze, layers_from_the_top
from polydx.training.loop import fit
from polydx.training.losses import OrdinalCrossEntropy
from polydx.training.options import TrainingOptions
from polydx.training.sampling import row_weights
from polydx.training.streams import shuffled_batches
from polydx.training.tensors import tensor_set


def network(heads=None):
    return build_network(
        {"raman": (1, 64)},
        backbones={"raman": {"name": "cnn", "width": 4}},
        heads=heads or {"disease": {"classes": 2}},
        seed=0,
    )


def rows(n=24, seed=0):
    rng = np.random.default_rng(seed)
    return tensor_set({"raman": rng.normal(size=(n, 64))}, {"disease": np.arange(n) % 2}, np.arange(n) // 3)


def copy(net):
    return {k: v.clone() for k, v in net.state_dict().items()}


def changed(net, before):
    return {k for k, v in net.state_dict().items() if not torch.equal(v, before[k])}


def test_layers_run_from_the_heads_down_to_the_stem():
    net = network()
    layers = layers_from_the_top(net)
    assert sum(map(len, layers)) == len(list(net.parameters()))
    assert {id(p) for p in layers[0]} == {id(p) for p in net.heads.parameters()}
    assert {id(p) for p in layers[1]} == {id(p) for p in net.backbone("raman").stage4.parameters()}
    assert {id(p) for p in layers[-1]} == {id(p) for p in net.backbone("raman").stem.parameters()}


def test_every_free_parameter_learns_and_no_frozen_one_nor_its_batch_norm():
    net = network()
    freeze(net, ["backbones.raman.stem", "backbones.raman.stage1"])
    before = copy(net)
    fit(net, rows(), options=TrainingOptions(epochs=2, batch_size=8), seed=0)
    frozen = {k for k in before if k.startswith(("backbones.raman.stem", "backbones.raman.stage1."))}
    assert frozen
    assert changed(net, before) == set(before) - frozen


def test_stages_start_to_learn_one_after_the_other_from_the_top():
    net = network()
    before, seen = copy(net), []

    def look(epoch, _):
        parts = {
            k.split(".")[2] if k.startswith("back") else "heads" for k in changed(net, before) if "num_batches" not in k
        }
        seen.append(parts)

    fit(net, rows(), options=TrainingOptions(epochs=6, batch_size=8, unfreeze_every=1), seed=0, on_epoch=look)
    order = ["heads", "stage4", "stage3", "stage2", "stage1", "stem"]
    assert seen == [set(order[: i + 1]) for i in range(6)]


def test_what_is_frozen_for_good_is_not_unfrozen():
    net = network()
    freeze(net, ["backbones.raman.stage4"])
    before = copy(net)
    fit(net, rows(), options=TrainingOptions(epochs=2, batch_size=8, unfreeze_every=1), seed=0)
    parts = {k.split(".")[2] for k in changed(net, before) if k.startswith("backbones")}
    assert parts == {"stage3"}


def test_patience_waits_for_the_stages_that_are_still_to_come():
    lost = rows(seed=1)
    history = fit(
        network(), rows(), lost, TrainingOptions(epochs=9, batch_size=8, lr=0.5, unfreeze_every=3, patience=3), seed=0
    )
    assert len(history.epochs) > 6


def test_deeper_stages_take_smaller_steps():
    """With plain gradient descent a step is rate x gradient: the ratio of two fits tells the rates."""
    steps = {}
    for decay in (1.0, 0.5):
        net = network()
        before = copy(net)
        options = TrainingOptions(epochs=1, batch_size=24, lr=1e-3, optimiser="sgd", momentum=0.0, layer_lr_decay=decay)
        fit(net, rows(), options=options, seed=0)
        steps[decay] = {
            k: (v - before[k]).abs().sum() for k, v in net.state_dict().items() if k.endswith("conv.weight")
        }
    for depth, stage in enumerate(["stage4", "stage3", "stage2", "stage1", "stem"], start=1):
        key = f"backbones.raman.{stage}.conv.weight"
        assert float(steps[0.5][key] / steps[1.0][key]) == pytest.approx(0.5**depth, rel=1e-2)


def test_patients_and_classes_with_few_rows_come_up_as_often_as_the_others():
    patients = np.repeat([0, 1, 2], [1, 3, 8])
    codes = np.array([0] * 4 + [1] * 7 + [-1])
    both = tensor_set({"raman": np.zeros((12, 4))}, {"disease": codes, "site": np.zeros(12, dtype=int)}, patients)
    weights = row_weights(both, "patient").numpy()
    np.testing.assert_allclose(np.bincount(patients, weights), 1)
    only = tensor_set({"raman": np.zeros((12, 4))}, {"disease": codes}, patients)
    weights = row_weights(only, "class").numpy()
    np.testing.assert_allclose(np.bincount(codes[:11], weights[:11]), 0.5)
    assert weights[11] == 0
    assert (row_weights(both, "class").numpy() > 0).all()
    assert row_weights(both, "none") is None
    soft = tensor_set({"raman": np.zeros((3, 4))}, {"disease": [[0.9, 0.1], [0.2, 0.8], [0.4, 0.6]]})
    np.testing.assert_allclose(row_weights(soft, "class").numpy(), [0.5, 0.25, 0.25])


def test_oversampling_draws_by_weight_with_replacement_and_by_seed():
    weights = torch.tensor([0.9, 0.1] + [0.0] * 98, dtype=torch.float64)
    drawn = torch.cat(shuffled_batches(100, 10, torch.Generator().manual_seed(0), weights))
    again = torch.cat(shuffled_batches(100, 10, torch.Generator().manual_seed(0), weights))
    assert torch.equal(drawn, again)
    assert set(drawn.tolist()) == {0, 1}
    assert 80 <= (drawn == 0).sum() <= 98


def test_oversampling_takes_part_in_the_fit():
    nets = {}
    for how in ("none", "patient"):
        nets[how] = network()
        uneven = tensor_set(
            {"raman": rows().inputs["raman"].numpy()}, {"disease": np.arange(24) % 2}, np.array([0] * 20 + [1, 2, 3, 4])
        )
        fit(nets[how], uneven, options=TrainingOptions(epochs=1, batch_size=8, oversample=how), seed=0)
    assert changed(nets["none"], copy(nets["patient"]))


def test_the_ordinal_loss_leans_towards_neighbours():
    loss = OrdinalCrossEntropy(4, spread=1.0)
    expected = np.exp(-np.abs(np.arange(4) - 1.0))
    np.testing.assert_allclose(loss.targets[1].numpy(), expected / expected.sum(), rtol=1e-6)
    near, far = torch.tensor([[0.0, 0.0, 4.0, 0.0]]), torch.tensor([[0.0, 0.0, 0.0, 4.0]])
    assert loss(near, torch.tensor([1])) < loss(far, torch.tensor([1]))
    sharp = OrdinalCrossEntropy(4, spread=1e-3, class_weights=[1, 2, 1, 1])
    plain = torch.nn.functional.cross_entropy(near, torch.tensor([1]))
    torch.testing.assert_close(sharp(near, torch.tensor([1]))[0], 2 * plain)


@pytest.mark.parametrize(
    ("options", "where"),
    [({"layer_lr_decay": 0.0}, "layer_lr_decay"), ({"unfreeze_every": -1}, "unfreeze_every")],
)
def test_impossible_options_are_refused(options, where):
    with pytest.raises(ConfigError, match=where):
        TrainingOptions(**options)


def test_unknown_oversampling_is_refused():
    with pytest.raises(ConfigError, match="unknown oversampling 'all'"):
        TrainingOptions(oversample="all")
