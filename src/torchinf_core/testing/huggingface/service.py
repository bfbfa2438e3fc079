"""The Hugging Face hub itself: which request goes where, and who may make it."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torchinf_core.testing.content import Content
from torchinf_core.testing.hub import Hub
from torchinf_core.testing.huggingface import files, pages, xet
from torchinf_core.testing.huggingface.access import (
    Limit,
    Token,
    bearer,
    error,
    no_revision,
    refuse_files,
    refuse_repo,
    refuse_token,
)
from torchinf_core.testing.huggingface.repo import LFS_PATTERNS, Repo, quoted, readme
from torchinf_core.testing.messages import Reply, Request, page, plain

ID = r"(?P<id>[^/]+?(?:/[^/]+)??)"
API = re.compile(
    rf"/api/models/{ID}(?:/(?P<verb>revision|tree|refs|xet-read-token)(?:/(?P<rest>.*))?)?"
)
CACHE = re.compile(r"/api/resolve-cache/models/(?P<id>.+?)/(?P<rest>[0-9a-f]{40}/.+)")
RESOLVE = re.compile(rf"/{ID}/resolve/(?P<rest>.+)")


class HuggingFace:
    """Lets a hub speak the protocol of huggingface.co.

    Args:
        hub: answers at ``/api/…`` and ``/{repo}/resolve/…`` from now on.
        cdn: gives out large files; None lets the same hub do it under its
            other name (``localhost``), which is another origin too.
        page: entries of a page of a listing or a search.
        omit: headers that are left out everywhere, as some mirrors do
            (``("X-Repo-Commit", "X-Linked-ETag", "X-Linked-Size")``).
        cached: True sends small files by way of the hub's own cache (a
            relative redirect), as the real one does for some repositories.
        xet: folder of a Xet storage that large files of repositories added
            from now on are put in, besides the CDN; needs the package hf_xet.

    Attributes:
        endpoint: what ``HF_ENDPOINT`` has to be.
        page, omit, cached, xet: as above; may be changed at any time.
        repos: by id.
    """

    def __init__(
        self,
        hub: Hub,
        cdn: Hub | None = None,
        *,
        page: int = 1000,
        omit: Sequence[str] = (),
        cached: bool = False,
        xet: Path | None = None,
    ) -> None:
        self.page = page
        self.omit = omit
        self.cached = cached
        self.xet = xet
        self.repos: dict[str, Repo] = {}
        self.endpoint = hub.url("").rstrip("/")
        self._hub = hub
        self._cdn = cdn or hub
        self._contents: dict[str, Content] = {}
        self._renamed: dict[str, str] = {}
        self._tokens: dict[str, Token] = {}
        self._limit = Limit()
        self._links = files.Links()
        hub.route("/", self._answer)
        self._cdn.route("/repos/", lambda asked: files.from_cdn(asked, self._contents, self._links))

    # WHAT IT HOLDS

    def add_repo(
        self,
        name: str,
        content: Mapping[str, bytes | Path],
        *,
        private: bool = False,
        gated: bool = False,
        card: Mapping[str, Any] | None = None,
        lfs: int | Sequence[str] = LFS_PATTERNS,
    ) -> Repo:
        """Publish a repository with one commit on ``main``.

        Args:
            name: ``org/name``, or ``name`` alone for one of the old models.
            content: files by path; a ``README.md`` is made of the card when
                there is a card and no such file.
            private: only tokens that were let in see it.
            gated: only tokens that were let in get its files.
            card: see :class:`Repo`.
            lfs: file names that are kept as large files, or the size in bytes
                from which files are.
        """
        repo = Repo(
            name,
            self._hub,
            self._cdn,
            self._contents,
            private=private,
            gated=gated,
            card=card or {},
            lfs=lfs,
            xet=self.xet,
        )
        made = {} if card is None or "README.md" in content else {"README.md": readme(card)}
        repo.commit({**made, **content}, message="Upload")
        self.repos[name] = repo
        return repo

    def rename(self, old: str, new: str) -> Repo:
        """Give a repository another id; the old one redirects from now on."""
        repo = self.repos.pop(old)
        repo.id = new
        self.repos[new] = repo
        self._renamed[old] = new
        return repo

    def remove_repo(self, name: str) -> None:
        """Lose a repository."""
        del self.repos[name]

    # WHO MAY SEE IT

    def add_token(
        self, token: str, *, user: str = "ada", repos: Sequence[str] = (), expired: bool = False
    ) -> None:
        """Make a token valid, or change one.

        Args:
            token: as in ``HF_TOKEN``.
            user: whose it is.
            repos: private and gated repositories that it opens.
            expired: True for a token whose time is over.
        """
        self._tokens[token] = Token(user, frozenset(repos), expired)

    def limit(self, remaining: int, *, reset: int = 1, refusals: float = math.inf) -> None:
        """Limit the rate: after ``remaining`` requests the next ``refusals`` are answered 429.

        Args:
            remaining: requests that still pass.
            reset: seconds after which a client is told to come back.
            refusals: how many are refused before the limit is lifted.
        """
        self._limit.set(remaining, reset, refusals)

    def expire_links(self) -> None:
        """Let the CDN refuse (403) all links that were given out so far."""
        self._links.expire()

    # HOW IT ANSWERS

    def _answer(self, request: Request) -> Reply | None:
        parts = self._parts(request)
        if parts is None:
            return None
        if request.method not in ("GET", "HEAD"):
            return plain(405, "", {"Allow": "GET, HEAD"})
        kind = "resolvers" if "/resolve" in request.path else "api"
        passes, headers = self._limit.spend(kind)
        if passes:
            reply = self._about(request, *parts)
        else:
            text = "We had to rate limit your IP. To continue using our service, log in."
            reply = error(429, text).having("Retry-After", headers["RateLimit"].rpartition("=")[2])
        for name, value in headers.items():
            reply = reply.having(name, value)
        return reply.without(*self.omit)

    @staticmethod
    def _parts(request: Request) -> tuple[str, str, str] | None:
        """What is asked of which repository, and the rest of the path."""
        path = request.path.rstrip("/")
        if path in ("/api/models", "/api/whoami-v2"):
            return path.rpartition("/")[2], "", ""
        for pattern in (API, CACHE, RESOLVE):
            match = pattern.fullmatch(path)
            if match is None:
                continue
            verb = {API: match.groupdict().get("verb") or "info", CACHE: "cache"}
            return verb.get(pattern, "resolve"), match["id"], match["rest"] or ""
        return None

    def _about(self, request: Request, verb: str, name: str, rest: str) -> Reply:
        given = bearer(request)
        token = None if given is None else self._tokens.get(given)
        if given is not None and (refusal := refuse_token(token)):
            return refusal
        base, cdn = self._origins(request)
        if verb == "whoami-v2":
            return _whoami(token)
        if verb == "models":
            return pages.search(request, list(self.repos.values()), base, self.page)
        if name in self._renamed:
            return self._moved(request, name, base if verb in ("info", "revision", "tree") else "")
        repo = self.repos.get(name)
        if refusal := refuse_repo(repo, token):
            return refusal
        assert repo is not None
        if verb in ("resolve", "cache", "xet-read-token"):
            if refusal := refuse_files(repo, token):
                return refusal
            if verb == "xet-read-token":
                return xet.connection(repo.xet) if repo.xet else error(404, "Not in Xet storage")
            if verb == "cache":
                return files.from_cache(request, repo, rest)
            return files.resolve(
                request, repo, rest, base=base, cdn=cdn, links=self._links, cached=self.cached
            )
        return self._listing(request, repo, verb, rest, base)

    def _listing(self, request: Request, repo: Repo, verb: str, rest: str, base: str) -> Reply:
        if verb == "refs":
            return pages.refs(repo)
        revision, folder = repo.split(rest) if verb == "tree" else (rest or repo.default, "")
        commit = repo.find(revision)
        if commit is None:
            return no_revision(revision)
        if verb == "tree":
            return pages.tree(request, repo, revision, folder, base, self.page)
        return pages.model(repo, commit, pages.query_of(request))

    def _moved(self, request: Request, name: str, base: str) -> Reply:
        path = quoted(request.path.replace(name, self._renamed[name], 1))
        target = f"{base}{path}{'?' if request.query else ''}{request.query}"
        return plain(307, f"Temporary Redirect. Redirecting to {target}", {"Location": target})

    def _origins(self, request: Request) -> tuple[str, str]:
        """The origin that a client came to, and another one for the CDN."""
        host = request.headers.get("Host", "").rpartition(":")[0] or "127.0.0.1"
        other = "localhost" if host == "127.0.0.1" else "127.0.0.1"
        apart = self._cdn is not self._hub
        cdn = self._cdn.url("") if apart else self._hub.url("", host=other)
        return self._hub.url("", host=host), cdn


def _whoami(token: Token | None) -> Reply:
    if token is None:
        return error(401, "Invalid username or password.")
    access = {"displayName": "test", "role": "read", "createdAt": "2026-01-01T00:00:00.000Z"}
    auth = {"type": "access_token", "accessToken": access}
    about = {"type": "user", "id": "0" * 24, "name": token.user, "fullname": token.user}
    return page({**about, "orgs": [], "auth": auth})
