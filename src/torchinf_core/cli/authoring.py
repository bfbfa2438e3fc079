"""Commands for those who write plugins: new-plugin and check-plugin."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from torchinf_core.cli import output
from torchinf_core.cli.options import AsJson, DryRun, Quiet
from torchinf_core.cli.sources import no_plugin
from torchinf_core.errors import PluginContractError, PluginError, UsageError

if TYPE_CHECKING:
    from torchinf_core.conformance import Conformance, Verdict
    from torchinf_core.plugins import EntryPoint

_COLORS = {"kept": "32", "broken": "31", "not checked": "2"}


def new_plugin_command(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="Of the plugin: zoo.", show_default=False)
    ],
    kind: Annotated[
        str, typer.Option("--kind", metavar="KIND", help="source or runtime.")
    ] = "source",
    into: Annotated[
        Path | None,
        typer.Option("--into", metavar="DIR", help="Parent folder.", show_default="here"),
    ] = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Start a plugin that works and passes its tests, as a small distribution."""
    from torchinf_core.known import FIRST_PARTY
    from torchinf_core.scaffold import render, write

    content = render(name, kind)
    if name in {plugin.name for plugin in FIRST_PARTY}:
        raise UsageError(
            f"{name!r} is a plugin of torchinf's own", hint="two of one name are both left out"
        )
    folder = (into or Path()) / f"torchinf-{name}"
    if not dry_run:
        write(folder, content)
    if as_json:
        output.document({"folder": str(folder), "files": list(content), "written": not dry_run})
        return
    output.say(str(folder))
    if quiet:
        return
    for place in content:
        output.tell(f"  {place}")
    if not dry_run:
        steps = (f"cd {folder}", "pip install -e '.[test]'", "pytest", f"torchinf plugins {name}")
        output.labelled("next", " && ".join(steps), "36")


def check_plugin_command(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="An installed plugin.", show_default=False)
    ],
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Check that a plugin keeps the contract of its hooks, one line for each sentence.

    Nothing is asked over a network: what needs a server's answers is not checked here, but
    by the plugin's own tests.
    """
    kits = _kits(name)
    verdicts: dict[str, Verdict] = {}
    for kit in kits:
        for verdict in _quietly(kit):
            if verdict.outcome == "not there":
                continue
            verdicts.setdefault(verdict.check, verdict)
            if not (as_json or quiet) and verdicts[verdict.check] is verdict:
                _show(verdict)
    counted = {word: sum(v.outcome == word for v in verdicts.values()) for word in _COLORS}
    if as_json:
        output.document({"plugin": name, **_document(verdicts, counted)})
    said = f"{name}: {counted['kept']} kept, {counted['broken']} broken, "
    if not quiet and not as_json:
        output.tell(f"{said}{counted['not checked']} not checked here")
    if counted["broken"]:
        sentences = "sentence" if counted["broken"] == 1 else "sentences"
        raise PluginContractError(
            f"the plugin {name!r} breaks {counted['broken']} {sentences} of its contract",
            hint="" if as_json or not quiet else f"torchinf check-plugin {name}",
        )


def _kits(name: str) -> list[type[Conformance]]:
    """The kits for what a plugin is."""
    from torchinf_core.conformance import Conformance, RuntimeConformance, SourceConformance

    entry = _entry(name)
    plugin = _imported(entry)
    hooks = _marked(plugin)
    bases: list[type[Conformance]] = []
    if "sources" in hooks:
        bases.append(SourceConformance)
    if "claim" in hooks:
        bases.append(RuntimeConformance)
    answers = {"plugin": plugin, "name": name}
    return [type("Kit", (base,), answers) for base in bases or [Conformance]]


def _quietly(kit: type[Conformance]) -> Iterator[Verdict]:
    """The verdicts of a kit; what the plugin prints meanwhile goes to stderr."""
    from torchinf_core.conformance import run

    verdicts = run(kit)
    while True:
        with redirect_stdout(sys.stderr):
            verdict = next(verdicts, None)
        if verdict is None:
            return
        yield verdict


def _entry(name: str) -> EntryPoint:
    """The entry point of an installed plugin.

    Raises:
        NotFoundError: there is none of that name.
        PluginError: it is for another version of the plugin API.
    """
    from torchinf_core.hookspecs import GROUP
    from torchinf_core.plugins import find_entry_points

    found = find_entry_points()
    entries = {entry.name: entry for entry in found if entry.group == GROUP}
    if name in entries:
        return entries[name]
    if groups := [entry.group for entry in found if entry.name == name]:
        raise PluginError(
            f"the plugin {name!r} is of another version of the plugin API: {groups[0]}",
            hint=f"this torchinf has {GROUP}",
        )
    raise no_plugin(name, entries)


def _imported(entry: EntryPoint) -> object:
    """What the entry point names.

    Raises:
        PluginError: it can't be imported.
    """
    from torchinf_core.plugins.boundary import describe
    from torchinf_core.plugins.loading import imported

    try:
        with redirect_stdout(sys.stderr):
            return imported(entry.value)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        module, _, attribute = entry.value.partition(":")
        raise PluginError(
            f"the plugin {entry.name!r} can't be imported: {describe(error)}",
            hint=f"python -c 'from {module} import {attribute}' shows where"
            if attribute
            else f"python -c 'import {module}' shows where",
        ) from error


def _marked(plugin: object) -> set[str]:
    """Names of the hooks that a plugin implements, wrappers aside."""
    from torchinf_core.plugins.implementations import implementations

    try:
        return {item.hook for item in implementations(plugin) if not item.wrapper}
    except PluginContractError:  # the first check says so
        return set()


def _show(verdict: Verdict) -> None:
    color = _COLORS[verdict.outcome]
    mark = f"{verdict.outcome:11}"
    line = f"{verdict.hook or 'plugin'}: {verdict.sentence}"
    if verdict.outcome == "not checked":
        line += f" ({verdict.happened})"
    output.marked(mark, color, line)
    if verdict.outcome == "broken":
        output.marked(mark, color, f"  what happened: {' '.join(verdict.happened.split())}")
        output.marked(mark, color, f"  to mend it: {verdict.mend} [{verdict.check}]")


def _document(verdicts: dict[str, Verdict], counted: dict[str, int]) -> dict[str, Any]:
    return {
        "counts": {word.replace(" ", "_"): count for word, count in counted.items()},
        "checks": [
            {
                "check": v.check,
                "hook": v.hook or None,
                "sentence": v.sentence,
                "outcome": v.outcome.replace(" ", "_"),
                "happened": v.happened,
                "mend": v.mend,
            }
            for v in verdicts.values()
        ],
    }
