"""Just enough of git for the hubs that speak of it: object ids, commits, branches and tags.

The ids are those that git itself gives to the same files, so a client may check
them.  Holds everything in memory; runs no git and touches no disk but to read
the files that a test handed in.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from torchinf_core.testing.content import Content, as_content

BLOCK = 1 << 20
EPOCH = 1_700_000_000
"""When the first commit of every repository was made; each later one is a minute younger."""
PERSON = "Ada <ada@localhost>"


@dataclass(frozen=True, slots=True)
class Blob:
    """A file of a commit.

    Attributes:
        content: what a download brings.
        oid: git's id of what the repository itself holds, 40 hex digits.
        sha256: of the content, when the repository holds only a pointer to it (LFS).
        pointer_size: bytes of that pointer.
        xet: hash of the content in Xet storage, where it lies there.
    """

    content: Content
    oid: str
    sha256: str | None = None
    pointer_size: int = 0
    xet: str | None = None


@dataclass(frozen=True, slots=True)
class Commit:
    """One state of all files.

    Attributes:
        sha: git's id, 40 hex digits.
        files: by path.
        trees: git's ids of the folders by path; ``""`` is the root.
        parent: the commit before, or None.
        message: one line.
        moment: seconds since the epoch.
    """

    sha: str
    files: Mapping[str, Blob]
    trees: Mapping[str, str]
    parent: str | None
    message: str
    moment: int


class Repository:
    """Commits, and the branches and tags that point at them.

    Attributes:
        branches, tags: name to commit.
        commits: all that can be reached by their id.
        default: the branch that is meant when none is named.
    """

    def __init__(self, default: str = "main") -> None:
        self.default = default
        self.branches: dict[str, str] = {}
        self.tags: dict[str, str] = {}
        self.commits: dict[str, Commit] = {}

    @property
    def sha(self) -> str:
        """The commit that the default branch is at."""
        return self.branches[self.default]

    def blob(self, path: str, content: Content) -> Blob:
        """How a file is kept; a hub with rules of its own overrides this."""
        del path
        return Blob(content, object_id("blob", content))

    def commit(
        self,
        files: Mapping[str, bytes | Path],
        *,
        branch: str | None = None,
        remove: Iterable[str] = (),
        message: str = "Update",
    ) -> str:
        """Put files onto a branch; returns the commit's id.

        Args:
            files: new or changed ones by path; those of the branch stay.
            branch: the default one when None; a new one starts from that.
            remove: paths that go.
            message: one line.
        """
        branch = branch or self.default
        parent = self.branches.get(branch, self.branches.get(self.default))
        kept = dict(self.commits[parent].files) if parent else {}
        for path in remove:
            del kept[path]
        kept.update({path: self.blob(path, as_content(file)) for path, file in files.items()})
        made = _commit(kept, parent, message, EPOCH + 60 * len(self.commits))
        self.commits[made.sha] = made
        self.branches[branch] = made.sha
        return made.sha

    def branch(self, name: str, at: str | None = None) -> str:
        """Make or move a branch to a revision; returns its commit."""
        self.branches[name] = self._known(at)
        return self.branches[name]

    def tag(self, name: str, at: str | None = None) -> str:
        """Make or move a tag to a revision; returns its commit."""
        self.tags[name] = self._known(at)
        return self.tags[name]

    def forget(self, sha: str) -> None:
        """Lose a commit, as after a forced push; what pointed at it falls back to its parent."""
        lost = self.commits.pop(sha)
        for table in (self.branches, self.tags):
            for name in [name for name, at in table.items() if at == sha]:
                if lost.parent is None:
                    del table[name]
                else:
                    table[name] = lost.parent

    def find(self, revision: str) -> Commit | None:
        """The commit of a branch, a tag or a full id."""
        for table, prefix in ((self.branches, "refs/heads/"), (self.tags, "refs/tags/")):
            for name in (revision, revision.removeprefix(prefix)):
                if name in table:
                    return self.commits.get(table[name])
        return self.commits.get(revision)

    def split(self, text: str) -> tuple[str, str]:
        """The revision and the rest of ``revision/path``; names of revisions may hold slashes."""
        parts = text.split("/")
        for count in range(len(parts), 0, -1):
            revision = "/".join(parts[:count])
            if self.find(revision) is not None:
                return revision, "/".join(parts[count:])
        return parts[0], "/".join(parts[1:])

    def _known(self, at: str | None) -> str:
        found = self.find(at or self.default)
        if found is None:
            raise KeyError(f"no revision {at!r}")
        return found.sha


def object_id(kind: str, content: Content) -> str:
    """Git's id of an object: sha1 over a short head and the content."""
    digest = hashlib.sha1(f"{kind} {content.size}\0".encode(), usedforsecurity=False)
    for start in range(0, content.size, BLOCK):
        digest.update(content.read(start, min(start + BLOCK, content.size)))
    return digest.hexdigest()


def content_sha256(content: Content) -> str:
    """The sha256 of a content."""
    digest = hashlib.sha256()
    for start in range(0, content.size, BLOCK):
        digest.update(content.read(start, min(start + BLOCK, content.size)))
    return digest.hexdigest()


def is_sha(text: str) -> bool:
    """True for a full commit id."""
    return re.fullmatch("[0-9a-f]{40}", text) is not None


def _commit(files: Mapping[str, Blob], parent: str | None, message: str, moment: int) -> Commit:
    trees: dict[str, str] = {}
    root = _tree("", {path: blob.oid for path, blob in files.items()}, trees)
    lines = [f"tree {root}", *([f"parent {parent}"] if parent else [])]
    lines += [f"author {PERSON} {moment} +0000", f"committer {PERSON} {moment} +0000"]
    text = "\n".join([*lines, "", message, ""]).encode()
    return Commit(object_id("commit", as_content(text)), files, trees, parent, message, moment)


def _tree(folder: str, files: Mapping[str, str], trees: dict[str, str]) -> str:
    """Git's id of a folder; it and those below it are noted in ``trees``."""
    below: dict[str, dict[str, str]] = {}
    entries: list[tuple[str, bytes]] = []
    for path, oid in files.items():
        name, slash, rest = path.partition("/")
        if slash:
            below.setdefault(name, {})[rest] = oid
        else:
            entries.append((name, b"100644 %s\0%s" % (name.encode(), bytes.fromhex(oid))))
    for name, inner in below.items():
        oid = _tree(f"{folder}/{name}" if folder else name, inner, trees)
        # Git sorts folders as if their names ended in a slash.
        entries.append((f"{name}/", b"40000 %s\0%s" % (name.encode(), bytes.fromhex(oid))))
    raw = b"".join(entry for _, entry in sorted(entries, key=lambda pair: pair[0].encode()))
    trees[folder] = object_id("tree", as_content(raw))
    return trees[folder]
