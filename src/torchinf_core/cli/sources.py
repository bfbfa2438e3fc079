"""Commands about where models come from: search and plugins."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from torchinf_core.cli import output
from torchinf_core.cli.commands import MODULE_OF
from torchinf_core.cli.options import (
    AsJson,
    CacheDir,
    Offline,
    Quiet,
    Verbose,
    open_downloader,
    warn_of_plugins,
)
from torchinf_core.errors import NotFoundError

if TYPE_CHECKING:
    from collections.abc import Collection

    from torchinf_core.known import FirstParty
    from torchinf_core.plugins import PluginState


def search_command(
    source: Annotated[
        str,
        typer.Argument(metavar="SOURCE", help="A source: torchvision, hf, …", show_default=False),
    ],
    pattern: Annotated[
        str,
        typer.Argument(
            metavar="[PATTERN]", help="Part of a name, or a pattern with *.", show_default=False
        ),
    ] = "*",
    limit: Annotated[int, typer.Option("--limit", metavar="N", min=1, help="Most hits.")] = 50,
    offline: Offline = None,
    cache_dir: CacheDir = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    verbose: Verbose = 0,
) -> None:
    """Search a source for models.  With -q, references alone."""
    from torchinf_core.plugins import load_plugins

    settings = open_downloader(cache_dir, verbose, offline=offline).settings
    hits = load_plugins(settings).search(source, pattern, limit, settings)
    if not quiet:
        warn_of_plugins(settings)
    if as_json:
        output.document(
            [
                {"ref": h.ref, "description": h.description, "size": h.size, "task": h.task}
                for h in hits
            ]
        )
    elif quiet:
        for hit in hits:
            output.say(hit.ref)
    elif hits:
        output.table(
            ["REFERENCE", "SIZE", "TASK", "DESCRIPTION"],
            [
                [
                    h.ref,
                    "-" if h.size is None else output.size(h.size),
                    h.task or "-",
                    h.description,
                ]
                for h in hits
            ],
            right=["SIZE"],
        )
        if len(hits) == limit:
            output.tell(f"the first {limit}; --limit N shows more")
    else:
        output.tell(f"{source} has nothing like {pattern!r}")


def plugins_command(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="One plugin.", show_default=False)
    ] = None,
    as_json: AsJson = False,
    verbose: Verbose = 0,
) -> None:
    """Show the plugins, their sources and their health."""
    from torchinf_core.known import FIRST_PARTY
    from torchinf_core.plugins import load_plugins

    plugins = load_plugins(open_downloader(None, verbose).settings)
    states = plugins.examined(typer.Typer(), MODULE_OF)
    installed = {state.name for state in states}
    rows = [_installed(state) for state in states] + [
        _absent(plugin) for plugin in FIRST_PARTY if plugin.name not in installed
    ]
    if name is not None:
        rows = [row for row in rows if row["name"] == name]
        if not rows:
            raise no_plugin(name, installed)
    if as_json:
        output.document(rows if name is None else rows[0])
    elif name is not None:
        for row in rows:
            _show_one(row)
    else:
        _show_all(rows)


def no_plugin(name: str, there: Collection[str]) -> NotFoundError:
    """The error for a plugin that there is not, with the one that may be meant."""
    import difflib

    near = difflib.get_close_matches(name, there, n=1)
    hint = f"did you mean {near[0]!r}?" if near else "torchinf plugins lists them"
    return NotFoundError(f"there is no plugin {name!r}", hint=hint)


def _installed(state: PluginState) -> dict[str, Any]:
    return {
        "name": state.name,
        "state": state.state,
        "distribution": state.distribution,
        "version": state.version,
        "hooks": list(state.hooks),
        "sources": [
            {
                "name": source.name,
                "schemes": list(source.schemes),
                "description": source.description,
                "examples": list(source.examples),
                "options": list(source.options),
                "searchable": source.searchable,
            }
            for source in state.sources
        ],
        "problem": state.problem,
        "hint": state.hint,
    }


def _absent(plugin: FirstParty) -> dict[str, Any]:
    source = {
        "name": plugin.name,
        "schemes": list(plugin.schemes),
        "description": plugin.description,
        "examples": [],
        "options": [],
        "searchable": False,
    }
    return {
        "name": plugin.name,
        "state": "not installed",
        "distribution": f"torchinf-{plugin.name}",
        "version": "",
        "hooks": [],
        "sources": [source],
        "problem": "",
        "hint": plugin.install,
    }


def _show_all(rows: list[dict[str, Any]]) -> None:
    output.table(
        ["PLUGIN", "STATE", "VERSION", "SCHEMES", "WHAT"],
        [
            [
                row["name"],
                row["state"],
                row["version"] or "-",
                " ".join(scheme for source in row["sources"] for scheme in source["schemes"])
                or "-",
                "; ".join(source["description"] for source in row["sources"]) or "-",
            ]
            for row in rows
        ],
    )
    for row in rows:
        if row["problem"]:
            output.tell(f"{row['name']}: {row['problem']}")
        if row["hint"]:
            output.labelled("hint", f"{row['name']}: {row['hint']}", "36")


def _show_one(row: dict[str, Any]) -> None:
    facts = [
        ("name", row["name"]),
        ("state", row["state"]),
        ("from", f"{row['distribution']} {row['version']}".rstrip()),
        ("hooks", ", ".join(row["hooks"])),
        ("problem", row["problem"]),
        ("hint", row["hint"]),
    ]
    for source in row["sources"]:
        facts += [
            ("source", f"{source['name']}: {source['description']}"),
            ("schemes", ", ".join(source["schemes"])),
            ("options", ", ".join(source["options"])),
            ("try", "\n".join(f"torchinf download {ref}" for ref in source["examples"])),
        ]
    output.facts(facts)
