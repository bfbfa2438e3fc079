"""What a warm hit needs and nothing else: request keys, and records read without checks.

Imported before anything slow; keep it to what Python starts with, and json.  A look
that fails here is repeated by the code that can say why.
"""

from __future__ import annotations

import json
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from hashlib import sha256

    from torchinf_core.types import Json
else:
    # Python's own code for SHA-256: hashlib would load OpenSSL, a tenth of a warm hit.
    try:
        from _sha2 import sha256  # from Python 3.12 on
    except ImportError:
        try:
            from _sha256 import sha256
        except ImportError:
            from hashlib import sha256


def hex_digest(data: bytes) -> str:
    """64 hex digits over something small; for files hashlib is much faster."""
    return sha256(data).hexdigest()


class Found:
    """A model whose files look as recorded.

    Attributes:
        name: of the model.
        path: the file of a one-file model, the directory of any other.
        sizes: bytes of each file.
    """

    __slots__ = ("name", "path", "sizes")

    def __init__(self, name: str, path: str, sizes: list[int]) -> None:
        self.name = name
        self.path = path
        self.sizes = sizes


def request_key(ref: str, options: Mapping[str, Json], name: str | None) -> str:
    """64 hex digits that are equal for equal requests.

    Args:
        ref: the reference as ``format_ref`` writes it.
        options: options for the source, without those at their default.
        name: explicit name, or None.

    Raises:
        OptionError: an option's value is not JSON.
    """
    try:
        text = json.dumps([ref, dict(sorted(options.items())), name], allow_nan=False)
    except (TypeError, ValueError) as error:
        from torchinf_core.errors import OptionError

        raise OptionError(f"an option's value can't be written as JSON: {error}") from None
    return sha256(text.encode()).hexdigest()


def model_id(name: str) -> str:
    """The file-system name of a model: readable, and one to one with ``name``.

    Lower case and free of separators, so that neither case-insensitive nor
    normalising file systems, reserved names or ``..`` can confuse two models.
    """
    import re  # json has loaded it

    slug = re.sub(r"[^a-z0-9._+-]", "-", name.lower())[:128].lstrip(".")
    return f"{slug}-{sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"


def default_cache_dir() -> str:
    """Where the store is when neither an argument nor a settings file says so."""
    return os.environ.get("TORCHINF_CACHE_DIR") or "~/.torch_inference/models"


def find_name(root: str, name: str) -> Found | None:
    """A model by its name; None when there is none or anything about it is unusual."""
    record = _read_record(root, name)
    return None if record is None else _found(root, record)


def find_request(root: str, key: str) -> Found | None:
    """The model that an equal request brought; None as for :func:`find_name`."""
    try:
        pointer = _read(f"{root}/requests/{key}")
    except OSError:
        return None
    name = pointer.split(b"\n", 1)[0].decode("utf-8", "replace")
    record = _read_record(root, name)
    if record is None:
        return None
    expected = f"{name}\n{record['generation']}\n{record['source']}:{record['model_id']}\n"
    return _found(root, record) if pointer == expected.encode() else None


def _read_record(root: str, name: str) -> dict[str, Json] | None:
    try:
        record = json.loads(_read(f"{root}/records/{model_id(name)}.json"))
        if record["schema"] == 1 and record["name"] == name:
            return dict(record)
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        pass
    return None


def _found(root: str, record: dict[str, Json]) -> Found | None:
    """The model if each of its files has the recorded size, time and inode."""
    try:
        directory = f"{root}/models/{model_id(record['name'])}/{record['generation']}"
        sizes = []
        for file in record["files"]:
            status = os.lstat(f"{directory}/{file['path']}")
            seen = (status.st_size, status.st_mtime_ns, status.st_ino)
            if seen != (file["size"], file["mtime_ns"], file["inode"]):
                return None
            sizes.append(file["size"])
        if not sizes and not os.path.isdir(directory):
            return None
        only = f"/{record['files'][0]['path']}" if len(sizes) == 1 else ""
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return Found(record["name"], directory + only, sizes)


def _read(path: str) -> bytes:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        parts = []
        while part := os.read(fd, 1 << 18):
            parts.append(part)
        return b"".join(parts)
    finally:
        os.close(fd)
