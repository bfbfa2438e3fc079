"""What loading the plugins gave: states, owners of schemes, and pluggy's manager."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import pluggy

from torchinf_core import known
from torchinf_core.errors import PluginConflictError, UnknownSourceError
from torchinf_core.frozen import dataclass
from torchinf_core.hookspecs import Hooks
from torchinf_core.plugins.boundary import code_id
from torchinf_core.plugins.discovery import EntryPoint
from torchinf_core.plugins.implementations import Implementation
from torchinf_core.plugins.loading import Loaded, PluginState, load, state_of


@dataclass(frozen=True, slots=True)
class Table:
    """The loaded plugins, looked up by name and by scheme.

    Attributes:
        states: of all installed plugins, by name.
        loaded: the usable ones by name.
        authors: code objects' ids → plugin, to blame the right one for an error.
    """

    states: tuple[PluginState, ...]
    loaded: Mapping[str, Loaded]
    authors: Mapping[int, EntryPoint]
    _claims: Mapping[str, tuple[EntryPoint, ...]]
    _manager: pluggy.PluginManager
    _parts: Mapping[str, object]

    def sole_owner(self, scheme: str) -> Loaded | None:
        """The only plugin that serves a scheme, or None."""
        claims = self._claims.get(scheme, ())
        return self.loaded[claims[0].name] if len(claims) == 1 else None

    def owner(self, scheme: str) -> Loaded:
        """The plugin that serves a scheme.

        Raises:
            UnknownSourceError: none does.
            PluginConflictError: several do.
        """
        claims = self._claims.get(scheme, ())
        if not claims:
            raise _unknown(scheme, self.states, self._claims)
        if len(claims) > 1:
            names = [entry.name for entry in claims]
            raise PluginConflictError(
                f"the scheme {scheme!r} belongs to several plugins: "
                + " and ".join(str(entry) for entry in claims),
                hint="leave all but one out: "
                + " or ".join(f"TORCHINF_DISABLE={name}" for name in names),
            )
        return self.loaded[claims[0].name]

    def caller(self, hook: str, owner: Loaded) -> Callable[..., Any]:
        """Calls a hook of ``owner``, with the wrappers of all plugins around it."""
        others = [part for name, part in self._parts.items() if name != owner.entry.name]
        return self._manager.subset_hook_caller(hook, others)

    def around(
        self, hook: str, innermost: Callable[..., Any], arguments: Mapping[str, object]
    ) -> Any:
        """Call a function in the place of a hook, with the wrappers of all plugins around it."""
        caller = self._manager.subset_hook_caller(hook, self._parts.values())
        return caller.call_extra([innermost], dict(arguments))

    def wrapping(self, hook: str) -> list[str]:
        """Names of the plugins that wrap a hook."""
        return [
            name
            for name, loaded in self.loaded.items()
            if any(item.wrapper and item.hook == hook for item in loaded.implementations)
        ]


def build(wanted: Iterable[EntryPoint], states: Iterable[PluginState]) -> Table:
    """Import plugins and sort out which of them serves what.

    Args:
        wanted: plugins to import.
        states: of those that are not.
    """
    manager = pluggy.PluginManager("torchinf")
    manager.add_hookspecs(Hooks)
    loaded: dict[str, Loaded] = {}
    found = list(states)
    for entry in wanted:
        outcome = load(entry)
        if isinstance(outcome, Loaded):
            loaded[entry.name] = outcome
        else:
            found.append(outcome)
    claims: dict[str, tuple[EntryPoint, ...]] = {}
    for item in loaded.values():
        for info in item.sources:
            for scheme in info.schemes:
                claims[scheme] = (*claims.get(scheme, ()), item.entry)
    found += [_state(item, claims) for item in loaded.values()]
    return Table(
        states=tuple(sorted(found, key=lambda state: (state.name, state.distribution))),
        loaded=loaded,
        authors={
            code_id(implementation.function): item.entry
            for item in loaded.values()
            for implementation in item.implementations
        },
        _claims=claims,
        _manager=manager,
        _parts={name: _register(item, manager) for name, item in loaded.items()},
    )


class _Part:
    """Some functions of a plugin, as an object that pluggy registers."""

    def __init__(self, implementations: Iterable[Implementation]) -> None:
        for item in implementations:
            setattr(self, item.attribute, item.function)

    def __dir__(self) -> list[str]:
        """The functions alone: pluggy looks closely at each name, and that takes its time."""
        return list(self.__dict__)


def _register(loaded: Loaded, manager: pluggy.PluginManager) -> object:
    """Register a plugin's wrappers apart, so that a call can leave out the rest alone."""
    wrappers = _Part(item for item in loaded.implementations if item.wrapper)
    manager.register(wrappers, f"{loaded.entry.name}:wrappers")
    plain = _Part(item for item in loaded.implementations if not item.wrapper)
    manager.register(plain, loaded.entry.name)
    return plain


def _state(loaded: Loaded, claims: Mapping[str, tuple[EntryPoint, ...]]) -> PluginState:
    contested = [
        f"{scheme!r} is also claimed by {entry}"
        for info in loaded.sources
        for scheme in info.schemes
        for entry in claims[scheme]
        if entry != loaded.entry
    ]
    if not contested:
        return state_of(loaded.entry, "ok", loaded=loaded)
    return state_of(
        loaded.entry,
        "conflict",
        f"the scheme {', '.join(contested)}",
        f"TORCHINF_DISABLE={loaded.entry.name}, or leave out the other",
        loaded,
    )


def _unknown(
    scheme: str, states: Iterable[PluginState], installed: Iterable[str]
) -> UnknownSourceError:
    first_party = known.serving(scheme)
    names = {scheme, first_party.name if first_party else scheme}
    for state in states:
        if state.name in names and not state.usable:
            hint = state.hint or f"take {state.name!r} out of TORCHINF_DISABLE and the settings"
            return UnknownSourceError(f"{scheme!r} can't be used: the {state}", hint=hint)
    message = f"no installed plugin serves {scheme!r}"
    if first_party:
        return UnknownSourceError(message, hint=first_party.install)
    schemes = {*installed, *(name for plugin in known.FIRST_PARTY for name in plugin.schemes)}
    import difflib

    if near := difflib.get_close_matches(scheme, sorted(schemes), n=1):
        absent = None if near[0] in installed else known.serving(near[0])
        install = f" ({absent.install})" if absent else ""
        return UnknownSourceError(message, hint=f"did you mean {near[0]!r}?{install}")
    return UnknownSourceError(message, hint="torchinf plugins lists the sources there are")
