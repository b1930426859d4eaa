"""Whatever is sent that the OpenAPI document allows, and much that it does not, is answered or refused: never a 5xx."""

from __future__ import annotations

import json

import pytest
import schemathesis
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import response_schema_conformance, status_code_conformance
from serve_fakes import FakePredictor

from polydx.serve.app import create_app
from polydx.serve.options import Options

MODELS = {m: FakePredictor(*m.split("-"), name=m) for m in ("raman", "raman-image-clinical")}
OPTIONS = Options(max_mb=2, allowed_hosts=("testserver",))
SCHEMA = schemathesis.openapi.from_asgi("/openapi.json", create_app(MODELS, OPTIONS))
APP = create_app(MODELS, OPTIONS)
FEW = settings(
    max_examples=12, deadline=None, derandomize=True, database=None, phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)  # fmt: skip


@pytest.mark.slow
@SCHEMA.parametrize()
@settings(FEW, max_examples=40)
def test_the_api_keeps_to_its_own_document(case):
    if "name" in (case.path_parameters or {}):
        case.path_parameters["name"] = "raman-image-clinical"
    case.call_and_validate(checks=[not_a_server_error, response_schema_conformance, status_code_conformance])


numbers = st.floats() | st.integers(-(10**400), 10**400) | st.integers(-5, 5)
anything = st.recursive(
    st.none() | st.booleans() | numbers | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=12) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
spectra = st.fixed_dictionaries(
    {"axis": st.lists(numbers, max_size=12), "values": st.lists(numbers | st.lists(numbers, max_size=9), max_size=12)}
)
file = st.fixed_dictionaries(
    {"base64": st.text(alphabet="QUJDRA==/+ ", max_size=40)}, optional={"name": st.text(max_size=12)}
)
inputs = st.dictionaries(st.sampled_from(["raman", "image", "clinical", "x"]), spectra | file | anything, max_size=4)
samples = st.lists(st.fixed_dictionaries({"inputs": inputs | anything}, optional={"name": anything}), max_size=3)
HEADS = [
    b"",
    b"II*\0",
    b"\x89PNG\r\n\x1a\n",
    b"\xff\xd8\xff\xe0",
    b"GIF89a",
    b"PK\3\4",
    b"BM",
    b"P6\n",
    b"\x93NUMPY",
    b"\0" * 128 + b"DICM",
    b"1 2\n2 3\n",
]


@given(body=st.builds(lambda s: {"samples": s}, samples | anything), verb=st.sampled_from(["predict", "explain"]))
@settings(FEW, max_examples=60)
@pytest.mark.slow
def test_json_of_any_shape_is_answered_or_refused(body, verb):
    ask = TestClient(APP)
    found = ask.post(
        f"/v1/models/raman-image-clinical/{verb}",
        content=json.dumps(body),
        headers={"content-type": "application/json"},
    )
    assert found.status_code < 500, found.text


@given(
    parts=st.lists(
        st.tuples(
            st.sampled_from(["files", "raman", "image", "clinical", "x"]),
            st.text(max_size=12) | st.none(),
            st.sampled_from(HEADS),
            st.binary(max_size=200),
        ),
        max_size=3,
    ),
    ending=st.sampled_from(["", ".txt", ".xlsx", ".dcm", ".png", ".h5"]),
    verb=st.sampled_from(["predict", "explain"]),
)
@settings(FEW, max_examples=60)
@pytest.mark.slow
def test_files_of_any_content_are_answered_or_refused(parts, ending, verb):
    ask = TestClient(APP)
    files = [(field, (None if name is None else name + ending, head + data)) for field, name, head, data in parts]
    found = ask.post(f"/v1/models/raman-image-clinical/{verb}", files=files)
    assert found.status_code < 500, found.text


@given(body=st.binary(max_size=300), boundary=st.sampled_from(["x", "", "--", "a b", '"x"']))
@settings(FEW, max_examples=60)
@pytest.mark.slow
def test_forms_that_are_none_are_refused(body, boundary):
    ask = TestClient(APP)
    head = {"content-type": f"multipart/form-data; boundary={boundary}"}
    for content in (body, b"--x\r\nContent-Disposition: form-data; name=" + body + b"\r\n--x--\r\n"):
        assert ask.post("/v1/models/raman/predict", content=content, headers=head).status_code < 500
