"""Files behind HTTP: one HEAD, and where a server won't have that, one byte's GET.

The URL in the plan stays the one that was written: what it redirects to is
often signed and expires.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from torchinf_core.types import Json
from torchinf_url.naming import Found, best_filename

if TYPE_CHECKING:
    import httpx

    from torchinf_core.host import Host

# Signed URLs are signed for one method (403), and many applications have no
# route for HEAD; the GET then tells what is really wrong.
_HEAD_REFUSED = frozenset({400, 403, 404, 405, 406, 501})
_STRONG_ETAG = re.compile(r'"[\x21\x23-\x7e]{1,256}"')
_LENGTH = re.compile(r"[0-9]{1,18}")
_TOTAL = re.compile(r"bytes\s+(?:[0-9]+-[0-9]+|\*)/([0-9]{1,18})", re.IGNORECASE)


def ask_server(url: str, host: Host) -> Found:
    """What the server says of the file at ``url``; no body is read.

    Raises:
        httpx.HTTPError: also for 4xx and 5xx; the core translates it.
        OfflineError: in offline mode.
    """
    answer = host.http.head(url)
    if answer.status_code not in _HEAD_REFUSED:
        answer.raise_for_status()
        size = _size(answer)
        # Frameworks that compute a body only for GET call its length 0 for HEAD.
        if size:
            return _found(url, answer, size)
    with host.http.stream("GET", url, headers={"range": "bytes=0-0"}) as answer:
        if answer.status_code != 416:
            answer.raise_for_status()
        return _found(url, answer, _size(answer))


def _found(url: str, answer: httpx.Response, size: int | None) -> Found:
    headers = answer.headers
    metadata: dict[str, Json] = {}
    for key, name in (("content_type", "content-type"), ("last_modified", "last-modified")):
        if value := headers.get(name):
            metadata[key] = value[:200]
    etag = headers.get("etag", "").strip()
    plain = _is_plain(answer) and _STRONG_ETAG.fullmatch(etag)
    return Found(
        url=url,
        filename=best_filename(url, str(answer.url), headers.get("content-disposition")),
        size=size,
        etag=etag if plain else None,
        metadata=metadata,
    )


def _size(answer: httpx.Response) -> int | None:
    """Bytes of the whole file, or None: the length of an encoded body is another thing."""
    if not _is_plain(answer):
        return None
    if answer.status_code in (206, 416):
        total = _TOTAL.fullmatch(answer.headers.get("content-range", "").strip())
        return int(total[1]) if total else None
    length = answer.headers.get("content-length", "").strip()
    return int(length) if _LENGTH.fullmatch(length) else None


def _is_plain(answer: httpx.Response) -> bool:
    return answer.headers.get("content-encoding", "").strip().lower() in ("", "identity")
