"""Makes ``reference/rest.md`` from what the server says of itself in OpenAPI.

Which token a route wants is not in that document; the server is asked with each.
"""

from __future__ import annotations

import asyncio
import re
import tempfile
from typing import Any

Schema = dict[str, Any]
READER, WRITER = "a-token-for-reading-alone", "a-token-for-writing-as-well"
INTRODUCTION = """\
`torchinf serve` answers these routes; the [guide](../guide/serving.md) shows how. A token goes
into the header `Authorization: Bearer TOKEN`. **read** is any token, **write** one that may
write, **none** is everybody. The same as a document for programs: `GET /openapi.json`, without a
token on loopback alone.

Besides there are `GET /` and `/page/…`, the page for browsers, for everybody.
"""
PROBLEMS_SAY = """\
Errors of every route have the type `application/problem+json` and the fields of
[Problem](#problem); `type` ends in the kind of [error](errors.md). The routes below `/v2` word
them as their protocol does, `{"error": …}`. Each route may answer:
"""


def rest_page() -> str:
    """The routes, what goes in and what comes out, and the shapes of both."""
    document, wanted = asyncio.run(_ask())
    shapes: dict[str, Schema] = document["components"]["schemas"]
    operations = [
        (method, path, operation, item.get("parameters", []))
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if method != "parameters"
    ]
    everywhere = set.intersection(
        *(set(operation["responses"]) for _, path, operation, _ in operations if path != "/health")
    )
    everywhere = {status for status in everywhere if status >= "400"}
    first = operations[0][2]["responses"]
    parts = [
        "# REST",
        "<!-- made by docs/reference.py from the code; change that -->",
        INTRODUCTION.strip(),
        _overview(operations, wanted),
    ]
    for method, path, operation, shared in operations:
        parts += _route(method, path, operation, shared, wanted[method, path], everywhere)
    parts += ["## Errors", PROBLEMS_SAY.strip()]
    rows = [f"| {status} | {first[status]['description']} |" for status in sorted(everywhere)]
    parts += ["\n".join(["| status | |", "|---|---|", *rows]), "## Shapes"]
    for name, shape in sorted(shapes.items()):
        parts += [f"### {name}", _said(shape), _fields(shape)]
    return "\n\n".join([*(part for part in parts if part), ""])


def _overview(operations: list[Any], wanted: dict[Any, str]) -> str:
    rows = ["| route | token | |", "|---|---|---|"]
    for method, path, operation, _ in operations:
        text = f"{method.upper()} {path}"
        rows.append(
            f"| [`{text}`](#{_anchor(text)}) | {wanted[method, path]} | {operation['summary']} |"
        )
    return "\n".join(rows)


def _route(
    method: str, path: str, operation: Schema, shared: Any, token: str, known: set[str]
) -> list[str]:
    parts = [f"## {method.upper()} {path}", f"{operation['summary']}. Token: **{token}**."]
    parts.append(_said(operation))
    parameters = [*shared, *operation.get("parameters", [])]
    if parameters:
        rows = ["| parameter | in | |", "|---|---|---|"]
        rows += [
            f"| `{each['name']}` | {each['in']} | {_kind(each.get('schema', {}))}"
            f"{_described(each)} |"
            for each in parameters
        ]
        parts.append("\n".join(rows))
    body = operation.get("requestBody")
    if body:
        needed = "" if body.get("required") else ", which may be left out"
        types = ", ".join(f"`{kind}`" for kind in body["content"])
        parts.append(f"Body{needed}: {types}")
        schema = body["content"].get("application/json", {}).get("schema", {})
        parts.append(_fields(schema, sent=True))
    rows = ["| answer | | body |", "|---|---|---|"]
    for status, answer in sorted(operation["responses"].items()):
        if status not in known:
            rows.append(f"| {status} | {_answered(answer)} | {_bodies(answer)} |")
    parts.append("\n".join(rows))
    return parts


def _answered(answer: Schema) -> str:
    """FastAPI's own words say nothing."""
    text: str = answer["description"]
    return "" if text == "Successful Response" else text


def _bodies(answer: Schema) -> str:
    found = []
    for kind, content in answer.get("content", {}).items():
        shape = _kind(content["schema"]) if content.get("schema") else ""
        found.append(shape if kind == "application/json" and shape else f"`{kind}`")
    return " or ".join(found)


def _fields(schema: Schema, *, sent: bool = False) -> str:
    properties = schema.get("properties")
    if not properties:
        return ""
    required = schema.get("required", ())
    rows = ["| field | | |", "|---|---|---|"]
    for name, field in properties.items():
        must = "required" if sent and name in required else ""
        rows.append(f"| `{name}` | {_kind(field)} | {_both(must, field.get('description', ''))} |")
    return "\n".join(rows)


def _both(*texts: str) -> str:
    return "; ".join(" ".join(text.split()).replace("|", "\\|") for text in texts if text)


def _described(field: Schema) -> str:
    said = _both(field.get("description", ""))
    return f": {said}" if said else ""


def _kind(schema: Schema) -> str:
    """The type of a value in a few words, with a link where it has a shape of its own."""
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[1]
        return f"[{name}](#{name.lower()})"
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if "anyOf" in schema:
        return " or ".join(_kind(each) for each in schema["anyOf"])
    if schema.get("type") == "array":
        return f"list of {_kind(schema.get('items', {})) or 'anything'}"
    if schema.get("type") == "object" and isinstance(schema.get("additionalProperties"), dict):
        return f"object of {_kind(schema['additionalProperties'])}"
    return str(schema.get("type", ""))


def _said(thing: Schema) -> str:
    text: str = thing.get("description", "").replace("``", "`")
    return "" if thing.get("summary", "").rstrip(".") == text.rstrip(".") else text


def _anchor(title: str) -> str:
    """As Python-Markdown makes it."""
    text = re.sub(r"[^\w\s-]", "", title).strip().lower()
    return re.sub(r"[-\s]+", "-", text)


async def _ask() -> tuple[Schema, dict[tuple[str, str], str]]:
    """The OpenAPI document, and which token each route wants."""
    import httpx

    from torchinf_core.manager import ModelDownloader
    from torchinf_serve.app import create_app
    from torchinf_serve.config import Config
    from torchinf_serve.security.tokens import Caller, Tokens

    tokens = Tokens([(READER, Caller("reads", False)), (WRITER, Caller("writes", True))])
    with tempfile.TemporaryDirectory() as folder:
        app = create_app(Config(rate=0.0), ModelDownloader(folder), tokens)
        document: Schema = app.management.openapi()
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(
            transport=transport, base_url="http://127.0.0.1:8000"
        ) as client:
            wanted = {}
            for path, item in document["paths"].items():
                for method in item:
                    if method != "parameters":
                        wanted[method, path] = await _wanted(client, method, path)
    return document, wanted


async def _wanted(client: Any, method: str, path: str) -> str:
    place = re.sub(r"\{\w+\}", "nothing", path)
    if path.endswith("/events"):
        place = place.replace("nothing", "0")
    headers = {"content-type": "application/json"}
    for token, word in (("", "none"), (READER, "read"), (WRITER, "write")):
        more = {"authorization": f"Bearer {token}"} if token else {}
        answer = await client.request(method, place, headers=headers | more, content=b"{}")
        if answer.status_code not in (401, 403):
            return word
    raise AssertionError(f"no token opens {method} {path}")
