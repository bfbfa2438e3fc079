"""Path safety: what may be the name of a file below a model's directory.

Pure functions over strings; the file system is never asked.  The rules hold for
every system the store could be copied to, so that a model published on one
machine can't escape, collide or vanish on another.
"""

from __future__ import annotations

import re
import unicodedata
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

from torchinf_core.errors import FormatError

MAX_PATH_BYTES = 1024
MAX_PART_BYTES = 255
MAX_DEPTH = 64

_BIDI = "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
_INVISIBLE = "\u00ad\u200b\u2028\u2029\u2060\ufeff\ufff9-\ufffb"
_UNSAFE = re.compile(rf"[\x00-\x1f\x7f-\x9f{_BIDI}{_INVISIBLE}\ud800-\udfff\U000e0000-\U000e007f]")
_IGNORABLE = re.compile("[\u034f\u200c\u200d\ufe00-\ufe0f]")
_RESERVED = re.compile(r"(?:con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[0-9¹²³])", re.IGNORECASE)
_WINDOWS_ONLY = re.compile(r'[<>:"|?*]')
_PARAMETER = re.compile(r';\s*([^\s=;"]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^;"]*))', re.DOTALL)
_EXTENDED = re.compile(r"(utf-8|iso-8859-1)'[^']*'(.*)", re.IGNORECASE | re.DOTALL)


def check_path(path: str) -> str:
    """Return ``path`` if it names a file below the directory it is joined to.

    A relative POSIX path of at most 1024 bytes and 64 components of at most 255
    bytes; no ``..``, backslash, drive letter, control, bidirectional or
    invisible character, no component that ends in a dot or a space or that
    Windows reserves.

    Raises:
        FormatError: otherwise; the message shows the path escaped.
    """
    if problem := _path_problem(path):
        shown = path if len(path) <= 100 else path[:97] + "..."
        raise FormatError(f"the path {shown!a} is not safe: {problem}")
    return path


def fold_path(path: str) -> str:
    """The form in which two paths are equal when some file system mixes them up.

    Unicode's canonical caseless match, without the characters that HFS+ ignores.
    """
    folded = unicodedata.normalize("NFD", path).casefold()
    return unicodedata.normalize("NFC", _IGNORABLE.sub("", folded))


def safe_filename(url: str, content_disposition: str | None = None) -> str:
    """The file name for what a server sent; always one harmless component.

    Args:
        url: of the last response, after redirects.
        content_disposition: that header (RFC 6266), which wins when it names a
            file; of a path in it only the last component counts.
    """
    return (
        _sanitise(_disposition_name(content_disposition or ""))
        or _sanitise(_url_name(url))
        or "model"
    )


def _path_problem(path: str) -> str:
    if not path:
        return "it is empty"
    if found := _UNSAFE.search(path):
        return f"it holds the character U+{ord(found[0]):04X}"
    if "\\" in path:
        return "it holds a backslash"
    if path.startswith("/") or re.match(r"[A-Za-z]:", path):
        return "it is absolute"
    if len(path.encode()) > MAX_PATH_BYTES:
        return f"it is longer than {MAX_PATH_BYTES} bytes"
    parts = path.split("/")
    if len(parts) > MAX_DEPTH:
        return f"it is deeper than {MAX_DEPTH} directories"
    return next((problem for part in parts if (problem := _part_problem(part))), "")


def _part_problem(part: str) -> str:
    if part in ("", ".", ".."):
        return f"it has the component {part!r}"
    if len(part.encode()) > MAX_PART_BYTES:
        return f"it has a component longer than {MAX_PART_BYTES} bytes"
    if part[-1] in " .":
        return "it has a component that ends in a dot or a space"
    if _is_reserved(part):
        return f"Windows reserves the name {part!r}"
    return ""


def _is_reserved(part: str) -> bool:
    return _RESERVED.fullmatch(part.split(".", maxsplit=1)[0].rstrip(" ")) is not None


def _disposition_name(header: str) -> str:
    kind, _, rest = header.partition(";")
    if "=" in kind or not rest:
        return ""
    names: dict[str, str] = {}
    for match in _PARAMETER.finditer(";" + rest):
        quoted = match[2]
        value = re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else match[3].strip()
        names.setdefault(match[1].lower(), value)
    extended = _EXTENDED.fullmatch(names.get("filename*", ""))
    if extended:
        try:
            return unquote(extended[2], encoding=extended[1], errors="strict")
        except ValueError:  # a broken filename* leaves the plain one
            pass
    return names.get("filename", "")


def _url_name(url: str) -> str:
    try:
        path = urlsplit(url).path
    except ValueError:
        return ""
    return unquote(path.rstrip("/").rpartition("/")[2])


def _sanitise(name: str) -> str:
    last = re.split(r"[/\\]", name.rstrip("/\\ "))[-1]
    visible = _UNSAFE.sub("", unicodedata.normalize("NFC", last))
    clean = _WINDOWS_ONLY.sub("_", visible).lstrip(" .")
    if _is_reserved(clean):
        clean = "_" + clean
    suffix = PurePosixPath(clean).suffix
    suffix = suffix if len(suffix.encode()) <= 32 else ""
    stem = clean[: len(clean) - len(suffix)].encode()[: MAX_PART_BYTES - len(suffix.encode())]
    return (stem.decode(errors="ignore") + suffix).rstrip(" .")
