"""What is asked of GitHub (or a server that answers like it): refs, and one archive.

Two plain requests, none to the API with its limit on requests.  Each failure
becomes an error that says what was looked for.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from torchinf_core.errors import (
    AccessDeniedError,
    FormatError,
    IntegrityError,
    ModelNotFoundError,
    SizeLimitError,
    SourceError,
    TorchinfError,
    UsageError,
)
from torchinf_core.refs import redact
from torchinf_core.settings.parsing import parse_size
from torchinf_hub.advertisement import Advertisement, parse
from torchinf_hub.naming import GitHub

if TYPE_CHECKING:
    import httpx

    from torchinf_core.host import Host

DEFAULT = "https://github.com"
MAX_ARCHIVE = 64 << 20
_COMMENT_ROOM = 22 + 40  # the end record of a zip, and a comment of a commit's length


def base_url(host: Host) -> str:
    """The server: the ``github`` setting, without a slash at its end.

    Raises:
        UsageError: the setting is not a URL.
    """
    url = host.setting("github") or DEFAULT
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except (ValueError, TypeError, AttributeError):
        usable = False
    if not usable or re.search(r"[\s\\?#]", url):
        raise UsageError(
            f"the github setting of the hub plugin is {redact(str(url))!r}, expected a URL",
            hint=f"TORCHINF_HUB_GITHUB=https://mirror.example takes the place of {DEFAULT}",
        )
    return str(url).rstrip("/")


def archive_url(place: GitHub, commit: str, host: Host) -> str:
    """Where the code of a commit is had as a zip."""
    return f"{base_url(host)}/{place.owner}/{place.repo}/zipball/{commit}"


def ask_refs(place: GitHub, host: Host) -> Advertisement:
    """The branches and tags of a repository.

    Raises:
        ModelNotFoundError: there is no such repository for this user.
        TorchinfError: the server did not answer, or not as git servers do.
    """
    url = f"{base_url(host)}/{place.owner}/{place.repo}.git/info/refs?service=git-upload-pack"
    token = host.token(urlsplit(url).hostname or "")
    # Git's own protocol takes a token only as a password.
    secret = base64.b64encode(f"x-access-token:{token}".encode()).decode()
    headers = {"authorization": f"Basic {secret}"} if token else {}
    with host.http.stream("GET", url, headers=headers) as answer:
        if answer.status_code != 200:
            raise _refusal(answer, place, f"repository {place.owner}/{place.repo}")
        found = parse(answer.iter_bytes())
        _note_rename(place, answer, host)
    return found


def get_archive(place: GitHub, commit: str, host: Host, into: Path) -> tuple[str, int]:
    """Write the zip of a commit to ``into``; returns its sha256 and size.

    Raises:
        ModelNotFoundError: the repository or the commit is gone.
        IntegrityError: what came says that it is another commit, or is damaged.
        SizeLimitError: it is larger than the ``max_archive`` setting.
        FormatError: it is no archive of a git repository.
    """
    url, limit = archive_url(place, commit, host), _limit(host)
    what = f"commit {commit} of {place.owner}/{place.repo}"
    digest = hashlib.sha256()
    size = 0
    with host.http.stream("GET", url) as answer:
        if answer.status_code != 200:
            raise _refusal(answer, place, what)
        with open(into, "wb") as file:
            for piece in _pieces(answer, limit, what):
                digest.update(piece)
                file.write(piece)
                size += len(piece)
    _check_comment(into, size, commit, place)
    return digest.hexdigest(), size


def _pieces(answer: httpx.Response, limit: int, what: str) -> Iterator[bytes]:
    told = answer.headers.get("content-length", "")
    size = int(told) if re.fullmatch(r"\d{1,18}", told) else 0
    if size <= limit:
        size = 0
        for piece in answer.iter_bytes():
            size += len(piece)
            if size > limit:
                break
            yield piece
    if size > limit:
        raise SizeLimitError(
            f"the archive of {what} is larger than {limit} bytes",
            hint="TORCHINF_HUB_MAX_ARCHIVE=256MiB allows more",
        )


def _limit(host: Host) -> int:
    value = host.setting("max_archive")
    if value is None:
        return MAX_ARCHIVE
    try:
        return parse_size(value)
    except ValueError as error:
        raise UsageError(
            f"the max_archive setting of the hub plugin is {value!r}, expected {error}"
        ) from None


def _check_comment(path: Path, size: int, commit: str, place: GitHub) -> None:
    """Git writes the commit it archived into the comment of the zip."""
    with open(path, "rb") as file:
        head = file.read(4)
        file.seek(max(0, size - _COMMENT_ROOM))
        tail = file.read()
    is_zip = head == b"PK\3\4"
    has_comment = (
        len(tail) == _COMMENT_ROOM and tail.startswith(b"PK\5\6") and tail[20:22] == b"\x28\0"
    )
    if not (is_zip and has_comment) and tail[22:] == commit.encode():
        raise IntegrityError(f"the archive of {place} arrived damaged", hint="try again")
    if not is_zip:
        raise FormatError(f"what came for {place} at {commit} is no archive of a repository")
    if not has_comment:
        raise FormatError(
            f"the archive of {place} does not say of which commit it is",
            hint="is the github setting the URL of a server that makes archives as git does?",
        )
    if tail[22:] != commit.encode():
        raise IntegrityError(
            f"the archive of {place} is of commit {ascii(tail[22:])[2:-1]}, "
            f"and {commit} was asked for"
        )


def _refusal(answer: httpx.Response, place: GitHub, what: str) -> TorchinfError:
    from torchinf_core.network.failures import status_error

    status, url = answer.status_code, str(answer.url)
    reset = answer.headers.get("x-ratelimit-reset", "")
    spent = answer.headers.get("x-ratelimit-remaining") == "0"
    if status == 429 or (status == 403 and (spent or "retry-after" in answer.headers)):
        return SourceError(
            f"{urlsplit(url).hostname} allows no more requests for now{_until(reset, answer)}",
            hint="try again then; a token in $TORCHINF_TOKEN_GITHUB_COM raises the limit",
        )
    # GitHub asks for a login where there is no repository, too.
    private = "authorization" not in answer.request.headers
    if status in (404, 410) or (status == 401 and private):
        hint = "check the spelling"
        if what.startswith("commit"):
            hint = (
                f"it may have been pushed away: torchinf search hub {place.owner}/{place.repo} "
                "shows what the default branch has now"
            )
        elif private:
            hint += "; for a private one put a token into $TORCHINF_TOKEN_GITHUB_COM"
        return ModelNotFoundError(f"there is no {what} at {redact(base_of(url))}", hint=hint)
    if status in (401, 403):
        return AccessDeniedError(
            f"{redact(base_of(url))} refuses the {what} with this token",
            hint="the token in $TORCHINF_TOKEN_GITHUB_COM must be allowed to read it",
        )
    return status_error(status, url, answer.headers)


def base_of(url: str) -> str:
    """Scheme and host of a URL."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _until(reset: str, answer: httpx.Response) -> str:
    if re.fullmatch(r"\d{1,11}", reset):
        return f"; it counts anew from {datetime.fromtimestamp(int(reset), UTC):%Y-%m-%d %H:%M} UTC"
    after = answer.headers.get("retry-after", "")
    return f"; it asks to wait for {after} seconds" if re.fullmatch(r"\d{1,9}", after) else ""


def _note_rename(place: GitHub, answer: httpx.Response, host: Host) -> None:
    if not answer.history:
        return
    match = re.search(r"/([^/]+)/([^/]+?)(?:\.git)?/info/refs$", answer.url.path)
    if match and (match[1], match[2]) != (place.owner, place.repo):
        host.note(f"{place.owner}/{place.repo} is called {match[1]}/{match[2]} now")
