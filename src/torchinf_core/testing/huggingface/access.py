"""Who may see what on the Hugging Face hub, how often, and the errors in its words."""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass

from torchinf_core.testing.huggingface.repo import Repo
from torchinf_core.testing.messages import Reply, Request, page

WINDOW = 300
"""Seconds of the window that the rate limits of the real hub count in."""


@dataclass(frozen=True, slots=True)
class Token:
    """A user access token.

    Attributes:
        user: whose it is.
        repos: private and gated repositories that it opens.
        expired: True when its time is over.
    """

    user: str
    repos: frozenset[str] = frozenset()
    expired: bool = False


class Limit:
    """A rate limit: so many requests pass, then so many are refused, then it is lifted."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._left = math.inf
        self._refusals = 0.0
        self._reset = 0

    def set(self, remaining: float, reset: int, refusals: float) -> None:
        """See :meth:`HuggingFace.limit`."""
        with self._lock:
            self._left, self._reset, self._refusals = remaining, reset, refusals

    def spend(self, kind: str) -> tuple[bool, dict[str, str]]:
        """Count a request: whether it passes, and the headers that tell of the limit."""
        with self._lock:
            if math.isinf(self._left):
                return True, {}
            passes = self._left > 0 or self._refusals <= 0
            if self._left > 0:
                self._left -= 1
            elif not passes:
                self._refusals -= 1
            headers = {
                "RateLimit": f'"{kind}";r={int(self._left)};t={self._reset}',
                "RateLimit-Policy": f'"fixed window";"{kind}";q=500;w={WINDOW}',
            }
            if self._refusals <= 0 and self._left <= 0:
                self._left = math.inf
            return passes, headers


def bearer(request: Request) -> str | None:
    """The token that came with a request."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" and token.strip() else None


def refuse_token(token: Token | None) -> Reply | None:
    """The answer to a token that was given but is unknown or expired."""
    if token is None:
        return error(401, "Invalid credentials in Authorization header")
    if token.expired:
        return error(401, f'User Access Token "{token.user}" is expired')
    return None


def refuse_repo(repo: Repo | None, token: Token | None) -> Reply | None:
    """The answer about a repository that is not there, or should look as if it were not."""
    if repo is not None and (not repo.private or _opens(token, repo)):
        return None
    if token is None:
        return error(401, "Invalid username or password.", "RepoNotFound")
    return error(404, "Repository not found", "RepoNotFound")


def refuse_files(repo: Repo, token: Token | None) -> Reply | None:
    """The answer to a wish for files of a gated repository."""
    if not repo.gated or _opens(token, repo):
        return None
    if token is None:
        needed = "You must have access to it and be authenticated to access it. Please log in."
        return error(401, f"Access to model {repo.id} is restricted. {needed}", "GatedRepo")
    listed = f"Visit https://huggingface.co/{repo.id} to ask for access."
    text = f"Access to model {repo.id} is restricted and you are not in the authorized list."
    return error(403, f"{text} {listed}", "GatedRepo")


def no_revision(revision: str) -> Reply:
    """No branch, tag or commit of that name."""
    return error(404, f"Invalid rev id: {revision}", "RevisionNotFound")


def no_entry(path: str, sha: str) -> Reply:
    """No file or folder of that name at a commit that is there."""
    reply = error(404, f"{path} does not exist on {sha[:7]}", "EntryNotFound")
    return reply.having("X-Repo-Commit", sha)


def error(status: int, message: str, code: str | None = None) -> Reply:
    """An error as the real hub words it: twice in headers and once in the body."""
    headers = {"X-Error-Message": message}
    if code is not None:
        headers["X-Error-Code"] = code
    if status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="Authentication required", charset="UTF-8"'
    return page({"error": message}, headers, status=status)


def _opens(token: Token | None, repo: Repo) -> bool:
    return token is not None and repo.id in token.repos
