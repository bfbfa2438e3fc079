"""Checks of ``sources`` and ``resolve``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

from torchinf_core.conformance.answering import Wire
from torchinf_core.conformance.contract import NotChecked
from torchinf_core.conformance.every import Conformance, shown
from torchinf_core.conformance.watching import not_watching
from torchinf_core.errors import (
    ModelNotFoundError,
    NetworkError,
    PluginContractError,
    TorchinfError,
)
from torchinf_core.http import httpx
from torchinf_core.plugins.results import check_plan as check_types
from torchinf_core.plugins.results import check_sources
from torchinf_core.refs import parse_ref
from torchinf_core.settings import Settings
from torchinf_core.types import ModelRef, Plan, RemoteFile, SourceInfo
from torchinf_core.verify import check_plan

_TOLD = "it takes what a server answers, which the plugin's own tests tell"


class ResolveConformance(Conformance):
    """What is asked of a source.

    Attributes:
        good_ref: a reference that :meth:`respond` serves; default: the first example.
        missing_ref: a reference of a model that there is not.
        options: of the source, to resolve with.
        publishes_digests: the source states a digest of every file.
        publishes_sizes: the source states the size of every file.
        has_revisions: the source has revisions that never change.
        files_need: what the files need that a test can't stand in for, such as weights
            that only their owner has; what reads the files is not checked then.
    """

    good_ref: str = ""
    missing_ref: str = ""
    options: ClassVar[Mapping[str, Any]] = {}
    publishes_digests: ClassVar[bool] = False
    publishes_sizes: ClassVar[bool] = False
    has_revisions: ClassVar[bool] = False
    files_need: ClassVar[str] = ""

    def respond(self, request: httpx.Request) -> httpx.Response:
        """Answer as the source's server does: metadata and files.

        A source that asks no server leaves this as it is.
        """
        raise httpx.ConnectError("the test answers no request: define respond", request=request)

    def move(self) -> None:
        """Publish something else as ``good_ref``, as a tag or branch moves on; if that can be."""
        raise NotImplementedError

    # FOR CHECKS

    def infos(self) -> tuple[SourceInfo, ...]:
        """What the plugin declares."""
        try:
            return check_sources(self.hook("sources").function())
        except Exception:  # noqa: BLE001 - another check says so
            raise NotChecked("sources_are_declared fails") from None

    def ref(self) -> ModelRef:
        """The good reference."""
        text = self.good_ref or self.infos()[0].examples[0]
        try:
            return parse_ref(text)
        except TorchinfError:
            raise NotChecked("examples_are_references fails") from None

    def resolve(self, ref: ModelRef, wire: Wire, settings: Settings | None = None) -> Plan:
        """What the plugin makes of a reference, with the notes that it left."""
        with self.host(wire, settings) as host:
            plan = self.call("resolve", host, ref=ref, options=dict(self.options))
            if not isinstance(plan, Plan):
                raise PluginContractError(f"resolve returned {type(plan).__name__}, not a Plan")
            return replace(plan, notes=(*plan.notes, *host.notes))

    def plan(self, wire: Wire | None = None) -> Plan:
        """The plan of the good reference, or the check is skipped."""
        wire = wire or self.wire(self.respond)
        made = self.outcome(self.resolve, self.ref(), wire)
        if not isinstance(made, Plan) or self.outcome(check_types, made, self.ref()) != made:
            self._need_answers(made)
            raise NotChecked(f"resolve_gives_a_plan fails: {made}")
        return made

    def sound_plan(self, wire: Wire) -> Plan:
        """A plan that the core would transfer, or the check is skipped."""
        plan = self.plan(wire)
        problem = self.outcome(check_plan, plan, self.host_settings())
        if problem is not None:
            raise NotChecked(f"{problem}")
        return plan

    def content(self, file: RemoteFile, wire: Wire) -> bytes:
        """The bytes of a file of a plan, asked for as a plugin would."""
        if self.files_need:
            raise NotChecked(f"the files need {self.files_need}")
        with self.host(wire) as host:
            if not file.url.startswith("file:"):
                if not self._answers():
                    raise NotChecked(_TOLD)
                return host.http.get(file.url).raise_for_status().content
        from pathlib import Path
        from urllib.parse import unquote, urlsplit

        return Path(unquote(urlsplit(file.url).path)).read_bytes()

    def _declared(self) -> tuple[SourceInfo, ...]:
        return check_sources(self.hook("sources").function())

    def _typed(self, ref: ModelRef, wire: Wire) -> Plan:
        return check_types(self.resolve(ref, wire), ref)

    # SOURCES

    def test_sources_are_constant(self) -> None:
        """Write the SourceInfo down in the code; what takes a look elsewhere is for resolve."""
        self.infos()
        with self.watched() as watch:
            list(self.hook("sources").function())
        did = watch.connections or watch.processes or watch.written or watch.opened
        self.require(not did, f"sources touches {did}")

    def test_sources_are_declared(self) -> None:
        """Return SourceInfo objects, all of whose first four fields are filled."""
        self.hook("sources")
        made = self.outcome(self._declared)
        self.require(isinstance(made, tuple), f"sources: {made}")

    def test_schemes_are_free(self) -> None:
        """Choose another scheme: with both plugins installed neither could be used."""
        from torchinf_core.known import serving

        for info in self.infos():
            for scheme in info.schemes:
                other = serving(scheme)
                own = other is None or self.package == f"torchinf_{other.name}"
                self.require(
                    own, f"the scheme {scheme!r} is that of torchinf-{other and other.name}"
                )

    def test_examples_are_references(self) -> None:
        """Write examples as they are typed behind ``torchinf download``."""
        for info in self.infos():
            for example in info.examples:
                made = self.outcome(parse_ref, example)
                fits = isinstance(made, ModelRef) and made.scheme in info.schemes
                self.require(fits, f"the example {example!r} is no reference of {info.schemes[0]}:")

    # RESOLVE

    def test_resolve_gives_a_plan(self) -> None:
        """Return ``Plan(ref, name, files)`` with tuples of the types that they are of."""
        ref, wire = self.ref(), self.wire(self.respond)
        self.hook("resolve")
        made = self.outcome(self._typed, ref, wire)
        self._need_answers(made)
        self.require(isinstance(made, Plan), f"resolving {ref} ends with {shown(made)}")

    def test_resolve_moves_no_weights(self) -> None:
        """Take size and digest from the index or a HEAD, and leave the file to the core."""
        wire = self.wire(self.respond)
        plan = self.plan(wire)
        for file in plan.files:
            if not file.observed and file.url in wire.read:
                whole = any(
                    (method, url, span) == ("GET", file.url, "") for method, url, span in wire.asked
                )
                self.require(not whole, f"resolve reads all of {file.url}")

    def test_resolve_only_asks(self) -> None:
        """Use host.http; leave what has to be run or written to fetch."""
        self._only_asks(lambda: self.plan(self.wire(self.respond)), "resolve")

    def test_resolve_imports_no_framework(self) -> None:
        """Import it where the model is built, or write down here what it would tell."""
        with self.watched() as watch:
            self.plan()
        self.require(not watch.frameworks, f"resolve imports {', '.join(watch.frameworks)}")

    def test_resolve_repeats(self) -> None:
        """Leave out of the plan what changes by itself: times, random names, signed URLs."""
        wire = self.wire(self.respond)
        first, second = self.plan(wire), self.plan(wire)
        self.require(first == second, f"two plans differ: {_difference(first, second)}")

    def test_revisions_stay(self) -> None:
        """Put what a tag or branch means just now into ``Plan.revision``, and resolve that too."""
        if not self.has_revisions:
            raise NotChecked("has_revisions is False")
        plan = self.plan()
        self.require(plan.revision, "the plan has no revision")
        pinned = replace(self.ref(), revision=plan.revision)
        self._pinned(plan, pinned)
        if type(self).move is ResolveConformance.move:
            return
        with not_watching():
            self.move()
        newer = self.plan()
        if _known(newer) == _known(plan):
            raise NotChecked("move() changed nothing that a plan tells; it is to change a file")
        differs = newer.revision != plan.revision
        self.require(differs, f"other files have the same revision {plan.revision!r}")
        self._pinned(plan, pinned, gone=True)

    def test_paths_are_safe(self) -> None:
        """Give each file a relative path such as ``model.onnx``; never one that a server chose
        before it was looked at.
        """
        plan = self.plan()
        files = tuple(RemoteFile(f.path, "https://kit.invalid/f") for f in plan.files)
        self._possible(Plan(plan.ref, "kit", files))

    def test_urls_are_safe(self) -> None:
        """Use https, or tell the user to write http in the reference."""
        plan = self.plan()
        files = tuple(
            RemoteFile(f"f{number}", f.url, mirrors=f.mirrors)
            for number, f in enumerate(plan.files)
        )
        self._possible(Plan(plan.ref, "kit", files))
        if "http:" in f"{plan.ref}":
            return
        for file in plan.files:
            for url in (file.url, *file.mirrors):
                self.require(not url.startswith("http:"), f"{url} is not encrypted")

    def test_values_are_possible(self) -> None:
        """Check what a server says before it goes into the plan."""
        plan = self.plan()
        files = tuple(
            replace(f, path=f"f{number}", url="https://kit.invalid/f", mirrors=())
            for number, f in enumerate(plan.files)
        )
        self._possible(replace(plan, files=files))
        size = plan.size or 0
        self.require(size < 1 << 50, f"the files would be {size} bytes together")

    def test_published_facts_are_told(self) -> None:
        """Put the published size and sha256 into RemoteFile: the core compares them."""
        plan = self.plan()
        if not (self.publishes_digests or self.publishes_sizes):
            raise NotChecked("publishes_digests and publishes_sizes are False")
        for file in plan.files:
            digest = file.sha256 or file.git_sha1 or file.sha256_prefix
            self.require(digest or not self.publishes_digests, f"{file.path} has no digest")
            has_size = file.size is not None or file.unpack
            self.require(has_size or not self.publishes_sizes, f"{file.path} has no size")

    # INSIDE

    def _need_answers(self, made: object) -> None:
        """Skip the check where the plugin asked a server, and nobody says what that answers."""
        if isinstance(made, NetworkError) and not self._answers():
            raise NotChecked(_TOLD)

    def _answers(self) -> bool:
        return type(self).respond is not ResolveConformance.respond

    def _respond_or_nothing(self) -> Any:
        return self.respond if self._answers() else None

    def _only_asks(self, call: Any, hook: str) -> None:
        with self.watched() as watch:
            call()
        self.require(not watch.connections, f"{hook} connects to {watch.connections} by itself")
        self.require(not watch.processes, f"{hook} starts {watch.processes}")
        self.require(not watch.written, f"{hook} writes {watch.written}")

    def _pinned(self, plan: Plan, pinned: ModelRef, *, gone: bool = False) -> None:
        again = self.outcome(self.resolve, pinned, self.wire(self.respond))
        if gone and isinstance(again, ModelNotFoundError):
            return
        self.require(isinstance(again, Plan), f"resolving {pinned} ends with {shown(again)}")
        self.require(
            _known(again) == _known(plan) and again.revision == plan.revision,
            f"{pinned} means other files than {self.ref()} did at that revision",
        )

    def _possible(self, plan: Plan) -> None:
        made = self.outcome(check_plan, plan, self.host_settings())
        self.require(made is None, f"{made}")


def _known(plan: Plan) -> list[tuple[Any, ...]]:
    """What a plan says of its files' content."""
    return [(f.path, f.size, f.sha256, f.git_sha1, f.sha256_prefix) for f in plan.files]


def _difference(first: Plan, second: Plan) -> str:
    for field in ("ref", "name", "revision", "format", "metadata", "notes", "files"):
        one, other = getattr(first, field), getattr(second, field)
        if one != other:
            return f"{field} is {str(one)[:200]!r} and then {str(other)[:200]!r}"
    return "in a label"
