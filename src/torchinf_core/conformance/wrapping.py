"""Checks of wrappers: a plugin's hands on the models of other plugins.

Each is tried as its user has it, and without its settings, around hooks of no plugin.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import pluggy

from torchinf_core.conformance.checking import Checking, meant, shown
from torchinf_core.conformance.contract import NotThere
from torchinf_core.conformance.storing import artifact_of
from torchinf_core.errors import ModelNotFoundError, NetworkError
from torchinf_core.hookspecs import Hooks
from torchinf_core.host import Host
from torchinf_core.plugins import results
from torchinf_core.refs import parse_ref
from torchinf_core.types import ModelRef, Plan, RemoteFile, Trust
from torchinf_core.verify import check_plan

REF = parse_ref("kit:tiny@1")
FILES = tuple(
    RemoteFile(path, f"https://kit.invalid/{path}", size=size, sha256=digit * 64)
    for path, size, digit in (("model.safetensors", 96, "a"), ("config.json", 2, "b"))
)


class Wrapping(Checking):
    """What is asked of the wrappers of a plugin, whatever they wrap."""

    def test_wrapped_plans_keep_their_digests(self) -> None:
        """Return the plan, or what dataclasses.replace makes of it; leave ref and sha256 alone."""

        def resolve(ref: ModelRef) -> Plan:
            return _plan(ref)

        def missing() -> Plan:
            raise ModelNotFoundError(f"there is no {REF}")

        for user in self._users("resolve"):
            made = self._around("resolve", resolve, user, ref=REF, options={})
            fault = "" if meant(made) else self.outcome(self._fault, made)
            fault = f"a plan that is refused: {fault}" if isinstance(fault, Exception) else fault
            self.require(not fault, f"around a good plan, {user}, it gives {fault}")
            made = self._around("resolve", missing, user, ref=REF, options={})
            fine = isinstance(made, Plan) or meant(made)
            self.require(fine, f"around a missing model, {user}, it gives {shown(made)}")

    def test_wrapped_fetches_tell_what_was_done(self) -> None:
        """Write ``done = yield``, return ``done``, and raise again what you catch."""

        def broken() -> bool:
            raise NetworkError("the connection broke")

        for user in self._users("fetch"):
            for inner, wanted in ((lambda: True, True), (lambda: False, False), (broken, None)):
                made = self._around("fetch", inner, user, plan=_plan(REF), into=self.folder())
                kept = isinstance(made, NetworkError) if wanted is None else made is wanted
                refused = user is User.WITHOUT and meant(made)  # it may need its settings
                told = "a failure" if wanted is None else str(wanted)
                gives = shown(made) if isinstance(made, Exception) else repr(made)
                self.require(kept or refused, f"around {told}, {user}, it gives {gives}")

    def test_wrappers_trust_nothing_unasked(self) -> None:
        """Return what ``yield`` gave, but where a setting of your own says more."""
        folder = self.folder()
        (folder / "model.py").write_text("trusted = True\n")
        record = artifact_of(folder, ref=str(REF), trust=Trust.CODE).record
        made = self._around("trusts", lambda: False, User.WITHOUT, record=record)
        fine = made is False or made is None or meant(made)
        self.require(fine, f"around False, without a setting, it gives {made!r}")

    # INSIDE

    def setup_method(self) -> None:
        """As above; and nothing was asked for yet."""
        super().setup_method()
        self._asked = _Asked()

    def _users(self, hook: str) -> Iterator[User]:
        """Whose settings a wrapper is tried with; what it does with settings needs some."""
        yield User.WITHOUT
        if self.settings or self.environ:
            yield User.WITH
        elif self._asked.settings:
            raise self.unanswered(f"settings, with which the wrapper of {hook} does its work")

    def _around(self, hook: str, inner: Callable[..., Any], user: User, **arguments: Any) -> Any:
        """What the plugin's wrapper makes of a hook of another plugin, or its exception."""
        found = self.hooks(wrappers=True).get(hook)
        if found is None:
            raise NotThere(f"it does not wrap {hook}")
        manager = pluggy.PluginManager("torchinf")
        manager.add_hookspecs(Hooks)
        manager.register(SimpleNamespace(**{found.attribute: found.function}))
        settings = self.host_settings(**({} if user is User.WITH else {"plugins": self._asked}))
        with patch.dict(os.environ), Host(settings, "kit", self.wire().client(settings)) as host:
            for variable in () if user is User.WITH else self.environ:
                del os.environ[variable]
            call = getattr(manager.hook, hook).call_extra
            return self.outcome(call, [inner], {**arguments, "host": host})

    def _fault(self, made: object) -> str:
        """What is wrong with a plan that was wrapped, or ``""``."""
        if not isinstance(made, Plan):
            return shown(made)
        if made.ref != REF:
            return f"one for {made.ref}"
        plan = results.check_plan(made, REF)
        check_plan(plan, self.host_settings())
        published = {file.path: file.sha256 for file in FILES}
        for file in plan.files:
            if file.sha256 != published.get(file.path, file.sha256):
                return f"one whose {file.path} has the sha256 {file.sha256}"
        return ""


class User(StrEnum):
    """Who has a wrapper installed."""

    WITH = "with its settings"
    WITHOUT = "without a setting"


class _Asked(dict[str, Mapping[str, Any]]):
    """No settings of plugins, and whether any was asked for."""

    settings = False

    def get(self, _: str, default: Any = None) -> Any:
        self.settings = True
        return default


def _plan(ref: ModelRef) -> Plan:
    return Plan(ref, "tiny", FILES, revision="1", format="safetensors", license="mit")
