"""Plugins' commands live below their own name and can't touch the core's."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # of click, about typer's imports
    import typer
    from typer.testing import CliRunner

if TYPE_CHECKING:
    from conftest import Site

GREET = (
    "@hookimpl\ndef commands(app):\n    @app.command()\n    def greet():\n        print('hello')\n"
)


def core() -> typer.Typer:
    app = typer.Typer()

    @app.command(name="list")
    def list_models() -> None:
        print("core list")

    @app.command()
    def path() -> None:
        print("core path")

    return app


def run(app: typer.Typer, *words: str) -> str:
    result = CliRunner().invoke(app, list(words))
    assert result.exit_code == 0, result.output
    return result.output.strip()


def test_commands_are_mounted_below_the_name_of_the_plugin(site: Site) -> None:
    site.install("zoo", GREET)
    app = core()
    site.plugins().mount(app)
    assert run(app, "zoo", "greet") == "hello"
    assert run(app, "list") == "core list"


def test_a_plugin_named_like_a_command_replaces_nothing(site: Site) -> None:
    for name in ("list", "path"):
        site.install(name, GREET)
    app = core()
    plugins = site.plugins()
    plugins.mount(app)
    assert run(app, "list") == "core list"
    assert run(app, "path") == "core path"
    assert len(plugins.warnings) == 2
    assert "torchinf has a command of that name" in plugins.warnings[0]


def test_a_plugin_whose_commands_fail_costs_a_line(site: Site) -> None:
    site.install("bad", "@hookimpl\ndef commands(app): raise SystemExit\n")
    site.install("zoo", GREET)
    app = core()
    plugins = site.plugins()
    plugins.mount(app)
    assert run(app, "zoo", "greet") == "hello"
    [line] = plugins.warnings
    assert "'bad' failed in commands" in line


def test_a_plugin_without_commands_adds_nothing(site: Site) -> None:
    site.install("zoo", "@hookimpl\ndef commands(): pass\n")
    site.source("other")
    app = core()
    site.plugins().mount(app)
    assert app.registered_groups == []


def test_a_single_command_of_the_plugins_own_name_is_that_command(site: Site) -> None:
    site.install(
        "sing",
        "@hookimpl\ndef commands(app):\n    @app.command('sing')\n"
        "    def anything(loud: bool = False):\n        print('LA' if loud else 'la')\n",
    )
    app = core()
    site.plugins().mount(app)
    assert run(app, "sing", "--loud") == "LA"
    assert run(app, "list") == "core list"


def test_a_command_of_the_plugins_name_beside_others_stays_below_it(site: Site) -> None:
    site.install(
        "sing",
        GREET + "    @app.command('sing')\n    def sing():\n        print('la')\n",
    )
    app = core()
    site.plugins().mount(app)
    assert run(app, "sing", "sing") == "la"
    assert run(app, "sing", "greet") == "hello"


def test_a_single_command_replaces_no_command_of_the_core(site: Site) -> None:
    site.install("path", "@hookimpl\ndef commands(app): app.command('path')(lambda: print('x'))\n")
    app = core()
    plugins = site.plugins()
    plugins.mount(app)
    assert run(app, "path") == "core path"
    assert "torchinf has a command of that name" in plugins.warnings[0]
