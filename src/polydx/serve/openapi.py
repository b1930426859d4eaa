"""What the OpenAPI document says of the bodies that routes read by hand."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel

REFERENCE = "#/components/schemas/{model}"

FORM: dict[str, Any] = {
    "type": "object",
    "description": (
        "Files in fields named after modalities, or in `files`, which puts each where its content fits; "
        "a table as a JSON object of columns and values, in a text field named after its modality."
    ),
    "properties": {"files": {"type": "array", "items": {"type": "string", "format": "binary"}}},
    "additionalProperties": True,
}

POSTED: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": {"$ref": REFERENCE.format(model="PredictIn")}},
            "multipart/form-data": {"schema": FORM},
        },
    }
}


def add_request_schemas(app: FastAPI, *models: type[BaseModel]) -> None:
    """Put the schemas of request bodies into the document that FastAPI writes."""
    written = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = written()
            schemas = document.setdefault("components", {}).setdefault("schemas", {})
            for model in models:
                schema = model.model_json_schema(ref_template=REFERENCE)
                schemas.update(schema.pop("$defs", {}))
                schemas[model.__name__] = schema
        return app.openapi_schema or {}

    app.openapi = openapi  # type: ignore[method-assign]
