"""``torchinf --server URL …``: the core's commands, done by a server."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from torchinf_serve.remotely.downloads import Downloads
from torchinf_serve.remotely.models import Models
from torchinf_serve.remotely.predictions import Predictions

if TYPE_CHECKING:
    import typer

__all__ = ["register"]


def register(app: typer.Typer, server: str) -> None:
    """Add the commands to ``app``; none of them has asked the server yet."""
    models, downloads, predictions = Models(server), Downloads(server), Predictions(server)
    commands: dict[str, Callable[..., Any]] = {
        "download": downloads.download,
        "list": models.show_all,
        "info": models.info,
        "remove": models.remove,
        "cache": models.cache,
        "run": predictions.run,
        "predict": predictions.predict,
        "jobs": downloads.jobs,
        "load": predictions.load,
        "unload": predictions.unload,
        "health": models.health,
    }
    for name, command in commands.items():
        app.command(name)(command)
