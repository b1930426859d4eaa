"""What is done to batches of several modalities, and frozen stages below them."""

from __future__ import annotations

import pytest
import torch

from polydx.errors import ConfigError, StudyError
from polydx.models.bags import Bags
from polydx.models.network import build_network
from polydx.training.batch import augmented, drop_modalities, mixed
from polydx.training.freezing import freeze
from polydx.training.loop import fit
from polydx.training.options import TrainingOptions
from polydx.training.prefix_store import PrefixStore
from polydx.training.tensors import TensorSet, rows_alone


def bags(counts, width=3, seed=0):
    starts = torch.cat([torch.zeros(1, dtype=torch.int64), torch.tensor(counts).cumsum(0)])
    return Bags(torch.randn(int(starts[-1]), width, generator=torch.Generator().manual_seed(seed)), starts)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_modality_dropout_never_takes_the_last_one_and_drops_as_often_as_asked():
    counts = torch.randint(0, 3, (4000, 3), generator=generator())
    counts[:, 0][counts.sum(dim=1) == 0] = 1
    inputs = {name: bags(counts[:, i].tolist()) for i, name in enumerate("abc")}
    before = torch.stack([x.present for x in inputs.values()], dim=1)
    after = torch.stack([x.present for x in drop_modalities(inputs, 0.3, generator()).values()], dim=1)
    assert not (after & ~before).any()
    assert after.any(dim=1).all()
    all_there = before.all(dim=1)
    assert (after[all_there].double().mean(dim=0) - (0.7 + 0.027 / 3)).abs().max() < 0.05
    single = before.sum(dim=1) == 1
    assert torch.equal(after[single], before[single])
    heavy = torch.stack([x.present for x in drop_modalities(inputs, 0.999, generator()).values()], dim=1)
    assert heavy.any(dim=1).all()


def test_what_is_dropped_keeps_nothing_of_its_rows():
    inputs = {"a": bags([2, 1]), "b": bags([1, 1], seed=1)}
    found = drop_modalities(inputs, 0.9, generator(3))
    for name, x in found.items():
        assert len(x.values) == int(x.counts.sum())
        for i in torch.nonzero(x.present).flatten():
            assert torch.equal(x[i : i + 1].rows, inputs[name][i : i + 1].rows)
    assert drop_modalities(inputs, 0.0, generator())["a"] is inputs["a"]


def test_rows_mix_within_their_group_where_both_have_one():
    x = bags([1, 1, 2, 0, 1, 1])
    groups = torch.tensor([0, 0, 0, 0, 1, 1])
    found = mixed({"a": x}, groups, 0.5, generator(1))["a"]
    assert torch.equal(found.starts, x.starts)
    assert torch.equal(found[2:3].rows, x[2:3].rows)
    changed = (found.rows != x.rows).any(dim=1)
    assert changed.any()
    for row in torch.nonzero(changed).flatten().tolist():
        owner = int(x.owner[row])
        others = [x[j : j + 1].rows[0] for j in range(6) if x.counts[j] == 1 and groups[j] == groups[owner]]
        ways = [(found.rows[row] - x.rows[row]) / (o - x.rows[row]) for o in others if not torch.equal(o, x.rows[row])]
        assert any(torch.allclose(way, way[0].expand(3), atol=1e-4) and 0 <= way[0] <= 0.5 for way in ways)


def test_a_batch_without_rows_is_not_augmented():
    empty = bags([0, 0])
    assert augmented(empty, lambda *_: pytest.fail("called"), generator()) is empty


def test_rows_of_one_modality_take_the_labels_of_their_sample():
    rows = TensorSet({"a": bags([2, 0, 1]), "b": bags([0, 1, 1])}, {"task": torch.tensor([5, 6, 7])})
    alone = rows_alone(rows, "a")
    assert alone.labels["task"].tolist() == [5, 5, 7]
    assert alone.patient_codes.tolist() == [0, 0, 2]


def test_samples_without_any_row_are_refused():
    with pytest.raises(StudyError, match="no row of any modality for samples 1"):
        TensorSet({"a": bags([2, 0, 1]), "b": bags([1, 0, 0])}, {})


def test_an_impossible_modality_dropout_is_refused():
    with pytest.raises(ConfigError, match="modality_dropout *must be from 0 up to, not including, 1"):
        TrainingOptions(modality_dropout=1.0)


def test_frozen_stages_of_bags_give_the_same_bytes_from_any_store(tmp_path):
    def weights(store):
        network = build_network(
            {"raman": (1, 64), "clinical": (3,)},
            backbones={"raman": {"name": "cnn", "width": 16}, "clinical": {"name": "mlp", "hidden": [4]}},
            heads={"task": {"classes": 2}},
            fusion={"name": "attention", "width": 8, "heads": 2, "layers": 1},
            seed=0,
        )
        freeze(network, ["backbones.raman"])
        counts = [i % 3 for i in range(12)]
        starts = torch.cat([torch.zeros(1, dtype=torch.int64), torch.tensor(counts).cumsum(0)])
        spectra = Bags(torch.randn(int(starts[-1]), 1, 64, generator=generator()), starts)
        rows = TensorSet({"raman": spectra, "clinical": bags([1] * 12)}, {"task": torch.arange(12) % 2})
        options = TrainingOptions(epochs=3, batch_size=3, modality_dropout=0.5)
        fit(network, rows, rows, options, seed=0, store=store)
        return network.state_dict()

    first = weights(PrefixStore(tmp_path, 10**8))
    assert list(tmp_path.rglob("*.safetensors"))
    for other in (weights(PrefixStore(tmp_path, 10**8)), weights(PrefixStore(tmp_path / "none", 0))):
        assert all(torch.equal(value, first[key]) for key, value in other.items())
