"""The grammar of what follows ``hub:``: a repository on GitHub or a directory, and an entry.

Pure functions over text; nothing is looked up.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from torchinf_core.errors import RefError
from torchinf_core.types import ModelRef

_OWNER = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}"
_REPOSITORY = re.compile(rf"({_OWNER})/([A-Za-z0-9_.-]{{1,100}})(?::(.+))?", re.DOTALL)
_COMMIT = re.compile(r"[0-9a-f]{40}")
# What git's check-ref-format refuses.  A name is only ever compared with those a
# server lists; refusing early gives a better message than "there is no such branch".
_NOT_IN_REF = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|^[/.-]|[/.]$|\.lock(/|$)|/\.")

EXAMPLE = (
    "hub:pytorch/vision/resnet50, hub:pytorch/vision:v0.10.0/resnet50 or hub:./directory/entry"
)


@dataclass(frozen=True, slots=True)
class GitHub:
    """A repository on GitHub.

    Attributes:
        owner, repo: as written.
        ref: branch, tag, ``refs/…`` or commit; None means the default branch.
        commit: 40 hex digits that the reference is pinned to, or None.
    """

    owner: str
    repo: str
    ref: str | None = None
    commit: str | None = None

    def __str__(self) -> str:
        name = f"{self.owner}/{self.repo}"
        return f"{name}:{self.ref}" if self.ref else name


@dataclass(frozen=True, slots=True)
class Directory:
    """A directory of this machine that holds a hubconf.py.

    Attributes:
        path: absolute.
    """

    path: str

    def __str__(self) -> str:
        return self.path


Place = GitHub | Directory


def parse_model(ref: ModelRef) -> tuple[Place, str]:
    """Where the code is, and the entry point of its hubconf.py.

    Args:
        ref: its locator is ``owner/repo[:ref]/entry`` or ``/directory/entry``;
            ``@revision`` is the same as ``:ref``, and beside it may only be a
            full commit, which then decides.

    Raises:
        RefError: it is something else.
    """
    if ref.locator.startswith("/"):
        whole = f"{ref.locator}@{ref.revision}" if ref.revision else ref.locator
        path, _, entry = whole.rstrip("/").rpartition("/")
        if not path or not is_entry(entry):
            raise _unreadable(ref, f"{entry!r} is no entry point's name")
        return Directory(path), entry
    locator, revision = ref.locator, ref.revision
    if revision and "/" in revision and not is_entry(locator.rpartition("/")[2]):
        # The last @ was part of a branch or tag: o/r:pkg@1.0/entry.
        locator, revision = f"{locator}@{revision}", None
    where, slash, entry = locator.rpartition("/")
    if not slash or not is_entry(entry):
        raise _unreadable(ref, f"{entry!r} is no entry point's name")
    return _pinned(parse_repository(where), revision, ref), entry


def parse_repository(text: str) -> GitHub:
    """``owner/repo[:ref]``.

    Raises:
        RefError: it is something else.
    """
    match = _REPOSITORY.fullmatch(text)
    if match is None or match[2] in (".", ".."):
        raise RefError(
            f"{text!r} is no repository: expected OWNER/REPO or OWNER/REPO:REF",
            hint=EXAMPLE,
        )
    ref = match[3]
    if ref is not None and _NOT_IN_REF.search(ref):
        raise RefError(f"{ref!r} can't be the name of a branch, a tag or a commit", hint=EXAMPLE)
    return GitHub(match[1], match[2], ref, ref if ref and is_commit(ref) else None)


def is_entry(text: str) -> bool:
    """True for what may name an entry point: a public Python identifier."""
    return text.isidentifier() and not text.startswith("_")


def is_commit(text: str) -> bool:
    """True for a whole commit id: 40 lower-case hex digits."""
    return _COMMIT.fullmatch(text) is not None


def _pinned(place: GitHub, revision: str | None, ref: ModelRef) -> GitHub:
    if revision is None:
        return place
    if place.ref is None:
        return parse_repository(f"{place}:{revision}")
    if is_commit(revision):
        return GitHub(place.owner, place.repo, place.ref, revision)
    raise RefError(
        f"{ref} names two revisions, {place.ref!r} and {revision!r}",
        hint="leave one out; only a full commit of 40 hex digits may follow @ then",
    )


def _unreadable(ref: ModelRef, reason: str) -> RefError:
    return RefError(f"{ref} is no model of PyTorch Hub: {reason}", hint=EXAMPLE)
