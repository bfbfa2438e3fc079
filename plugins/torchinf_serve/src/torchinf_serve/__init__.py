"""Server plugin: models over HTTP, safe by default.

Importing it costs next to nothing: the web framework is loaded when a server starts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torchinf_core.hookspecs import hookimpl

if TYPE_CHECKING:
    import typer

__all__ = ["commands", "remote"]

__version__ = "0.1.0"


@hookimpl
def commands(app: typer.Typer) -> None:
    """``torchinf serve``: one command of the plugin's own name."""
    from torchinf_serve.starting import serve_command

    app.command("serve")(serve_command)


@hookimpl
def remote(app: typer.Typer, server: str) -> None:
    """``torchinf --server URL …``: commands in the place of the core's."""
    from torchinf_serve.remotely import register

    register(app, server)
