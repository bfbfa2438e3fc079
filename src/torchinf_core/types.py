"""The frozen values that travel from a reference to a stored model.

``ModelRef`` → ``Plan`` → (transfer) → ``Record``.  Sizes are bytes, times are
ISO 8601 in UTC, digests are lower-case hex without a prefix.  Everything here
is data: no I/O, nothing imported but the standard library.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from enum import IntEnum
from typing import Any

from torchinf_core.frozen import dataclass

Json = Any
"""A value that ``json.dumps`` takes: None, bool, int, float, str, list, dict."""


class Trust(IntEnum):
    """What using a model's files can do to the machine, from harmless up."""

    DATA = 0
    """safetensors, ONNX, GGUF, JSON, tokenizer files: parsed, never run."""
    PICKLE = 1
    """torch checkpoints: read with ``weights_only=True`` alone."""
    CODE = 2
    """hubconf.py, TorchScript, whole-module pickles: run only when trusted."""


def is_sha256(text: str) -> bool:
    """True for 64 lower-case hex digits."""
    return len(text) == 64 and not text.strip("0123456789abcdef")


@dataclass(frozen=True, slots=True)
class ModelRef:
    """A parsed reference ``scheme:locator[@revision][#sha256=…]``.

    Attributes:
        scheme: as written, lower case (``torchvision``, ``https``, ``file``).
        locator: what the source calls the model; the whole URL for ``http(s)``
            and an absolute path for ``file`` and for what begins with ``./``,
            ``../`` or ``~/``.
        revision: the part behind ``@``, or None.
        sha256: 64 hex digits that the (single) file must have, or None.
    """

    scheme: str
    locator: str
    revision: str | None = None
    sha256: str | None = None

    @property
    def is_local(self) -> bool:
        """True when the user named a file or directory on this machine."""
        path = self.locator.startswith("/") and not self.locator.startswith("//")
        return self.scheme == "file" or path

    def __str__(self) -> str:
        from torchinf_core.refs import format_ref

        return format_ref(self)


@dataclass(frozen=True, slots=True)
class SourceInfo:
    """What a source plugin offers; static, built without I/O.

    Attributes:
        name: the plugin's own word for the source, shown to people.
        schemes: schemes it owns; the first is canonical, the rest are aliases.
        description: one line without a period.
        examples: references a person can try; the conformance kit parses them.
        options: names of the ``resolve`` options it understands.
        searchable: True when it implements the ``search`` hook.
    """

    name: str
    schemes: tuple[str, ...]
    description: str
    examples: tuple[str, ...]
    options: tuple[str, ...] = ()
    searchable: bool = False


@dataclass(frozen=True, slots=True)
class RemoteFile:
    r"""One file of a plan: where its bytes come from and how they are known.

    Attributes:
        path: POSIX path relative to the model's directory.
        url: ``https``, ``http`` or (for a local reference only) ``file`` URL.
        size: bytes, or None when the source does not say.
        sha256: 64 hex digits published by the source or pinned by the user.
        sha256_prefix: leading hex digits of the sha256, where a source
            publishes no more than that.
        git_sha1: git blob id, ``sha1(b"blob <size>\0" + content)``.
        mirrors: further URLs of the same bytes, tried in order on transport
            errors and 5xx answers only.
        validator: the entity tag seen while resolving; equal validators mean
            unchanged content when no digest is published.
        unpack: True for an archive that is to be unpacked below the directory
            of ``path``; the archive itself is not kept.
        strip: leading path components dropped from each archive member.
        approximate_size: about how many bytes, where the source rounds; for
            free-space checks and for people, never compared with what comes.
        local: absolute paths of this machine that may hold the same bytes, such
            as another tool's cache; looked at before the URLs, and only where a
            sha256 or git_sha1 proves them.
        observed: True when the plugin took the sha256 from bytes that it fetched
            itself, and the source stated none.
    """

    path: str
    url: str
    size: int | None = None
    sha256: str | None = None
    sha256_prefix: str | None = None
    git_sha1: str | None = None
    mirrors: tuple[str, ...] = ()
    validator: str | None = None
    unpack: bool = False
    strip: int = 0
    approximate_size: int | None = None
    local: tuple[str, ...] = ()
    observed: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """Exactly what a download would bring, before a byte of weights moves.

    Attributes:
        ref: the reference that was resolved.
        name: the name the model gets unless the user gives one.
        files: what to fetch; empty for a model without weights.
        revision: the immutable revision this plan is bound to (a commit, a
            weights member, an entity tag), or None when the source has none.
        format: ``safetensors``, ``onnx``, ``torch``, … or None to have it
            sniffed from the content.
        trust: the least level the source knows the content to need; sniffing
            may raise it, nothing lowers it.
        task, description, license, tags, metadata: for people and runtimes;
            ``metadata`` holds JSON values only.
        notes: sentences for the user, such as what was left out and why.
    """

    ref: ModelRef
    name: str
    files: tuple[RemoteFile, ...]
    revision: str | None = None
    format: str | None = None
    trust: Trust = Trust.DATA
    task: str | None = None
    description: str | None = None
    license: str | None = None
    tags: tuple[str, ...] = ()
    metadata: Mapping[str, Json] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def size(self) -> int | None:
        """Bytes to transfer when nothing is cached; None if any is unknown."""
        total = 0
        for file in self.files:
            if file.size is None:
                return None
            total += file.size
        return total


@dataclass(frozen=True, slots=True)
class SearchHit:
    """One line of ``torchinf search``.

    Attributes:
        ref: what to give to ``torchinf download``.
        description: one line, or ``""``.
        size: bytes, or None.
        task: or None.
    """

    ref: str
    description: str = ""
    size: int | None = None
    task: str | None = None


@dataclass(frozen=True, slots=True)
class StoredFile:
    """One file of a stored model.

    Attributes:
        path: POSIX path relative to the model's directory.
        size: bytes.
        sha256: of the content; also the name of its blob.
        format: sniffed from the content, or None for plain data.
        url: where it came from, redacted; None for a member of an archive.
        validator: entity tag seen at resolve or download time, or None.
        mtime_ns, inode: of the published file, for the cheap check on a hit.
    """

    path: str
    size: int
    sha256: str
    format: str | None = None
    url: str | None = None
    validator: str | None = None
    mtime_ns: int = 0
    inode: int = 0


@dataclass(frozen=True, slots=True)
class Record:
    """What the registry remembers of one model; one JSON file each.

    Attributes:
        name: unique in the store.
        source: the plugin's canonical scheme.
        ref: the reference as requested, redacted.
        model_id: the locator, redacted.
        requested_revision, revision: as asked for, and as resolved.
        files: sorted by path.
        generation: sha256 over the sorted ``(path, sha256)`` manifest; names
            the directory that holds the files.
        format: of the model's main file, or None.
        trust: level the content needs.
        trusted: when and how somebody decided that code of exactly these files
            may run, or None while nobody did.
        verified: ``"pinned"`` (the user gave a digest), ``"published"`` (the
            source did), ``"recorded"`` (first seen here) or ``"none"`` (not
            even the size could be checked).
        request_key: key of the request that made it, for warm hits.
        created, updated: ISO 8601, UTC.
        torchinf_version: that wrote the record.
    """

    name: str
    source: str
    ref: str
    model_id: str
    requested_revision: str | None
    revision: str | None
    files: tuple[StoredFile, ...]
    generation: str
    format: str | None
    trust: Trust
    trusted: str | None
    verified: str
    task: str | None
    description: str | None
    license: str | None
    tags: tuple[str, ...]
    metadata: Mapping[str, Json]
    request_key: str
    created: str
    updated: str
    torchinf_version: str

    @property
    def size(self) -> int:
        """Bytes of all files together."""
        return sum(file.size for file in self.files)


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """A stored model as the library's callers see it.

    Attributes:
        path: the file of a one-file model, the directory of any other.
        size_mb: megabytes (10**6 bytes).
        record: everything else that is known.
    """

    name: str
    source: str
    model_id: str
    task: str | None
    description: str | None
    size_mb: float
    license: str | None
    tags: tuple[str, ...]
    path: str
    record: Record


@dataclass(frozen=True, slots=True)
class Event:
    """One step of a download, given to progress callbacks.

    Attributes:
        kind: ``resolved`` (``total``: bytes of the model, ``message``: its name),
            ``started`` (``total``: bytes to fetch), ``progress``, ``retry``,
            ``note`` or ``done``.
        file: path of the file it is about, or None for the whole model.
        done, total: bytes of that file (or of all); total None when unknown.
        message: a sentence for people, or ``""``.
    """

    kind: str
    file: str | None = None
    done: int = 0
    total: int | None = None
    message: str = ""
