"""The REST API: what it answers, what it refuses and how, and what it keeps to itself."""

from __future__ import annotations

import base64
import io
import json
import logging
import zipfile

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image
from serve_fakes import AXIS, FakePredictor

from polydx.serve.app import create_app
from polydx.serve.options import Options


def client(*predictors: FakePredictor, **options: object) -> TestClient:
    found = predictors or (FakePredictor(),)
    return TestClient(create_app({p.name: p for p in found}, Options(**options)), base_url="http://localhost")


def spectrum(height: float = 3.0, rows: int = 1) -> bytes:
    values = 1 + height * np.exp(-(((AXIS - 1003) / 12) ** 2))
    return "\n".join(
        "\t".join(f"{x:.3f}" for x in (a, *[v] * rows)) for a, v in zip(AXIS, values, strict=True)
    ).encode()


def picture(shade: int = 200, size: int = 64, kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (size, size), (shade,) * 3).save(buffer, kind)
    return buffer.getvalue()


def error(response) -> dict:
    found = response.json()["error"]
    assert set(found) == {"code", "message", "problems"}
    return found


def test_models_say_what_they_take_and_answer():
    both = client(FakePredictor(), FakePredictor("raman", "clinical", name="other"))
    listed = both.get("/v1/models").json()
    assert [m["name"] for m in listed["models"]] == ["fake", "other"]
    assert "Research use only" in listed["note"]
    one = both.get("/v1/models/other").json()
    assert one["tasks"]["subtype"]["parent"] == ["malignancy", "malignant"]
    np.testing.assert_allclose(one["modalities"]["raman"]["axis"], AXIS)
    assert one["modalities"]["clinical"]["columns"][0] == {
        "name": "age", "kind": "number", "unit": "years", "low": 18.0, "high": 90.0
    }  # fmt: skip
    assert "Intended use" in one["card"]
    assert both.get("/healthz").json()["status"] == "ok"


def test_a_json_request_is_answered_in_its_order_with_sets_and_warnings():
    values = [1 + h * np.exp(-(((AXIS - 1003) / 12) ** 2)) for h in (0.0, 5.0)]
    samples = [
        {"name": n, "inputs": {"raman": {"axis": AXIS.tolist(), "values": v.tolist()}}}
        for n, v in zip("ab", values, strict=True)
    ]
    found = client().post("/v1/models/fake/predict", json={"samples": samples}).json()
    assert [a["sample"] for a in found["answers"]] == ["a", "b"]
    low, high = (a["tasks"]["malignancy"]["probabilities"]["malignant"] for a in found["answers"])
    assert low < high
    assert found["answers"][1]["tasks"]["malignancy"]["decision"] == "malignant"
    assert found["answers"][1]["tasks"]["subtype"]["set"] == ["pre-B", "pro-B", "early pre-B"]
    assert found["answers"][1]["modalities"] == ["raman"]


def test_numbers_files_in_json_and_forms_give_one_answer():
    ask = client()
    data = spectrum()
    numbers = np.loadtxt(io.BytesIO(data))
    bodies = [
        {"axis": numbers[:, 0].tolist(), "values": numbers[:, 1].tolist()},
        {"axis": numbers[::-1, 0].tolist(), "values": [numbers[::-1, 1].tolist()]},
        {"name": "a.txt", "base64": base64.b64encode(data).decode()},
    ]
    told = [ask.post("/v1/models/fake/predict", json={"samples": [{"inputs": {"raman": b}}]}).json() for b in bodies]
    for field in ("files", "raman"):
        told.append(ask.post("/v1/models/fake/predict", files={field: ("a.txt", data)}).json())
    probabilities = [t["answers"][0]["tasks"]["malignancy"]["probabilities"]["malignant"] for t in told]
    assert np.ptp(probabilities) < 1e-12


def test_spectra_of_a_file_are_samples_and_files_of_a_patient_one_case():
    files = [("files", ("a.txt", spectrum(rows=2))), ("files", ("b.txt", spectrum()))]
    found = client().post("/v1/models/fake/predict", files=files).json()
    assert [a["sample"] for a in found["answers"]] == ["a.txt #1", "a.txt #2", "b.txt"]
    patients = client(FakePredictor(unit="patient"))
    found = patients.post("/v1/models/fake/predict", files=files).json()
    assert [a["sample"] for a in found["answers"]] == ["a.txt", "b.txt"]
    found = patients.post("/v1/models/fake/predict?together=true", files=files).json()
    assert [a["sample"] for a in found["answers"]] == ["a.txt"]


def test_several_modalities_are_one_case_and_any_of_them_may_be_missing():
    ask = client(FakePredictor("raman", "image", "clinical"))
    files = [("files", ("a.txt", spectrum())), ("files", ("b.png", picture()))]
    found = ask.post(
        "/v1/models/fake/predict?views=true", files=files, data={"clinical": '{"age": 70, "sex": null}'}
    ).json()
    (answer,) = found["answers"]
    assert answer["modalities"] == ["clinical", "raman", "image"]
    assert answer["views"]["clinical"]["columns"] == {"age": 70.0, "sex": None}
    assert len(answer["views"]["raman"]["axis"]) == 120
    assert answer["views"]["image"]["image"].startswith("data:image/png;base64,")
    found = ask.post("/v1/models/fake/predict", files={"clinical": (None, '{"age": 70}')}).json()
    assert found["answers"][0]["modalities"] == ["clinical"]
    small = ask.post("/v1/models/fake/predict", files={"image": ("b.png", picture(size=8))}).json()
    assert small["answers"][0]["warnings"] == ["the image is small"]


def test_what_the_model_refuses_is_told_under_the_name_of_the_file():
    off = "\n".join(f"{a}\t1" for a in np.linspace(100, 500, 50)).encode()
    files = [("files", ("good.txt", spectrum())), ("files", ("off.txt", off))]
    response = client().post("/v1/models/fake/predict", files=files)
    assert response.status_code == 422
    assert error(response)["problems"] == [{"where": "off.txt", "what": "the axis does not cover the model's"}]


def bomb() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/worksheets/sheet1.xml", b"0" * 30_000_000)
    return buffer.getvalue()


def wide_gif() -> bytes:
    frames = [Image.new("L", (16, 16), i) for i in range(20)]
    buffer = io.BytesIO()
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:])
    return buffer.getvalue()


BIG = picture(size=8, kind="BMP")
BIG = BIG[:18] + (9000).to_bytes(4, "little") * 2 + BIG[26:]


@pytest.mark.parametrize(
    ("files", "status", "said"),
    [
        ([("files", ("a.png", picture()))], 422, "a.png is an image; the model takes spectra (raman)"),
        ([("files", ("a.txt", b"hello"))], 422, "a.txt"),
        ([("files", ("a.txt", b""))], 422, "is empty"),
        ([("files", ("a.wdf", b"WDF1" + b"x" * 100))], 422, "Renishaw WDF"),
        ([("raman", ("a.png", picture()))], 422, "a PNG image"),
        ([("files", ("a.xlsx", bomb()))], 413, "a.xlsx has 30 MB of text, over 8 MB"),
        ([("files", ("a.npy", b"\x93NUMPY" + b"x" * 60))], 422, "which the server does not take"),
        ([("files", ("a.parquet", b"PAR1" + b"x" * 60))], 422, "which the server does not take"),
        ([("files", ("a.zip", b"PK\3\4" + b"x" * 60))], 422, "ZIP archive"),
        ([("files", ("a.txt", b"1 2\n" * 4_100_000))], 413, "over 8 MB; split it"),
        ([("mri", ("a.txt", b"1"))], 422, "no modality 'mri'; it takes: raman"),
        ([("files", ("a.txt", spectrum()))] * 5, 413, "Maximum number of files is 4"),
        ([("files", ("../../etc/passwd", b"root"))], 422, "passwd"),
    ],
)
def test_hostile_and_wrong_spectra_are_refused_with_the_reason(files, status, said):
    response = client(max_files=4, max_mb=30).post("/v1/models/fake/predict", files=files)
    assert response.status_code == status
    told = error(response)
    assert said in " ".join([told["message"], *(f"{p['where']} {p['what']}" for p in told["problems"])])
    assert "../" not in response.text


@pytest.mark.parametrize(
    ("data", "status", "said"),
    [
        (spectrum(), 422, "is no image that can be read"),
        (BIG, 422, "decompression bomb"),
        (picture()[:60], 422, "damaged"),
        (wide_gif(), 413, "20 frames, over 8"),
        (picture(size=1200), 413, "unpacked; send less"),
    ],
    ids=["text", "bomb", "cut off", "frames", "unpacked"],
)
def test_hostile_images_are_refused(data, status, said):
    response = client(FakePredictor("image"), max_files=8, max_mb=0.8).post(
        "/v1/models/fake/predict", files={"files": ("a.png", data)}
    )
    assert response.status_code == status
    told = error(response)
    assert said in " ".join([told["message"], *(p["what"] for p in told["problems"])])


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (b"{", 400, "not readable as JSON"),
        (b"\xff\xfe", 400, "not readable as JSON"),
        (b"[" * 100_000, 400, "not readable as JSON"),
        (b"{}", 422, "Field required"),
        (b'{"samples": []}', 422, "at least 1 item"),
        (b'{"samples": [{"inputs": {}}]}', 422, "at least 1 item"),
        (b'{"samples": [{"inputs": {"raman": {"axis": [1, 2], "values": [1, NaN]}}}]}', 422, "finite"),
        (b'{"samples": [{"inputs": {"raman": {"axis": [1, 1e999], "values": [1, 2]}}}]}', 422, "finite"),
        (b'{"samples": [{"inputs": {"raman": {"axis": [1, 2], "values": [1, 2]}}}]}', 422, "at least 8"),
        (b'{"samples": [{"inputs": {"raman": {"axis": [1, 2], "values": [1]}}}]}', 422, "2 points, 1 values"),
        (
            b'{"samples": [{"inputs": {"raman": {"axis": [1, 2], "values": [[1, 2], [1]]}}}]}',
            422,
            "2 points, 1, 2 values",
        ),
        (b'{"samples": [{"inputs": {"raman": {"base64": "%%%"}}}]}', 422, "base64 cannot be decoded"),
        (b'{"samples": [{"inputs": {"raman": {"age": 1}}}]}', 422, "expected axis and values, or a file"),
        (b'{"samples": [{"inputs": {"mri": {"age": 1}}}]}', 422, "no modality 'mri'"),
    ],
)
@pytest.mark.slow
def test_wrong_json_is_refused_with_the_place(body, status, said):
    response = client().post("/v1/models/fake/predict", content=body, headers={"content-type": "application/json"})
    assert response.status_code == status
    told = error(response)
    assert said in " ".join([told["message"], *(p["what"] for p in told["problems"])])


@pytest.mark.parametrize(
    ("inputs", "where", "said"),
    [
        ('{"axis": [1, NaN], "values": [1, 2]}', "raman.axis.1", "finite"),
        ('{"axis": [1, 2], "values": ["a", 2]}', "raman.values.0", "valid number"),
        ('{"axis": [1, 2], "values": [[1, 2], [3, "b"]]}', "raman.values.1.1", "valid number"),
        ('{"axis": [1, 2]}', "raman.values", "required"),
        ('{"age": 61, "sex": ["m"]}', "raman.sex", "valid"),
    ],
)
def test_one_mistake_is_told_once_whatever_forms_a_measurement_may_have(inputs, where, said):
    body = f'{{"samples": [{{"inputs": {{"raman": {inputs}}}}}]}}'
    response = client().post("/v1/models/fake/predict", content=body, headers={"content-type": "application/json"})
    (problem,) = error(response)["problems"]
    assert problem["where"] == f"samples.0.inputs.{where}"
    assert said in problem["what"]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"clinical": "no"}, "not readable as JSON"),
        ({"clinical": '{"age": [1]}'}, "clinical"),
        ({"raman": "1 2 3"}, "is text; send a file"),
        ({"other": "1"}, "no modality 'other'"),
    ],
)
def test_wrong_fields_of_a_form_are_refused(data, said):
    files = {"files": ("a.txt", spectrum())}
    response = client(FakePredictor("raman", "clinical")).post("/v1/models/fake/predict", data=data, files=files)
    assert response.status_code in (400, 422)
    assert said in response.text
    response = client(FakePredictor("clinical")).post(
        "/v1/models/fake/predict", files={"clinical": ("a.csv", b"age\n1")}
    )
    assert "takes columns and values as JSON" in response.text


@pytest.mark.parametrize(
    "content_type", ["multipart/form-data", "multipart/form-data; boundary=x", "multipart/form-data; boundary=\xff"]
)
def test_a_form_that_is_none_is_refused(content_type):
    for body in (b"", b"junk", b"--x\r\nContent-Disposition: form-data\r\n\r\nabc\r\n--x--\r\n", b"--x\r\n" * 50):
        response = client().post(
            "/v1/models/fake/predict", content=body, headers={"content-type": content_type.encode("latin-1")}
        )
        assert response.status_code in (400, 422), body


def test_other_content_addresses_and_methods_are_refused_in_the_same_shape():
    ask = client()
    assert (
        error(ask.post("/v1/models/fake/predict", content=b"x", headers={"content-type": "text/plain"}))["code"]
        == "unsupported-media-type"
    )
    assert error(ask.post("/v1/models/none/predict", json={}))["code"] == "not-found"
    assert error(ask.get("/v1/models/none"))["code"] == "not-found"
    assert error(ask.get("/nowhere"))["code"] == "not-found"
    assert error(ask.get("/page/../app.py"))["code"] == "not-found"
    assert error(ask.get("/page/index.py"))["code"] == "not-found"
    assert error(ask.delete("/v1/models"))["code"] == "method-not-allowed"
    assert error(ask.post("/v1/models/fake/explain?sample=-1", json={}))["code"] == "bad-request"
    assert ask.get("/docs").status_code == 404


def test_a_request_over_the_limit_is_cut_off_whether_or_not_it_says_how_long_it_is():
    ask = client(max_mb=0.1)
    body = b"x" * 200_000
    headers = {"content-type": "application/json"}
    told = ask.post("/v1/models/fake/predict", content=body, headers=headers)
    assert (told.status_code, error(told)["code"]) == (413, "too-large")
    seen = []

    def chunks():
        for _ in range(20):
            seen.append(1)
            yield b"x" * 20_000

    told = ask.post("/v1/models/fake/predict", content=chunks(), headers=headers)
    assert (told.status_code, error(told)["message"]) == (413, "the request is over 0.1 MB; send less at a time")


def test_explanations_find_what_the_answer_rests_on():
    ask = client(FakePredictor("raman", "image", "clinical"))
    files = [("files", ("a.txt", spectrum())), ("files", ("b.png", picture(60)))]
    response = ask.post("/v1/models/fake/explain", files=files, data={"clinical": '{"age": 80, "sex": "male"}'})
    found = response.json()
    assert (found["task"], found["label"]) == ("malignancy", "malignant")
    top = max(found["parts"]["raman"]["bands"], key=lambda b: b["importance"])
    assert top["low"] - 25 < 1003 < top["high"] + 25
    columns = found["parts"]["clinical"]["columns"]
    assert columns["age"] > 1
    assert abs(columns["sex"]) < 1e-9
    assert np.shape(found["parts"]["image"]["grid"]) == (8, 8)
    assert set(found["without"]) == {"raman", "image", "clinical"}
    assert found["without"]["clinical"] < found["probability"]
    benign = ask.post("/v1/models/fake/explain?label=benign", files=files).json()
    assert min(benign["parts"]["raman"]["bands"], key=lambda b: b["importance"])["low"] == pytest.approx(top["low"])
    assert benign["parts"]["raman"]["bands"]


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("task=none", "is none of: malignancy, subtype"),
        ("label=none", "is none of: benign"),
        ("sample=3", "there is no sample 3"),
    ],
)
def test_what_cannot_be_explained_is_refused(query, said):
    response = client().post(f"/v1/models/fake/explain?{query}", files={"files": ("a.txt", spectrum())})
    assert response.status_code == 422
    assert said in response.text


@pytest.mark.parametrize("modalities", [("raman",), ("image",), ("clinical",), ("raman", "image", "clinical")])
def test_the_example_can_be_sent_as_it_is(modalities):
    ask = client(FakePredictor(*modalities))
    example = ask.get("/v1/models/fake/example").json()
    assert example["samples"][0]["name"] == "simulated example"
    for verb in ("predict?views=true", "explain"):
        assert ask.post(f"/v1/models/fake/{verb}", json=example).status_code == 200


def test_a_key_is_asked_for_where_there_is_one():
    ask = client(api_keys=("a-long-enough-key-1", "a-long-enough-key-2"))
    assert ask.get("/v1/models").status_code == 401
    assert error(ask.get("/v1/models", headers={"x-api-key": "a-long-enough-key-3"}))["code"] == "no-key"
    assert ask.get("/v1/models", headers={"authorization": "Basic a-long-enough-key-1"}).status_code == 401
    assert ask.get("/v1/models", headers={"x-api-key": "a-long-enough-key-2"}).status_code == 200
    assert ask.get("/v1/models", headers={"authorization": "Bearer a-long-enough-key-1"}).status_code == 200
    assert ask.get("/healthz").status_code == 200
    assert ask.get("/").status_code == 200


def test_another_web_site_cannot_use_a_local_server_under_its_own_name():
    ask = client()
    assert error(ask.get("/v1/models", headers={"host": "evil.example"}))["code"] == "unknown-host"
    for host in ("127.0.0.1:8000", "localhost:8000", "[::1]:8000", "LOCALHOST"):
        assert ask.get("/healthz", headers={"host": host}).status_code == 200
    assert client(host="0.0.0.0").get("/healthz", headers={"host": "any.example"}).status_code == 200
    assert client(allowed_hosts=("lab.example",)).get("/healthz", headers={"host": "lab.example"}).status_code == 200


def test_every_answer_forbids_the_browser_what_the_page_does_not_need():
    ask = client()
    for path in ("/", "/v1/models", "/nowhere"):
        headers = ask.get(path).headers
        assert "default-src 'none'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert "server" not in headers
    assert ask.get("/v1/models").headers["cache-control"] == "no-store"
    page = ask.get("/")
    assert ask.get("/", headers={"if-none-match": page.headers["etag"]}).status_code == 304


def test_the_log_has_counts_and_no_names_values_or_messages(caplog):
    from polydx.serve.logs import JsonLines

    ask = client(FakePredictor(fail="the value of Jane Doe"), FakePredictor("clinical", name="ok"))
    with caplog.at_level(logging.INFO, "polydx.serve"):
        ask.post("/v1/models/ok/predict", files={"clinical": (None, '{"age": 71.25}'), "x": ("Jane Doe.txt", b"1")})
        ask.post(
            "/v1/models/ok/predict", json={"samples": [{"name": "Jane Doe", "inputs": {"clinical": {"age": 71.25}}}]}
        )
        failed = ask.post("/v1/models/fake/predict", files={"files": ("Jane Doe.txt", spectrum())})
        ask.get("/Jane Doe")
    lines = [JsonLines().format(record) for record in caplog.records if record.name == "polydx.serve"]
    told = [json.loads(line) for line in lines]
    assert [t["status"] for t in told] == [422, 200, 500, 404]
    assert told[1]["samples"] == 1
    assert told[1]["route"] == "/v1/models/{name}/predict"
    assert (told[2]["error"], told[2]["at"].startswith("serve_fakes.py:")) == ("RuntimeError", True)
    assert not any(word in line for line in lines for word in ("Jane", "71.25"))
    assert told[2]["id"] in error(failed)["message"]
    assert "Jane" not in failed.text


def test_nothing_is_written_to_a_disk(monkeypatch):
    import tempfile

    def forbidden(*args: object, **kwargs: object) -> None:
        raise AssertionError("a temporary file on the disk")

    ask = client(FakePredictor("image"))
    rolled = []
    monkeypatch.setattr(tempfile.SpooledTemporaryFile, "rollover", lambda _: rolled.append(1))
    monkeypatch.setattr(tempfile, "TemporaryFile", forbidden)
    noise = np.random.default_rng(0).integers(0, 255, (1000, 1000, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).save(buffer, "BMP")
    response = ask.post("/v1/models/fake/predict?views=true", files={"files": ("a.bmp", buffer.getvalue())})
    assert response.status_code == 200
    assert rolled == []
