"""What an answer of the hub that is not a success means, and what to do next.

The hub names its reason in ``X-Error-Code``; mirrors may not.  Nothing here
shows a token.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from torchinf_core.errors import (
    AccessDeniedError,
    ModelNotFoundError,
    SourceError,
    TorchinfError,
)
from torchinf_core.network.failures import status_error
from torchinf_core.refs import redact

_COMMIT = re.compile(r"[0-9a-f]{40}")
_RESET = re.compile(r"\bt\s*=\s*(\d{1,9})\b")
_CONTROL = re.compile(r"[^\x20-\x7e]+")


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request was about.

    Attributes:
        endpoint: the hub's URL.
        repo: id of the repository, or ``""``.
        revision: as asked for, or None for the default branch.
        path: of a file or folder, or None.
        with_token: whether a token was sent.
    """

    endpoint: str
    repo: str
    revision: str | None
    path: str | None
    with_token: bool

    @property
    def page(self) -> str:
        """The repository's page, for people."""
        return f"{redact(self.endpoint)}/{self.repo}"


def failure(status: int, headers: Mapping[str, str], asked: Asked) -> TorchinfError:
    """The error for an answer with that status and those headers."""
    code = headers.get("x-error-code", "")
    text = _CONTROL.sub(" ", headers.get("x-error-message", ""))[:200]
    if status == 429:
        return _rate_limit(headers, asked)
    if code == "GatedRepo":
        return gated(asked)
    if code == "RevisionNotFound":
        return no_revision(asked)
    if code == "EntryNotFound" and asked.path is not None:
        return no_file(asked, [])
    if status in (401, 403) and _about_token(text):
        return _bad_token(asked, text)
    if "disabled" in text and status == 403:
        return AccessDeniedError(
            f"access to {asked.repo} is disabled by the hub", hint=f"see {asked.page}"
        )
    if asked.repo and (code == "RepoNotFound" or status in (401, 404)):
        return _no_repo(status, asked)
    if status == 403:
        return AccessDeniedError(
            f"the hub refuses {asked.repo or 'the request'}: {text or 'no reason given'}",
            hint=_LOGIN if not asked.with_token else f"{_RIGHTS}; see {asked.page}",
        )
    error = status_error(status, f"{asked.endpoint}/{asked.repo}", dict(headers))
    if text and status != 404:
        error.args = (f"{error}: {text}",)
    return error


def gated(asked: Asked) -> AccessDeniedError:
    """Everybody sees the repository, and not everybody gets its files."""
    if asked.with_token:
        return AccessDeniedError(
            f"{asked.repo} is gated, and the account of this token has no access to it",
            hint=f"ask for access at {asked.page}; a token with narrow rights also "
            "needs the one to read gated repositories",
        )
    return AccessDeniedError(
        f"{asked.repo} is gated, and no token is set",
        hint=f"ask for access at {asked.page}, then hf auth login, or HF_TOKEN=…",
    )


def no_revision(asked: Asked, known: list[str] | None = None) -> ModelNotFoundError:
    """There is no such branch, tag or commit; ``known`` are names that there are."""
    if asked.revision and _COMMIT.fullmatch(asked.revision):
        return ModelNotFoundError(
            f"{asked.repo} has no commit {asked.revision} (any more): "
            "a forced push may have removed it",
            hint=f"choose another revision at {asked.page}/commits/main",
        )
    near = ", ".join((known or [])[:8])
    return ModelNotFoundError(
        f"{asked.repo} has no revision {(asked.revision or 'main')[:80]!r}",
        hint=f"it has {near}" if near else f"see {asked.page}",
    )


def no_file(asked: Asked, near: list[str]) -> ModelNotFoundError:
    """There is no such file or folder; ``near`` are paths that are like it."""
    at = f" at {asked.revision[:12]}" if asked.revision else ""
    return ModelNotFoundError(
        f"{asked.repo} has no file or folder {(asked.path or '')[:120]!r}{at}",
        hint=f"did you mean {' or '.join(near[:3])}?"
        if near
        else f"see {asked.page}/tree/{asked.revision or 'main'}",
    )


def too_large(asked: Asked, most: int) -> SourceError:
    """The listing has more files than a model may."""
    return SourceError(
        f"{asked.repo} lists more than {most} files",
        hint=f"name a file or folder: hf:{asked.repo}/PATH",
    )


def not_a_hub(endpoint: str, reason: str) -> SourceError:
    """What answers there does not speak the protocol."""
    return SourceError(
        f"{redact(endpoint)} does not answer as a Hugging Face hub: {reason}",
        hint="check HF_ENDPOINT, or a proxy in between",
    )


_LOGIN = "hf auth login, or a token in HF_TOKEN"
_RIGHTS = "the token may lack a right"


def _about_token(text: str) -> bool:
    words = text.lower()
    return "invalid credentials" in words or "expired" in words or "invalid user token" in words


def _bad_token(asked: Asked, text: str) -> AccessDeniedError:
    what = "has expired" if "expired" in text.lower() else "is not valid"
    return AccessDeniedError(
        f"the token for {redact(asked.endpoint)} {what}",
        hint="hf auth login, a new one in HF_TOKEN "
        f"({redact(asked.endpoint)}/settings/tokens), or none for a public model",
    )


def _no_repo(status: int, asked: Asked) -> TorchinfError:
    """A private repository looks like an absent one to whoever may not see it."""
    if asked.with_token:
        hint = f"check the name, or whether this token may read it: {asked.page}"
        message = f"there is no model {asked.repo}, or this token may not see it"
    else:
        hint = f"check the name; for a private model, {_LOGIN}; torchinf search hf WORDS finds more"
        message = f"there is no model {asked.repo}, or it is private ({status})"
    return ModelNotFoundError(message, hint=hint)


def _rate_limit(headers: Mapping[str, str], asked: Asked) -> SourceError:
    reset = _RESET.search(headers.get("ratelimit", ""))
    after = headers.get("retry-after", "").strip()
    seconds = reset[1] if reset else after if after.isdecimal() else ""
    when = f"; the limit is reset in {seconds} s" if seconds else ""
    return SourceError(
        f"{redact(asked.endpoint)} answered 429: too many requests{when}",
        hint="try again then"
        if asked.with_token
        else f"wait, or log in for a higher one: {_LOGIN}",
    )
