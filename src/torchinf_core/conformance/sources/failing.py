"""Checks of ``resolve`` where something is wrong: with the reference, the server or the network."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from torchinf_core.conformance.answering import Wire, falsified, nonsense
from torchinf_core.conformance.checking import meant, shown
from torchinf_core.conformance.sources.resolving import ResolveConformance
from torchinf_core.errors import (
    AccessDeniedError,
    ModelNotFoundError,
    NetworkError,
    NotFoundError,
    OfflineError,
    PluginContractError,
    SourceError,
)
from torchinf_core.network.library import httpx
from torchinf_core.refs import parse_ref
from torchinf_core.types import ModelRef, Plan
from torchinf_core.verify import check_plan

SECRET = "kit-secret-0123456789"  # noqa: S105 - to be found where it must not be
STRANGE = (
    "..", "../../etc/passwd", "a/../../b", "a//b", "a b", "ü", "%2e%2e%2f", "a?b=c&d", "-rf",
    "x" * 4000, "0", "*", "a/b/c/d/e/f", "con", ".", "\u202ea",
)  # fmt: skip


class FailingConformance(ResolveConformance):
    """What is asked of ``resolve`` when it can't answer."""

    def test_missing_is_not_found(self) -> None:
        """Raise ModelNotFoundError where the server or the index has no such model."""
        if not self.missing_ref:
            raise self.unanswered("missing_ref, a reference of a model that there is not")
        self.plan()
        ref = parse_ref(self.missing_ref)
        made = self.outcome(self.resolve, ref, self.wire(self.respond))
        found = isinstance(made, ModelNotFoundError)
        self.require(found, f"resolving {ref} ends with {shown(made)}")

    def test_strange_answers_are_errors(self) -> None:
        """Ask with host.json, and catch (KeyError, IndexError, TypeError, ValueError) around what
        reads the answer; but raise nothing of torchinf's in there, for RefError is a ValueError.
        """
        self.hook("resolve")
        ref = self.ref()
        self._bears("resolve", lambda wire: self.resolve(ref, wire), Plan)

    def test_failures_keep_their_meaning(self) -> None:
        """Let exceptions of host.http pass; catch only what you know the meaning of."""
        ref = self.ref()
        self.hook("resolve")
        cases: list[tuple[str, Any, dict[str, Any], tuple[type, ...]]] = [
            ("offline", self._respond_or_nothing(), {"offline": True}, (OfflineError,)),
            ("when nobody answers", None, {}, (NetworkError,)),
            ("denied (403)", _status(403), {}, (AccessDeniedError,)),
            ("denied (401)", _status(401), {}, (AccessDeniedError, ModelNotFoundError)),
            ("overloaded (429)", _status(429), {}, (SourceError,)),
            ("when the server fails (503)", _status(503), {}, (SourceError,)),
        ]
        for what, respond, more, wanted in cases:
            wire = self.wire(respond)
            settings = self.host_settings(**more)
            made = self.outcome(self.resolve, ref, wire, settings)
            if isinstance(made, Plan) or (not wire.asked and not isinstance(made, Exception)):
                continue
            if not meant(made) and not isinstance(made, NotFoundError):
                continue  # another check says so
            self.require(
                isinstance(made, wanted),
                f"{what}, resolve ends with {shown(made)} instead of {wanted[0].__name__}",
            )

    def test_strange_references_are_errors(self) -> None:
        """Look at ref.locator and ref.revision before they become part of a URL."""
        self.plan()
        for text in self._strange_references():
            ref = self.outcome(parse_ref, text)
            if not isinstance(ref, ModelRef):
                continue
            made = self.outcome(self.resolve, ref, self.wire(self._respond_or_nothing()))
            fine = meant(made)
            if isinstance(made, Plan):
                made = self.outcome(check_plan, made, self.host_settings())
                fine = made is None
            self.require(fine, f"resolving {text[:60]!r} ends with {shown(made)}")

    def test_secrets_stay_secret(self) -> None:
        """Leave authorization to host.http; where that can't be, keep tokens out of texts."""
        wire = self.wire(self.respond)
        self.plan(wire)
        hosts = {httpx.URL(url).host for _, url, _ in wire.asked}
        own, kits = self.host_settings(), self.host_settings(tokens=dict.fromkeys(hosts, SECRET))
        for respond in (self.respond, _status(403), _status(500), *(n.respond for n in nonsense())):
            for settings in (own, kits):
                made = self.outcome(self.resolve, self.ref(), self.wire(respond), settings)
                shown = f"{made!r} {made} {getattr(made, 'hint', '')}"
                leaked = [secret for secret in {SECRET, *self._secrets()} if secret in shown]
                self.require(not leaked, f"a token of the user is in {_where(made)}")

    # INSIDE

    def _bears(self, hook: str, call: Callable[[Wire], Any], good: type) -> None:
        """Require that a hook ends with an error of torchinf whatever a server answers."""
        wire = self.wire(self._respond_or_nothing())
        strange = list(nonsense())
        if isinstance(self.outcome(call, wire), good):
            strange += falsified(wire.answers, self.respond)
        for case in strange:
            made = self.outcome(call, self.wire(case.respond))
            fine = meant(made) or isinstance(made, (good, PluginContractError))
            self.require(fine, f"after {case.what}, {hook} ends with {shown(made)}")

    def _secrets(self) -> set[str]:
        """What the test gives the plugin under a name that says so."""
        given = {**self.settings, **self.environ}
        secret = re.compile("token|secret|passw|key|login", re.IGNORECASE)
        return {v for k, v in given.items() if secret.search(k) and isinstance(v, str) and v}

    def _strange_references(self) -> list[str]:
        ref = self.ref()
        texts = [f"{ref.scheme}:{locator}" for locator in STRANGE]
        whole = f"{ref.scheme}:{ref.locator}"
        return texts + [f"{whole}@{revision}" for revision in STRANGE]


def _status(status: int) -> Any:
    def respond(request: httpx.Request) -> httpx.Response:
        told = json.dumps({"error": "no", "you sent": request.headers.get("authorization", "")})
        return httpx.Response(status, content=told.encode())

    return respond


def _where(made: object) -> str:
    return "the plan" if isinstance(made, Plan) else f"the message of a {type(made).__name__}"
