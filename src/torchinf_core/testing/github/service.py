"""GitHub itself: its site, its API and codeload, on one hub or behind their own names."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote

from torchinf_core.testing.content import Data
from torchinf_core.testing.github.repo import SERVICE, Repo, root_of
from torchinf_core.testing.hub import Hub
from torchinf_core.testing.messages import Framing, Reply, Request, page, plain

REPO = r"/(?P<id>[^/]+/[^/]+?)"
SITE = re.compile(rf"{REPO}/(?P<verb>tree|zipball|archive)/(?P<rest>.+?)/?")
GIT = re.compile(rf"{REPO}(?:\.git)?/info/refs")
CODELOAD = re.compile(rf"{REPO}/(?P<kind>legacy\.zip|zip)/(?P<rest>.+)")
API = re.compile(
    rf"(?:/repos{REPO}|/repositories/(?P<number>\d+))"
    r"(?:/(?P<verb>branches|tags|commits)(?:/(?P<rest>.+))?)?"
)
DOCUMENTATION = "https://docs.github.com/rest"
ANONYMOUS, KNOWN = 60, 5000
"""Requests an hour that the API allows without and with a token."""


@dataclass(frozen=True, slots=True)
class Origins:
    """Where a client finds the three parts, seen from where it came."""

    web: str
    api: str
    codeload: str


class GitHub:
    """Lets a hub speak as github.com, api.github.com and codeload.github.com.

    The part is told by the ``Host`` header, or by the path for a client that
    comes to the hub's own address: ``/api/v3`` is the API, ``/_codeload`` gives
    out archives, under the hub's other name (``localhost``).

    Args:
        hub: answers from now on.

    Attributes:
        web: in place of ``https://github.com``.
        api: in place of ``https://api.github.com``.
        repos: by id in lower case.
    """

    def __init__(self, hub: Hub) -> None:
        self.web = hub.url("").rstrip("/")
        self.api = f"{self.web}/api/v3"
        self.repos: dict[str, Repo] = {}
        self._hub = hub
        self._renamed: dict[str, Repo] = {}
        self._tokens: set[str] = set()
        self._lock = threading.Lock()
        self._left, self._reset = ANONYMOUS, 3600
        hub.route("/", self._answer)

    # WHAT IT HOLDS

    def add_repo(
        self, name: str, files: Mapping[str, bytes | Path], *, default: str = "main"
    ) -> Repo:
        """Publish a repository with one commit on its default branch.

        Args:
            name: ``owner/name``.
            files: by path.
            default: name of the default branch.
        """
        repo = Repo(name, default)
        repo.commit(files)
        self.repos[name.lower()] = repo
        return repo

    def fork(self, original: Repo, name: str) -> Repo:
        """Copy a repository to another owner; commits to the fork don't show in the original.

        But as on GitHub the original gives out archives of them by their id.
        """
        repo = Repo(name, original.default, original)
        self.repos[name.lower()] = repo
        return repo

    def rename(self, old: str, new: str) -> Repo:
        """Give a repository another name; the old one redirects from now on."""
        repo = self.repos.pop(old.lower())
        repo.id = new
        self.repos[new.lower()] = self._renamed[old.lower()] = repo
        return repo

    def add_token(self, token: str) -> None:
        """Make a token valid: the API's limit does not concern those who send it."""
        self._tokens.add(token)

    def limit(self, remaining: int, *, reset: int = 3600) -> None:
        """Let the API answer so many more requests without a token, and then 403.

        Args:
            remaining: requests; 60 when the hub is new, and they are counted.
            reset: seconds until it says that it will answer again.
        """
        with self._lock:
            self._left, self._reset = remaining, reset

    # HOW IT ANSWERS

    def _answer(self, request: Request) -> Reply | None:
        host = request.headers.get("Host", "").partition(":")[0]
        origins, path = self._origins(host), request.path
        if host == "api.github.com" or path.startswith("/api/v3/"):
            return self._from_api(request, path.removeprefix("/api/v3"), origins)
        if host == "codeload.github.com" or path.startswith("/_codeload/"):
            match = CODELOAD.fullmatch(path.removeprefix("/_codeload"))
            return None if match is None else self._archive(match)
        if match := GIT.fullmatch(path):
            return self._advertise(request, match, origins)
        match = SITE.fullmatch(path)
        return None if match is None else self._site(request, match, origins)

    def _origins(self, host: str) -> Origins:
        if host.endswith("github.com"):
            names = ("github.com", "api.github.com", "codeload.github.com")
            return Origins(*(f"https://{name}" for name in names))
        here = self._hub.url("", host="localhost" if host == "localhost" else "127.0.0.1")
        other = self._hub.url("", host="127.0.0.1" if host == "localhost" else "localhost")
        return Origins(here, f"{here}/api/v3", f"{other}/_codeload")

    def _site(self, request: Request, match: re.Match[str], origins: Origins) -> Reply:
        if moved := self._moved(request, match["id"], origins.web):
            return moved
        repo = self.repos.get(match["id"].lower())
        if repo is None:
            return plain(404, "Not Found")
        if match["verb"] == "tree":
            known = repo.find(repo.split(match["rest"])[0]) is not None
            return plain(*((200, repo.id) if known else (404, "Not Found")))
        ref, kind = match["rest"], "legacy.zip"
        if match["verb"] == "archive":
            if not ref.endswith(".zip"):
                return plain(404, "Not Found")
            ref, kind = ref.removesuffix(".zip"), "zip"
        target = f"{origins.codeload}/{repo.id}/{kind}/{quote(ref)}"
        return plain(302, "", {"Location": target})

    def _archive(self, match: re.Match[str]) -> Reply:
        """What codeload sends: in chunks, of a length it does not know, and never a part."""
        repo, ref, kind = self.repos.get(match["id"].lower()), match["rest"], match["kind"]
        if repo is not None and repo.is_ambiguous(ref):
            return plain(300, f"the given path has multiple possibilities: heads/{ref}, tags/{ref}")
        commit = None if repo is None else repo.find(ref)
        if repo is None or commit is None:
            return plain(404, "404: Not Found")
        root = root_of(repo, commit, ref, kind)
        body = repo.archive(commit, root)
        headers = {
            "Content-Type": "application/zip",
            "Content-Disposition": f"attachment; filename={root}.zip",
            "ETag": f'W/"{commit.sha}{root}"',
            "Transfer-Encoding": "chunked",
        }
        return Reply(200, tuple(headers.items()), body, 0, body.size, framing=Framing.CHUNKED)

    def _advertise(self, request: Request, match: re.Match[str], origins: Origins) -> Reply:
        if moved := self._moved(request, match["id"], origins.web):
            return moved
        repo = self.repos.get(match["id"].lower())
        if repo is None:
            return plain(401, "", {"WWW-Authenticate": 'Basic realm="GitHub"'})
        if parse_qs(request.query).get("service") != [SERVICE]:
            return plain(403, "Please upgrade your git client.")
        body = Data(repo.advertisement())
        kind = f"application/x-{SERVICE}-advertisement"
        headers = (("Content-Type", kind), ("Cache-Control", "no-cache"))
        length = ("Content-Length", str(body.size))
        return Reply(200, (*headers, length), body, 0, body.size)

    def _moved(self, request: Request, name: str, web: str) -> Reply | None:
        repo = self._renamed.get(name.lower())
        if repo is None or name.lower() in self.repos:
            return None
        path = quote(request.path.replace(name, repo.id, 1))
        target = f"{web}{path}{'?' if request.query else ''}{request.query}"
        return plain(301, "", {"Location": target})

    def _from_api(self, request: Request, path: str, origins: Origins) -> Reply:
        _, _, token = request.headers.get("Authorization", "").partition(" ")
        if token and token not in self._tokens:
            return _problem(401, "Bad credentials")
        passes, headers = self._spend(known=bool(token))
        if passes:
            reply = self._listing(request, path, origins)
        else:
            text = "API rate limit exceeded for 127.0.0.1. (But here's the good news: "
            reply = _problem(403, f"{text}Authenticated requests get a higher rate limit.)")
        for name, value in headers.items():
            reply = reply.having(name, value)
        return reply

    def _spend(self, *, known: bool) -> tuple[bool, dict[str, str]]:
        with self._lock:
            passes = known or self._left > 0
            self._left = self._left if known else max(0, self._left - 1)
            quota, left = (KNOWN, KNOWN - 1) if known else (ANONYMOUS, self._left)
            headers = {
                "X-RateLimit-Limit": str(quota),
                "X-RateLimit-Remaining": str(left),
                "X-RateLimit-Used": str(quota - left),
                "X-RateLimit-Reset": str(int(time.time()) + self._reset),
                "X-RateLimit-Resource": "core",
            }
            return passes, headers

    def _listing(self, request: Request, path: str, origins: Origins) -> Reply:
        match = API.fullmatch(path)
        if match is None:
            return _problem(404, "Not Found")
        if match["number"]:
            numbers = {str(repo.number): repo for repo in self.repos.values()}
            repo = numbers.get(match["number"])
        else:
            repo = self.repos.get(match["id"].lower())
            if repo is None and (renamed := self._renamed.get(match["id"].lower())):
                rest = path.removeprefix(f"/repos/{match['id']}")
                target = f"{origins.api}/repositories/{renamed.number}{quote(rest)}"
                query = f"?{request.query}" if request.query else ""
                return plain(301, "", {"Location": target + query})
        if repo is None:
            return _problem(404, "Not Found")
        if match["verb"] == "commits" and match["rest"]:
            return _commit(request, repo, match["rest"], origins.api)
        if match["verb"] in ("branches", "tags") and not match["rest"]:
            table = repo.branches if match["verb"] == "branches" else repo.tags
            return _refs(request, repo, table, origins.api + path)
        if match["verb"]:
            return _problem(404, "Not Found")
        fields = {"id": repo.number, "full_name": repo.id, "default_branch": repo.default}
        return page({**fields, "fork": repo is not repo.family[0], "private": False})


def _refs(request: Request, repo: Repo, table: Mapping[str, str], url: str) -> Reply:
    query = parse_qs(request.query)
    count = min(100, int(query.get("per_page", ["30"])[0]))
    number = int(query.get("page", ["1"])[0])
    entries: list[dict[str, Any]] = [
        {"name": name, "commit": {"sha": sha}} for name, sha in sorted(table.items())
    ]
    if table is repo.branches:
        entries = [{**entry, "protected": False} for entry in entries]
    headers = {}
    if number * count < len(entries):
        last = -(-len(entries) // count)
        links = (("next", number + 1), ("last", last))
        pages = (f'<{url}?per_page={count}&page={to}>; rel="{name}"' for name, to in links)
        headers["Link"] = ", ".join(pages)
    return page(entries[(number - 1) * count : number * count], headers)


def _commit(request: Request, repo: Repo, ref: str, api: str) -> Reply:
    commit = repo.find(ref)
    if commit is None:
        return _problem(422, f"No commit found for SHA: {ref}")
    if request.headers.get("Accept", "") == "application/vnd.github.sha":
        return plain(200, commit.sha)
    parents = [{"sha": commit.parent}] if commit.parent else []
    about = {"message": commit.message, "tree": {"sha": commit.trees[""]}}
    url = f"{api}/repos/{repo.id}/commits/{commit.sha}"
    return page({"sha": commit.sha, "url": url, "commit": about, "parents": parents})


def _problem(status: int, message: str) -> Reply:
    fields = {"message": message, "documentation_url": DOCUMENTATION, "status": str(status)}
    return page(fields, status=status)
