"""Fetching named studies from a server on this machine that behaves well, badly and worse."""

from __future__ import annotations

import hashlib
import io
import struct
import threading
import urllib.request
import zipfile
from dataclasses import dataclass, field
from http.client import HTTPMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from polydx.datasets import archive, fetch
from polydx.datasets.catalogue import DATASETS
from polydx.datasets.download import _Redirects, download
from polydx.datasets.manifest import manifest_problems, read_manifest
from polydx.errors import ConfigError, ReadError

NAME = "als-saliva"
CONTENT = {"ALS/1_ALS.txt": b"400 1\n" * 20_000, "CTRL/1_CTRL.txt": b"400 2\n" * 10, "Spectral Number.xlsx": b"sheet"}
MANIFEST = {name: hashlib.sha256(content).hexdigest() for name, content in CONTENT.items()}


def packed(content=CONTENT, top="repo-commit/Raman_Data/", extra=()):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("repo-commit/README.md", "not wanted")
        for name, data in content.items():
            file.writestr(top + name, data)
        for name, data in extra:
            file.writestr(name, data)
    return buffer.getvalue()


@dataclass
class Site:
    """What the server does, and what it was asked."""

    body: bytes = b""
    etag: str | None = '"v1"'
    cut: int | None = None  # close the connection after so many bytes of the body
    ranges: bool = True
    length: bool = True
    status: int = 200
    kind: str = "application/zip"
    shift: int = 0  # answer another range than was asked for
    redirect: dict[str, str] = field(default_factory=dict)
    asked: list[tuple[str, str | None, str | None]] = field(default_factory=list)
    url: str = ""

    def answer(self, handler):
        range_, if_range = handler.headers.get("Range"), handler.headers.get("If-Range")
        self.asked.append((handler.path, range_, if_range))
        if handler.path in self.redirect:
            handler.send_response(302)
            handler.send_header("Location", self.redirect[handler.path])
            handler.end_headers()
            return
        body, start = self.body, 0
        if range_ and self.ranges and if_range == self.etag:
            start = int(range_.removeprefix("bytes=").rstrip("-"))
            if start >= len(body):
                handler.send_error(416)
                return
        handler.send_response(206 if start else self.status)
        if start:
            handler.send_header("Content-Range", f"bytes {start + self.shift}-{len(body) - 1}/{len(body)}")
        handler.send_header("Content-Type", self.kind)
        if self.etag:
            handler.send_header("ETag", self.etag)
        if self.length:
            handler.send_header("Content-Length", str(len(body) - start))
        handler.end_headers()
        handler.wfile.write(body[start:][: self.cut])


@pytest.fixture
def site(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    site = Site(packed())

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            site.answer(self)

        def log_message(self, *arguments):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    site.url = f"http://127.0.0.1:{server.server_port}/file.zip"
    yield site
    server.shutdown()
    server.server_close()


@pytest.fixture(autouse=True)
def small_manifest(monkeypatch):
    monkeypatch.setattr(fetch, "read_manifest", lambda name: MANIFEST if name == NAME else None)


def get(site, root, **options):
    return fetch.fetch(NAME, data=root, url=site.url, **options)


def contents(folder: Path):
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_a_study_is_downloaded_verified_and_nothing_else_is_left(site, tmp_path):
    seen = []
    folder = get(site, tmp_path, progress=lambda done, total: seen.append((done, total)))
    assert folder == tmp_path / NAME
    assert contents(folder) == CONTENT
    assert [p.name for p in tmp_path.iterdir()] == [NAME]
    assert seen[-1] == (len(site.body), len(site.body))
    assert seen == sorted(seen)


def test_what_is_there_is_verified_and_not_fetched_again(site, tmp_path):
    folder = get(site, tmp_path)
    assert get(site, tmp_path) == folder
    assert len(site.asked) == 1
    (folder / "ALS" / "1_ALS.txt").write_bytes(b"changed")
    with pytest.raises(ReadError, match="is there, with 1 problem: move it away and fetch again"):
        get(site, tmp_path)


def test_an_interrupted_download_says_so_and_is_resumed(site, tmp_path):
    site.cut = 50_000
    with pytest.raises(ReadError, match=r"interrupted after 0\.1 of 0\.1 MB .*run the same again to resume"):
        get(site, tmp_path)
    assert not (tmp_path / NAME).exists()
    site.cut = None
    assert contents(get(site, tmp_path)) == CONTENT
    assert site.asked[1][1:] == ("bytes=50000-", '"v1"')


def test_a_file_that_changed_in_between_is_downloaded_anew(site, tmp_path):
    site.cut = 50_000
    with pytest.raises(ReadError, match="interrupted"):
        get(site, tmp_path)
    site.cut, site.etag, site.body = None, '"v2"', packed(extra=[("repo-commit/new", b"x" * 1000)])
    assert contents(get(site, tmp_path)) == CONTENT


@pytest.mark.parametrize("changes", [{"ranges": False}, {"etag": None}, {"etag": 'W/"weak"'}])
def test_a_server_that_cannot_resume_is_asked_for_the_whole(site, tmp_path, changes):
    for name, value in changes.items():
        setattr(site, name, value)
    site.cut = 50_000
    with pytest.raises(ReadError, match="interrupted"):
        get(site, tmp_path)
    site.cut = None
    assert contents(get(site, tmp_path)) == CONTENT


def test_a_part_that_was_whole_already_is_fetched_anew(site, tmp_path):
    part = tmp_path / f".{NAME}.zip.part"
    download(site.url, part)
    assert contents(get(site, tmp_path)) == CONTENT
    assert site.asked[1][1] == f"bytes={len(site.body)}-"


def test_redirects_are_followed(site, tmp_path):
    site.redirect = {"/file.zip": "/one", "/one": "/two"}
    assert contents(get(site, tmp_path)) == CONTENT


def test_redirects_without_end_are_refused(site, tmp_path):
    site.redirect = {f"/{i}": f"/{i + 1}" for i in range(20)} | {"/file.zip": "/0"}
    with pytest.raises(ReadError, match="the server answers 302"):
        get(site, tmp_path)
    assert len(site.asked) < 10


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://127.0.0.1/x"])
def test_redirects_to_what_is_no_web_address_are_refused(site, tmp_path, target):
    site.redirect = {"/file.zip": target}
    with pytest.raises(ReadError, match=r"is no web address|is not allowed"):
        get(site, tmp_path)


def test_a_redirect_from_https_to_http_is_refused():
    request = urllib.request.Request("https://example.org/a")
    with pytest.raises(ReadError, match="which is not encrypted; refused"):
        _Redirects().redirect_request(request, io.BytesIO(), 302, "", HTTPMessage(), "http://example.org/a")


def test_bytes_that_were_not_asked_for_are_refused_and_forgotten(site, tmp_path):
    site.cut = 50_000
    with pytest.raises(ReadError, match="interrupted"):
        get(site, tmp_path)
    site.cut, site.shift = None, 1
    with pytest.raises(ReadError, match="sent other bytes than were asked for"):
        get(site, tmp_path)
    site.shift = 0
    assert contents(get(site, tmp_path)) == CONTENT


def test_an_address_that_is_no_web_address_is_refused(tmp_path):
    with pytest.raises(ReadError, match="is no web address; expected http:// or https://"):
        download("file:///etc/passwd", tmp_path / "part")


def test_a_missing_page_is_told(site, tmp_path):
    site.status = 404
    with pytest.raises(ReadError, match="the server answers 404 Not Found"):
        get(site, tmp_path)


def test_no_server_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with pytest.raises(ReadError, match="is there a connection"):
        download("http://127.0.0.1:9/file.zip", tmp_path / "part", timeout=2)


def test_a_web_page_in_place_of_the_archive_is_refused(site, tmp_path):
    site.kind, site.body = "text/html; charset=utf-8", b"<html>log in</html>"
    with pytest.raises(ReadError, match="sent a web page, not a file"):
        get(site, tmp_path)


def test_what_is_no_archive_is_refused_and_not_kept(site, tmp_path):
    site.body = b"<html>log in</html>"
    with pytest.raises(ReadError, match="is no whole ZIP archive"):
        get(site, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_an_archive_cut_short_at_its_source_is_refused(site, tmp_path):
    site.body, site.length = site.body[:-100], False
    with pytest.raises(ReadError, match="is no whole ZIP archive"):
        get(site, tmp_path)


def test_a_download_over_the_limit_is_refused_declared_or_not(site, tmp_path):
    for declared in (True, False):
        site.length = declared
        with pytest.raises(ReadError, match=r"than the 0 MB expected|beyond the 0 MB expected"):
            download(site.url, tmp_path / "part", most_bytes=1000)
        assert not (tmp_path / "part").exists() or (tmp_path / "part").stat().st_size <= 1000


def test_files_that_differ_or_lack_are_listed_and_nothing_is_kept(site, tmp_path):
    site.body = packed({"ALS/1_ALS.txt": b"forged", "CTRL/1_CTRL.txt": CONTENT["CTRL/1_CTRL.txt"]})
    with pytest.raises(ReadError, match="2 files of the archive not as expected") as caught:
        get(site, tmp_path)
    assert {p.where: p.what.split(" (")[0] for p in caught.value.problems} == {
        "ALS/1_ALS.txt": "has other content than the study's",
        "Spectral Number.xlsx": "is not in the archive",
    }
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["repo-commit/../../evil", "/evil", "repo-commit\\..\\evil", "C:/evil"])
def test_names_that_lead_out_of_the_folder_condemn_the_archive(site, tmp_path, name):
    site.body = packed(extra=[(name, b"evil")])
    with pytest.raises(ReadError, match="leads out of its folder"):
        get(site, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_links_condemn_the_archive(site, tmp_path):
    link = zipfile.ZipInfo("repo-commit/Raman_Data/link")
    link.external_attr = 0o120777 << 16
    site.body = packed(extra=[(link, b"/etc/passwd")])
    with pytest.raises(ReadError, match="holds a link"):
        get(site, tmp_path)


def test_an_archive_that_declares_too_much_is_refused(tmp_path):
    path = tmp_path / "a.zip"
    path.write_bytes(packed())
    with pytest.raises(ReadError, match="would unpack to 0 MB, over 0 MB"):
        archive.extract(path, "Raman_Data", tmp_path / "out", MANIFEST, most_bytes=1000)


def test_an_archive_that_lies_about_its_size_is_refused(tmp_path):
    """A member that declares 10 bytes and unpacks to more."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("repo/Raman_Data/ALS/1_ALS.txt", CONTENT["ALS/1_ALS.txt"])
    size = struct.pack("<I", len(CONTENT["ALS/1_ALS.txt"]))
    path = tmp_path / "a.zip"
    path.write_bytes(buffer.getvalue().replace(size, struct.pack("<I", 10)))
    with pytest.raises(ReadError, match="is no whole ZIP archive"):
        archive.extract(path, "Raman_Data", tmp_path / "out", MANIFEST, most_bytes=1000)
    assert all(p.stat().st_size <= 1000 for p in (tmp_path / "out").rglob("*") if p.is_file())


def test_a_local_copy_is_verified_and_copied(tmp_path):
    for name, data in (CONTENT | {"ALS/Thumbs.db": b"junk"}).items():
        (tmp_path / "mine" / "Raman_Data" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "mine" / "Raman_Data" / name).write_bytes(data)
    for source in ("mine", "mine/Raman_Data"):
        folder = fetch.fetch(NAME, from_dir=tmp_path / source, data=tmp_path / source.replace("/", "-") / "data")
        assert contents(folder) == CONTENT
    (tmp_path / "mine/Raman_Data/ALS/1_ALS.txt").write_bytes(b"changed")
    with pytest.raises(ReadError, match="is not 'als-saliva' as it should be") as caught:
        fetch.fetch(NAME, from_dir=tmp_path / "mine", data=tmp_path / "other")
    assert caught.value.problems[0].where == "ALS/1_ALS.txt"
    assert not (tmp_path / "other" / NAME).exists()


def test_a_local_copy_that_is_not_there_is_told(tmp_path):
    with pytest.raises(ReadError, match=r"no folder .*give the folder that holds"):
        fetch.fetch(NAME, from_dir=tmp_path / "absent", data=tmp_path)


def test_a_study_without_checksums_is_registered_by_its_layout(tmp_path):
    source = tmp_path / "mine"
    source.mkdir()
    with pytest.raises(ReadError) as caught:
        fetch.fetch("bacteria-id", from_dir=source, data=tmp_path / "data")
    assert [p.where for p in caught.value.problems[:3]] == ["wavenumbers.npy", "X_*.npy", "y_*.npy"]
    for name in ("wavenumbers.npy", "X_test.npy", "y_test.npy", "notes.txt"):
        (source / name).write_bytes(b"x")
    folder = fetch.fetch("bacteria-id", from_dir=source, data=tmp_path / "data")
    assert sorted(contents(folder)) == ["X_test.npy", "wavenumbers.npy", "y_test.npy"]


def test_a_study_that_may_not_be_downloaded_says_where_and_under_which_terms(tmp_path):
    with pytest.raises(ReadError, match="must be got by hand") as caught:
        fetch.fetch("mouse-colon", data=tmp_path)
    told = {p.where: p.what for p in caught.value.problems}
    assert "Bocklitz-Lab" in told["where"]
    assert told["then"] == "polydx data fetch mouse-colon --from FOLDER"
    assert {"terms", "layout"} <= set(told)


def test_simulated_and_unknown_studies_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="'simulated-tumour' is drawn by polydx itself"):
        fetch.fetch("simulated-tumour", data=tmp_path)
    with pytest.raises(ConfigError, match="no dataset 'als-salvia'; did you mean 'als-saliva'"):
        fetch.fetch("als-salvia", data=tmp_path)


def test_the_data_folder_is_given_or_of_the_environment_or_the_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("POLYDX_DATA", str(tmp_path / "env"))
    assert fetch.data_folder(tmp_path) == tmp_path
    assert fetch.data_folder() == tmp_path / "env"
    monkeypatch.delenv("POLYDX_DATA")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert fetch.data_folder() == tmp_path / "cache" / "polydx"


def test_a_folder_that_cannot_be_written_is_told(site, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ReadError, match="cannot bring 'als-saliva' to"):
        get(site, tmp_path / "file")


@pytest.mark.parametrize("name", [n for n, d in DATASETS.items() if d.archive is not None])
def test_the_shipped_manifests_fit_the_real_files(data, name):
    manifest = read_manifest(name)
    assert manifest is not None
    assert len(manifest) in (592, 303)
    assert manifest_problems(data / name, manifest) == []


def test_every_local_dataset_says_where_it_is_from_and_what_it_holds():
    for name, dataset in DATASETS.items():
        assert dataset.source, name
        assert not dataset.local or (dataset.layout and dataset.terms), name
        assert dataset.archive is None or dataset.archive.url.startswith("https://github.com/"), name
