"""Records as JSON: written whole, read strictly and fast.

Anything but a well-formed record of a known schema is a ``ValueError`` whose
text is the reason; nothing is guessed.  Fields this version does not know are
ignored, so a later one may add some without a new schema.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any

from torchinf_core.types import Record, StoredFile, Trust, is_sha256

SCHEMA = 1
MAX_BYTES = 16 << 20
MAX_POINTER = 1 << 14
_CHUNK = 1 << 16
_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_TEXT = (str,)
_OPTIONAL = (str, type(None))
_FIELDS: tuple[tuple[str, tuple[type, ...]], ...] = (
    ("name", _TEXT),
    ("source", _TEXT),
    ("ref", _TEXT),
    ("model_id", _TEXT),
    ("requested_revision", _OPTIONAL),
    ("revision", _OPTIONAL),
    ("files", (list,)),
    ("generation", _TEXT),
    ("format", _OPTIONAL),
    ("trust", (int,)),
    ("trusted", _OPTIONAL),
    ("verified", _TEXT),
    ("task", _OPTIONAL),
    ("description", _OPTIONAL),
    ("license", _OPTIONAL),
    ("tags", (list,)),
    ("metadata", (dict,)),
    ("request_key", _TEXT),
    ("created", _TEXT),
    ("updated", _TEXT),
    ("torchinf_version", _TEXT),
)
_FILE_FIELDS: tuple[tuple[str, tuple[type, ...]], ...] = (
    ("path", _TEXT),
    ("size", (int,)),
    ("sha256", _TEXT),
    ("format", _OPTIONAL),
    ("url", _OPTIONAL),
    ("validator", _OPTIONAL),
    ("mtime_ns", (int,)),
    ("inode", (int,)),
)
_TRUST = {int(level): level for level in Trust}
_VERIFIED = frozenset({"pinned", "published", "recorded", "none"})


class NewerRecordError(ValueError):
    """A later torchinf wrote this record; it is in order, but not for us."""


def dump(record: Record) -> bytes:
    """The bytes of a record's file.

    Raises:
        ValueError: it holds something that JSON can't, or is larger than
            :data:`MAX_BYTES`.
    """
    document: dict[str, Any] = {"schema": SCHEMA}
    for key, _ in _FIELDS:
        document[key] = getattr(record, key)
    document["metadata"] = dict(record.metadata)
    document["trust"] = int(record.trust)
    document["files"] = [
        {key: getattr(file, key) for key, _ in _FILE_FIELDS} for file in record.files
    ]
    try:
        text = json.dumps(document, ensure_ascii=False, allow_nan=False, indent=1)
    except TypeError as error:
        raise ValueError(str(error)) from None
    data = text.encode() + b"\n"
    if len(data) > MAX_BYTES:
        raise ValueError(f"it would have {len(data)} bytes, at most {MAX_BYTES} are read back")
    return data


def parse(data: bytes) -> Record:
    """The record in the bytes of its file.

    Raises:
        NewerRecordError: of a later schema.
        ValueError: anything else is wrong with it.
    """
    document = _decode(data)
    schema = document.get("schema")
    if type(schema) is not int:
        raise ValueError("it has no schema number")
    if schema != SCHEMA:
        raise NewerRecordError(f"it has schema {schema}, this torchinf knows {SCHEMA}")
    _check(document, _FIELDS, "")
    if document["trust"] not in _TRUST:
        raise ValueError(f"its trust is {document['trust']}")
    if document["verified"] not in _VERIFIED:
        raise ValueError(f"its verified is {document['verified'][:40]!r}")
    if not is_sha256(document["generation"]):
        raise ValueError("its generation is not 64 hex digits")
    if not all(type(tag) is str for tag in document["tags"]):
        raise ValueError("a tag is not a text")
    files = tuple([_file(entry) for entry in document["files"]])
    return Record(
        name=document["name"],
        source=document["source"],
        ref=document["ref"],
        model_id=document["model_id"],
        requested_revision=document["requested_revision"],
        revision=document["revision"],
        files=files,
        generation=document["generation"],
        format=document["format"],
        trust=_TRUST[document["trust"]],
        trusted=document["trusted"],
        verified=document["verified"],
        task=document["task"],
        description=document["description"],
        license=document["license"],
        tags=tuple(document["tags"]),
        metadata=document["metadata"],
        request_key=document["request_key"],
        created=document["created"],
        updated=document["updated"],
        torchinf_version=document["torchinf_version"],
    )


def read(path: str) -> Record:
    """The record in a file.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: what is there is no record; the text is the reason.
        OSError: it can't be read for a reason outside the file.
    """
    return parse(read_bytes(path, MAX_BYTES))


def read_bytes(path: str, limit: int) -> bytes:
    """A small regular file; links, pipes, directories and larger files are refused.

    Raises:
        FileNotFoundError, ValueError, OSError: as for :func:`read`.
    """
    try:
        fd = os.open(path, _FLAGS)
        try:
            data = os.read(fd, _CHUNK)
            if len(data) == _CHUNK:
                parts = [data]
                total = len(data)
                while (more := os.read(fd, 1 << 20)) and total <= limit:
                    parts.append(more)
                    total += len(more)
                data = b"".join(parts)
        finally:
            os.close(fd)
    except FileNotFoundError:
        raise
    except (IsADirectoryError, BlockingIOError) as error:
        raise ValueError(f"it is not a regular file ({error.strerror})") from None
    except OSError as error:
        import errno

        if error.errno in (errno.ELOOP, errno.ENXIO):
            raise ValueError("it is a link or a device, not a regular file") from None
        raise
    if len(data) > limit:
        raise ValueError(f"it is larger than {limit} bytes")
    return data


def pointer(record: Record) -> bytes:
    """What a request's pointer says; unless the record names the request, both must agree."""
    return f"{record.name}\n{record.generation}\n{record.source}:{record.model_id}\n".encode()


def pointed_name(data: bytes) -> str:
    """The name in a pointer.

    Raises:
        ValueError: it is no text.
    """
    return data.split(b"\n", 1)[0].decode()


def scan(directory: str, suffix: str) -> Iterator[tuple[str, Record | ValueError]]:
    """Every record file: its id, and the record or why it is none.

    A file that vanishes meanwhile is not reported, nor one that other users
    may read and we may not: that is an error.

    Raises:
        OSError: the directory can't be listed, or a file not be read.
    """
    try:
        names = os.listdir(directory)
    except FileNotFoundError:
        return
    for name in names:
        if not name.endswith(suffix):
            continue
        try:
            found: Record | ValueError = read(f"{directory}/{name}")
        except FileNotFoundError:
            continue
        except ValueError as error:
            found = error
        yield name[: -len(suffix)], found


def _decode(data: bytes) -> dict[str, Any]:
    if not data:
        raise ValueError("it is empty")
    try:
        text = data.decode()
        document = json.loads(text)
        if "\\u" in text:
            json.dumps(document, ensure_ascii=False).encode()
    except UnicodeError:
        raise ValueError("it is not UTF-8 text") from None
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except ValueError as error:
        raise ValueError(f"it is not JSON: {error}") from None
    if type(document) is not dict:
        raise ValueError("it is JSON, but not an object")
    return document


def _check(
    document: dict[str, Any], fields: tuple[tuple[str, tuple[type, ...]], ...], where: str
) -> None:
    for key, kinds in fields:
        if type(document.get(key, Ellipsis)) not in kinds:
            said = "has the wrong type" if key in document else "is missing"
            raise ValueError(f"{where}{key!r} {said}")


def _file(entry: Any) -> StoredFile:
    if type(entry) is not dict:
        raise ValueError("a file is not an object")
    _check(entry, _FILE_FIELDS, "of a file, ")
    path = entry["path"]
    if not path or "\0" in path or "\\" in path or not _is_below(path):
        raise ValueError(f"{path[:80]!r} is not a path below the model's directory")
    if entry["size"] < 0 or not is_sha256(entry["sha256"]):
        raise ValueError(f"the size or digest of {path[:80]!r} is impossible")
    return StoredFile(
        path,
        entry["size"],
        entry["sha256"],
        entry["format"],
        entry["url"],
        entry["validator"],
        entry["mtime_ns"],
        entry["inode"],
    )


def _is_below(path: str) -> bool:
    if "/" not in path:
        return path not in (".", "..")
    return all(part not in ("", ".", "..") for part in path.split("/"))
