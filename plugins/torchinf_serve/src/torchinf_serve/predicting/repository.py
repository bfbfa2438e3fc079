"""The model repository extension of the protocol: what is there, load, unload."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson

from torchinf_core.errors import OptionError
from torchinf_serve.computing.served import VERSION_DIGITS
from torchinf_serve.predicting.answers import Answer, json_answer
from torchinf_serve.predicting.exchange import BadBodyError, Receive, Scope, read_body
from torchinf_serve.predicting.protocol import Protocol
from torchinf_serve.security import problems

MOST = 64 << 10


class Index(Protocol):
    """``POST /v2/repository/index``: the models of the store, and why one is not ready."""

    async def answer(self, scope: Scope, receive: Receive) -> Answer:
        """All models, or only those that are in memory."""
        asked = await _read(scope, receive)
        loop = asyncio.get_running_loop()
        models = await loop.run_in_executor(
            None, self.pool.manager.downloader.list_available_models
        )
        held = self.pool.held()
        found: list[dict[str, Any]] = []
        for name, info in models.items():
            ready = name in held and name in self.pool.ready
            if asked.get("ready") and not ready:
                continue
            found.append(
                {
                    "name": name,
                    "version": info.record.generation[:VERSION_DIGITS],
                    "state": "READY" if ready else "UNAVAILABLE",
                    "reason": "" if ready else problems.scrub(self.pool.reason(name)),
                }
            )
        return json_answer(found)


class Load(Protocol):
    """``POST /v2/repository/models/{name}/load``."""

    async def answer(self, scope: Scope, receive: Receive) -> Answer:
        """Load a stored model now; a request can't say how, nor bring files."""
        asked = await _read(scope, receive)
        if asked.get("parameters"):
            raise OptionError(
                "how a model is loaded is for the server's settings, not for requests"
            )
        await self.pool.load(scope["path_params"]["name"])
        return json_answer({})


class Unload(Protocol):
    """``POST /v2/repository/models/{name}/unload``."""

    async def answer(self, scope: Scope, receive: Receive) -> Answer:
        """Free a model's memory when what waits for it is done."""
        await _read(scope, receive)
        name = scope["path_params"]["name"]
        if not await self.pool.unload(name):
            await self.pool.require(name)
        return json_answer({})


async def _read(scope: Scope, receive: Receive) -> dict[str, Any]:
    """A small JSON object; nothing is one without members."""
    body = await read_body(scope, receive, MOST)
    if not body:
        return {}
    try:
        asked = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadBodyError(f"the body is no JSON: {error}") from None
    if type(asked) is not dict:
        raise BadBodyError("the body is no object")
    return asked
