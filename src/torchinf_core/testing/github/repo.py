"""A repository of GitHub: refs as git advertises them, and archives of a commit."""

from __future__ import annotations

import hashlib
import io
import re
import stat
import zipfile
from datetime import UTC, datetime

from torchinf_core.testing.content import Data, as_content
from torchinf_core.testing.git import PERSON, Commit, Repository, object_id

SERVICE = "git-upload-pack"
CAPABILITIES = (
    "multi_ack thin-pack side-band side-band-64k ofs-delta shallow no-progress include-tag "
    "multi_ack_detailed object-format=sha1 agent=git/loopback"
)


class Repo(Repository):
    """A repository; made by :meth:`GitHub.add_repo`.

    Besides what every :class:`~torchinf_core.testing.git.Repository` can
    (``commit``, ``branch``, ``tag``, ``forget``, ``sha``):

    Attributes:
        id: ``owner/name``.
        number: GitHub's own id of it, which survives a rename.
        family: this repository, what it is a fork of, and all forks of that;
            as on GitHub, each of them gives out every commit of the others.
        pulls: heads of pull requests, in forks mostly; ``refs/pull/1/head`` is the first.
    """

    def __init__(self, name: str, default: str = "main", fork_of: Repo | None = None) -> None:
        super().__init__(default)
        self.id = name
        self.number = int(hashlib.sha256(name.encode()).hexdigest()[:7], 16)
        self.pulls: list[str] = []
        self.family: list[Repo] = [] if fork_of is None else fork_of.family
        self.family.append(self)
        self._tag_objects: dict[str, str] = {}
        if fork_of is not None:
            self.commits.update(fork_of.commits)
            self.branches.update(fork_of.branches)
            self.tags.update(fork_of.tags)

    def tag(self, name: str, at: str | None = None, *, annotate: bool = False) -> str:
        """Make or move a tag to a revision; returns its commit.

        Args:
            name: of the tag.
            at: a revision, the default branch if None.
            annotate: True makes it an object of its own that points at the commit.
        """
        sha = super().tag(name, at)
        self._tag_objects.pop(name, None)
        if annotate:
            moment = self.commits[sha].moment
            lines = [f"object {sha}", "type commit", f"tag {name}"]
            text = "\n".join([*lines, f"tagger {PERSON} {moment} +0000", "", name, ""])
            self._tag_objects[name] = object_id("tag", as_content(text.encode()))
        return sha

    def pull(self, sha: str) -> int:
        """Open a pull request for a commit of the family; returns its number."""
        self.pulls.append(sha)
        return len(self.pulls)

    def find(self, revision: str) -> Commit | None:
        """The commit of a branch, a tag, ``HEAD``, or an id (7 digits will do) of the family."""
        found = super().find(self.default if revision == "HEAD" else revision)
        if found is not None or not re.fullmatch("[0-9a-f]{7,40}", revision):
            return found
        everything = {sha: at for repo in self.family for sha, at in repo.commits.items()}
        known = [sha for sha in everything if sha.startswith(revision)]
        return everything[known[0]] if len(known) == 1 else None

    def is_ambiguous(self, ref: str) -> bool:
        """True for the name of both a branch and a tag."""
        return ref in self.branches and ref in self.tags

    def codeload_path(self, ref: str | None = None, kind: str = "legacy.zip") -> str:
        """The hub's path that an archive comes from, for faults.

        Args:
            ref: as a client asks for it, the default branch if None.
            kind: ``legacy.zip`` is where ``/zipball/`` leads, ``zip`` where
                ``/archive/`` does.
        """
        return f"/_codeload/{self.id}/{kind}/{ref or self.default}"

    def archive(self, commit: Commit, root: str) -> Data:
        """A zip of a commit as ``git archive`` makes it, its id in the comment.

        Args:
            commit: what to pack.
            root: name of the folder that everything lies in.
        """
        date = datetime.fromtimestamp(commit.moment, UTC).timetuple()[:6]
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.comment = commit.sha.encode()
            folders = [f"{folder}/" if folder else "" for folder in commit.trees]
            for path in sorted([*folders, *commit.files]):
                entry = zipfile.ZipInfo(f"{root}/{path}", date)
                entry.compress_type = zipfile.ZIP_DEFLATED
                if path in commit.files:
                    entry.external_attr = (stat.S_IFREG | 0o644) << 16
                    content = commit.files[path].content
                    archive.writestr(entry, bytes(content.read(0, content.size)))
                else:
                    entry.external_attr = 0x10
                    archive.writestr(entry, b"")
        return Data(packed.getvalue())

    def advertisement(self) -> bytes:
        """The refs as ``info/refs?service=git-upload-pack`` lists them."""
        refs = {f"refs/heads/{name}": sha for name, sha in self.branches.items()}
        refs |= {f"refs/pull/{at + 1}/head": sha for at, sha in enumerate(self.pulls)}
        for name, sha in self.tags.items():
            refs[f"refs/tags/{name}"] = self._tag_objects.get(name, sha)
            if name in self._tag_objects:
                refs[f"refs/tags/{name}^{{}}"] = sha
        lines = [f"{refs[name]} {name}" for name in sorted(refs)]
        if self.default in self.branches:
            lines.insert(0, f"{self.sha} HEAD")
        head = f"symref=HEAD:refs/heads/{self.default} {CAPABILITIES}"
        lines[0] += f"\0{head}"
        first = _packet(f"# service={SERVICE}\n") + b"0000"
        return first + b"".join(_packet(f"{line}\n") for line in lines) + b"0000"


def root_of(repo: Repo, commit: Commit, ref: str, kind: str) -> str:
    """The folder that an archive's files lie in, which GitHub names in two ways."""
    owner, name = repo.id.split("/")
    if kind == "legacy.zip":
        return f"{owner}-{name}-{commit.sha[:7]}"
    short = ref.removeprefix("refs/heads/").removeprefix("refs/tags/")
    if short in repo.tags and re.match(r"v\d", short):
        short = short[1:]
    return f"{name}-{short.replace('/', '-')}"


def _packet(text: str) -> bytes:
    raw = text.encode()
    return b"%04x%s" % (len(raw) + 4, raw)
