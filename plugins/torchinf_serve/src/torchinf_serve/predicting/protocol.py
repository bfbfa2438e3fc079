"""The Open Inference Protocol, version 2, over HTTP: for the clients that exist.

Besides a model's arrays, a pipeline can be asked by one input of BYTES that is
called after what it takes (``text``, ``image`` or ``mapping``, the last as JSON);
it answers ``result``, one JSON text for each.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import orjson

from torchinf_core.errors import InputError, NotFoundError, TorchinfError
from torchinf_core.predicting import arrays
from torchinf_core.runtimes import Array
from torchinf_serve.computing.item import StoppingError
from torchinf_serve.computing.served import Facts, Served
from torchinf_serve.computing.work import Things
from torchinf_serve.predicting import tensors
from torchinf_serve.predicting.answers import (
    Answer,
    dump,
    error_headers,
    json_answer,
    make_answer,
)
from torchinf_serve.predicting.bodies import Asked, ask, make_item
from torchinf_serve.predicting.exchange import (
    BadBodyError,
    Endpoint,
    MediaTypeError,
    Receive,
    Scope,
    header,
    timing,
)
from torchinf_serve.security import problems

SERVER = "torchinf"
EXTENSIONS = ["binary_tensor_data", "model_repository"]
_HEAD_LENGTH = b"inference-header-content-length"
_OWN = frozenset(
    {
        "binary_data_output",
        "sequence_id",
        "sequence_start",
        "sequence_end",
        "priority",
        "timeout",
    }
)
"""Parameters of a request that are no options of a pipeline."""


class Protocol(Endpoint):
    """What the protocol's routes have in common."""

    def failure(self, error: TorchinfError, scope: Scope) -> Answer:  # noqa: ARG002 - as declared
        """As the protocol wants errors: ``{"error": …}``."""
        body = problems.problem(error)
        text = body["detail"] + (f" ({body['hint']})" if "hint" in body else "")
        return json_answer({"error": text}, body["status"], error_headers(error))

    async def served(self, scope: Scope) -> Served:
        """The model that a path names, loaded.

        Raises:
            NotFoundError: it has not the version that the path names.
            TorchinfError: as for :meth:`Pool.get`.
        """
        parameters = scope["path_params"]
        name = parameters["name"]
        served = self.pool.ready.get(name) or await self.pool.get(name)
        version = parameters.get("version")
        if version is not None and version != served.facts.version:
            raise NotFoundError(
                f"{served.name!r} has no version {version[:40]!r}",
                hint=f"it is {served.facts.version}",
            )
        return served


class Server(Protocol):
    """``GET /v2``: who this is."""

    async def answer(self, scope: Scope, receive: Receive) -> Answer:  # noqa: ARG002
        """The server's metadata."""
        from torchinf_serve import __version__

        return json_answer({"name": SERVER, "version": __version__, "extensions": EXTENSIONS})


class Live(Protocol):
    """``GET /v2/health/live``: the process answers."""

    async def answer(self, scope: Scope, receive: Receive) -> Answer:  # noqa: ARG002
        """Always."""
        return json_answer({"live": True})


class Ready(Protocol):
    """``GET /v2/health/ready``: predictions are taken."""

    async def answer(self, scope: Scope, receive: Receive) -> Answer:  # noqa: ARG002
        """Unless the server stops."""
        if self.pool.stopping:
            raise StoppingError("the server stops")
        return json_answer({"ready": True})


class ModelReady(Protocol):
    """``GET /v2/models/{name}/ready``: it is in memory; 503 with the reason where it is not."""

    async def answer(self, scope: Scope, receive: Receive) -> Answer:  # noqa: ARG002
        """Whether the model is loaded; nothing is loaded for the question."""
        name = scope["path_params"]["name"]
        served = self.pool.ready.get(name)
        if served is None:
            await self.pool.require(name)
        version = scope["path_params"].get("version")
        fits = served is not None and version in (None, served.facts.version)
        body: dict[str, Any] = {"name": name, "ready": fits and name in self.pool.held()}
        if not body["ready"]:
            body["reason"] = problems.scrub(self.pool.reason(name))
        return json_answer(body, 200 if body["ready"] else 503)


class Model(Protocol):
    """``GET /v2/models/{name}``: what it takes and gives."""

    async def answer(self, scope: Scope, receive: Receive) -> Answer:  # noqa: ARG002
        """The model's metadata; it is loaded for that, since nobody else knows."""
        served = await self.served(scope)
        facts = served.facts
        inputs = [tensors.describe(spec) for spec in facts.signature.inputs]
        outputs = [tensors.describe(spec) for spec in facts.signature.outputs]
        if facts.kind != "array":
            inputs.append(
                {"name": facts.kind, "datatype": "BYTES", "shape": [-1], "optional": True}
            )
            outputs.append({"name": "result", "datatype": "BYTES", "shape": [-1]})
        return json_answer(
            {
                "name": served.name,
                "versions": [facts.version],
                "platform": f"torchinf_{facts.runtime}",
                "inputs": inputs,
                "outputs": outputs,
            }
        )


class Infer(Protocol):
    """``POST /v2/models/{name}/infer``."""

    async def answer(self, scope: Scope, receive: Receive) -> Answer:
        """Predict."""
        served = await self.served(scope)
        body = await self.body(scope, receive)
        if coding := header(scope, b"content-encoding"):
            raise MediaTypeError(f"bodies in {coding.decode('latin-1')[:30]!r} are not taken")
        request, binary = _split(body, header(scope, _HEAD_LENGTH))
        feeds = _read_inputs(request, binary)
        facts = served.facts
        asked = _ask(feeds, request, facts)
        result = await self.predict(served, asked.item, scope, receive)
        if isinstance(asked.item.work, Things):
            result = {"result": tensors.texts([dump(each) for each in result])}
        return _write(request, result, served, timing(asked.item))


def _split(body: bytearray, length: bytes) -> tuple[dict[str, Any], memoryview]:
    """The JSON of a body, and what is behind it."""
    size = len(body)
    if length:
        size = int(length) if length.isdigit() else -1
        if not 0 < size <= len(body):
            raise BadBodyError("Inference-Header-Content-Length does not fit the body")
    whole = memoryview(body)
    try:
        request = orjson.loads(whole[:size])
    except orjson.JSONDecodeError as error:
        raise BadBodyError(f"the body is no JSON: {error}") from None
    if type(request) is not dict or type(request.get("inputs")) is not list:
        raise BadBodyError("the body lacks inputs")
    return request, whole[size:]


def _read_inputs(request: dict[str, Any], binary: memoryview) -> dict[str, Array]:
    feeds: dict[str, Array] = {}
    place = 0
    for tensor in request["inputs"]:
        name = tensor.get("name") if type(tensor) is dict else None
        if not isinstance(name, str) or name in feeds:
            raise BadBodyError("each input needs a name of its own")
        parameters = tensor.get("parameters")
        size = parameters.get("binary_data_size") if type(parameters) is dict else None
        part = None
        if size is not None:
            if type(size) is not int or size < 0 or place + size > len(binary):
                raise BadBodyError(f"the binary data of the input {name!r} are not all there")
            part = binary[place : place + size]
            place += size
        feeds[name] = tensors.read_tensor(tensor, part)
    if place != len(binary):
        raise BadBodyError(f"{len(binary) - place} bytes are behind the last input's")
    return feeds


def _ask(feeds: dict[str, Array], request: dict[str, Any], facts: Facts) -> Asked:
    parameters = request.get("parameters") or {}
    if type(parameters) is not dict:
        raise BadBodyError("parameters are no object")
    if facts.kind != "array" and list(feeds) == [facts.kind] and feeds[facts.kind].dtype == object:
        options = {key: value for key, value in parameters.items() if key not in _OWN}
        values: list[Any] = feeds[facts.kind].reshape(-1).tolist()
        if facts.kind == "mapping":
            try:
                values = [orjson.loads(value) for value in values]
            except orjson.JSONDecodeError as error:
                raise InputError(f"a mapping is no JSON: {error}") from None
        return ask(values, options, facts)
    given = {name: _aligned(array) for name, array in feeds.items()}
    if facts.reader.fits(given):
        return Asked(make_item(given, facts), one=False)
    checked = arrays.to_feeds(given, facts.signature)
    for spec in facts.signature.inputs:
        # Clients of this protocol can't always write a number without an axis.
        if spec.shape in (None, ()) and checked[spec.name].shape == (1,):
            checked[spec.name] = checked[spec.name].reshape(())
    arrays.check(checked, facts.signature)
    return Asked(make_item(checked, facts), one=False)


def _aligned(array: Array) -> Array:
    """Runtimes want arrays to begin where their type can; in a body they begin anywhere."""
    if array.dtype == object:
        return np.array([value.decode("utf-8", "replace") for value in array.flat], object).reshape(
            array.shape
        )
    return array if array.flags.aligned else array.copy()


def _write(
    request: dict[str, Any],
    result: dict[str, Array],
    served: Served,
    more: list[tuple[bytes, bytes]],
) -> Answer:
    parameters = request.get("parameters") or {}
    everything = bool(parameters.get("binary_data_output", False))
    wanted = request.get("outputs")
    chosen: dict[str, bool] = dict.fromkeys(result, everything)
    if wanted:
        chosen = {}
        for output in wanted:
            name = output.get("name") if type(output) is dict else None
            own = output.get("parameters") if type(output) is dict else None
            own = own if type(own) is dict else {}
            if name not in result:
                there = ", ".join(result)
                raise InputError(f"there is no output {str(name)[:60]!r}", hint=f"it gives {there}")
            if own.get("classification"):
                raise InputError("classification of outputs is not offered here")
            chosen[name] = bool(own.get("binary_data", everything))
    heads, contents = [], []
    for name, binary in chosen.items():
        head, content = tensors.write_tensor(name, result[name], binary=binary)
        heads.append(head)
        if content is not None:
            contents.append(content)
    answer: dict[str, Any] = {
        "model_name": served.name,
        "model_version": served.facts.version,
        "outputs": heads,
    }
    if isinstance(request.get("id"), str):
        answer["id"] = request["id"]
    if not contents:
        return json_answer(answer, more=more)
    head_bytes = dump(answer)
    body = b"".join([head_bytes, *contents])
    length = (_HEAD_LENGTH, str(len(head_bytes)).encode())
    return make_answer(body, b"application/octet-stream", more=[length, *more])
