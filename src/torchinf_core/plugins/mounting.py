"""Gives each plugin's commands their own place below the command line."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from functools import partial
from typing import TYPE_CHECKING

from torchinf_core.errors import PluginConflictError, TorchinfError
from torchinf_core.plugins.boundary import guarded
from torchinf_core.plugins.implementations import Implementation
from torchinf_core.plugins.loading import Loaded
from torchinf_core.settings import Settings

if TYPE_CHECKING:
    import typer


def mount(
    app: typer.Typer, plugins: Iterable[Loaded], taken: Collection[str] = ()
) -> dict[str, TorchinfError]:
    """Mount each plugin's commands as ``<plugin> …``; returns plugin → what went wrong.

    A plugin gets an empty app of its own, so it can't replace a command of ``app``.
    One that registers a single command of its own name is that command.

    Args:
        app: gets the commands.
        plugins: whose ``commands`` are called.
        taken: names of commands beside those of ``app`` that no plugin may have.
    """
    names = {*taken, *(group.name for group in app.registered_groups)}
    for command in app.registered_commands:
        function = getattr(command.callback, "__name__", "")
        names.add(command.name or function.replace("_", "-"))
    problems: dict[str, TorchinfError] = {}
    for plugin in plugins:
        name = plugin.entry.name
        for item in plugin.implementations:
            if item.hook != "commands":
                continue
            own = type(app)(name=name, no_args_is_help=True)
            try:
                _fill(own, plugin, item)
            except TorchinfError as error:
                problems[name] = error
                if name not in names:
                    _stand_in(app, name, error)
                continue
            if name in names:
                problems[name] = PluginConflictError(
                    f"the commands of plugin {name!r} are left out: "
                    "torchinf has a command of that name",
                    hint=f"{plugin.entry.distribution} has to give the plugin another name",
                )
            elif _is_one_command(own):
                app.registered_commands.append(own.registered_commands[0])
            elif own.registered_commands or own.registered_groups:
                app.add_typer(own)
    return problems


def failing_remotes(app: typer.Typer, plugins: Iterable[Loaded]) -> dict[str, TorchinfError]:
    """Plugin → why it can't add commands that ask a server; no server is asked for that."""
    problems: dict[str, TorchinfError] = {}
    for plugin in plugins:
        for item in plugin.implementations:
            if item.hook == "remote":
                try:
                    _fill(type(app)(), plugin, item)
                except TorchinfError as error:
                    problems[plugin.entry.name] = error
    return problems


def _fill(app: typer.Typer, plugin: Loaded, item: Implementation) -> None:
    """Let a plugin add its commands to ``app``."""
    offered = {"app": app, "server": "https://server.invalid"}
    guarded(
        partial(item.function, **{name: offered[name] for name in item.parameters}),
        owner=plugin.entry,
        hook=item.hook,
        about="its commands",
        settings=Settings(),
        authors={},
    )


def _stand_in(app: typer.Typer, name: str, error: TorchinfError) -> None:
    """A command in place of those a plugin failed to add, which says what was wrong."""

    def failed() -> None:
        raise error

    anything = {"allow_extra_args": True, "ignore_unknown_options": True}
    app.command(name, help="Not available: the plugin failed.", context_settings=anything)(failed)


def _is_one_command(own: typer.Typer) -> bool:
    """Whether a plugin's app holds nothing but one command, called like the plugin."""
    commands = own.registered_commands
    return (
        len(commands) == 1
        and commands[0].name == own.info.name
        and not own.registered_groups
        and own.registered_callback is None
    )
