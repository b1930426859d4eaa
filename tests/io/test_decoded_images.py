"""The store of decoded images, and perceptual hashes against slow plain loops."""

from __future__ import annotations

import os

import numpy as np
import pytest
from PIL import Image

from polydx.errors import ReadError
from polydx.io.decoded import Decoded, decoded, memory_bound
from polydx.io.images import read_image
from polydx.io.perceptual import NEAR, hash_images, near_pairs, perceptual_hash, small_grey
from polydx.modalities import Images


@pytest.fixture
def images(tmp_path, rng) -> Images:
    paths = []
    for i, shape in enumerate([(40, 50), (64, 64, 3), (33, 70, 4)]):
        paths.append(tmp_path / f"{i}.png")
        Image.fromarray(rng.integers(0, 256, shape, dtype=np.uint8)).save(paths[-1])
    return Images(tuple(paths))


def test_rows_come_in_order_each_in_its_own_size(images):
    twice = images.take(np.array([2, 0, 2, 1]))
    found = decoded(twice, store=Decoded(10**6))
    assert [f.shape for f in found] == [(33, 70, 4), (40, 50), (33, 70, 4), (64, 64, 3)]
    for values, path in zip(found, twice.paths, strict=True):
        assert np.array_equal(values, read_image(path))
        assert not values.flags.writeable
    assert found[0] is found[2]


def test_a_file_is_decoded_again_only_when_it_changed(images, rng, monkeypatch):
    store, calls = Decoded(10**6), []

    def counting(path, frame, **options):
        calls.append(path)
        return read_image(path, frame, **options)

    monkeypatch.setattr("polydx.io.decoded.read_image", counting)
    first = decoded(images, store=store)
    assert decoded(images, store=store)[1] is first[1]
    assert len(calls) == 3
    Image.fromarray(rng.integers(0, 256, (9, 9), dtype=np.uint8)).save(images.paths[0])
    os.utime(images.paths[0], ns=(1, 1))
    assert decoded(images, store=store)[0].shape == (9, 9)
    assert len(calls) == 4
    assert decoded(images, lambda a: a[:2], "two rows", store=store)[1].shape == (2, 64, 3)
    assert len(calls) == 4
    store.clear()
    assert (len(store), store.nbytes) == (0, 0)


def test_the_store_stays_within_its_bound_and_drops_the_oldest(images):
    store = Decoded(64 * 64 * 3 + 33 * 70 * 4)
    found = decoded(images, store=store, workers=1)
    assert len(found) == 3
    assert (len(store), store.nbytes) == (2, 64 * 64 * 3 + 33 * 70 * 4)
    decoded(images.take(np.array([1])), store=store)
    decoded(images.take(np.array([0])), store=store)
    assert store.nbytes == 64 * 64 * 3 + 40 * 50
    assert len(decoded(images, store=Decoded(10))) == 3
    assert memory_bound() >= 256 * 1024**2


def test_all_files_that_cannot_be_read_are_told_at_once(images, tmp_path):
    (tmp_path / "0.png").write_bytes(b"no image")
    (tmp_path / "2.png").unlink()
    with pytest.raises(ReadError, match="2 of 3 images cannot be read") as caught:
        decoded(images, store=Decoded(10**6))
    assert [p.where for p in caught.value.problems] == ["0.png", "2.png"]


def plain_hash(small: np.ndarray) -> int:
    """The hash, one frequency at a time."""
    low = []
    for u in range(8):
        for v in range(8):
            total = 0.0
            for y in range(32):
                for x in range(32):
                    total += small[y, x] * np.cos(np.pi * u * (2 * y + 1) / 64) * np.cos(np.pi * v * (2 * x + 1) / 64)
            low.append(round(total, 9))
    middle = np.median(low[1:])
    return sum(1 << i for i, value in enumerate(low) if value > middle)


def test_hashes_are_those_of_a_plain_loop(rng):
    small = rng.random((3, 32, 32)).astype(np.float32)
    assert perceptual_hash(small).tolist() == [plain_hash(s.astype(float)) for s in small]


def test_small_copies_are_means_of_cells(rng):
    image = rng.integers(0, 256, (70, 45, 3), dtype=np.uint8)
    grey = image.astype(float) @ [0.299, 0.587, 0.114]
    rows, columns = [i * 70 // 32 for i in range(33)], [i * 45 // 32 for i in range(33)]
    plain = np.array(
        [[grey[rows[y] : rows[y + 1], columns[x] : columns[x + 1]].mean() for x in range(32)] for y in range(32)]
    )
    plain = (plain - plain.min()) / (plain.max() - plain.min())
    np.testing.assert_allclose(small_grey(image), plain, atol=1e-6)
    with_alpha = np.concatenate([image, rng.integers(0, 256, (70, 45, 1), dtype=np.uint8)], axis=2)
    np.testing.assert_array_equal(small_grey(with_alpha), small_grey(image))
    assert small_grey(np.ones((5, 7), dtype=bool)).shape == (32, 32)
    assert not small_grey(np.full((40, 40), 9, dtype=np.int16)).any()


def test_pairs_are_those_of_a_plain_loop(rng, monkeypatch):
    monkeypatch.setattr("polydx.io.perceptual.BLOCK", 7)
    hashes = rng.integers(0, 2**64, 30, dtype=np.uint64)
    hashes[11], hashes[29] = hashes[3] ^ np.uint64(0b10110), hashes[3]
    found = {(a, b, n) for p in near_pairs(hashes, 30) for a, b, n in zip(*(x.tolist() for x in p), strict=True)}
    plain = {
        (a, b, bits)
        for a in range(30)
        for b in range(a + 1, 30)
        if (bits := (int(hashes[a]) ^ int(hashes[b])).bit_count()) <= 30
    }
    assert found == plain
    assert {(3, 11, 3), (3, 29, 0), (11, 29, 3)} <= found


def test_a_copy_saved_again_smaller_and_brighter_is_near_and_another_image_is_not(tmp_path, rng):
    blobs = Image.fromarray(rng.integers(0, 200, (9, 9, 3), dtype=np.uint8)).resize(
        (224, 224), Image.Resampling.BICUBIC
    )
    other = Image.fromarray(rng.integers(0, 200, (9, 9, 3), dtype=np.uint8)).resize(
        (224, 224), Image.Resampling.BICUBIC
    )
    blobs.save(tmp_path / "a.png")
    blobs.resize((150, 150)).point(lambda v: v * 1.2).save(tmp_path / "b.jpg", quality=60)
    other.save(tmp_path / "c.png")
    hashes, small = hash_images(Images(tuple(tmp_path / n for n in ("a.png", "b.jpg", "c.png"))))
    assert small.shape == (3, 32, 32)
    assert (int(hashes[0]) ^ int(hashes[1])).bit_count() <= NEAR < 15 < (int(hashes[0]) ^ int(hashes[2])).bit_count()
