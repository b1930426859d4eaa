"""The bounds of time and memory, the keys, and what is said at the start."""

from __future__ import annotations

import asyncio
import base64
import io
import time

import numpy as np
import pytest
from fastapi import Request
from fastapi.testclient import TestClient
from PIL import Image
from serve_fakes import AXIS, FakePredictor

from polydx.errors import ConfigError, ReadError
from polydx.serve import parse
from polydx.serve.app import create_app
from polydx.serve.bodies import Held, read_body
from polydx.serve.cases import Case, ImageRows, SpectraRows
from polydx.serve.options import Options, read_keys
from polydx.serve.refusals import RefusedError
from polydx.serve.served import Served
from polydx.serve.server import announcement
from polydx.serve.views import views

CHUNK = {"type": "http.request", "body": b"x" * 10, "more_body": True}


def receive(messages, **options):
    """What reading a body gives, where the client sends these messages and then nothing more."""

    async def main():
        left = list(messages)

        async def receiving():
            if not left:
                await asyncio.sleep(5)
            return left.pop(0)

        with Held(1000, 500).request() as share:
            return await read_body(Request({"type": "http", "headers": []}, receiving), Options(**options), share)

    return asyncio.run(main())


def test_a_body_that_comes_too_slowly_or_breaks_off_is_given_up():
    assert receive([CHUNK, {**CHUNK, "more_body": False}]) == b"x" * 20
    with pytest.raises(RefusedError, match="took longer than 0.05 s to arrive") as slow:
        receive([CHUNK], timeout=0.05)
    assert slow.value.status == 408
    with pytest.raises(RefusedError, match="was cut off") as gone:
        receive([CHUNK, {"type": "http.disconnect"}])
    assert gone.value.status == 400


def test_requests_share_a_bound_of_memory_and_give_it_back():
    held = Held(most=100, most_each=60)
    with held.request() as one:
        one.take(50)
        with pytest.raises(RefusedError, match="takes over 0 MB unpacked") as much:
            one.take(20)
        with held.request() as other:
            other.take(50)
            with pytest.raises(RefusedError, match="holds as much as it can") as full:
                other.take(10)
            with pytest.raises(RefusedError, match="holds as much as it can"), other.borrowed(10):
                pass
        with one.borrowed(50):
            assert held.now == 100
        assert held.now == 50
    assert (held.now, much.value.status, full.value.status) == (0, 413, 503)


def test_an_answer_that_takes_too_long_is_given_up_with_a_time_to_come_back():
    predictor = FakePredictor()
    with TestClient(create_app({"fake": predictor}, Options(timeout=0.1)), base_url="http://localhost") as ask:
        example = ask.get("/v1/models/fake/example").json()
        predictor.seconds = 0.4
        for verb in ("predict", "explain"):
            found = ask.post(f"/v1/models/fake/{verb}", json=example)
            assert found.status_code == 503
            assert found.headers["retry-after"] == "2"
            assert "no answer within 0.1 s" in found.json()["error"]["message"]


def test_files_that_nobody_waits_for_are_not_read(monkeypatch):
    read = []

    def slowly(file, share):
        read.append(file.name)
        time.sleep(0.2)
        raise ReadError("too odd to be read")

    monkeypatch.setattr(parse, "read_spectra_file", slowly)
    form = b"".join(
        b'--b\r\nContent-Disposition: form-data; name="raman"; filename="%d.txt"\r\n\r\n1 2\r\n' % i for i in range(5)
    )
    with Held(1000, 500).request() as share:
        parser = parse.Parser(Served(FakePredictor()), Options(timeout=0.1), share)
        with pytest.raises(RefusedError, match="the files took too long to read") as late:
            parser.cases("multipart/form-data; boundary=b", form + b"--b--\r\n")
    assert (late.value.status, read) == (503, ["0.txt"])


def test_an_explanation_stops_between_two_calls_of_the_model():
    from polydx.serve.explaining import Explainer
    from polydx.serve.served import Served

    def check():
        raise RefusedError(503, "too-long", "no time left")

    values = SpectraRows(np.ones((1, len(AXIS))), AXIS)
    with pytest.raises(RefusedError, match="no time left"):
        Explainer(Served(FakePredictor()), Case("a", {"raman": [values]}), "malignancy", "benign", check).explain()


def test_a_model_that_gives_no_number_is_not_explained():
    class Silent(FakePredictor):
        def predict_proba(self, samples):
            return {name: p * np.nan for name, p in super().predict_proba(samples).items()}

    with TestClient(create_app({"fake": Silent()}), base_url="http://localhost") as ask:
        example = ask.get("/v1/models/fake/example").json()
        assert ask.post("/v1/models/fake/predict", json=example).json()["answers"][0]["tasks"]["malignancy"][
            "probabilities"
        ] == {"benign": None, "malignant": None}
        found = ask.post("/v1/models/fake/explain", json=example)
        assert (found.status_code, found.json()["error"]["code"]) == (422, "no-probability")


def test_models_are_asked_once_at_the_start_and_one_that_refuses_is_served_all_the_same(caplog):
    good, bad = FakePredictor(), FakePredictor(name="bad", fail="the value of Jane Doe")
    with caplog.at_level("WARNING", "polydx.serve"):
        app = create_app({"fake": good, "bad": bad})
        with TestClient(app, base_url="http://localhost") as ask:
            assert ask.get("/healthz").status_code == 200
            end = time.monotonic() + 5
            while not caplog.records and time.monotonic() < end:
                time.sleep(0.01)
    assert good.calls == [1]
    (record,) = caplog.records
    assert record.getMessage() == "no answer to an example"
    assert (record.fields["model"], record.fields["error"]) == ("bad", "RuntimeError")


def test_keys_are_read_and_bad_ones_refused(tmp_path):
    file = tmp_path / "keys"
    file.write_text("# of the lab\n  a-long-enough-key-1\n\na-long-enough-key-2\n")
    assert read_keys(file) == ("a-long-enough-key-1", "a-long-enough-key-2")
    for text, said in (
        ("# none\n", "holds none; write one a line"),
        ("short", "fewer than 16 characters"),
        ("ä" * 20, "others than ASCII"),
    ):
        file.write_text(text)
        with pytest.raises(ConfigError, match=said):
            read_keys(file)
    with pytest.raises(ConfigError, match="cannot be read"):
        read_keys(tmp_path / "none")


def test_it_is_said_loudly_who_may_reach_the_server():
    models = {"als": FakePredictor()}
    assert announcement(models, Options()) == [
        "serving als at http://127.0.0.1:8000 (stop with Ctrl-C). Research use only."
    ]
    (_, loud) = announcement(models, Options(host="0.0.0.0"))
    assert loud.startswith(
        "WARNING: 0.0.0.0 is reached from other machines, without encryption; NO API KEY is asked for"
    )
    assert "an API key is asked for" in announcement(models, Options(host="::", api_keys=("k" * 16,)))[1]
    assert "http://[::1]:8000" in announcement(models, Options(host="::1"))[0]


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((4, 3), bool), np.arange(12, dtype=np.uint16).reshape(3, 4), np.full((5, 5), 7, np.int16), np.ones((4, 4, 1), np.uint8),
        np.ones((4, 4, 2), np.uint8), np.ones((9, 4, 4), np.uint8), np.full((3, 3), np.nan, np.float32), np.ones((3000, 5, 3), np.float32),
        np.ones((4, 4, 3), np.uint16),
    ],
)  # fmt: skip
def test_an_image_of_any_depth_can_be_shown(pixels):
    view = views(Case("a", {"image": [ImageRows([pixels])]}))["image"]
    shown = Image.open(io.BytesIO(base64.b64decode(view["image"].partition(",")[2])))
    assert max(shown.size) <= 512
    assert (view["height"], view["width"]) == pixels.shape[:2]


def test_a_long_spectrum_is_shown_by_means_that_keep_its_area():
    axis = np.linspace(100, 4000, 5003)
    values = np.exp(-(((axis - 1003) / 2) ** 2))[None]
    view = views(Case("a", {"raman": [SpectraRows(values, axis)]}))["raman"]
    assert len(view["axis"]) <= 1200
    assert max(view["values"][0]) > 0.5
    assert np.trapezoid(view["values"][0], view["axis"]) == pytest.approx(np.trapezoid(values[0], axis), rel=0.02)


def test_the_example_of_a_model_of_grey_pictures_is_grey_and_of_its_size():
    class Grey(FakePredictor):
        def predict(self, inputs):
            if inputs[0]["image"].ndim != 2:
                raise ReadError("expected one channel")
            return super().predict(inputs)

    predictor = Grey("image")
    predictor.modalities["image"] = {"kind": "images", "window": None, "size": (20, 30)}
    with TestClient(create_app({"fake": predictor}), base_url="http://localhost") as ask:
        found = ask.get("/v1/models/fake/example").json()["samples"][0]["inputs"]["image"]
        shown = Image.open(io.BytesIO(base64.b64decode(found["base64"])))
        assert (shown.mode, shown.size) == ("L", (30, 20))
