"""Checks of wrappers: a plugin's hands on the models of other plugins.

Each is tried as its user has it, and without its settings, around hooks of no plugin.
"""

from __future__ import annotations

import os
from collections.abc import Callable
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
USERS = ((True, "with its settings"), (False, "without a setting"))


class Wrapping(Checking):
    """What is asked of the wrappers of a plugin, whatever they wrap."""

    def test_wrapped_plans_keep_their_digests(self) -> None:
        """Change a plan with dataclasses.replace, no sha256 in it, and return the plan."""

        def resolve(ref: ModelRef) -> Plan:
            return _plan(ref)

        def missing() -> Plan:
            raise ModelNotFoundError(f"there is no {REF}")

        for configured, when in USERS:
            made = self._around("resolve", resolve, configured, ref=REF, options={})
            fault = self.outcome(self._fault, made)
            self.require(not fault, f"around a good plan, {when}, it gives {fault}")
            made = self._around("resolve", missing, configured, ref=REF, options={})
            fine = isinstance(made, Plan) or meant(made)
            self.require(fine, f"around a missing model, {when}, it gives {shown(made)}")

    def test_wrapped_fetches_tell_what_was_done(self) -> None:
        """Write ``done = yield``, return ``done``, and raise again what you catch."""

        def broken() -> bool:
            raise NetworkError("the connection broke")

        for configured, when in USERS:
            for inner, wanted in ((lambda: True, True), (lambda: False, False), (broken, None)):
                made = self._around("fetch", inner, configured, plan=_plan(REF), into=self.folder())
                kept = isinstance(made, NetworkError) if wanted is None else made is wanted
                refused = not configured and meant(made)  # it may need its settings
                told = "a failure" if wanted is None else str(wanted)
                self.require(kept or refused, f"around {told}, {when}, it gives {made!r}")

    def test_wrappers_trust_nothing_unasked(self) -> None:
        """Return what ``yield`` gave, but where a setting of your own says more."""
        folder = self.folder()
        (folder / "model.py").write_text("trusted = True\n")
        record = artifact_of(folder, ref=str(REF), trust=Trust.CODE).record
        made = self._around("trusts", lambda: False, False, record=record)
        fine = made is False or made is None or meant(made)
        self.require(fine, f"around False, without a setting, it gives {made!r}")

    # INSIDE

    def _around(
        self,
        hook: str,
        inner: Callable[..., Any],
        configured: bool,
        **arguments: Any,
    ) -> Any:
        """What the plugin's wrapper makes of a hook of another plugin, or its exception."""
        found = self.hooks(wrappers=True).get(hook)
        if found is None:
            raise NotThere(f"it does not wrap {hook}")
        manager = pluggy.PluginManager("torchinf")
        manager.add_hookspecs(Hooks)
        manager.register(SimpleNamespace(**{found.attribute: found.function}))
        settings = self.host_settings(**({} if configured else {"plugins": {}}))
        with patch.dict(os.environ), Host(settings, "kit", self.wire().client(settings)) as host:
            for variable in () if configured else self.environ:
                del os.environ[variable]
            call = getattr(manager.hook, hook).call_extra
            return self.outcome(call, [inner], {**arguments, "host": host})

    def _fault(self, made: object) -> str:
        """What is wrong with a plan that was wrapped, or ``""``."""
        if isinstance(made, Exception):
            return shown(made)
        plan = results.check_plan(made, REF)
        check_plan(plan, self.host_settings())
        published = {file.path: file.sha256 for file in FILES}
        for file in plan.files:
            if file.sha256 != published.get(file.path, file.sha256):
                return f"{file.path} another sha256, {file.sha256}"
        return ""


def _plan(ref: ModelRef) -> Plan:
    return Plan(ref, "tiny", FILES, revision="1", format="safetensors")
