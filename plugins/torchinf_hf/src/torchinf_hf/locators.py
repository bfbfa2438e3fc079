"""What a reference names: a repository, or a file or folder in one.  Pure functions."""

from __future__ import annotations

import re
from dataclasses import dataclass

from torchinf_core.errors import RefError
from torchinf_core.refs import suggest_name
from torchinf_core.types import ModelRef

_PART = re.compile(r"[\w.-]{1,96}", re.ASCII)
_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a model is on the hub.

    Attributes:
        repo: ``org/name``, or ``name`` for one of the oldest models.
        path: of a file or folder in it, or ``""`` for the repository.
        revision: branch, tag, commit or ``refs/pr/N``; None for the default branch.
    """

    repo: str
    path: str
    revision: str | None

    @property
    def is_commit(self) -> bool:
        """True when the revision can only ever mean one content."""
        return self.revision is not None and _COMMIT.fullmatch(self.revision) is not None

    @property
    def folder(self) -> str:
        """The folder that ``path`` is in, whether it is a file or a folder."""
        return self.path.rpartition("/")[0]

    @property
    def name(self) -> str:
        """The name a model from here gets."""
        name = self.repo.rpartition("/")[2]
        if self.path:
            folder, _, last = self.path.rpartition("/")
            stem = last.rpartition(".")[0] or last
            name = "-".join([name, *folder.split("/"), stem] if folder else [name, stem])
        return suggest_name(name)


def parse_place(ref: ModelRef) -> Place:
    """The place a reference names.

    Raises:
        RefError: it is none; the message shows the forms there are.
    """
    locator = ref.locator.removeprefix("//")  # hf://org/name is how other tools write it
    parts = locator.strip("/").split("/")
    repo, path = parts[:2], parts[2:]
    if (
        not is_repo("/".join(repo))
        or any(part in ("", ".", "..") for part in path)
        or "\\" in locator
    ):
        raise RefError(
            f"{locator[:120]!r} names no model of the Hugging Face hub",
            hint=f"{ref.scheme}:ORG/NAME, {ref.scheme}:ORG/NAME@REVISION or "
            f"{ref.scheme}:ORG/NAME/PATH/IN/IT",
        )
    return Place("/".join(repo), "/".join(path), ref.revision)


def is_repo(text: str) -> bool:
    """True for what can be the id of a repository: ``org/name``, or ``name``."""
    parts = text.split("/")
    return len(parts) <= 2 and all(_PART.fullmatch(part) and _is_name(part) for part in parts)


def _is_name(part: str) -> bool:
    """The rules of the hub for the names of users and of repositories."""
    doubled = "--" in part or ".." in part
    return not doubled and part[0] not in "-." and part[-1] not in "-." and part[-4:] != ".git"
