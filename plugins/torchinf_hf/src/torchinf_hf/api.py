"""Asks the hub: what a repository is, which files it has at a commit, what there is.

The requests are those of huggingface_hub; they are made by the core's client,
which keeps time-outs, the user's proxies and certificates and offline mode, and
which sends a token to no other origin, as a link to the next page may want.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, quote, urlsplit

from torchinf_core.errors import SourceError
from torchinf_core.refs import redact
from torchinf_core.types import Json
from torchinf_hf import failures
from torchinf_hf.endpoint import endpoint, find_token, refuse_offline
from torchinf_hf.listing import Entry, parse_entry

if TYPE_CHECKING:
    import httpx

    from torchinf_core.host import Host

MOST_FILES = 100_000
MOST_PAGES = 2_000
MOST_BYTES = 64 << 20
"""Of one answer; a page of a listing has a thousand entries of some 300 bytes."""

_NEXT = re.compile(r'<([^<>]*)>\s*;[^<>]*\brel="?next"?')


class Api:
    """The hub for the length of one hook call.

    Args:
        host: for requests, settings and notes.

    Attributes:
        endpoint: the hub's URL.
        token: sent with each request to the hub, or None.

    Raises:
        OfflineError: no connection may be made.
        UsageError, AccessDeniedError: see :mod:`torchinf_hf.endpoint`.
    """

    def __init__(self, host: Host) -> None:
        refuse_offline(host)
        self.endpoint = endpoint()
        self.token = find_token(urlsplit(self.endpoint).hostname or "", host)
        self._host = host

    def model(self, repo: str, revision: str | None) -> dict[str, Json]:
        """What the hub says of a model at a revision; ``sha`` is its commit.

        Raises:
            ModelNotFoundError, AccessDeniedError, SourceError: see
                :mod:`torchinf_hf.failures`.
        """
        path = f"/api/models/{repo}" + (f"/revision/{quoted(revision)}" if revision else "")
        about = failures.Asked(self.endpoint, repo, revision, None, self.token is not None)
        answer, _ = self._get(path, {}, about)
        if not isinstance(answer, dict):
            raise failures.not_a_hub(self.endpoint, "its word on a model is no object")
        return answer

    def files(self, repo: str, commit: str, folder: str) -> list[Entry]:
        """All files below a folder of a repository at a commit.

        Args:
            repo: id of the repository.
            commit: or another revision.
            folder: ``""`` for all of it.

        Raises:
            ModelNotFoundError, AccessDeniedError, SourceError: as for :meth:`model`;
                also when the listing does not end.
        """
        path = f"/api/models/{repo}/tree/{quoted(commit)}" + (
            f"/{quoted(folder)}" if folder else ""
        )
        about = failures.Asked(self.endpoint, repo, commit, folder or None, self.token is not None)
        entries: list[Entry] = []
        for item in self._pages(path, {"recursive": "true", "expand": "false"}, about):
            try:
                entry = parse_entry(item)
            except ValueError as error:
                raise failures.not_a_hub(self.endpoint, str(error)) from None
            if entry is not None:
                entries.append(entry)
            if len(entries) > MOST_FILES:
                raise failures.too_large(about, MOST_FILES)
        return entries

    def names_of_revisions(self, repo: str) -> list[str]:
        """Branches and tags of a repository; empty when they can't be had."""
        about = failures.Asked(self.endpoint, repo, None, None, self.token is not None)
        try:
            answer, _ = self._get(f"/api/models/{repo}/refs", {}, about)
        except Exception:  # noqa: BLE001 - they are for a hint alone
            return []
        tables = answer.values() if isinstance(answer, dict) else ()
        refs = [ref for table in tables if isinstance(table, list) for ref in table]
        names = [ref.get("name") for ref in refs if isinstance(ref, dict)]
        return [name for name in names if isinstance(name, str)]

    def search(self, words: str, limit: int) -> Iterator[dict[str, Json]]:
        """Models whose id holds the words, the most downloaded first.

        Raises:
            SourceError: the hub did not answer, or not as one.
        """
        query = {"search": words, "sort": "downloads", "limit": str(limit)}
        about = failures.Asked(self.endpoint, "", None, None, self.token is not None)
        for item in self._pages("/api/models", query, about):
            if isinstance(item, dict):
                yield item

    def check_access(self, repo: str, commit: str, path: str) -> None:
        """See whether a file of a gated repository may be had.

        Raises:
            AccessDeniedError: it may not.
        """
        about = failures.Asked(self.endpoint, repo, commit, path, self.token is not None)
        url = f"{self.endpoint}/{repo}/resolve/{quoted(commit)}/{quote(path)}"
        answer = self._host.http.head(url, headers=self._headers(), follow_redirects=False)
        if answer.status_code >= 400:
            raise failures.failure(answer.status_code, answer.headers, about)

    def _pages(
        self, path: str, query: Mapping[str, str], about: failures.Asked
    ) -> Iterator[object]:
        """The items of all pages.

        Of the link to the next one the query alone is used: it names the public
        hub where a mirror passes answers on, and no link may choose where a
        token is sent.
        """
        asked = dict(query)
        for _ in range(MOST_PAGES):
            items, answer = self._get(path, asked, about)
            if not isinstance(items, list):
                raise failures.not_a_hub(self.endpoint, "a page of a listing is no list")
            yield from items
            link = _NEXT.search(answer.headers.get("link", ""))
            following = dict(parse_qsl(urlsplit(link[1]).query)) if link else {}
            if not following or following == asked:
                return
            asked = following
        raise failures.too_large(about, MOST_FILES)

    def _get(
        self, path: str, query: Mapping[str, str], about: failures.Asked
    ) -> tuple[Any, httpx.Response]:
        url = self.endpoint + path
        with self._host.http.stream(
            "GET", url, params=query or None, headers=self._headers()
        ) as answer:
            body = bytearray()
            for block in answer.iter_bytes():
                body += block
                if len(body) > MOST_BYTES:
                    raise SourceError(
                        f"{redact(url)} sent more than {MOST_BYTES >> 20} MiB for one page",
                        hint="check HF_ENDPOINT",
                    )
        if not answer.is_success:
            raise failures.failure(answer.status_code, answer.headers, about)
        try:
            import json

            return json.loads(bytes(body)), answer
        except (ValueError, RecursionError):
            raise failures.not_a_hub(self.endpoint, "its answer is not JSON") from None

    def _headers(self) -> dict[str, str]:
        # httpx drops this one when a redirect leaves the origin.
        return {"authorization": f"Bearer {self.token}"} if self.token else {}


def quoted(text: str) -> str:
    """A revision or folder as one component of a URL's path."""
    return quote(text, safe="")
