"""Imports plugins one by one, so that a broken one costs a line and nothing else."""

from __future__ import annotations

import os
import re
import sys
import time
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from contextlib import redirect_stdout
from dataclasses import replace
from functools import reduce
from importlib import import_module
from types import ModuleType

from torchinf_core.errors import PluginContractError, TorchinfError
from torchinf_core.frozen import dataclass
from torchinf_core.hookspecs import GROUP
from torchinf_core.plugins.boundary import describe, one_line, trace
from torchinf_core.plugins.discovery import EntryPoint
from torchinf_core.plugins.implementations import Implementation, implementations
from torchinf_core.plugins.results import check_sources
from torchinf_core.types import SourceInfo

_NAME = re.compile(r"[a-z][a-z0-9_-]*")


@dataclass(frozen=True, slots=True)
class PluginState:
    """What became of one installed plugin.

    Attributes:
        name: of the plugin.
        state: ``ok``, ``broken``, ``incompatible``, ``duplicate``, ``conflict``
            (works, but for a scheme that another plugin has too), ``limited``
            (works, but for its commands) or ``disabled``.
        distribution, version: what was installed to get it.
        sources: what it serves; empty unless it is ``ok`` or in ``conflict``.
        hooks: names of the hooks it implements or wraps, sorted.
        problem: why it is not ``ok``, on one line, or ``""``.
        hint: what to do about that, or ``""``.
    """

    name: str
    state: str
    distribution: str
    version: str
    sources: tuple[SourceInfo, ...] = ()
    hooks: tuple[str, ...] = ()
    problem: str = ""
    hint: str = ""

    @property
    def usable(self) -> bool:
        """True when its hooks are called."""
        return self.state in ("ok", "conflict", "limited")

    def __str__(self) -> str:
        brought_by = f"{self.distribution} {self.version}".rstrip()
        problem = f": {self.problem}" if self.problem else ""
        state = {"conflict": "in conflict", "duplicate": "a duplicate"}.get(self.state, self.state)
        return f"plugin {self.name!r} ({brought_by}) is {state}{problem}"


@dataclass(frozen=True, slots=True)
class Loaded:
    """An imported plugin: its entry point, what it implements and serves."""

    entry: EntryPoint
    implementations: tuple[Implementation, ...]
    sources: tuple[SourceInfo, ...]


def state_of(
    entry: EntryPoint, state: str, problem: str = "", hint: str = "", loaded: Loaded | None = None
) -> PluginState:
    """The state of the plugin at an entry point."""
    return PluginState(
        entry.name,
        state,
        entry.distribution,
        entry.version,
        loaded.sources if loaded else (),
        tuple(sorted({item.hook for item in loaded.implementations})) if loaded else (),
        problem,
        hint,
    )


def limited(state: PluginState, error: TorchinfError) -> PluginState:
    """The state of a usable plugin without its commands."""
    told, hints = filter(None, (state.problem, str(error))), filter(None, (state.hint, error.hint))
    worse = state.state if state.state != "ok" else "limited"
    return replace(state, state=worse, problem="; ".join(told), hint="; ".join(hints))


def sort_out(
    entries: Iterable[EntryPoint], disable: Collection[str]
) -> tuple[list[EntryPoint], list[PluginState]]:
    """Which plugins to import, and the states of those that are left alone.

    A plugin that also has an entry for this version of the API is not reported
    for the other versions it supports.
    """
    entries = list(entries)
    ours = [entry for entry in entries if entry.group == GROUP]
    here = {(entry.name, entry.distribution) for entry in ours}
    count = Counter(entry.name for entry in ours)
    wanted, states = [], []
    for entry in entries:
        if entry.group != GROUP and (entry.name, entry.distribution) in here:
            continue
        if entry.name in disable:
            states.append(state_of(entry, "disabled"))
        elif entry.group != GROUP:
            states.append(
                state_of(
                    entry,
                    "incompatible",
                    f"it is made for {entry.group}, this is {GROUP}",
                    f"pip install --upgrade torchinf {entry.distribution}",
                )
            )
        elif count[entry.name] > 1:
            owners = sorted(e.distribution for e in ours if e.name == entry.name)
            states.append(
                state_of(
                    entry,
                    "duplicate",
                    f"{' and '.join(owners)} both bring a plugin of that name, so neither is used",
                    "pip uninstall " + " or ".join(owners),
                )
            )
        else:
            wanted.append(entry)
    return wanted, states


def load(entry: EntryPoint) -> Loaded | PluginState:
    """Import a plugin and ask for its sources; what it prints goes to stderr."""
    started = time.perf_counter()
    modules, environ = dict(sys.modules), _own(os.environ)
    try:
        with redirect_stdout(sys.stderr):
            if not _NAME.fullmatch(entry.name):
                raise PluginContractError(f"its name does not match {_NAME.pattern}")
            found = tuple(implementations(imported(entry.value)))
            loaded = Loaded(entry, found, _sources(found))
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - SystemExit too: it must not end the program
        problem = one_line(str(error)) if isinstance(error, TorchinfError) else describe(error)
        trace(entry, "import", time.perf_counter() - started, problem)
        _log_traceback(entry, error)
        hint = f"reinstall or update {entry.distribution}, or TORCHINF_DISABLE={entry.name}"
        return state_of(entry, "broken", problem, hint)
    finally:
        _put_back(modules, environ)
    schemes = " ".join(scheme for info in loaded.sources for scheme in info.schemes)
    trace(entry, "import", time.perf_counter() - started, schemes or "no source")
    return loaded


def _put_back(modules: Mapping[str, ModuleType], environ: Mapping[str, str]) -> None:
    """Undo what a plugin did to the modules and settings that others rely on.

    With a second copy of the core, the next plugin's ``SourceInfo`` would be another
    class.  Variables of torchinf are the user's; any other may be set for a framework.
    """
    for name, module in modules.items():
        own = name.partition(".")[0] == "torchinf_core"
        if name not in sys.modules or (own and sys.modules[name] is not module):
            sys.modules[name] = module
    for name in _own(os.environ).keys() - environ.keys():
        del os.environ[name]
    os.environ.update(environ)


def _own(environ: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environ.items() if name.startswith("TORCHINF_")}


def imported(value: str) -> object:
    """What ``module:attribute`` of an entry point names."""
    module, _, attribute = value.partition(":")
    plugin = import_module(module.strip())
    return reduce(getattr, filter(None, attribute.strip().split(".")), plugin)


def _sources(found: Iterable[Implementation]) -> tuple[SourceInfo, ...]:
    plain = {item.hook: item.function for item in found if not item.wrapper}
    if "sources" not in plain:
        return ()
    try:
        infos = check_sources(plain["sources"]())
    except PluginContractError as error:
        raise PluginContractError(f"sources: {error}") from None
    if "search" not in plain and any(info.searchable for info in infos):
        raise PluginContractError("a source is searchable, and 'search' is not implemented")
    return infos


def _log_traceback(entry: EntryPoint, error: BaseException) -> None:
    import logging

    logging.getLogger("torchinf").debug("plugin %s is broken", entry.name, exc_info=error)
