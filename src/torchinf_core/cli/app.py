"""The Typer application: commands are imported when they are called.

``torchinf --help`` and a single command cost what they show and run, not what
all the others would import.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable
from importlib import import_module
from typing import Any

import click
import typer
from typer.core import TyperArgument, TyperCommand, TyperGroup
from typer.utils import get_params_from_function

from torchinf_core import __version__
from torchinf_core.cli.commands import MODULE_OF, help_page


class LazyGroup(TyperGroup):
    """A group that knows its commands' names and imports a command when asked for it."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Names of all commands, without importing one."""
        return [*MODULE_OF, *(name for name in self.commands if name not in MODULE_OF)]

    def get_command(
        self,
        ctx: click.Context,  # noqa: ARG002 - click's signature
        cmd_name: str,
    ) -> click.Command | None:
        """The command of that name, the core's own before those of plugins."""
        if cmd_name not in self.commands:
            if cmd_name in MODULE_OF:
                self.add_command(_core_command(cmd_name), cmd_name)
            else:
                for name, command in _plugin_commands().items():
                    if name not in MODULE_OF:
                        self.add_command(command, name)
        return self.commands.get(cmd_name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command in the arguments; a misspelt one is answered with the nearest."""
        if self.get_command(ctx, args[0]) is None and not args[0].startswith("-"):
            near = difflib.get_close_matches(args[0], self.list_commands(ctx), n=1)
            error = click.UsageError(f"there is no command {args[0]!r}", ctx)
            error.hint = (  # type: ignore[attr-defined]
                f"did you mean 'torchinf {near[0]}'?" if near else "torchinf --help lists them"
            )
            raise error
        return super().resolve_command(ctx, args)

    def format_help(
        self,
        ctx: click.Context,  # noqa: ARG002 - click's signature
        formatter: click.HelpFormatter,
    ) -> None:
        """Write the page of ``--help``."""
        formatter.write(help_page())


class OneCommand(TyperCommand):
    """A command whose arguments are listed once: click 8.5 would do so beside Typer."""

    def format_arguments(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Nothing: Typer writes them with the options."""


def _version(value: bool) -> None:
    if value:
        typer.echo(f"torchinf {__version__}")
        raise typer.Exit


def build() -> click.Command:
    """The whole application as a click command."""
    app = typer.Typer(
        cls=LazyGroup,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    )

    @app.callback(invoke_without_command=True)
    def torchinf(
        ctx: typer.Context,
        _show_version: bool = typer.Option(
            False, "--version", "-V", help="Print the version.", is_eager=True, callback=_version
        ),
    ) -> None:
        if ctx.invoked_subcommand is None:
            typer.echo(ctx.get_help())

    return typer.main.get_command(app)


def _core_command(name: str) -> click.Command:
    module = import_module(f"torchinf_core.cli.{MODULE_OF[name]}")
    app = typer.Typer(
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        add_completion=False,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    )
    function = getattr(module, f"{name.replace('-', '_')}_command")
    app.command(name, cls=OneCommand)(function)
    command = typer.main.get_command(app)
    _restore_help_of_arguments(command, function)
    return command


def _restore_help_of_arguments(command: click.Command, function: Callable[..., Any]) -> None:
    """With click 8.5 arguments forget what Typer 0.24 told them."""
    if all(getattr(param, "help", None) for param in command.params):
        return
    told = get_params_from_function(function)
    for param in command.params:
        if isinstance(param, TyperArgument) and param.name in told and not param.help:
            param.help = getattr(told[param.name].default, "help", None)


_mounted: dict[tuple[Any, ...], dict[str, click.Command]] = {}


def _plugin_commands() -> dict[str, click.Command]:
    """The commands that plugins bring, by name; loading them never fails the program."""
    key = (os.environ.get("TORCHINF_DISABLE"), os.environ.get("TORCHINF_CONFIG"))
    if key not in _mounted:
        from torchinf_core.errors import TorchinfError
        from torchinf_core.plugins import load_plugins
        from torchinf_core.settings import load_settings

        app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)
        try:
            load_plugins(load_settings()).mount(app, MODULE_OF)
        except TorchinfError:
            return {}
        if not app.registered_groups and not app.registered_commands:
            _mounted[key] = {}
        else:
            app.callback()(lambda: None)
            group = typer.main.get_group(app)
            _mounted[key] = dict(group.commands)
    return _mounted[key]
