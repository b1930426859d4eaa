import numpy as np
import pytest
import torch
from torch import nn

from polydx.errors import BundleError, ReadError
from polydx.training.weights import load_into, read_weights, save_weights


def module(out=3):
    return nn.ModuleDict({"body": nn.Linear(4, 4), "head": nn.Linear(4, out)})


def same(a, b):
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


def test_weights_come_back_with_their_metadata(tmp_path):
    saved, other = module(), module()
    save_weights(tmp_path / "folder" / "w.safetensors", saved, {"patients": '["a", "b"]'})
    state, metadata = read_weights(tmp_path / "folder" / "w.safetensors")
    assert metadata == {"patients": '["a", "b"]'}
    report = load_into(other, state)
    assert same(saved, other)
    assert (report.skipped, report.mismatched, report.missing) == ((), (), ())
    assert set(report.loaded) == set(saved.state_dict())


def test_a_save_that_fails_leaves_the_old_file_and_no_other(tmp_path):
    path = tmp_path / "w.safetensors"
    save_weights(path, {"x": torch.ones(2)})
    with pytest.raises(TypeError):
        save_weights(path, {"x": torch.zeros(2)}, {"number": 3})
    assert torch.equal(read_weights(path)[0]["x"], torch.ones(2))
    assert [p.name for p in tmp_path.iterdir()] == ["w.safetensors"]


@pytest.mark.parametrize("wrap", [lambda s: s, lambda s: {"state_dict": s, "epoch": 3}, lambda s: {"model": s}])
def test_checkpoints_of_plain_tensors_are_read(tmp_path, wrap):
    saved = module()
    torch.save(wrap({f"module.{k}": v for k, v in saved.state_dict().items()}), tmp_path / "w.ckpt")
    other = module()
    load_into(other, tmp_path / "w.ckpt")
    assert same(saved, other)


def test_one_part_is_loaded_and_the_rest_reported(tmp_path):
    saved, other = module(), module()
    head = other["head"].weight.clone()
    report = load_into(other, saved.state_dict(), modules=["body"])
    assert report.loaded == ("body.weight", "body.bias")
    assert report.skipped == ("head.weight", "head.bias")
    assert torch.equal(other["body"].weight, saved["body"].weight)
    assert torch.equal(other["head"].weight, head)


def test_shapes_that_differ_are_reported_when_not_strict():
    other = module(out=5)
    head = other["head"].weight.clone()
    report = load_into(other, module(out=3).state_dict(), strict=False)
    assert report.mismatched == ("head.weight", "head.bias")
    assert torch.equal(other["head"].weight, head)


def test_shapes_that_differ_and_missing_keys_are_refused_when_strict():
    other, state = module(out=5), module(out=3).state_dict()
    del state["body.bias"]
    before = other["body"].weight.clone()
    with pytest.raises(BundleError) as caught:
        load_into(other, state)
    assert {p.where for p in caught.value.problems} == {"head.weight", "head.bias", "body.bias"}
    assert torch.equal(other["body"].weight, before)


def test_a_part_that_does_not_exist_is_refused():
    with pytest.raises(BundleError, match="no such part"):
        load_into(module(), module().state_dict(), modules=["boddy"], strict=False)


class Harmful:
    def __reduce__(self):
        return (print, ("this ran",))


def test_a_checkpoint_that_would_run_code_is_refused(tmp_path, capsys):
    torch.save({"state_dict": Harmful()}, tmp_path / "w.pt")
    with pytest.raises(ReadError, match="holds more than plain tensors"):
        read_weights(tmp_path / "w.pt")
    assert "this ran" not in capsys.readouterr().out


def broken(path):
    path.write_bytes(b"not weights")


def cut_short(path):
    whole = path.with_name("whole" + path.suffix)
    if path.suffix == ".safetensors":
        save_weights(whole, {"x": torch.ones(100)})
    else:
        torch.save({"x": torch.ones(100)}, whole)
    path.write_bytes(whole.read_bytes()[:-50])


@pytest.mark.parametrize("make", [broken, cut_short])
@pytest.mark.parametrize("name", ["w.safetensors", "w.pt"])
def test_broken_files_are_refused_by_name(tmp_path, name, make):
    make(tmp_path / name)
    with pytest.raises(ReadError, match=name):
        read_weights(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "make", "message"),
    [
        ("w.h5", lambda p: p.write_bytes(b"x"), "weights are read from .safetensors"),
        ("w.pt", lambda p: torch.save([1, 2], p), "holds no state dict"),
        ("w.pt", lambda p: p.write_bytes(b""), "not a whole torch checkpoint"),
    ],
)
def test_files_without_weights_are_refused(tmp_path, name, make, message):
    make(tmp_path / name)
    with pytest.raises(ReadError, match=message):
        read_weights(tmp_path / name)


def test_a_missing_file_is_refused_by_name(tmp_path):
    with pytest.raises(ReadError, match=r"missing\.pt: no such file of weights"):
        read_weights(tmp_path / "missing.pt")


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("new_format", [True, False])
def test_a_checkpoint_with_damaged_bytes_is_read_or_refused(tmp_path, new_format):
    torch.save({"x": torch.ones(3), "y": torch.ones(2)}, tmp_path / "w.pt", _use_new_zipfile_serialization=new_format)
    whole = np.frombuffer((tmp_path / "w.pt").read_bytes(), np.uint8)
    rng, refused = np.random.default_rng(0), 0
    for _ in range(150):
        damaged = whole.copy()
        damaged[rng.integers(0, min(600, len(whole)), 3)] = rng.integers(0, 256, 3)
        (tmp_path / "d.pt").write_bytes(damaged.tobytes())
        try:
            read_weights(tmp_path / "d.pt")
        except ReadError:
            refused += 1
    assert refused > 50
