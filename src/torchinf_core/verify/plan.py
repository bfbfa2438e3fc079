"""The contract of a plan, checked before a byte of weights moves.

A plan comes from a plugin, and much of it from a server: nothing in it is
believed, not even the types.  Pure functions; no I/O.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from torchinf_core.errors import FormatError, PluginContractError, SizeLimitError
from torchinf_core.refs import redact
from torchinf_core.settings import Settings
from torchinf_core.types import ModelRef, Plan, RemoteFile, Trust
from torchinf_core.verify.paths import check_path, fold_path

MAX_FILES = 100_000
MAX_STRIP = 64
MAX_METADATA_VALUES = 200_000
MAX_METADATA_DEPTH = 32
MAX_METADATA_CHARS = 8 << 20

_HEX = {
    "sha256": re.compile(r"[0-9a-f]{64}"),
    "sha256_prefix": re.compile(r"[0-9a-f]{6,64}"),
    "git_sha1": re.compile(r"[0-9a-f]{40}"),
}
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_NOT_IN_URL = re.compile(rf"[\s\\]|{_CONTROL.pattern}")


def check_plan(plan: Plan, settings: Settings) -> None:
    """Refuse a plan that breaks its contract or the size limit.

    Raises:
        PluginContractError: naming the field and what is wrong with it.
        SizeLimitError: when the known sizes exceed ``settings.max_bytes``.
    """
    problem = next(_plan_problems(plan), None)
    if problem is not None:
        raise PluginContractError(
            f"the plan for {redact(str(plan.ref))} breaks the contract of resolve: {problem}",
            hint="this is a bug of the plugin that serves the source; torchinf plugins names it",
        )
    known = sum(file.size or 0 for file in plan.files)
    if known > settings.max_bytes:
        raise SizeLimitError(
            f"{redact(str(plan.ref))} is {known} bytes; max_bytes allows {settings.max_bytes}",
            hint=f"TORCHINF_MAX_BYTES={known} allows it",
        )


def _plan_problems(plan: Plan) -> Iterator[str]:
    if not _all_are(ModelRef, (plan.ref,)):
        yield "ref is not a ModelRef"
    yield from _text_problems(plan)
    if not isinstance(plan.trust, Trust):
        yield f"trust is {plan.trust!r}, not a Trust"
    if not _all_are(RemoteFile, plan.files):
        yield "files is not a tuple of RemoteFile"
    if len(plan.files) > MAX_FILES:
        yield f"{len(plan.files)} files are more than {MAX_FILES}"
    for file in plan.files:
        for problem in _file_problems(file, local=plan.ref.is_local):
            yield f"file {ascii(file.path)[:120]}: {problem}"
    yield from _clash_problems([file.path for file in plan.files])
    yield from _metadata_problems(plan.metadata)


def _text_problems(plan: Plan) -> Iterator[str]:
    if not _all_are(str, (plan.name,)) or not re.search(r"[A-Za-z0-9]", plan.name):
        yield f"name is {plan.name!r}, which suggests no name for the model"
    for key in ("name", "revision", "format", "task", "description", "license"):
        value = getattr(plan, key)
        if value is not None and not isinstance(value, str):
            yield f"{key} is {type(value).__name__}, not text"
        if value is not None and key != "description" and _CONTROL.search(value):
            yield f"{key} holds control characters: {ascii(value)[:80]}"
    for key in ("tags", "notes"):
        words = getattr(plan, key)
        if not _all_are(str, words):
            yield f"{key} is not a tuple of texts"


def _file_problems(file: RemoteFile, *, local: bool) -> Iterator[str]:
    if not isinstance(file.path, str):
        yield "path is not text"
    try:
        check_path(file.path)
    except FormatError as error:
        yield str(error)
    if not _all_are(str, file.mirrors):
        yield "mirrors is not a tuple of texts"
    for url in (file.url, *file.mirrors):
        if problem := _url_problem(url, local=local):
            yield problem
    yield from _digest_problems(file)
    if not _all_are(str, file.local) or not all(map(os.path.isabs, file.local)):
        yield "local is not a tuple of absolute paths"
    elif file.local and not (file.sha256 or file.git_sha1):
        yield "local needs a sha256 or git_sha1 that proves its bytes"
    for key in ("size", "approximate_size", "strip"):
        value = getattr(file, key)
        if value is None and key != "strip":
            continue
        if not _all_are(int, (value,)) or value is True or not 0 <= value < 1 << 63:
            yield f"{key} is {ascii(value)[:80]}, not a number from 0 up"
    if file.strip > MAX_STRIP or (file.strip and not file.unpack):
        yield f"strip is {file.strip}, which needs unpack and is at most {MAX_STRIP}"


def _digest_problems(file: RemoteFile) -> Iterator[str]:
    for key, pattern in _HEX.items():
        value = getattr(file, key)
        if value is not None and not (isinstance(value, str) and pattern.fullmatch(value)):
            yield f"{key} is {ascii(value)[:80]}, not lower-case hex of the right length"
    if file.sha256 and file.sha256_prefix and not file.sha256.startswith(file.sha256_prefix):
        yield "sha256 and sha256_prefix contradict each other"


def _url_problem(url: object, *, local: bool) -> str:
    if not isinstance(url, str):
        return "a URL is not text"
    clean = _NOT_IN_URL.split(url, maxsplit=1)[0]
    shown = ascii(redact(clean))[:120]
    if clean != url:
        return f"the URL {shown} holds spaces, backslashes or control characters"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        return f"{shown} is not a URL: {error}"
    if parts.scheme == "file":
        if not local:
            return f"{shown} names a local file, which only a local reference may"
        return "" if parts.path.startswith("/") and not parts.netloc else f"{shown} has a host"
    if parts.scheme not in ("http", "https"):
        return f"the URL {shown} is neither https nor http"
    return "" if parts.hostname and port != 0 else f"the URL {shown} names no host"


def _clash_problems(paths: list[str]) -> Iterator[str]:
    taken: dict[str, str] = {}
    for path in paths:
        key = fold_path(path)
        if key in taken:
            yield f"the paths {taken[key]!r} and {path!r} are one on some file systems"
        taken[key] = path
    for key, path in taken.items():
        while key := key.rpartition("/")[0]:
            if key in taken:
                yield f"the path {taken[key]!r} is a file and a directory of {path!r}"


def _metadata_problems(metadata: object) -> Iterator[str]:
    # A loop, not recursion: the depth is somebody else's choice.
    if not isinstance(metadata, Mapping):
        yield "metadata is not a mapping"
    todo: list[tuple[str, Any, int]] = [("metadata", metadata, 0)]
    values = characters = 0
    while todo:
        where, value, depth = todo.pop()
        values += 1
        if problem := _json_problem(value, top=depth == 0):
            yield f"{where} {problem}"
        elif isinstance(value, str):
            characters += len(value)
        elif isinstance(value, Mapping):
            characters += sum(len(key) for key in value)
            todo += [(f"{where}.{key}"[:120], item, depth + 1) for key, item in value.items()]
        elif isinstance(value, list):
            todo += [(f"{where}[{i}]"[:120], item, depth + 1) for i, item in enumerate(value)]
        if depth > MAX_METADATA_DEPTH:
            yield f"{where} is nested deeper than {MAX_METADATA_DEPTH}"
        if values + len(todo) > MAX_METADATA_VALUES or characters > MAX_METADATA_CHARS:
            yield "metadata is too large for a record"


def _json_problem(value: object, *, top: bool) -> str:
    if value is None or isinstance(value, (bool, list)):
        return ""
    if isinstance(value, int):
        return "" if value.bit_length() <= 1024 else "is too large a number"
    if isinstance(value, float):
        return "" if math.isfinite(value) else f"is {value}, which JSON does not have"
    if isinstance(value, str):
        return "" if _encodable(value) else "is not Unicode text"
    if isinstance(value, dict) or (top and isinstance(value, Mapping)):
        bad = next((key for key in value if not isinstance(key, str) or not _encodable(key)), None)
        return "" if bad is None else f"has the key {ascii(bad)[:80]}, which is not text"
    return f"is a {type(value).__name__}, not a JSON value"


def _all_are(kind: type, values: object) -> bool:
    return isinstance(values, tuple) and all(isinstance(value, kind) for value in values)


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
