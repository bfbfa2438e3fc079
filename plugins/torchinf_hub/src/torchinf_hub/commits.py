"""Which commit a reference means, by what the repository advertises."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass

from torchinf_core.errors import ModelNotFoundError, RefError
from torchinf_hub.advertisement import Advertisement
from torchinf_hub.naming import GitHub, is_commit

_SHORT = re.compile(r"[0-9a-f]{4,39}")
_DEFAULTS = ("main", "master")
"""In the order in which torch.hub tries them."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """A commit and how it was found.

    Attributes:
        commit: 40 hex digits.
        ref: full name of the branch or tag that points at it, or None for a
            commit that was asked for by its id.
        note: a sentence for the user, or ``""``.
    """

    commit: str
    ref: str | None
    note: str = ""


def choose(place: GitHub, offered: Advertisement) -> Chosen:
    """The commit that ``place`` means.

    A full commit id is taken as it is.  Of other texts, a full ref name, then a
    branch or tag, then the beginning of an advertised commit.

    Raises:
        ModelNotFoundError: there is no such branch, tag or commit.
        RefError: it names a branch and a tag that differ, or several commits.
    """
    if place.commit:
        return _by_id(place, place.commit, offered)
    if place.ref is None:
        return _default(place, offered)
    for prefix, table in (("refs/heads/", offered.branches), ("refs/tags/", offered.tags)):
        short = place.ref.removeprefix(prefix)
        if short != place.ref and short in table:
            return Chosen(table[short], place.ref)
    branch, tag = offered.branches.get(place.ref), offered.tags.get(place.ref)
    if branch and tag and branch != tag:
        raise RefError(
            f"{place.ref!r} is a branch and a tag of {place.owner}/{place.repo}, "
            f"at the commits {branch} and {tag}",
            hint=f"write refs/heads/{place.ref} or refs/tags/{place.ref} in its place",
        )
    if branch:
        return Chosen(branch, f"refs/heads/{place.ref}")
    if tag:
        return Chosen(tag, f"refs/tags/{place.ref}")
    return _by_prefix(place, place.ref, offered)


def _default(place: GitHub, offered: Advertisement) -> Chosen:
    for name in (*_DEFAULTS, offered.head):
        if name is not None and name in offered.branches:
            return Chosen(offered.branches[name], f"refs/heads/{name}")
    raise ModelNotFoundError(
        f"{place} has no branch {' or '.join(_DEFAULTS)} and names no default branch",
        hint=_listing(place, offered),
    )


def _by_id(place: GitHub, commit: str, offered: Advertisement) -> Chosen:
    for prefix, table in (("refs/heads/", offered.branches), ("refs/tags/", offered.tags)):
        name = next((name for name, at in table.items() if at == commit), None)
        if name is not None:
            return Chosen(commit, prefix + name)
    note = (
        f"no branch or tag of {place.owner}/{place.repo} is at {commit}: it is an older commit, "
        "or one of a fork, which GitHub serves under the same address"
    )
    return Chosen(commit, None, note)


def _by_prefix(place: GitHub, text: str, offered: Advertisement) -> Chosen:
    if _SHORT.fullmatch(text):
        commits = {*offered.branches.values(), *offered.tags.values()}
        found = sorted(commit for commit in commits if commit.startswith(text))
        if len(found) == 1:
            return _by_id(place, found[0], offered)
        if found:
            raise RefError(
                f"{text!r} is the beginning of {len(found)} commits of {place.owner}/{place.repo}",
                hint=f"write all 40 digits: {' or '.join(found[:3])}",
            )
        raise ModelNotFoundError(
            f"{place.owner}/{place.repo} has no branch or tag {text!r}, nor one at a commit "
            "that begins so",
            hint="other commits have to be written with all their 40 hex digits",
        )
    if is_commit(text.lower()):
        raise RefError(f"{text!r} is no commit", hint=f"write it in lower case: {text.lower()}")
    raise ModelNotFoundError(
        f"{place.owner}/{place.repo} has no branch or tag {text[:80]!r}",
        hint=_listing(place, offered),
    )


def _listing(place: GitHub, offered: Advertisement) -> str:
    names = list(dict.fromkeys((*offered.branches, *offered.tags)))
    near = difflib.get_close_matches(place.ref or "", names, n=3, cutoff=0.5)
    if near:
        return f"did you mean {' or '.join(near)}?"
    shown = ", ".join(names[:8])
    return f"it has {shown}{', …' if len(names) > 8 else ''}" if names else "it is empty"
