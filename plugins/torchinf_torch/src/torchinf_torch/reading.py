"""Reads tensors by name from safetensors and checkpoints, mapped from the file where that pays.

Mapped tensors cost no memory of their own until they are used, and then share the
page cache.  Over a network each page would be a round trip, so files there are read
whole, into one piece of memory that the tensors are views of.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from torchinf_core.errors import FormatError, StoreError, TorchinfError
from torchinf_core.runtimes import Artifact
from torchinf_core.store.locks import on_network
from torchinf_core.types import StoredFile
from torchinf_core.verify import safetensors
from torchinf_torch import limits

Tensors = dict[str, Any]
"""Name → ``torch.Tensor``."""

WRAPPERS = ("state_dict", "model_state_dict", "model", "module", "net", "params")
"""Keys below which training scripts put the state dict."""

_DTYPES = {
    "BOOL": "bool",
    "U8": "uint8",
    "I8": "int8",
    "U16": "uint16",
    "I16": "int16",
    "F16": "float16",
    "BF16": "bfloat16",
    "U32": "uint32",
    "I32": "int32",
    "F32": "float32",
    "U64": "uint64",
    "I64": "int64",
    "F64": "float64",
    "C64": "complex64",
    "F8_E4M3": "float8_e4m3fn",
    "F8_E5M2": "float8_e5m2",
    "F8_E8M0": "float8_e8m0fnu",
    "F8_E4M3FNUZ": "float8_e4m3fnuz",
    "F8_E5M2FNUZ": "float8_e5m2fnuz",
}


def read_all(torch: Any, artifact: Artifact, files: Iterable[str | StoredFile]) -> Tensors:
    """The tensors of several files of an artifact together.

    Args:
        torch: the module.
        artifact: that has them.
        files: safetensors and checkpoints, or parts of one.

    Raises:
        FormatError: one is damaged or hostile, or two hold the same tensor.
        PolicyError: a checkpoint names code.
        StoreError: one can't be read.
    """
    known = {file.path: file for file in artifact.files}
    tensors: Tensors = {}
    mapped = not on_network(str(artifact.directory))
    for file in files:
        stored = file if isinstance(file, StoredFile) else known.get(file)
        name = file.path if isinstance(file, StoredFile) else file
        if stored is None:
            raise FormatError(f"{artifact.name!r} has no file {name!a} for its weights")
        found = _read(torch, artifact.path(name), stored, mapped=mapped)
        if twice := next((key for key in found if key in tensors), None):
            raise FormatError(f"{name!a} has a tensor that another file has too: {twice[:80]!r}")
        if not tensors:
            tensors = found
        else:
            tensors.update(found)
    return tensors


def _read(torch: Any, path: Path, file: StoredFile, *, mapped: bool) -> Tensors:
    is_safetensors = file.format == "safetensors" or (
        file.format is None and file.path.endswith(".safetensors")
    )
    try:
        if is_safetensors:
            return read_safetensors(torch, path, file.path, mapped=mapped)
        return read_checkpoint(torch, path, file.path, mapped=mapped)
    except OSError as error:
        raise StoreError(f"{file.path!a} can't be read: {error.strerror or error}") from error


def read_safetensors(torch: Any, path: Path, name: str, *, mapped: bool = True) -> Tensors:
    """The tensors of a safetensors file.

    Args:
        torch: the module.
        path: of the file.
        name: of the file, for messages.
        mapped: map it into memory instead of reading it.

    Raises:
        FormatError: the header breaks a rule, or a dtype is unknown to this torch.
    """
    with open(path, "rb") as file:
        size = file.seek(0, 2)
        try:
            safetensors.judge(file, size)
        except FormatError as error:
            raise FormatError(f"{name!a} {error}", hint=error.hint) from None
        file.seek(0)
        start = 8 + int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(start - 8))
        header.pop("__metadata__", None)
        if mapped:
            # Private: what a module writes into its buffers stays out of the file.
            whole = torch.UntypedStorage.from_file(str(path), False, size)
            data = torch.empty(0, dtype=torch.uint8).set_(whole)[start:]
        else:
            data = torch.empty(size - start, dtype=torch.uint8)
            if file.readinto(data.numpy()) != size - start:
                raise FormatError(f"{name!a} became shorter while it was read")
    return {key: _view(torch, data, entry, name) for key, entry in header.items()}


def _view(torch: Any, data: Any, entry: Mapping[str, Any], name: str) -> Any:
    dtype = getattr(torch, _DTYPES.get(entry["dtype"], ""), None)
    if dtype is None:
        raise FormatError(f"{name!a} has tensors of {entry['dtype']}, which this torch lacks")
    begin, end = entry["data_offsets"]
    piece = data[begin:end]
    if piece.storage_offset() % dtype.itemsize:
        piece = piece.clone()
    return piece.view(dtype).view(entry["shape"])


def read_checkpoint(torch: Any, path: Path, name: str, *, mapped: bool = True) -> Tensors:
    """The state dict of a checkpoint, taken out of what training wrapped around it.

    Args:
        torch: the module.
        path: of the file.
        name: of the file, for messages.
        mapped: map it where its form allows that.

    Raises:
        FormatError: it is damaged or hostile, or holds no state dict.
        PolicyError: it names code.
    """
    written = limits.check_checkpoint(path, name)
    try:
        with warnings.catch_warnings():
            # torch warns of classes of its own that its old files name.
            warnings.filterwarnings("ignore", "TypedStorage is deprecated", UserWarning)
            loaded = torch.load(
                str(path), map_location="cpu", weights_only=True, mmap=mapped and written == "zip"
            )
    except OSError:
        raise
    except Exception as error:
        if isinstance(error, TorchinfError):
            raise
        raise limits.translate(error, name) from error
    return _unwrap(torch, loaded, name)


def _unwrap(torch: Any, loaded: Any, name: str) -> Tensors:
    found = loaded
    for _ in range(3):
        if not isinstance(found, Mapping):
            break
        inside = next((found[key] for key in WRAPPERS if isinstance(found.get(key), Mapping)), None)
        if any(isinstance(value, torch.Tensor) for value in found.values()) or inside is None:
            break
        found = inside
    if not isinstance(found, Mapping):
        raise FormatError(f"{name!a} holds a {type(found).__name__}, not a state dict")
    tensors = {k: v for k, v in found.items() if isinstance(v, torch.Tensor)}
    if found and not tensors:
        keys = ", ".join(repr(key)[:40] for key in list(found)[:4])
        raise FormatError(f"{name!a} holds no state dict but {keys}")
    return {str(key): value for key, value in tensors.items()}
