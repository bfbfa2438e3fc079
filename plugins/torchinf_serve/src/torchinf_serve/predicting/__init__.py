"""Predictions over HTTP: routes for people, and those of the Open Inference Protocol."""

from __future__ import annotations

import time
from typing import Any

from starlette.routing import Match, Route

from torchinf_core.models import ModelManager
from torchinf_serve.config import Config
from torchinf_serve.metrics import Metrics
from torchinf_serve.pool import Pool
from torchinf_serve.predicting import protocol, repository
from torchinf_serve.predicting.exchange import Endpoint, Receive, Scope, Send, respond
from torchinf_serve.predicting.people import Predict
from torchinf_serve.security.problems import RefusedError
from torchinf_serve.tracing import Tracing

__all__ = ["Predictions"]


class Predictions:
    """All of the server that predicts; an ASGI app, and routes for another one.

    Args:
        manager: loads and holds the models.
        config: limits.
        metrics: to count with.
    """

    def __init__(self, manager: ModelManager, config: Config, metrics: Metrics) -> None:
        self.pool = Pool(manager, config, metrics)
        self.tracing = Tracing()
        self._since = time.time()
        self._predict = Predict(self.pool, self.tracing)
        self._infer = protocol.Infer(self.pool, self.tracing)
        self._routes = self.routes()

    def routes(self) -> list[Route]:
        """The routes, the busiest first; raw ASGI, without FastAPI's or Starlette's requests."""
        places: list[tuple[str, str, type[Endpoint]]] = [
            ("POST", "/models/{name}/predict", Predict),
            ("POST", "/v2/models/{name}/infer", protocol.Infer),
            ("POST", "/v2/models/{name}/versions/{version}/infer", protocol.Infer),
            ("GET", "/v2/models/{name}/ready", protocol.ModelReady),
            ("GET", "/v2/models/{name}/versions/{version}/ready", protocol.ModelReady),
            ("GET", "/v2/models/{name}", protocol.Model),
            ("GET", "/v2/models/{name}/versions/{version}", protocol.Model),
            ("GET", "/v2/health/live", protocol.Live),
            ("GET", "/v2/health/ready", protocol.Ready),
            ("GET", "/v2", protocol.Server),
            ("POST", "/v2/repository/index", repository.Index),
            ("POST", "/v2/repository/models/{name}/load", repository.Load),
            ("POST", "/v2/repository/models/{name}/unload", repository.Unload),
        ]
        return [
            Route(path, kind(self.pool, self.tracing), methods=[method], name=path)
            for method, path, kind in places
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request; the busiest two paths are found without comparing patterns."""
        match scope["path"].split("/"):
            case ["", "models", name, "predict"] if scope["method"] == "POST":
                scope["path_params"] = {"name": name}
                await self._predict(scope, receive, send)
            case ["", "v2", "models", name, "infer"] if scope["method"] == "POST":
                scope["path_params"] = {"name": name}
                await self._infer(scope, receive, send)
            case _:
                await self._other(scope, receive, send)

    async def startup(self) -> None:
        """Belong to the running event loop; no model is loaded before it is asked for."""
        self.pool.start()

    async def shutdown(self, drain_seconds: float) -> None:
        """Refuse what is new, finish what was taken within so many seconds, close the models."""
        await self.pool.close(drain_seconds)

    def forget(self, name: str) -> None:
        """A model was removed from the store or changed there: the next request sees it."""
        self.pool.forget(name)

    def health(self) -> dict[str, Any]:
        """What works and what does not, for ``/health``: numbers, for anybody may read them."""
        pool = self.pool
        return {
            "status": "stopping" if pool.stopping else "ok",
            "uptime_seconds": round(time.time() - self._since, 1),
            "loaded": len(pool.held()),
            "waiting": sum(served.batcher.waiting for served in pool.ready.values()),
            "failed": len(pool.failed()),
        }

    async def _other(self, scope: Scope, receive: Receive, send: Send) -> None:
        """A request for one of the other routes, or for none."""
        allowed: set[str] = set()
        for route in self._routes:
            match, found = route.matches(scope)
            if match is Match.FULL:
                scope.update(found)
                await route.handle(scope, receive, send)
                return
            if match is Match.PARTIAL:
                allowed |= route.methods or set()
        error = RefusedError(404, "there is nothing here")
        if allowed:
            headers = [("allow", ", ".join(sorted(allowed)))]
            error = RefusedError(405, "not with this method", headers=headers)
        endpoint = self._infer if scope["path"].startswith("/v2") else self._predict
        await respond(send, endpoint.failure(error, scope))
