"""What the prediction routes say of themselves in the server's OpenAPI document.

They are plain ASGI, which describes nothing by itself.
"""

from __future__ import annotations

from typing import Any

from torchinf_serve import schemas

_OBJECT = {"application/json": {"schema": {"type": "object"}}}
_BYTES = {"schema": {"type": "string", "format": "binary"}}
_NAME = {"name": "name", "in": "path", "required": True, "schema": {"type": "string"}}
_VERSION = {"name": "version", "in": "path", "required": True, "schema": {"type": "string"}}
_PREDICT = {
    "type": "object",
    "required": ["inputs"],
    "properties": {"inputs": {}, "options": {"type": "object"}},
    "additionalProperties": False,
}
_TENSOR = {
    "type": "object",
    "required": ["name", "shape", "datatype"],
    "properties": {
        "name": {"type": "string"},
        "shape": {"type": "array", "items": {"type": "integer", "minimum": 0}},
        "datatype": {"type": "string"},
        "parameters": {"type": "object"},
        "data": {"type": "array"},
    },
}
_INFER = {
    "type": "object",
    "required": ["inputs"],
    "properties": {
        "id": {"type": "string"},
        "parameters": {"type": "object"},
        "inputs": {"type": "array", "items": _TENSOR},
        "outputs": {"type": "array", "items": {"type": "object", "required": ["name"]}},
    },
}


def paths() -> dict[str, Any]:
    """OpenAPI's path items for all routes of :class:`Predictions`."""
    infer = _operation(
        "Predict: Open Inference Protocol",
        body={"application/json": {"schema": _INFER}, "application/octet-stream": _BYTES},
        answers={**_OBJECT, "application/octet-stream": _BYTES},
    )
    ready = _operation("Whether a model is in memory")
    model = _operation("What a model takes and gives")
    return {
        "/models/{name}/predict": _item(
            "post",
            _operation(
                "Predict with a stored model",
                body={
                    "application/json": {"schema": _PREDICT},
                    "application/octet-stream": _BYTES,
                    "image/png": _BYTES,
                    "multipart/form-data": {"schema": {"type": "object"}},
                },
                answers={**_OBJECT, "application/octet-stream": _BYTES},
            ),
            _NAME,
        ),
        "/v2": _item("get", _operation("The server, in the words of the protocol")),
        "/v2/health/live": _item("get", _operation("The process answers")),
        "/v2/health/ready": _item("get", _operation("Predictions are taken")),
        "/v2/models/{name}": _item("get", model, _NAME),
        "/v2/models/{name}/versions/{version}": _item("get", model, _NAME, _VERSION),
        "/v2/models/{name}/ready": _item("get", ready, _NAME),
        "/v2/models/{name}/versions/{version}/ready": _item("get", ready, _NAME, _VERSION),
        "/v2/models/{name}/infer": _item("post", infer, _NAME),
        "/v2/models/{name}/versions/{version}/infer": _item("post", infer, _NAME, _VERSION),
        "/v2/repository/index": _item(
            "post",
            _operation(
                "The models of the store, and why one is not ready",
                body=_OBJECT,
                answers={"application/json": {"schema": {"type": "array"}}},
                needed=False,
            ),
        ),
        "/v2/repository/models/{name}/load": _item(
            "post", _operation("Load a model now", body=_OBJECT, needed=False), _NAME
        ),
        "/v2/repository/models/{name}/unload": _item(
            "post", _operation("Free a model's memory", body=_OBJECT, needed=False), _NAME
        ),
    }


def _item(method: str, operation: dict[str, Any], *parameters: dict[str, Any]) -> dict[str, Any]:
    return {"parameters": list(parameters), method: operation}


def _operation(
    summary: str,
    *,
    body: dict[str, Any] | None = None,
    answers: dict[str, Any] | None = None,
    needed: bool = True,
) -> dict[str, Any]:
    """An operation with the problems that any may answer, also as the protocol words them."""
    found: dict[str, Any] = {"200": {"description": "So it is.", "content": answers or _OBJECT}}
    for status, problem in schemas.PROBLEMS.items():
        schema = {"$ref": "#/components/schemas/Problem"}
        found[str(status)] = {
            "description": problem["description"],
            "content": {"application/problem+json": {"schema": schema}, **_OBJECT},
        }
    made: dict[str, Any] = {"summary": summary, "responses": found}
    if body is not None:
        made["requestBody"] = {"required": needed, "content": body}
    return made
