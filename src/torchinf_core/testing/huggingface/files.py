"""File contents of the Hugging Face hub: ``resolve`` URLs, and the CDN that large files lie on."""

from __future__ import annotations

import gzip
import hashlib
import hmac
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

from torchinf_core.testing.content import Content, Data
from torchinf_core.testing.git import Blob, Commit
from torchinf_core.testing.huggingface.access import no_entry, no_revision
from torchinf_core.testing.huggingface.repo import Repo, quoted
from torchinf_core.testing.messages import Framing, Reply, Request, Resource, plain, serve

WORTH_PACKING = 1000
"""Bytes from which a text file is sent gzipped to clients that accept it."""
LIFE = 3600
"""Seconds that a link to the CDN is good for."""
DENIED = "<Error><Code>AccessDenied</Code><Message>Access denied</Message></Error>"
TWO_WAYS = (
    "<Error><Code>InvalidArgument</Code><Message>Only one auth mechanism allowed</Message></Error>"
)


class Links:
    """Makes and checks the signed links to the CDN."""

    def __init__(self) -> None:
        self._round = 0

    def expire(self) -> None:
        """Refuse all links made so far."""
        self._round += 1

    def sign(self, path: str, name: str) -> str:
        """The query of a link to a path, good for an hour."""
        expires = str(int(time.time()) + LIFE)
        fields = {
            "response-content-disposition": disposition(name),
            "Expires": expires,
            "Policy": hashlib.sha256(path.encode()).hexdigest(),
            "Signature": self._signature(path, expires),
            "Key-Pair-Id": "KLOOPBACK",
        }
        return urlencode(fields)

    def good(self, path: str, query: Mapping[str, str]) -> bool:
        """True for a link that was signed here and is not too old."""
        expires = query.get("Expires", "")
        signature = self._signature(path, expires)
        fresh = expires.isdecimal() and int(expires) > time.time()
        return fresh and hmac.compare_digest(signature, query.get("Signature", ""))

    def _signature(self, path: str, expires: str) -> str:
        text = f"{self._round} {expires} {path}"
        return hmac.new(b"loopback", text.encode(), hashlib.sha256).hexdigest()


def from_cdn(request: Request, contents: Mapping[str, Content], links: Links) -> Reply | None:
    """A large file by its signed link; None for a path that is not one of them."""
    content = contents.get(request.path)
    if content is None:
        return None
    if "Authorization" in request.headers:
        return plain(400, TWO_WAYS, {"Content-Type": "application/xml"})
    query = dict(parse_qsl(request.query))
    if not links.good(request.path, query):
        return plain(403, DENIED, {"Content-Type": "application/xml"})
    shown = query.get("response-content-disposition", "inline")
    headers = (("Content-Type", "application/octet-stream"), ("Content-Disposition", shown))
    # The last part of the path is the sha256 of the content.
    etag = f'"{request.path.rpartition("/")[2]}"'
    return serve(request, Resource(content, etag, "Tue, 14 Nov 2023 22:13:20 GMT", headers))


def resolve(
    request: Request, repo: Repo, rest: str, *, base: str, cdn: str, links: Links, cached: bool
) -> Reply:
    """``/{id}/resolve/{rev}/{path}``: a small file, or a redirect to the CDN.

    Args:
        request: GET or HEAD.
        repo: the repository.
        rest: ``{rev}/{path}``.
        base: origin of the hub.
        cdn: origin of the CDN.
        links: signs what points there.
        cached: True redirects to the hub's cache for small files too.
    """
    revision, path = repo.split(rest)
    commit = repo.find(revision)
    if commit is None:
        return no_revision(revision)
    blob = commit.files.get(path)
    if blob is None:
        return no_entry(path, commit.sha)
    if blob.sha256 is None:
        return small(request, commit, path) if not cached else _to_cache(repo, commit, path)
    where = repo.cdn_path(blob.sha256)
    target = f"{cdn}{where}?{links.sign(where, path)}"
    headers = {
        "Location": target,
        **_linked(commit, blob, blob.sha256),
        **_xet(repo, commit, blob, base),
    }
    return plain(302, f"Found. Redirecting to {target}", headers)


def from_cache(request: Request, repo: Repo, rest: str) -> Reply:
    """``/api/resolve-cache/models/{id}/{sha}/{path}``: a small file at a commit."""
    sha, _, path = rest.partition("/")
    commit = repo.commits.get(sha)
    if commit is None:
        return no_revision(sha)
    if path not in commit.files:
        return no_entry(path, sha)
    return small(request, commit, path)


def small(request: Request, commit: Commit, path: str) -> Reply:
    """The content of a file that lies in the repository itself.

    Larger text files come gzipped to a client that accepts it, as the network
    in front of the real hub does it: without a length and never in parts.
    """
    blob = commit.files[path]
    kind = "text/plain; charset=utf-8" if _is_text(blob.content) else "application/octet-stream"
    headers = (
        ("Content-Type", kind),
        ("Content-Disposition", disposition(path)),
        ("X-Repo-Commit", commit.sha),
    )
    etag = f'"{blob.oid}"'
    if request.headers.get("If-None-Match") == etag:
        return Reply(304, (("ETag", etag), *headers))
    if kind.startswith("text/") and _compresses(request, blob.content):
        return _compressed(blob.content, (*headers, ("ETag", f"W/{etag}")))
    return serve(request, Resource(blob.content, etag, None, headers))


def disposition(path: str) -> str:
    """``Content-Disposition`` as the real hub writes it."""
    name = path.rpartition("/")[2]
    return f"inline; filename*=UTF-8''{quote(name)}; filename=\"{quote(name)}\";"


def _compresses(request: Request, content: Content) -> bool:
    accepted = request.headers.get("Accept-Encoding", "")
    return request.method == "GET" and "gzip" in accepted and content.size >= WORTH_PACKING


def _compressed(content: Content, headers: tuple[tuple[str, str], ...]) -> Reply:
    """The whole, gzipped and of a length that is not told, even where a part was asked for."""
    body = Data(gzip.compress(bytes(content.read(0, content.size)), mtime=0))
    more = (("Content-Encoding", "gzip"), ("Transfer-Encoding", "chunked"))
    return Reply(200, (*headers, *more), body, 0, body.size, framing=Framing.CHUNKED)


def _to_cache(repo: Repo, commit: Commit, path: str) -> Reply:
    blob = commit.files[path]
    quotes = f'"{blob.oid}"'
    where = f"/api/resolve-cache/models/{repo.id}/{commit.sha}/{quoted(path)}"
    target = f"{where}?{urlencode({'etag': quotes})}"
    headers = {"Location": target, **_linked(commit, blob, blob.oid)}
    return plain(307, f"Temporary Redirect. Redirecting to {target}", headers)


def _linked(commit: Commit, blob: Blob, etag: str) -> dict[str, str]:
    return {
        "X-Repo-Commit": commit.sha,
        "X-Linked-Size": str(blob.content.size),
        "X-Linked-ETag": f'"{etag}"',
        "Accept-Ranges": "bytes",
    }


def _xet(repo: Repo, commit: Commit, blob: Blob, base: str) -> dict[str, Any]:
    if blob.xet is None:
        return {}
    token = f"{base}/api/models/{repo.id}/xet-read-token/{commit.sha}"
    return {"X-Xet-Hash": blob.xet, "Link": f'<{token}>; rel="xet-auth"'}


def _is_text(content: Content) -> bool:
    try:
        bytes(content.read(0, min(content.size, 1024))).decode()
    except UnicodeDecodeError:
        return False
    return True
