"""The plugins of this process: their states, who owns which scheme, typed hook calls.

A call goes to the owner of the scheme alone; wrappers of other plugins run
around it, which is how auditing and mirrors are written.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import lru_cache
from threading import RLock
from typing import TYPE_CHECKING, Any, TypeVar

from torchinf_core.errors import (
    MissingDependencyError,
    PluginConflictError,
    PluginError,
    TorchinfError,
    UsageError,
)
from torchinf_core.host import Host
from torchinf_core.plugins.boundary import answerable
from torchinf_core.plugins.calling import call_one, call_owner
from torchinf_core.plugins.discovery import EntryPoint, find_entry_points
from torchinf_core.plugins.fetching import fetch, tokens
from torchinf_core.plugins.loading import PluginState, limited, sort_out
from torchinf_core.plugins.mounting import failing_remotes, mount
from torchinf_core.plugins.results import (
    check_architecture,
    check_hits,
    check_plan,
    check_trusts,
)
from torchinf_core.plugins.table import Table, build
from torchinf_core.settings import Settings
from torchinf_core.types import Json, ModelRef, Plan, Record, SearchHit, SourceInfo

if TYPE_CHECKING:
    from pathlib import Path

    import typer

    from torchinf_core.runtimes import Architecture, Artifact

T = TypeVar("T")


def load_plugins(settings: Settings) -> Plugins:
    """The plugins that are installed, without those the settings disable.

    None is imported before it is needed.  The result is shared by all callers
    in the process as long as ``sys.path`` stays the same.
    """
    strict = os.environ.get("TORCHINF_STRICT_PLUGINS", "") not in ("", "0")
    path: list[object] = list(sys.path)
    folders = tuple(folder for folder in path if isinstance(folder, str))
    return _load_plugins(folders, settings.disable, strict)


@lru_cache(maxsize=8)
def _load_plugins(path: tuple[str, ...], disable: tuple[str, ...], strict: bool) -> Plugins:
    return Plugins(find_entry_points(path), disable=disable, strict=strict)


class Plugins:
    """The installed plugins; made by :func:`load_plugins`.

    Args:
        entries: what was found.
        disable: names of plugins to leave alone.
        strict: raise PluginError on first use when any plugin is neither ok
            nor disabled.
    """

    def __init__(
        self, entries: Sequence[EntryPoint], *, disable: Sequence[str] = (), strict: bool = False
    ) -> None:
        self._wanted, self._states = sort_out(entries, disable)
        self._strict = strict
        self._lock = RLock()
        self._loading = False
        self._table: Table | None = None
        self._mount_problems: dict[str, TorchinfError] = {}

    # WHAT IS THERE

    def states(self) -> tuple[PluginState, ...]:
        """What became of each plugin, by name; imports them all."""
        return self._loaded().states

    @property
    def warnings(self) -> tuple[str, ...]:
        """A line for each plugin that can't be used, as far as is known; imports none."""
        states = self._table.states if self._table else self._states
        unusable = [s for s in states if s.state not in ("ok", "conflict", "disabled")]
        return (*(str(state) for state in unusable), *map(str, self._mount_problems.values()))

    def sources(self) -> tuple[SourceInfo, ...]:
        """All sources of usable plugins, by plugin name."""
        return tuple(info for state in self.states() if state.usable for info in state.sources)

    def owner(self, scheme: str) -> str:
        """Name of the plugin that serves a scheme.

        Raises:
            UnknownSourceError: none does; the hint says how to get one that would.
            PluginConflictError: several do.
        """
        return self._loaded().owner(scheme).entry.name

    def source(self, scheme: str) -> SourceInfo:
        """The source a scheme belongs to; raises as :meth:`owner`."""
        infos = self._loaded().owner(scheme).sources
        return next(info for info in infos if scheme in info.schemes)

    # HOOK CALLS

    def resolve(self, ref: ModelRef, options: Mapping[str, Json], settings: Settings) -> Plan:
        """The plan of the plugin that owns ``ref.scheme``, with the notes it made.

        Raises:
            TorchinfError: as :meth:`owner`, what the plugin raised, or PluginError.
        """

        def check(result: object, host: Host) -> Plan:
            plan = check_plan(result, ref)
            return replace(plan, notes=(*plan.notes, *host.notes)) if host.notes else plan

        arguments = {"ref": ref, "options": dict(options)}
        return self._call("resolve", (ref.scheme, str(ref)), arguments, settings, check)

    def answerable(self, scheme: str, hook: str) -> AbstractContextManager[None]:
        """For checks of what a hook of the scheme's owner gave: a breach names the plugin."""
        table = self._loaded()
        return answerable(table.owner(scheme).entry, table.wrapping(hook))

    def fetch(
        self, plan: Plan, into: Path, settings: Settings, transfer: Callable[[], None] | None
    ) -> bool:
        """True when a plugin wrote the plan's files below ``into``, False when ``transfer`` did.

        ``transfer`` is called inside all wrappers where the owner leaves the work to the core;
        what it raises passes as it is.  Raises else as :meth:`resolve`.  It is None where the
        store has all files: the wrappers run alone then.
        """
        return fetch(self._loaded(), plan, into, settings, transfer)

    def tokens(self, plan: Plan, settings: Settings) -> dict[str, str]:
        """Host → bearer token of the plan's source, for the hosts its files come from.

        Hosts that the settings have a token for are left out.
        """
        return tokens(self._loaded(), plan, settings)

    def search(self, scheme: str, pattern: str, limit: int, settings: Settings) -> list[SearchHit]:
        """At most ``limit`` models of a source that match ``pattern``.

        Raises:
            UsageError: the source can't be searched.
            TorchinfError: as :meth:`resolve`.
        """
        if not self.source(scheme).searchable:
            raise UsageError(f"the source {scheme!r} can't be searched")

        def check(result: object, host: Host) -> list[SearchHit]:
            _log_notes(host)
            return check_hits(result, limit)

        arguments = {"scheme": scheme, "pattern": pattern, "limit": limit}
        return self._call("search", (scheme, repr(pattern)), arguments, settings, check)

    def implements(self, scheme: str, hook: str) -> bool:
        """True when a usable plugin serves the scheme and implements the hook."""
        owner = self._loaded().sole_owner(scheme)
        found = owner.implementations if owner else ()
        return any(item.hook == hook and not item.wrapper for item in found)

    def trusts(self, record: Record, settings: Settings) -> bool:
        """True when the user's settings for the source allow code of this model to run."""
        if not self.implements(record.source, "trusts"):
            return False

        def check(result: object, _host: Host) -> bool:
            return check_trusts(result)

        where = (record.source, record.name)
        return self._call("trusts", where, {"record": record}, settings, check)

    def architecture(self, artifact: Artifact, ref: ModelRef, settings: Settings) -> Architecture:
        """What the source of ``ref`` knows of how the artifact is used; raises as resolve."""

        def check(result: object, host: Host) -> Architecture:
            _log_notes(host)
            return check_architecture(result)

        arguments = {"artifact": artifact, "ref": ref}
        return self._call("architecture", (ref.scheme, str(ref)), arguments, settings, check)

    def mount(self, app: typer.Typer, taken: Collection[str] = ()) -> None:
        """Mount each plugin's commands as ``<plugin> …``; none replaces what ``app`` has.

        Nor a command of a name in ``taken``.
        """
        self._mount_problems = mount(app, self._loaded().loaded.values(), taken)

    def examined(self, app: typer.Typer, taken: Collection[str]) -> tuple[PluginState, ...]:
        """As :meth:`states`, once each plugin was asked for its commands by :meth:`mount`."""
        self.mount(app, taken)
        wrong = failing_remotes(app, self._loaded().loaded.values()) | self._mount_problems
        return tuple(
            limited(state, wrong[state.name]) if state.usable and state.name in wrong else state
            for state in self.states()
        )

    def remote(self, app: typer.Typer, server: str, settings: Settings) -> None:
        """Let the plugin that asks servers add its commands.

        Raises:
            MissingDependencyError: there is none.
            PluginConflictError: there are several.
        """
        names = self.implementing("remote")
        if not names:
            raise MissingDependencyError(
                "no installed plugin can ask a server", hint="pip install 'torchinf[serve]'"
            )
        if len(names) > 1:
            raise PluginConflictError(
                f"several plugins ask servers: {' and '.join(names)}",
                hint="leave all but one out: "
                + " or ".join(f"TORCHINF_DISABLE={name}" for name in names),
            )
        arguments = {"app": app, "server": server}
        self.call_one(names[0], "remote", server, arguments, settings, lambda _: None)

    # ONE PLUGIN, BY NAME

    def implementing(self, hook: str) -> tuple[str, ...]:
        """Names of the usable plugins that implement a hook, sorted."""
        return tuple(
            name
            for name, loaded in sorted(self._loaded().loaded.items())
            if any(item.hook == hook and not item.wrapper for item in loaded.implementations)
        )

    def call_one(
        self,
        name: str,
        hook: str,
        about: str,
        arguments: Mapping[str, object],
        settings: Settings,
        check: Callable[[Any], T],
    ) -> T:
        """The checked result of a hook of one plugin; wrappers do not run around it.

        Raises:
            TorchinfError: what the plugin raised, or PluginError.
        """
        return call_one(self._loaded(), name, hook, about, arguments, settings, check)

    # INSIDE

    def _call(
        self,
        hook: str,
        ref: tuple[str, str],
        arguments: Mapping[str, object],
        settings: Settings,
        check: Callable[[Any, Host], T],
    ) -> T:
        return call_owner(self._loaded(), hook, ref, arguments, settings, check)

    def _loaded(self) -> Table:
        with self._lock:
            if self._table is None:
                if self._loading:
                    raise PluginError("a plugin asks for the plugins while it is imported")
                self._loading = True
                try:
                    self._table = build(self._wanted, self._states)
                finally:
                    self._loading = False
        if self._strict and (
            wrong := [str(s) for s in self._table.states if s.state not in ("ok", "disabled")]
        ):
            raise PluginError(
                f"TORCHINF_STRICT_PLUGINS is set, and the {'; the '.join(wrong)}",
                hint="torchinf plugins, without that variable, shows what to do",
            )
        return self._table


def _log_notes(host: Host) -> None:
    for note in host.notes:
        host.log.info("%s", note)
