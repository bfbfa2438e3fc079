"""Puts a server together: the gate, the predictions behind it, and the management."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from torchinf_core.errors import TorchinfError
from torchinf_core.manager import ModelDownloader
from torchinf_serve import __version__, management, page
from torchinf_serve.config import Config
from torchinf_serve.observing import health
from torchinf_serve.predicting import describing
from torchinf_serve.relay import Inner, Relay
from torchinf_serve.schemas import Problem
from torchinf_serve.security import problems
from torchinf_serve.security.gate import REQUEST_ID, Gate, Receive, Scope, Send, is_predicting
from torchinf_serve.security.tokens import Tokens
from torchinf_serve.state import ServerState

Handler = Callable[[Request, Exception], Coroutine[Any, Any, Response]]


class Application:
    """The whole server as one ASGI app.

    Args:
        config: as it was started, with the port it really listens on.
        downloader: of the store.
        tokens: who may ask.
        owner: socket of the process that runs the downloads, where another does.

    Attributes:
        state: what it holds.
        inner: the same without a gate, for the other processes.
        management: the FastAPI part, which describes itself as OpenAPI.
    """

    def __init__(
        self, config: Config, downloader: ModelDownloader, tokens: Tokens, owner: str = ""
    ) -> None:
        self.state = state = ServerState(config, downloader, runs_jobs=not owner)
        handlers = _handlers()
        self.management = FastAPI(
            title="torchinf",
            version=__version__,
            docs_url=None,  # their pages load scripts from elsewhere
            redoc_url=None,
            lifespan=self._lifespan,
            exception_handlers=handlers,
        )
        self.management.include_router(management.router(state))
        self.management.router.routes.extend(page.routes())
        _describe(self.management)
        self._predicting = Starlette(
            routes=state.predictions.routes(),
            exception_handlers=handlers,
        )
        self.inner = Inner(self.management)
        self._relay = Relay(self._dispatch, owner) if owner else None
        self._gate = Gate(self._relay or self._dispatch, config, tokens, state.metrics.request)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, or the lifespan."""
        await self._gate(scope, receive, send)

    async def _dispatch(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and is_predicting(scope["path"]):
            await self._predicting(scope, receive, send)
        elif scope["type"] == "http" and scope["path"] == "/health" and scope["method"] == "GET":
            # Asked often, and most of all when there is no time for it.
            await health(self.state, scope)(scope, receive, send)
        else:
            await self.management(scope, receive, send)

    @asynccontextmanager
    async def _lifespan(self, _app: FastAPI) -> AsyncIterator[None]:
        await self.state.startup()
        try:
            yield
        finally:
            if self._relay is not None:
                await self._relay.close()
            await self.state.shutdown()


def create_app(
    config: Config, downloader: ModelDownloader, tokens: Tokens, *, owner: str = ""
) -> Application:
    """The server for a store; see :class:`Application`."""
    return Application(config, downloader, tokens, owner)


def _describe(app: FastAPI) -> None:
    """Add to the OpenAPI document what FastAPI can't know: the token, and what errors look like."""
    make = app.openapi

    def openapi() -> dict[str, object]:
        if app.openapi_schema is None:
            schema = make()
            parts = schema.setdefault("components", {})
            parts.setdefault("schemas", {})["Problem"] = Problem.model_json_schema()
            parts["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
            schema["security"] = [{"token": []}]
            schema["paths"]["/health"]["get"]["security"] = []
            for path in schema["paths"].values():
                for operation in path.values():
                    operation["responses"].update(_without_fastapis_own(operation["responses"]))
            schema["paths"].update(describing.paths())
            app.openapi_schema = schema
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def _without_fastapis_own(responses: dict[str, object]) -> dict[str, object]:
    schema = {"$ref": "#/components/schemas/Problem"}
    return {
        status: {
            "description": "The request makes no sense.",
            "content": {problems.MEDIA_TYPE: {"schema": schema}},
        }
        for status in responses
        if status == "422"
    }


def _handlers() -> dict[int | type[Exception], Handler]:
    return {
        TorchinfError: _answer,
        HTTPException: _answer_http,
        RequestValidationError: _answer_validation,
        Exception: _answer,
    }


async def _answer(request: Request, error: Exception) -> Response:
    headers = dict(getattr(error, "headers", ()))
    return _response(request, problems.problem(error), headers)


async def _answer_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    words = {404: "there is nothing here", 405: "not with this method"}
    body = problems.make(error.status_code, words.get(error.status_code, "refused"))
    return _response(request, body, dict(error.headers or {}))


async def _answer_validation(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    words = [
        f"{item['loc'][-1] if item['loc'] else 'request'}: {str(item['msg']).lower()}"[:200]
        for item in error.errors()[:5]
    ]
    body = problems.make(422, problems.scrub("; ".join(words)), kind="UsageError")
    return _response(request, body, {})


def _response(request: Request, body: dict[str, object], headers: dict[str, str]) -> Response:
    body = {**body, "request_id": request.scope.get(REQUEST_ID)}
    status = int(str(body["status"]))
    return Response(problems.encode(body), status, headers=headers, media_type=problems.MEDIA_TYPE)
