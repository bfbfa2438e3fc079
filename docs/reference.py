"""Writes the reference pages that are made from the code: ``python docs/reference.py``.

Commands from their own help, errors and settings from their docstrings and defaults, the
routes of the server from its OpenAPI document, the store from one that was filled.
A test compares them with what is in the repository.
"""

from __future__ import annotations

import dataclasses
import inspect
import os
import re
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent / "reference"
MADE = "<!-- made by docs/reference.py from the code; change that -->"
WIDTH = 96
COMMANDS_SAY = (
    "Data goes to stdout, progress and messages to stderr. `--json` is for programs, "
    "`--quiet` for scripts; `NO_COLOR` is respected. Exit codes are those of the "
    "[errors](errors.md)."
)
PLUGINS_SAY = (
    "These are there with their plugin. With `--server URL` there are `jobs`, `load`, "
    "`unload` and `health` besides; see [serving](../guide/serving.md)."
)
OF_PLUGINS = ("serve", "hub", "tensorrt")
ERRORS_SAY = (
    "Whatever goes wrong for a reason is a `TorchinfError`: its message says what "
    "happened and on what, its `hint` what to do. The command line ends with the exit "
    "code, a server answers with the status. 1 is a bug in torchinf, 130 and 143 are "
    "an interrupt."
)


def commands_page() -> str:
    """Each command of the core with its help, as a terminal shows it."""
    os.environ.update(COLUMNS=str(WIDTH), NO_COLOR="1", TERM="dumb")
    import click

    from torchinf_core.cli.app import build
    from torchinf_core.cli.commands import COMMANDS, help_page

    app = build()
    parts = [
        "# Commands",
        MADE,
        COMMANDS_SAY,
        f"```text\n{_without_plugins(help_page()).strip()}\n```",
    ]
    with click.Context(app, info_name="torchinf", max_content_width=WIDTH) as top:
        for section, commands in COMMANDS.items():
            parts.append(f"## {section}")
            for name in commands:
                parts += _help(top, app.get_command(top, name), name)
        parts += ["## Of plugins", PLUGINS_SAY]
        for name in OF_PLUGINS:
            parts += _help(top, app.get_command(top, name), name)
    return "\n\n".join([*parts, ""])


def _help(parent: Any, command: Any, name: str) -> list[str]:
    """The help of a command, and of those below it."""
    import click

    shape = {"max_content_width": WIDTH, "help_option_names": ["-h", "--help"]}  # as torchinf does
    with click.Context(command, info_name=name, parent=parent, **shape) as context:
        if isinstance(command, click.Group):
            below = command.list_commands(context)
            return [
                part
                for each in below
                for part in _help(context, command.get_command(context, each), each)
            ]
        text = "\n".join(line.rstrip() for line in command.get_help(context).strip().splitlines())
        return [f"### {context.command_path}\n\n```text\n{text}\n```"]


def _without_plugins(page: str) -> str:
    """The help page as it is where no plugin brings commands."""
    return re.sub(r"Plugins:\n(?:  .*\n)+\n", "", page)


def errors_page() -> str:
    """Each error with its exit code, its HTTP status and what it means."""
    from torchinf_core import errors

    rows = ["| error | exit | HTTP | what happened |", "|---|---:|---:|---|"]
    for name, kind in vars(errors).items():
        if isinstance(kind, type) and issubclass(kind, errors.TorchinfError):
            said = " ".join((inspect.getdoc(kind) or "").split("\n\n")[0].split())
            parents = ", ".join(
                parent.__name__
                for parent in kind.__bases__
                if parent is not Exception and parent is not errors.TorchinfError
            )
            of = f" ({parents})" if parents else ""
            rows.append(f"| `{name}`{of} | {kind.exit_code} | {kind.http_status} | {said} |")
    return "\n\n".join(
        [
            "# Errors",
            MADE,
            ERRORS_SAY,
            "\n".join(rows),
            "",
        ]
    )


def settings_page() -> str:
    """Each setting with its default."""
    from torchinf_core.settings import Settings
    from torchinf_core.settings.run import RunSettings

    parts = ["# Settings", MADE]
    parts.append(
        "An argument wins over the environment (`TORCHINF_OFFLINE=1`), that over "
        "`~/.config/torchinf/config.toml`, that over the default. `torchinf config` shows each "
        "with where it comes from."
    )
    for title, kind, hidden in (
        ("For everything", Settings, ("origins", "run", "models")),
        ("For running models", RunSettings, ()),
    ):
        said = attributes(inspect.getdoc(kind) or "")
        rows = [f"## {title}", "", "| setting | default | |", "|---|---|---|"]
        rows += [
            f"| `{item.name}` | {_default(item)} | {said.get(item.name, '')} |"
            for item in dataclasses.fields(kind)
            if item.name not in hidden
        ]
        parts.append("\n".join(rows))
    return "\n\n".join([*parts, ""])


def attributes(docstring: str) -> dict[str, str]:
    """What a Google-style docstring says of each attribute."""
    found: dict[str, str] = {}
    text = docstring.partition("Attributes:\n")[2]
    for match in re.finditer(r"^    (\w[\w, ]*): ((?:.|\n(?=        ))*)", text, re.MULTILINE):
        told = re.sub(r":\w+:`~?([^`]+)`", r"`\1`", " ".join(match[2].split()))
        for name in match[1].split(","):
            found[name.strip()] = told.replace("``", "`").replace("|", "\\|")
    return found


def _default(item: dataclasses.Field[object]) -> str:
    if item.default is dataclasses.MISSING:
        return "none"
    value = item.default
    if item.name == "cache_dir":
        value = "~/.torch_inference/models"
    return f"`{value!r}`" if value not in ("", ()) else "none"


def rest_page() -> str:
    """Each route of the server; needs ``torchinf_serve``."""
    from rest_page import rest_page

    return rest_page()


def store_page() -> str:
    """What lies in a store."""
    from store_page import store_page

    return store_page()


PAGES = {
    "commands.md": commands_page,
    "errors.md": errors_page,
    "settings.md": settings_page,
    "rest.md": rest_page,
    "store.md": store_page,
}


def main() -> int:
    """Write the pages that changed."""
    HERE.mkdir(exist_ok=True)
    for name, make in PAGES.items():
        (HERE / name).write_text(make(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
