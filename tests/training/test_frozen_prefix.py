import os
import resource
import time

import numpy as np
import pytest
import torch
from torch import nn

from polydx.augmentation.base import Chain
from polydx.models.network import build_network
from polydx.training.freezing import freeze
from polydx.training.loop import fit
from polydx.training.options import TrainingOptions
from polydx.training.prefix import BLOCK, KeptMaps, Prefix, frozen_prefixes, frozen_stage
from polydx.training.prefix_store import PrefixStore
from polydx.training.tensors import tensor_set

POINTS, SIDE = 64, 32
SHAPES = {"raman": (1, POINTS), "smear": (3, SIDE, SIDE)}
OPTIONS = TrainingOptions(epochs=3, batch_size=8, lr=0.01)
LIMIT = 10**9


def network(*frozen, seed=0, modalities=("raman",), dropout=0.5, **backbone):
    net = build_network(
        {name: SHAPES[name] for name in modalities},
        backbones={name: {"name": "cnn", "width": 16, **backbone} for name in modalities},
        heads={"disease": {"classes": 2, "hidden": [8], "dropout": dropout}},
        seed=seed,
    )
    freeze(net, [f"backbones.{name}" for name in frozen])
    return net


def rows(n=20, seed=0, modalities=("raman",)):
    rng = np.random.default_rng(seed)
    codes = np.arange(n) % 2
    inputs = {
        name: (rng.normal(size=(n, *SHAPES[name])) + codes.reshape(-1, *(1,) * len(SHAPES[name]))).astype(np.float32)
        for name in modalities
    }
    return tensor_set(inputs, {"disease": codes}, np.arange(n) // 2)


def deep(*modalities):
    return [f"{name}.{stage}" for name in modalities for stage in ("stem", "stage1", "stage2", "stage3")]


def weights(net):
    return b"".join(v.numpy().tobytes() for v in net.state_dict().values())


def files(folder):
    return sorted(path for path in folder.rglob("*") if path.is_file())


def maps(store, net=None, data=None, name="raman"):
    net, data = net or network(*deep("raman")), data or rows()
    prefix = frozen_prefixes(net, data.inputs, [name], torch.no_grad)[name]
    return KeptMaps(data.inputs[name], prefix, store)


def filled(store, net=None, data=None):
    """Maps of all rows, and how many of them had to be computed."""
    found = maps(store, net, data)
    counted, run = [], found.prefix.__class__.__call__

    class Counting(Prefix):
        def __call__(self, x):
            counted.append(len(x))
            return run(self, x)

    found.prefix.__class__ = Counting
    found.fill(torch.arange(len(found)))
    return found, sum(counted)


def test_the_prefix_ends_before_the_first_stage_that_learns():
    assert frozen_stage(network().backbone("raman")) is None
    assert frozen_stage(network("raman.stem", "raman.stage1").backbone("raman")) == "stage1"
    assert frozen_stage(network("raman.stem", "raman.stage2").backbone("raman")) == "stem"
    assert frozen_stage(network("raman.stage1").backbone("raman")) is None
    assert frozen_stage(network("raman").backbone("raman")) == "stage4"
    half = network("raman").backbone("raman")
    half.stage2.bn.weight.requires_grad_(True)
    assert frozen_stage(half) == "stage1"


def test_a_stage_that_mixes_the_rows_of_a_batch_or_has_no_weights_is_not_cut():
    backbone = network("raman").backbone("raman")
    backbone.stage1.bn = nn.BatchNorm2d(16, affine=False, track_running_stats=False)
    assert frozen_stage(backbone) == "stem"
    backbone.stem = nn.Sequential(nn.Dropout())
    assert frozen_stage(backbone) is None


def test_stages_that_cost_next_to_nothing_are_computed_and_not_kept():
    data = rows()
    assert not frozen_prefixes(network("raman.stem"), data.inputs, ["raman"], torch.no_grad)
    assert not frozen_prefixes(network(*deep("raman")), data.inputs, [], torch.no_grad)
    assert frozen_prefixes(network(*deep("raman")), data.inputs, ["raman"], torch.no_grad)["raman"].stage == "stage3"


@pytest.mark.parametrize(
    ("shape", "options"),
    [
        ((1, 300), {"name": "cnn"}),
        ((1, 300), {"name": "resnet", "depth": 18, "width": 0.25}),
        ((1, 300), {"name": "transformer", "width": 32}),
        ((1, 300), {"name": "mlp"}),
        ((3, 32, 32), {"name": "cnn"}),
        ((3, 48, 48), {"name": "resnet", "depth": 50, "width": 0.25}),
        ((3, 32, 32), {"name": "densenet", "layers": [2, 2]}),
    ],
)
def test_a_map_has_the_same_bytes_wherever_its_row_stands(shape, options, rng):
    net = build_network({"x": shape}, backbones={"x": options}, heads={"a": {"classes": 2}}, seed=0).eval()
    backbone = net.backbone("x")
    prefix = Prefix(backbone, backbone.stages[1], shape, torch.no_grad)
    x = torch.from_numpy(rng.normal(size=(BLOCK + 5, *shape)).astype(np.float32))
    order = torch.from_numpy(rng.permutation(len(x)))
    whole = prefix(x)
    assert torch.equal(prefix(x[order]), whole[order])
    assert torch.equal(prefix(x[7:8])[0], whole[7])
    with torch.no_grad():
        torch.testing.assert_close(whole.movedim(-1, 1), backbone.features(x, backbone.stages[1]), rtol=1e-4, atol=1e-4)


def test_rows_are_computed_one_by_one_where_their_place_changes_the_rounding():
    backbone = network(*deep("raman")).backbone("raman")

    class Placed(nn.Module):
        def forward(self, x):
            return x + 1e-6 * torch.arange(len(x)).reshape(-1, 1, 1, 1)

    backbone.stage1 = nn.Sequential(backbone.stage1, Placed())
    prefix = Prefix(backbone, "stage1", (1, POINTS), torch.no_grad)
    assert prefix.block == 1
    x = rows().inputs["raman"]
    assert torch.equal(prefix(x)[3:5], prefix(x[3:5]))


@pytest.mark.parametrize("frozen", [deep("raman"), ["raman"]], ids=["last stage", "heads only"])
def test_losses_are_those_of_a_fit_without_a_store(tmp_path, frozen):
    found = [
        fit(network(*frozen), rows(), rows(10, 1), OPTIONS, seed=3, store=store).epochs
        for store in (None, PrefixStore(tmp_path, LIMIT))
    ]
    assert files(tmp_path)
    for plain, cut in zip(*found, strict=True):
        assert plain.keys() == cut.keys()
        for name in plain:
            assert cut[name] == pytest.approx(plain[name], abs=1e-4), name


def test_spectra_and_images_are_cut_side_by_side(tmp_path):
    both = ("raman", "smear")
    found = []
    for store in (None, PrefixStore(tmp_path, LIMIT)):
        net = network(*deep("raman"), "smear", modalities=both)
        found.append(fit(net, rows(modalities=both), rows(9, 1, both), OPTIONS, seed=0, store=store).epochs)
    assert len({path.parent for path in files(tmp_path)}) == 2
    for plain, cut in zip(*found, strict=True):
        assert cut == pytest.approx(plain, abs=1e-4)


@pytest.mark.slow
def test_what_the_store_holds_changes_no_byte(tmp_path):
    """Empty, filled by another fit in another order, half evicted, closed, and not writable."""
    half = tmp_path / "half"
    fit(network(*deep("raman")), rows(50), options=OPTIONS, seed=9, store=PrefixStore(half, LIMIT))
    fit(network(*deep("raman")), rows(5), options=OPTIONS, seed=9, store=PrefixStore(half, LIMIT))
    stores = [PrefixStore(tmp_path / "new", LIMIT), PrefixStore(tmp_path / "new", LIMIT), PrefixStore(half, LIMIT)]
    stores += [PrefixStore(tmp_path / "closed", 0), PrefixStore(tmp_path / "small", 30_000)]
    (tmp_path / "file").touch()
    stores.append(PrefixStore(tmp_path / "file", LIMIT))
    found = set()
    for store in stores:
        net = network(*deep("raman"))
        history = fit(net, rows(40), rows(11, 1), OPTIONS, seed=3, store=store)
        found.add((weights(net), str(history.epochs)))
    assert len(found) == 1
    assert not (tmp_path / "closed").exists()


def test_a_second_fit_computes_nothing_and_other_folds_only_their_own_rows(tmp_path):
    data = rows(40)
    assert filled(PrefixStore(tmp_path, LIMIT), data=data)[1] == 40
    again, computed = filled(PrefixStore(tmp_path, LIMIT), data=data)
    assert computed == 0
    more = tensor_set({"raman": np.concatenate([data.inputs["raman"], rows(3, 5).inputs["raman"]])}, {})
    found, computed = filled(PrefixStore(tmp_path, LIMIT), data=more)
    assert computed == 3
    assert torch.equal(found[5:40], again[torch.arange(5, 40)])
    assert torch.equal(found[:], found.prefix(more.inputs["raman"]).movedim(-1, 1))


def test_equal_rows_are_computed_and_kept_once(tmp_path):
    x = np.repeat(rows(2).inputs["raman"].numpy(), 9, axis=0)
    assert filled(PrefixStore(tmp_path, LIMIT), data=tensor_set({"raman": x}, {}))[1] == 2


def _nudged(value):
    with torch.no_grad():
        value.view(-1)[0] += 1e-6


def test_a_changed_weight_buffer_or_option_never_finds_the_old_maps(tmp_path):
    store = PrefixStore(tmp_path, LIMIT)
    first = filled(store)[0].prefix.key
    assert first == maps(store).prefix.key
    changed = {name: network(*deep("raman")) for name in ("weight", "buffer", "affine", "eps", "depth", "free")}
    _nudged(changed["weight"].backbone("raman").stem.conv.weight)
    _nudged(changed["buffer"].backbone("raman").stage1.bn.running_mean)
    _nudged(changed["affine"].backbone("raman").stage3.bn.bias)
    changed["eps"].backbone("raman").stage1.bn.eps = 2e-5
    changed["depth"] = network(*deep("raman")[:-1])
    _nudged(changed.pop("free").backbone("raman").stage4.conv.weight)
    for name, net in changed.items():
        assert filled(PrefixStore(tmp_path, LIMIT), net)[1] == 20, name
    # What learns has no part in the key.
    net = network(*deep("raman"))
    _nudged(net.backbone("raman").stage4.conv.weight)
    assert filled(PrefixStore(tmp_path, LIMIT), net)[1] == 0


def test_options_that_neither_weights_nor_names_tell_are_told_by_what_the_stages_do():
    keys = set()
    for heads in (2, 4):
        net = build_network(
            {"raman": (1, POINTS)},
            backbones={"raman": {"name": "transformer", "width": 16, "heads": heads}},
            heads={"disease": {"classes": 2}},
            seed=0,
        )
        backbone = net.backbone("raman")
        keys.add(Prefix(backbone, "stage1", (1, POINTS), torch.no_grad).key)
        assert "heads" not in repr(backbone.until("stage1"))
    assert len(keys) == 2


def test_a_changed_row_threads_or_precision_never_finds_the_old_maps(tmp_path):
    data = rows()
    filled(PrefixStore(tmp_path, LIMIT), data=data)
    x = data.inputs["raman"].numpy().copy()
    x[3, 0, 5] = np.nextafter(x[3, 0, 5], np.float32(9))
    assert filled(PrefixStore(tmp_path, LIMIT), data=tensor_set({"raman": x}, {}))[1] == 1
    scaled = tensor_set({"raman": x * np.float32(1.5)}, {})
    assert filled(PrefixStore(tmp_path, LIMIT), data=scaled)[1] == 20
    key = maps(PrefixStore(tmp_path, LIMIT)).prefix.key
    torch.set_num_threads(2)
    assert maps(PrefixStore(tmp_path, LIMIT)).prefix.key != key
    torch.set_num_threads(1)
    half = frozen_prefixes(
        network(*deep("raman")), data.inputs, ["raman"], lambda: torch.autocast("cpu", dtype=torch.bfloat16)
    )
    assert half["raman"].key != key


def test_half_precision_maps_are_kept_as_they_are(tmp_path):
    options = TrainingOptions(epochs=2, batch_size=8, precision="bf16-mixed")
    found = []
    for store in (PrefixStore(tmp_path, LIMIT), PrefixStore(tmp_path, LIMIT), PrefixStore(tmp_path / "no", 0), None):
        net = network(*deep("raman"))
        found.append((fit(net, rows(), options=options, seed=0, store=store).epochs, weights(net)))
    assert found[0] == found[1] == found[2]
    assert found[0][0][-1]["loss"] == pytest.approx(found[3][0][-1]["loss"], abs=0.02)
    kept = next(iter(PrefixStore(tmp_path, LIMIT).shelf(files(tmp_path)[0].parent.name).values()))
    assert kept.dtype == torch.bfloat16


def test_a_write_that_was_killed_leaves_nothing_that_is_read(tmp_path):
    whole = filled(PrefixStore(tmp_path, LIMIT))[0][:].clone()
    (file,) = files(tmp_path)
    for content in (file.read_bytes()[:-7], file.read_bytes()[:40], b""):
        file.write_bytes(content)
        found, computed = filled(PrefixStore(tmp_path, LIMIT))
        assert computed == 20
        assert torch.equal(found[:], whole)
    left = file.with_name(f".{file.name}.1.tmp")
    left.write_bytes(file.read_bytes()[:100])
    young = file.with_name(f".{file.name}.2.tmp")
    young.touch()
    os.utime(left, times=(0, time.time() - 7200))
    assert filled(PrefixStore(tmp_path, LIMIT), data=rows(2, 8))[1] == 2
    assert not left.exists()
    assert young.exists()


def test_a_disk_that_fills_up_ends_no_fit_and_leaves_no_broken_file(tmp_path):
    """The system itself refuses the bytes after the first 3000 of a file."""
    expected = network(*deep("raman"))
    fit(expected, rows(), rows(9, 1), OPTIONS, seed=0, store=PrefixStore(tmp_path / "whole", LIMIT))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (3000, before[1]))
    try:
        net = network(*deep("raman"))
        history = fit(net, rows(), rows(9, 1), OPTIONS, seed=0, store=PrefixStore(tmp_path / "full", LIMIT))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert len(history.epochs) == 3
    assert len(history.notes) == 1
    assert "not kept, but computed again" in history.notes[0]
    assert "File too large" in history.notes[0]
    assert not files(tmp_path / "full")
    assert weights(net) == weights(expected)


def test_no_space_left_is_told_once(tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    history = fit(network(*deep("raman")), rows(), rows(9, 1), OPTIONS, seed=0, store=PrefixStore(tmp_path, LIMIT))
    assert len(history.notes) == 1
    assert "No space left on device" in history.notes[0]
    assert not files(tmp_path)


def test_maps_that_another_process_removes_stay_readable(tmp_path):
    found, _ = filled(PrefixStore(tmp_path, LIMIT))
    before = found[:].clone()
    for path in files(tmp_path):
        path.unlink()
    assert torch.equal(found[:], before)


def test_nothing_is_kept_where_every_epoch_has_other_rows(tmp_path):
    def jitter(x, generator):
        return x + 0.1 * torch.randn(x.shape, generator=generator)

    store = PrefixStore(tmp_path, LIMIT)
    mixed = TrainingOptions(epochs=2, batch_size=8, mixup=0.3)
    for options, augment in ((mixed, {}), (OPTIONS, {"raman": jitter})):
        with_store, without = network(*deep("raman")), network(*deep("raman"))
        fit(with_store, rows(), options=options, seed=0, augment=augment, store=store)
        fit(without, rows(), options=options, seed=0, augment=augment)
        assert weights(with_store) == weights(without)
    assert not files(tmp_path)


def test_stages_that_thaw_later_are_not_kept(tmp_path):
    options = TrainingOptions(epochs=5, batch_size=8, lr=0.01, unfreeze_every=1)
    found, stages = [], network().backbone("raman").stages
    for store in (None, PrefixStore(tmp_path, LIMIT)):
        net = network(*deep("raman")[:3])
        before = {name: net.backbone("raman").get_submodule(name).conv.weight.clone() for name in stages}
        found.append(fit(net, rows(), options=options, seed=0, store=store).epochs)
        learned = [n for n in stages if not torch.equal(before[n], net.backbone("raman").get_submodule(n).conv.weight)]
        assert learned == ["stage3", "stage4"]
    assert [row["loss"] for row in found[1]] == pytest.approx([row["loss"] for row in found[0]], abs=1e-4)
    (folder,) = tmp_path.iterdir()
    assert folder.name == maps(PrefixStore(tmp_path, LIMIT), network(*deep("raman")[:3])).prefix.key


def noise(x, generator):
    return x + 0.5 * torch.randn(x.shape, generator=generator)


def test_variants_take_turns_and_are_kept(tmp_path):
    seen = []

    class Watched(Chain):
        def __call__(self, x, generator):
            seen.append(len(x))
            return noise(x, generator)

    options = TrainingOptions(epochs=5, batch_size=8, lr=0.01, augmentation_variants=2)
    found = []
    for store in (PrefixStore(tmp_path, LIMIT), PrefixStore(tmp_path, LIMIT), PrefixStore(tmp_path / "no", 0), None):
        net = network(*deep("raman"))
        history = fit(net, rows(), options=options, seed=0, augment={"raman": Watched([])}, store=store)
        found.append((history.epochs, weights(net)))
    assert found[0] == found[1] == found[2]
    for cut, plain in zip(found[0][0], found[3][0], strict=True):
        assert cut == pytest.approx(plain, abs=1e-4)
    assert set(seen) == {1}
    assert (
        sum(len(PrefixStore(tmp_path, LIMIT).shelf(path.name)) for path in tmp_path.iterdir() if path.name != "no")
        == 40
    )


def test_the_first_of_two_variants_comes_back_in_the_third_epoch(monkeypatch):
    batches = []
    net = network("raman", dropout=0.0)
    original = net.backbone("raman").forward
    monkeypatch.setattr(net.backbone("raman"), "forward", lambda x: (batches.append(x.clone()), original(x))[1])
    options = TrainingOptions(epochs=4, batch_size=20, augmentation_variants=2)
    fit(net, rows(), options=options, seed=0, augment={"raman": noise})
    first, second, third, fourth = (set(x.flatten().tolist()) for x in batches)
    assert first == third
    assert second == fourth
    assert first != second
