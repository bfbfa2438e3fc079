"""Calls of one hook: of the plugin that owns a scheme, in all wrappers, or of one by its name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from torchinf_core.host import Host
from torchinf_core.plugins.boundary import guarded
from torchinf_core.plugins.table import Table
from torchinf_core.settings import Settings

T = TypeVar("T")


def call_owner(
    table: Table,
    hook: str,
    ref: tuple[str, str],
    arguments: Mapping[str, object],
    settings: Settings,
    check: Callable[[Any, Host], T],
) -> T:
    """The checked result of a hook of the plugin that owns a scheme.

    Args:
        table: the plugins.
        hook: name of the hook.
        ref: the scheme, and what the call is about for people.
        arguments: of the hook, without ``host``.
        settings: in force for this call.
        check: turns what the hook returned into the result, or raises PluginContractError.

    Raises:
        TorchinfError: what the plugin raised, or PluginError.
    """
    scheme, about = ref
    owner = table.owner(scheme)
    call = table.caller(hook, owner)
    wrappers = table.wrapping(hook)
    if wrappers:
        about += f" (wrapped by {', '.join(wrappers)})"
    with Host(settings, owner.entry.name) as host:
        return guarded(
            lambda: check(call(host=host, **arguments), host),
            owner=owner.entry,
            hook=hook,
            about=about,
            settings=settings,
            authors=table.authors,
            wrappers=wrappers,
        )


def call_one(
    table: Table,
    name: str,
    hook: str,
    about: str,
    arguments: Mapping[str, object],
    settings: Settings,
    check: Callable[[Any], T],
) -> T:
    """The checked result of a hook of one plugin; wrappers do not run around it.

    Raises:
        TorchinfError: as :func:`call_owner`.
    """
    loaded = table.loaded[name]
    found = next(i for i in loaded.implementations if i.hook == hook and not i.wrapper)
    with Host(settings, name) as host:
        offered = {**arguments, "host": host}
        wanted = {key: offered[key] for key in found.parameters}
        return guarded(
            lambda: check(found.function(**wanted)),
            owner=loaded.entry,
            hook=hook,
            about=about,
            settings=settings,
            authors=table.authors,
        )
