"""What an operator looks at: whether all is well, and figures."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from torchinf_serve import schemas
from torchinf_serve.security.gate import ANYBODY, CALLER, Scope
from torchinf_serve.security.problems import scrub
from torchinf_serve.state import ServerState


class ObservingRoutes:
    """``/health`` and ``/metrics``."""

    def __init__(self, state: ServerState) -> None:
        self._state = state

    def add_to(self, routes: APIRouter) -> None:
        """Register the routes."""
        add = routes.add_api_route
        add(
            "/health",
            self.health,
            summary="Tell whether all is well, and what is not",
            responses={
                200: {"model": schemas.Health, "description": "It works."},
                503: {
                    "content": {"application/json": {"schema": schemas.Health.model_json_schema()}},
                    "description": "It does not, for the reasons given.",
                },
            },
        )
        add(
            "/metrics",
            self.metrics,
            summary="Figures for Prometheus",
            response_class=Response,
            responses={200: {"content": {"text/plain": {}}, "description": "Figures."}},
        )

    async def health(self, request: Request) -> Response:
        """All is well (200) or not (503); who has a token is told more."""
        return health(self._state, request.scope)

    async def metrics(self) -> Response:
        """Figures in the text format of Prometheus."""
        text, kind = self._state.metrics.render()
        return Response(text, media_type=kind)


def health(state: ServerState, scope: Scope) -> Response:
    """The answer of ``/health``."""
    fine, body = state.health()
    if scope[CALLER] is ANYBODY:
        body["predictions"] = {"status": body["predictions"].get("status", "ok")}
    return JSONResponse(_scrubbed(body), 200 if fine else 503)


def _scrubbed(value: Any) -> Any:
    if isinstance(value, str):
        return scrub(value)
    if isinstance(value, dict):
        return {key: _scrubbed(item) for key, item in value.items()}
    return [_scrubbed(item) for item in value] if isinstance(value, list) else value
