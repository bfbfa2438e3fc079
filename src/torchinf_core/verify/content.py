"""What a file is, by its content.

:func:`sniff` looks at the first kilobytes and at headers, never at a whole big
file, and never unpickles or runs anything.  A name can make a verdict stricter,
never milder.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from torchinf_core.errors import FormatError, PolicyError, StoreError
from torchinf_core.types import Trust
from torchinf_core.verify import gguf, onnxfile, safetensors, torchfile
from torchinf_core.verify.impostors import WEIGHTS, refuse_impostor
from torchinf_core.verify.sniffed import Sniffed

HEAD = 4096

Judge = Callable[[BinaryIO, int], Sniffed]


@dataclass(frozen=True, slots=True)
class _Magic:
    """A format told by fixed bytes at a fixed place."""

    magic: bytes
    judge: Judge
    offset: int = 0


def _as(kind: str, trust: Trust = Trust.DATA) -> Judge:
    return lambda _file, _size: Sniffed(kind, trust)


_MAGICS = (
    _Magic(b"PK\3\4", torchfile.judge_zip),
    _Magic(b"PK\5\6", _as("zip")),
    _Magic(gguf.MAGIC, gguf.judge),
    _Magic(b"\x7fELF", _as("library", Trust.CODE)),
    _Magic(b"\xcf\xfa\xed\xfe", _as("library", Trust.CODE)),
    _Magic(b"ptrt", _as("tensorrt", Trust.CODE)),
    _Magic(b"ftrt", _as("tensorrt", Trust.CODE)),
    _Magic(b"\x1f\x8b", _as("gzip")),
    _Magic(b"BZh", _as("bzip2")),
    _Magic(b"\xfd7zXZ\0", _as("xz")),
    _Magic(b"\x28\xb5\x2f\xfd", _as("zstd")),
    _Magic(b"ustar", _as("tar"), 257),
    _Magic(b"\x89HDF\r\n\x1a\n", _as("hdf5")),
    *(_Magic(bytes((0x80, protocol)), torchfile.judge_pickle) for protocol in range(2, 6)),
)

# What a name claims and a loader would believe: any other content is refused.
_TORCH = ("torch", "torchscript", "torch-export", "torch-package", "pickle", "safetensors")
_CLAIMS: dict[str, tuple[str, ...]] = {
    ".safetensors": ("safetensors",),
    ".onnx": ("onnx",),
    ".gguf": ("gguf",),
    **dict.fromkeys((".pt", ".pth", ".pt2", ".jit", ".ptl", ".th"), _TORCH),
}
_CLAIMED_JUDGES: dict[str, Judge] = {
    ".safetensors": safetensors.judge,
    ".onnx": onnxfile.judge,
    ".gguf": gguf.judge,
}

# Names that make others run a file, or read it in a way its first bytes don't show.
_BY_SUFFIX = {
    ".json": Sniffed("json"),
    **dict.fromkeys((".py", ".pyc"), Sniffed("python", Trust.CODE)),
    **dict.fromkeys((".so", ".dylib", ".dll", ".pyd"), Sniffed("library", Trust.CODE)),
    **dict.fromkeys((".engine", ".plan", ".trt"), Sniffed("tensorrt", Trust.CODE)),
}
_PICKLES = frozenset((".pkl", ".pickle", ".joblib", ".dill"))
_UNPICKLED = _PICKLES | {".pt", ".pth", ".ckpt", ".bin"}
_COMPRESSED = frozenset(("gzip", "bzip2", "xz", "zstd"))


def sniff(path: str | Path, name: str) -> Sniffed:
    """Say what a file is, and refuse what can't be what its name claims.

    Args:
        path: of the bytes, a regular file.
        name: what the file is called in its model; its extension matters.

    Raises:
        FormatError: an HTML page, a Git LFS pointer, an empty weight file, a
            damaged or hostile header, content that belies the extension.
        PolicyError: a zip of too many members.
        StoreError: when the file can't be read.
    """
    try:
        with open(path, "rb", opener=_open_regular) as file:
            size = os.fstat(file.fileno()).st_size
            return _judge(file, size, name)
    except FormatError as error:
        raise FormatError(f"{name!a} {error}", hint=error.hint) from None
    except PolicyError as error:
        raise PolicyError(f"{name!a} {error}", hint=error.hint) from None
    except OSError as error:
        raise StoreError(f"{name!a} can't be read: {error.strerror}") from error


def _open_regular(path: str, flags: int) -> int:
    descriptor = os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise FormatError("is not a regular file")
    return descriptor


def _judge(file: BinaryIO, size: int, name: str) -> Sniffed:
    head = file.read(HEAD)
    refuse_impostor(head, size, name)
    suffix = PurePosixPath(name).suffix.lower()
    if suffix in _CLAIMED_JUDGES:
        return _CLAIMED_JUDGES[suffix](file, size)
    found = _by_content(file, head, size, suffix)
    claimed = _CLAIMS.get(suffix, ())
    if claimed and found.format not in claimed:
        what = f"holds {found.format}" if found.format else "holds something else"
        raise FormatError(f"is not a torch file; it {what}")
    by_name = _BY_SUFFIX.get(suffix, Sniffed(None))
    return Sniffed(found.format or by_name.format, max(found.trust, by_name.trust), found.external)


def _by_content(file: BinaryIO, head: bytes, size: int, suffix: str) -> Sniffed:
    try:
        found = _by_magic(file, head, size)
    except (FormatError, PolicyError):
        # Damage matters in what somebody would load, not in an attachment of a repository.
        if suffix in WEIGHTS or not suffix:
            raise
        return Sniffed(None)
    # Some loaders unpack what they then unpickle, and some pickles have no magic.
    hidden = suffix in _UNPICKLED and found.format in _COMPRESSED
    if hidden or (suffix in _PICKLES and found.format is None):
        return Sniffed(found.format or "pickle", Trust.CODE)
    return found


def _by_magic(file: BinaryIO, head: bytes, size: int) -> Sniffed:
    for entry in _MAGICS:
        if head.startswith(entry.magic, entry.offset):
            return entry.judge(file, size)
    if safetensors.looks_like(head, size):
        return safetensors.judge(file, size)
    if head[:1] == b"\x08" and (found_onnx := _perhaps_onnx(file, size)):
        return found_onnx
    if torchfile.is_code_pickle(file, size):
        return Sniffed("pickle", Trust.CODE)
    return Sniffed(None)


def _perhaps_onnx(file: BinaryIO, size: int) -> Sniffed | None:
    try:
        return onnxfile.judge(file, size)
    except FormatError:
        return None
