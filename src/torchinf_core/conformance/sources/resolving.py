"""Checks of ``sources`` and ``resolve``."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from torchinf_core.conformance.answering import Wire
from torchinf_core.conformance.checking import shown
from torchinf_core.conformance.contract import NotChecked
from torchinf_core.conformance.every import Conformance
from torchinf_core.conformance.watching import not_watching
from torchinf_core.errors import (
    ModelNotFoundError,
    NetworkError,
    PluginContractError,
)
from torchinf_core.network.library import httpx
from torchinf_core.plugins.results import check_plan as check_types
from torchinf_core.plugins.results import check_sources
from torchinf_core.refs import parse_ref
from torchinf_core.settings import Settings
from torchinf_core.types import ModelRef, Plan, RemoteFile, SourceInfo
from torchinf_core.verify import check_plan


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
        infos = self.infos()
        text = self.good_ref or infos[0].examples[0]
        made = self.outcome(parse_ref, text)
        schemes = [scheme for info in infos for scheme in info.schemes]
        if isinstance(made, ModelRef) and made.scheme in schemes:
            return made
        if self.good_ref:
            raise TypeError(f"good_ref is {text!r}, which is no reference of {schemes[0]}:")
        raise NotChecked("examples_are_references fails")

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
        told = any(info.searchable for info in made) or "search" not in self.hooks()
        self.require(told, "it has a search, and no SourceInfo says searchable=True")
        there = "search" in self.hooks() or not any(info.searchable for info in made)
        self.require(there, "a SourceInfo says searchable=True, and there is no search")

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
        ended = f"resolving {ref} ends with {shown(made)}"
        if isinstance(made, Exception) and not isinstance(made, PluginContractError):
            self.require(
                False, ended, "see the error: does respond serve good_ref as a server would?"
            )
        self.require(isinstance(made, Plan), ended)

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
        for nowhere in ("kit-no-such-revision", "0" * 40):
            made = self.outcome(
                self.resolve, replace(pinned, revision=nowhere), self.wire(self.respond)
            )
            self.require(
                not isinstance(made, Plan), f"there is a plan for the revision {nowhere!r}"
            )
        if type(self).move is ResolveConformance.move:
            return
        # A reference that names a revision may stay where it is; one without does not.
        refs = [
            ref for ref in (self.ref(), replace(self.ref(), revision=None)) if self._plan_of(ref)
        ]
        before = [self._plan_of(ref) for ref in refs]
        with not_watching():
            self.move()
        after = [self._plan_of(ref) for ref in refs]
        moved = [(o, n) for o, n in zip(before, after, strict=True) if _known(o) != _known(n)]
        if not moved:
            raise NotChecked(
                "after move(), good_ref means the same files, with or without revision"
            )
        for old, new in moved:
            differs = old.revision != new.revision
            self.require(differs, f"other files have the same revision {old.revision!r}")
            self._pinned(old, replace(old.ref, revision=old.revision), gone=True)

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
            raise self.unanswered("respond(request), what the server answers")

    def _plan_of(self, ref: ModelRef) -> Any:
        made = self.outcome(self.resolve, ref, self.wire(self.respond))
        return made if isinstance(made, Plan) else None

    def _answers(self) -> bool:
        return type(self).respond is not ResolveConformance.respond

    def _respond_or_nothing(self) -> Any:
        return self.respond if self._answers() else None

    def _only_asks(self, call: Any, hook: str) -> None:
        with self.watched() as watch:
            call()
        self.require(not watch.connections, f"{hook} connects to {watch.connections} by itself")
        self.require(not watch.processes, f"{hook} starts {watch.processes}")
        kept = [path for path in watch.written if not self._is_temporary(path)]
        self.require(not kept, f"{hook} writes {kept}")

    def _is_temporary(self, path: str) -> bool:
        """True below the system's folder for that, where the kit's home lies too; and for a
        name without a folder, which is opened relative to one that was opened before.
        """
        place = Path(path)
        inside = place.is_relative_to(tempfile.gettempdir())
        return (inside and not place.is_relative_to(self.home)) or not place.is_absolute()

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
