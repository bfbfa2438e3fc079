"""The kit for sources: all that is asked of ``resolve``, and of what a source may have beside."""

from __future__ import annotations

import hashlib
import os
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import unquote, urlsplit

from torchinf_core.conformance.answering import Wire
from torchinf_core.conformance.checking import shown
from torchinf_core.conformance.contract import NotChecked
from torchinf_core.conformance.sources.failing import FailingConformance
from torchinf_core.conformance.storing import artifact_of, artifact_of_plan
from torchinf_core.plugins.results import check_architecture, check_hits
from torchinf_core.refs import parse_ref
from torchinf_core.types import ModelRef, Plan, RemoteFile, SearchHit, Trust
from torchinf_core.verify import archives


class SourceConformance(FailingConformance):
    """The checks of a plugin that serves models; subclass it and answer the questions.

    Attributes:
        pattern: that ``search`` finds something for.
        missing_pattern: that it finds nothing for.
        token_hosts: hosts that the user of :attr:`settings` and :attr:`environ` has a
            token for, which ``token`` gives.
        fetch_needs: what ``fetch`` needs that a test can't stand in for, such as a
            server that does not speak HTTP; its checks are skipped then.

    Example::

        class TestZoo(SourceConformance):
            plugin = torchinf_zoo
            good_ref, missing_ref = "zoo:tiny-mlp@1", "zoo:nope@1"
            publishes_digests = True

            def respond(self, request):
                return httpx.Response(200, json=INDEX)
    """

    pattern: str = ""
    missing_pattern: str = "kit-nothing-is-called-that"
    token_hosts: ClassVar[tuple[str, ...]] = ()
    fetch_needs: ClassVar[str] = ""

    # FILES

    def test_urls_bring_the_files(self) -> None:
        """Serve the files in respond, with the sizes and digests of the metadata."""
        if "fetch" in self.hooks() and self._fetched()[0] is True:
            raise NotChecked("fetch brings them")
        wire = self.wire(self.respond)
        plan = self.sound_plan(wire)
        for file in plan.files:
            content = self.outcome(self.content, file, plan)
            self.require(isinstance(content, bytes), f"{file.url} ends with {shown(content)}")
            self.require(
                file.size in (None, len(content)),
                f"{file.url} brings {len(content)} bytes, the plan says {file.size}",
            )
            digest = hashlib.sha256(content).hexdigest()
            self.require(
                file.sha256 in (None, digest) and digest.startswith(file.sha256_prefix or ""),
                f"{file.url} has the sha256 {digest}, the plan says {file.sha256}",
            )

    def test_fetch_brings_the_files(self) -> None:
        """Write each file of plan.files to into / file.path, and nothing else."""
        done, into, plan = self._fetched()
        if done is not True:
            raise NotChecked("fetch leaves this plan to the core")
        found = {p.relative_to(into).as_posix(): p for p in into.rglob("*") if not p.is_dir()}
        wanted = {file.path: file for file in plan.files}
        self.require(
            found.keys() == wanted.keys(), f"fetch wrote {sorted(found)}, not {sorted(wanted)}"
        )
        for name, file in wanted.items():
            plain = found[name].is_file() and not found[name].is_symlink()
            self.require(plain, f"{name} is no regular file")
            content = found[name].read_bytes()
            fits = file.size in (None, len(content)) and file.sha256 in (
                None,
                hashlib.sha256(content).hexdigest(),
            )
            self.require(fits, f"{name} has not the size and sha256 of the plan")

    def test_fetch_stays_inside(self) -> None:
        """Write below ``into`` alone, temporary files too."""
        with self.watched() as watch:
            _, into, _ = self._fetched()
        inside = os.path.realpath(into)
        outside = [p for p in watch.written if not Path(_placed(p)).is_relative_to(inside)]
        self.require(not outside, f"fetch writes {outside}")

    def test_fetch_tells_what_it_did(self) -> None:
        """Return True after writing all files, or False before writing the first."""
        done, into, _ = self._fetched()
        self.require(isinstance(done, bool), f"fetch returned {done!r}")
        self.require(done or not any(into.iterdir()), "fetch wrote files and returned False")

    # TOKEN

    def test_tokens_are_for_their_host(self) -> None:
        """Compare the whole hostname, with ``==``."""
        hostnames = ["kit.invalid", "localhost", ""]
        for host in self.token_hosts:
            hostnames += [f"{host}.kit.invalid", f"kit-{host}", f"kit.{host}"]
        for hostname in hostnames:
            token = self._token(hostname)
            self.require(token is None, f"there is a token for the host {hostname!r}")

    def test_tokens_are_given(self) -> None:
        """Return what host.setting("token") or your own variable says."""
        self.hook("token")
        if not self.token_hosts:
            raise NotChecked("token_hosts is empty")
        for hostname in self.token_hosts:
            token = self._token(hostname)
            given = isinstance(token, str) and token.strip() and token.isprintable()
            self.require(given, f"there is no token for {hostname}, but {type(token).__name__}")

    # SEARCH

    def test_search_only_asks(self) -> None:
        """Use host.http."""
        pattern = self._pattern()
        self._only_asks(lambda: self.outcome(self._hits, pattern), "search")

    def test_hits_are_references(self) -> None:
        """Yield SearchHit("scheme:name"), as it is typed behind ``torchinf download``."""
        hits = self.outcome(self._hits, self._pattern())
        if not isinstance(hits, list):
            raise NotChecked(f"search_goes_by_the_pattern fails: {shown(hits)}")
        schemes = [scheme for info in self.infos() for scheme in info.schemes]
        for hit in hits[:5]:
            ref = self.outcome(parse_ref, hit.ref)
            fits = isinstance(ref, ModelRef) and ref.scheme in schemes
            self.require(fits, f"the hit {hit.ref!r} is no reference of {schemes[0]}:")
        self.plan()  # where resolving fails anyhow, another check says so
        for hit in hits[:1]:
            ref = parse_ref(hit.ref)
            made = self.outcome(self.resolve, ref, self.wire(self.respond))
            self.require(isinstance(made, Plan), f"resolving {hit.ref} ends with {shown(made)}")

    def test_strange_lists_are_errors(self) -> None:
        """Ask with host.json, and read the answer as resolve does."""
        pattern = self._pattern()
        self._bears("search", lambda wire: self._hits(pattern, wire), list)

    def test_search_goes_by_the_pattern(self) -> None:
        """Compare with ``fnmatch.fnmatchcase(name, f"*{pattern}*")`` where the server does not."""
        pattern = self._pattern()
        first, space, last = pattern.rpartition(" ")
        word = last.strip("*")
        starred = f"{first}{space}{word[: len(word) // 2]}*{word[len(word) // 2 :]}*"
        for wanted in (pattern, starred):
            self.require(self._found(wanted), f"nothing is found for {wanted!r}")
        hits = len(self._found(self.missing_pattern))
        self.require(not hits, f"{hits} hits for {self.missing_pattern!r}, which nothing matches")

    # TRUST

    def test_nothing_is_trusted_unasked(self) -> None:
        """Answer by host.setting(...) alone."""
        self.hook("trusts")
        folder = self.folder()
        (folder / "model.py").write_text("trusted = True\n")
        claims = {"trusted": True, "trust": "yes", "owner": "pytorch", "official": True}
        artifact = artifact_of(folder, ref=str(self.ref()), trust=Trust.CODE, metadata=claims)
        unset = self.host_settings(plugins={})
        with self.host(self.wire(), unset) as host:
            answer = self.call("trusts", host, record=artifact.record)
        self.require(not answer, f"{self.ref()} is trusted without any setting")

    # ARCHITECTURE

    def test_architecture_is_cheap(self) -> None:
        """Import frameworks in the function given as build."""
        artifact, ref = self._downloaded(empty=bool(self.files_need))
        with self.watched() as watch:
            self._architecture(artifact, ref)
        self.require(not watch.frameworks, f"architecture imports {', '.join(watch.frameworks)}")

    def test_architecture_fits_the_weights(self) -> None:
        """Build the module that the checkpoint was made with, and call eval() on it."""
        artifact, ref = self._downloaded()
        told = self._architecture(artifact, ref)
        if told.build is None:
            raise NotChecked("it tells a pipeline alone")
        try:
            import torch
        except ImportError:
            raise NotChecked("torch is not installed") from None
        with torch.device("cpu" if told.complete else "meta"):
            module = told.build()
        self.require(isinstance(module, torch.nn.Module), f"build made a {type(module).__name__}")
        self.require(not module.training, "the module is in training mode")
        names: set[str] = set()
        for path in told.weights:
            there = artifact.path(path).is_file()
            self.require(there, f"weights names {path!r}, which is no file of the model")
            names |= _tensors(artifact.path(path))
        lacking = sorted(set(module.state_dict()) ^ names) if told.weights else []
        self.require(not lacking, f"module and weights differ in {lacking[:5]}")

    # INSIDE

    def _fetched(self) -> tuple[Any, Path, Plan]:
        self.hook("fetch")
        if self.fetch_needs:
            raise NotChecked(f"fetch needs {self.fetch_needs}")
        wire = self.wire(self.respond)
        plan, into = self.sound_plan(wire), self.folder()
        with self.host(wire) as host:
            return self.call("fetch", host, plan=plan, into=into), into, plan

    def content(self, file: RemoteFile, plan: Plan) -> bytes:
        """The bytes of a file of a plan, asked for as the core does: with the plugin's token."""
        if self.files_need:
            raise NotChecked(f"the files need {self.files_need}")
        parts = urlsplit(file.url)
        if parts.scheme == "file":
            return Path(unquote(parts.path)).read_bytes()
        if not self._answers():
            raise self.unanswered("respond(request), what the server answers")
        hostname = parts.hostname or ""
        token = self._token(hostname, plan) if "token" in self.hooks() else None
        settings = self.host_settings(tokens={hostname: token} if isinstance(token, str) else {})
        with self.host(self.wire(self.respond), settings) as host:
            return host.http.get(file.url).raise_for_status().content

    def _token(self, hostname: str, plan: Plan | None = None) -> Any:
        self.hook("token")
        plan = plan or self.plan()
        with self.host(self.wire(self.respond)) as host:
            return self.call("token", host, hostname=hostname, plan=plan)

    def _pattern(self) -> str:
        self.hook("search")
        if not self.pattern:
            raise self.unanswered("pattern, that search finds something for")
        return self.pattern

    def _found(self, pattern: str) -> list[SearchHit]:
        hits = self.outcome(self._hits, pattern)
        ended = f"searching for {pattern!r} ends with {shown(hits)}"
        self.require(isinstance(hits, list), ended)
        return list(hits)

    def _hits(self, pattern: str, wire: Wire | None = None) -> list[SearchHit]:
        with self.host(wire or self.wire(self.respond)) as host:
            scheme = self.infos()[0].schemes[0]
            asked = {"scheme": scheme, "pattern": pattern, "limit": 20}
            hits: list[SearchHit] = self.call("search", host, _hits_of, **asked)
            return hits

    def _downloaded(self, *, empty: bool = False) -> tuple[Any, ModelRef]:
        """The files of the good reference in a folder, and the reference."""
        self.hook("architecture")
        wire, folder = self.wire(self.respond), self.folder()
        plan = self.sound_plan(wire)
        for file in plan.files:
            path = folder / file.path
            path.parent.mkdir(parents=True, exist_ok=True)
            content = b"" if empty else self.outcome(self.content, file, plan)
            if not isinstance(content, bytes):
                raise NotChecked(f"nothing brings {file.path}: {shown(content)}")
            path.write_bytes(content)
            if file.unpack and not empty:
                packed = path.rename(self.folder() / path.name)
                archives.unpack(
                    packed, path.parent, strip=file.strip, max_bytes=1 << 30, max_entries=10_000
                )
        return artifact_of_plan(folder, plan), plan.ref

    def _architecture(self, artifact: Any, ref: ModelRef) -> Any:
        with self.host(self.wire(self.respond)) as host:
            return check_architecture(self.call("architecture", host, artifact=artifact, ref=ref))


def _hits_of(found: Any) -> list[SearchHit]:
    return check_hits(islice(found, 20), 20)


def _placed(path: str) -> str:
    """Where a path is, without going where it leads if it is a link."""
    return os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path))


def _tensors(path: Path) -> set[str]:
    """Names of the tensors of a weights file."""
    if path.suffix == ".safetensors":
        import json

        content = path.read_bytes()
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
        return set(header) - {"__metadata__"}
    import torch

    return set(torch.load(path, map_location="meta", weights_only=True))
