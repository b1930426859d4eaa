from __future__ import annotations

import io
import json
import stat
import struct
import zipfile

import numpy as np
import pytest

from polydx.errors import BundleError
from polydx.io import parts as module
from polydx.io.parts import MANIFEST, Parts, parsed, write_parts, zipped
from polydx.io.source import FileBytes

HELD = {"model.json": b'{"a": 1}\n', "card.md": b"# Card\n"}


def opened(data: bytes) -> Parts:
    return Parts(FileBytes("b.zip", data))


def forged(entries, method=zipfile.ZIP_STORED, manifest=None) -> bytes:
    """A zip with these entries (a name, or a ZipInfo), beside a manifest that is right about the usual ones."""
    held = io.BytesIO()
    whole = zipfile.ZipFile(io.BytesIO(zipped(HELD, {})))
    with zipfile.ZipFile(held, "w", method) as archive:
        archive.writestr(MANIFEST, whole.read(MANIFEST) if manifest is None else json.dumps(manifest))
        for name, content in [*HELD.items(), *entries]:
            archive.writestr(name, content)
    return held.getvalue()


def test_what_is_written_is_read_and_the_same_content_gives_the_same_bytes(tmp_path):
    write_parts(tmp_path / "b.zip", HELD, {"name": "it"})
    parts = Parts(tmp_path / "b.zip")
    assert (parts.json("model.json"), parts.text("card.md"), parts.manifest["name"]) == ({"a": 1}, "# Card\n", "it")
    assert zipped(HELD, {"name": "it"}) == zipped(dict(reversed(HELD.items())), {"name": "it"})


@pytest.mark.parametrize(
    "name", ["../model.json", "/etc/passwd", "graphs/../../x.onnx", "graphs/a\\b.onnx", "C:\\x", "code.py", "graphs/"]
)
def test_names_that_no_part_has_are_refused(name):
    with pytest.raises(BundleError, match="is no part of a bundle"):
        opened(forged([(name, b"x")]))


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_part_that_stands_twice_is_refused():
    with pytest.raises(BundleError, match="stands more than once"):
        opened(forged([("card.md", b"another")]))


def test_compressed_parts_are_refused_so_that_nothing_grows():
    bomb = forged([("weights.safetensors", b"\0" * 50_000_000)], zipfile.ZIP_DEFLATED)
    assert len(bomb) < 100_000
    with pytest.raises(BundleError, match="is compressed; parts of a bundle are stored as they are"):
        opened(bomb)


def test_links_and_encrypted_parts_are_refused():
    link = zipfile.ZipInfo("weights.safetensors")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with pytest.raises(BundleError, match="is no plain file"):
        opened(forged([(link, b"/etc/passwd")]))
    data = bytearray(zipped(HELD, {}))
    at = data.index(b"PK\x01\x02")
    data[at + 8] |= 1
    with pytest.raises(BundleError, match="is encrypted"):
        opened(bytes(data))


def test_sizes_that_are_not_true_are_refused():
    data = bytearray(zipped(HELD, {}))
    at = data.index(b"PK\x01\x02")
    struct.pack_into("<II", data, at + 20, 2**31, 2**31)
    with pytest.raises(BundleError, match="its parts say 2147"):
        opened(bytes(data))


def test_too_many_parts_and_giant_text_are_refused(monkeypatch):
    monkeypatch.setattr(module, "MOST_PARTS", 2)
    with pytest.raises(BundleError, match="holds 3 parts, over the limit of 2"):
        opened(zipped(HELD, {}))
    monkeypatch.setattr(module, "MOST_PARTS", 9)
    monkeypatch.setattr(module, "MOST_TEXT", 4)
    with pytest.raises(BundleError, match="over the limit of 4 for text"):
        opened(zipped(HELD, {}))


def test_a_part_that_was_changed_missing_or_added_is_refused():
    manifest = json.loads(zipfile.ZipFile(io.BytesIO(zipped(HELD, {}))).read(MANIFEST))
    other = {**manifest, "parts": {**manifest["parts"]}}
    other["parts"]["card.md"] = {"bytes": len(HELD["card.md"]), "sha256": "0" * 64}
    with pytest.raises(BundleError, match="is not what was exported: its SHA-256 differs"):
        opened(forged([], manifest=other)).read("card.md")
    with pytest.raises(BundleError, match="the manifest says nothing"):
        opened(forged([("weights.safetensors", b"x")]))
    del other["parts"]["card.md"]
    with pytest.raises(BundleError, match="has 7 bytes, the manifest says nothing"):
        opened(forged([], manifest=other))
    with pytest.raises(BundleError, match="is missing"):
        opened(zipped(HELD, {})).read("weights.safetensors")
    data = bytearray(zipped(HELD, {}))
    data[data.index(b"# Card")] = 33
    with pytest.raises(BundleError, match="cannot be read"):
        opened(bytes(data)).read("card.md")


def test_what_is_no_bundle_or_was_cut_off_is_refused(tmp_path):
    whole = zipped(HELD, {})
    for data in (b"", b"no zip", whole[:-30], whole[: len(whole) // 2]):
        with pytest.raises(BundleError, match="is no bundle, or one that was cut off"):
            opened(data)
    with pytest.raises(BundleError, match="is not there; `polydx train"):
        Parts(tmp_path / "gone.zip")
    with pytest.raises(BundleError, match="is no bundle"):
        Parts(tmp_path)
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        archive.writestr("card.md", b"x")
    with pytest.raises(BundleError, match="manifest.json +is missing"):
        opened(held.getvalue())
    with pytest.raises(BundleError, match="has schema 99"):
        opened(forged([], manifest={"schema": 99}))


def test_json_that_is_nested_or_none_is_refused():
    with pytest.raises(BundleError, match="nested deeper than 60 levels"):
        parsed(b"[" * 100_000, "it")
    for text in (b"{", b"NaN", b"\xff\xfe"):
        with pytest.raises(BundleError, match="it is broken"):
            parsed(text, "it")


def test_tensors_that_are_not_as_large_as_they_say_are_refused():
    header = json.dumps({"x": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}}).encode()
    for content in (struct.pack("<Q", len(header)) + header, struct.pack("<Q", 2**62) + b"{}", b"short"):
        with pytest.raises(BundleError, match=r"arrays\.safetensors is broken"):
            opened(zipped({"arrays.safetensors": content}, {})).arrays("arrays.safetensors")
    assert not np.any(opened(zipped(HELD, {})).manifest == 0)
