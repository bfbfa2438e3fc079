"""What an HTTP answer is worth: does it continue what is there, and is it the file at all.

The rules of RFC 9110 on ranges and validators, applied without trust.
"""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from posixpath import splitext

from torchinf_core.errors import FormatError, IntegrityError, SizeLimitError, SourceError
from torchinf_core.refs import redact
from torchinf_core.settings import Settings
from torchinf_core.transfer.partial import Source
from torchinf_core.transfer.wire import Answer, BrokenError
from torchinf_core.types import RemoteFile

PAGES = frozenset({".html", ".htm", ".xhtml", ".md", ".txt", ".xml", ".svg"})


class ChangedError(Exception):
    """The answer is not a continuation; ``answer`` is one from byte 0, or None."""

    def __init__(self, reason: str, answer: Answer | None = None) -> None:
        super().__init__(reason)
        self.answer = answer


def strong_validator(known: Source) -> str | None:
    """What ``If-Range`` may carry: a strong entity tag, else a safe date, else None."""
    if known.etag and not known.etag.startswith("W/"):
        return known.etag
    return known.last_modified


def dated(answer: Answer) -> str | None:
    """``Last-Modified`` if it is a strong validator: a second or more before ``Date``.

    RFC 9110 §8.8.2.2.
    """
    modified, date = answer.headers.get("last-modified"), answer.headers.get("date")
    if not modified or not date:
        return None
    try:
        age = parsedate_to_datetime(date) - parsedate_to_datetime(modified)
    except (ValueError, TypeError):
        return None
    return modified if age.total_seconds() >= 1 else None


def range_headers(start: int, end: int | None, known: Source) -> dict[str, str]:
    """Headers of a request for ``[start, end)`` of what ``known`` describes.

    Raises:
        ChangedError: when nothing could tell a continuation from another version.
    """
    validator = strong_validator(known)
    if validator is None and known.sha256 is None:
        raise ChangedError("the server names no version, so nothing may be continued")
    headers = {"range": f"bytes={start}-{'' if end is None else end - 1}"}
    if validator is not None:
        headers["if-range"] = validator
    return headers


def check_range(answer: Answer, start: int, known: Source, *, may_restart: bool) -> None:
    """Raise unless ``answer`` continues ``known`` at ``start``.

    Args:
        answer: to a request made with :func:`range_headers`.
        start: first byte asked for.
        known: what the bytes must be a part of.
        may_restart: let a 200, the whole file, pass as well.

    Raises:
        ChangedError: start over.
        BrokenError: ask again.
    """
    if answer.status == 200:
        if may_restart:
            return
        raise ChangedError("the server sent the whole file instead of the rest", answer)
    if answer.status == 416:
        raise ChangedError("the server has no such bytes")
    found = answer.content_range()
    if found is None or found[0] != start or answer.encoded:
        raise ChangedError("the server sent other bytes than it was asked for")
    if found[2] is not None and found[2] != known.total:
        raise ChangedError(f"the file now has {found[2]} bytes instead of {known.total}")
    if known.etag and answer.etag and _opaque(known.etag) != _opaque(answer.etag):
        raise ChangedError("the file changed on the server")
    if known.sha256 is None and not _names_version(answer, known):
        raise ChangedError("the server does not say which version of the file it sent")
    if answer.length is not None and answer.length != found[1] - found[0]:
        raise BrokenError(SourceError(f"{redact(answer.url)} contradicts itself on the length"))


def check_whole(answer: Answer, file: RemoteFile) -> None:
    """Raise unless ``answer`` can be the whole of ``file``.

    Raises:
        FormatError: a web page (a login, an error) where a model was expected.
        BrokenError: empty, or a status that answers another question.
    """
    where = redact(file.url)
    if answer.status != 200:
        raise BrokenError(
            SourceError(f"{where} answered {answer.status} to a request for all of it")
        )
    if answer.length == 0 and file.size != 0:
        raise BrokenError(IntegrityError(f"{where} is empty", hint="try again later"))
    kind = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "text/html" and splitext(file.path)[1].lower() not in PAGES:
        raise FormatError(
            f"{where}: got HTML instead of {file.path}; a login page, a proxy or an error page",
            hint="open the URL in a browser to see what it says",
        )


def total_of(answer: Answer, file: RemoteFile, settings: Settings) -> int | None:
    """Bytes of the whole file, or None when the answer does not tell.

    Raises:
        IntegrityError: another size than the source published.
        SizeLimitError: larger than allowed.
        SourceError: compressed in a way that can't be undone here.
    """
    encoding = answer.headers.get("content-encoding", "identity").lower()
    if encoding not in ("", "identity", "gzip", "x-gzip", "deflate"):
        raise SourceError(f"{redact(file.url)} is sent as {encoding[:40]!r}, unasked")
    total = answer.length
    if total is not None and file.size is not None and total != file.size:
        raise IntegrityError(
            f"{redact(file.url)} has {total} bytes, expected {file.size}",
            hint="the file was replaced at its source; nothing was stored",
        )
    if total is not None and total > settings.max_bytes:
        raise SizeLimitError(
            f"{redact(file.url)} has {total} bytes, more than the {settings.max_bytes} allowed",
            hint="--max-bytes raises the limit",
        )
    return total


def is_framed(answer: Answer) -> bool:
    """Whether a cut of the connection would be noticed."""
    return "content-length" in answer.headers or "transfer-encoding" in answer.headers


def _names_version(answer: Answer, known: Source) -> bool:
    """Whether the validator that made the request conditional stands in the answer, too.

    RFC 9110 §15.3.7 demands it of an entity tag; a server that heeded a date and
    leaves it out costs a restart, one that never looked would cost the file.
    """
    if known.etag and not known.etag.startswith("W/"):
        return answer.etag is not None
    return answer.headers.get("last-modified") == known.last_modified


def _opaque(etag: str) -> str:
    return etag.removeprefix("W/")
