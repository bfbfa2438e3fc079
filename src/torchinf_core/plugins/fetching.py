"""``fetch``, with the core's own transfer in the place of an owner that has none; its tokens.

The transfer is innermost, so that a wrapper runs around all of it for every source: it sees
when it ended, and how.  What the transfer raises is the core's and never a plugin's fault.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

from torchinf_core.errors import PluginContractError
from torchinf_core.host import Host
from torchinf_core.plugins.boundary import code_id, guarded, one_line, printing_to
from torchinf_core.plugins.calling import call_owner
from torchinf_core.plugins.implementations import Implementation
from torchinf_core.plugins.results import check_fetched, check_token
from torchinf_core.plugins.table import Table
from torchinf_core.settings import Settings, host_token
from torchinf_core.types import Plan


class _Innermost:
    """What a call of ``fetch`` does inside all wrappers, and what came of it."""

    def __init__(self, own: Implementation | None, transfer: Callable[[], None]) -> None:
        self._own = own
        self._transfer = transfer
        self._data: Callable[[], AbstractContextManager[object]] = partial(printing_to, sys.stdout)
        self.done: bool | None = None
        self.failure: BaseException | None = None

    def fetch(self, plan: Plan, into: Path, host: Host) -> bool:
        """The owner's ``fetch``, or the transfer where that leaves the work to the core."""
        if self._own is not None:
            offered = {"plan": plan, "into": into, "host": host}
            wanted = {name: offered[name] for name in self._own.parameters}
            if check_fetched(self._own.function(**wanted)):
                self.done = True
                return True
        try:
            with self._data():
                self._transfer()
        except BaseException as error:
            self.failure = error
            raise
        self.done = False
        return False


def fetch(
    table: Table, plan: Plan, into: Path, settings: Settings, transfer: Callable[[], None] | None
) -> bool:
    """Bring the files of a plan: True when a plugin wrote them, False when ``transfer`` did.

    Without a ``transfer`` all files are in the store: the owner is not asked, and wrappers run
    around nothing.  So files that an attempt left there, which a wrapper ended, get around none.

    Raises:
        PluginContractError: a wrapper returned something else than it got.
        BaseException: what ``transfer`` raised, whatever the wrappers made of it.
        TorchinfError: as for any hook.
    """
    owner = table.owner(plan.ref.scheme)
    own = next((i for i in owner.implementations if i.hook == "fetch" and not i.wrapper), None)
    inner = _Innermost(own, transfer) if transfer else _Innermost(None, lambda: None)
    wrappers = table.wrapping("fetch")
    shown = str(plan.ref) + (f" (wrapped by {', '.join(wrappers)})" if wrappers else "")
    with Host(settings, owner.entry.name) as host:
        arguments: Mapping[str, object] = {"plan": plan, "into": into, "host": host}
        try:
            result = guarded(
                lambda: table.around("fetch", inner.fetch, arguments),
                owner=owner.entry,
                hook="fetch",
                about=shown,
                settings=settings,
                authors={**table.authors, code_id(inner.fetch): owner.entry},
            )
        except BaseException:
            if inner.failure is None:
                raise
        if inner.failure is not None:
            raise inner.failure
        for note in host.notes:
            host.log.info("%s", note)
    if result is not inner.done:
        names = " or ".join(repr(name) for name in wrappers)
        raise PluginContractError(
            one_line(
                f"the wrapper of fetch of the plugin {names} returned {result!r} for {plan.ref}"
                f" instead of what it got from yield, {inner.done!r}",
                settings,
            ),
            hint=" or ".join(f"TORCHINF_DISABLE={name}" for name in wrappers) + " leaves it out",
        )
    return inner.done is True


def tokens(table: Table, plan: Plan, settings: Settings) -> dict[str, str]:
    """Host → bearer token of the plan's source, where the settings have none for a host."""
    owner = table.owner(plan.ref.scheme)
    if not any(i.hook == "token" and not i.wrapper for i in owner.implementations):
        return {}
    from urllib.parse import urlsplit

    urls = {url for file in plan.files for url in (file.url, *file.mirrors)}
    found = {}
    for hostname in sorted({urlsplit(url).hostname or "" for url in urls} - {""}):
        if not host_token(settings, hostname):
            where = (plan.ref.scheme, f"a token for {hostname}")
            arguments = {"hostname": hostname, "plan": plan}
            token = call_owner(
                table, "token", where, arguments, settings, lambda result, _: check_token(result)
            )
            if token:
                found[hostname] = token
    return found
