import os

import torch

from polydx.training.prefix_store import PrefixStore


def files(folder):
    return sorted(path for path in folder.rglob("*") if path.is_file())


def test_the_store_keeps_within_its_bound_and_drops_what_was_used_longest_ago(tmp_path):
    store = PrefixStore(tmp_path, 10**9)
    for number in range(4):
        store.add(f"key{number}", [bytes([number]) * 32], torch.zeros(1, 1000))
        os.utime(files(tmp_path / f"key{number}")[0], times=(0, 1000 + number))
    size = files(tmp_path)[0].stat().st_size
    small = PrefixStore(tmp_path, 4 * size)
    small.shelf("key0")
    assert small.add("key9", [b"9" * 32], torch.zeros(1, 1000))
    assert sorted(path.parent.name for path in files(tmp_path)) == ["key0", "key2", "key3", "key9"]
    assert sum(path.stat().st_size for path in files(tmp_path)) <= 4 * size


def test_a_fit_does_not_push_out_its_own_rows(tmp_path):
    size = 20_000
    store = PrefixStore(tmp_path, 3 * size)
    kept = [store.add("key", [bytes([i]) * 32], torch.zeros(1, size // 4 - 100)) for i in range(4)]
    assert [len(found) for found in kept] == [1, 1, 1, 0]
    assert store.trouble == "they need more than the 6e-05 GB allowed"
    assert not store.takes_more
    assert len(files(tmp_path)) == 3
