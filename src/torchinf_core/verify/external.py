"""The external data of an ONNX model, just before a runtime opens the model.

What a download let through is looked at again on the disk: a runtime follows every
path in the graph, and would read any file of this machine into the weights.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from torchinf_core.errors import FormatError
from torchinf_core.types import StoredFile

SCANNED = 16 << 20
"""Bytes of a graph that is searched before it is parsed; that takes milliseconds."""


def check_external(directory: Path, main: str, files: Iterable[StoredFile]) -> tuple[str, ...]:
    """See that a model reads nothing but its own files.

    Args:
        directory: of the model.
        main: path of the ``.onnx`` file in it.
        files: of the model.

    Returns:
        the paths, relative to ``directory``, of the files it reads; sorted.

    Raises:
        FormatError: it would read another file, a link, or more than a file has.
    """
    own = {file.path: file for file in files}
    _check_file(directory, main, own, main)
    folder = PurePosixPath(main).parent
    found = {(folder / path).as_posix(): end for path, end in _reads(directory, main).items()}
    for path, end in sorted(found.items()):
        info = _check_file(directory, path, own, main)
        if info.st_nlink != 1:
            raise FormatError(f"{main} reads {path}, which is linked from elsewhere")
        if info.st_size < end:
            raise FormatError(
                f"{main} reads {end} bytes of {path}, which has {info.st_size}",
                hint="the model is broken, or was cut; download it again",
            )
    return tuple(sorted(found))


def _reads(directory: Path, main: str) -> dict[str, int]:
    try:
        with open(directory / main, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            # A runtime knows an external file by this key alone, so without it there is none.
            if size <= SCANNED and b"location" not in file.read():
                return {}
            file.seek(0)
            from torchinf_core.verify.onnxfile import external_data  # 3 ms that most models save

            return external_data(file, size)
    except FormatError as error:
        raise FormatError(f"{main} {error}") from None


def _check_file(
    directory: Path, path: str, own: dict[str, StoredFile], main: str
) -> os.stat_result:
    if path not in own:
        raise FormatError(
            f"{main} reads {path}, which is not among the model's files",
            hint="download the model with all its files",
        )
    place = directory / path
    try:
        info = place.lstat()
    except OSError as error:
        raise FormatError(
            f"{path} can't be read: {error.strerror}", hint="torchinf verify checks the model"
        ) from None
    real = os.path.join(os.path.realpath(directory), *PurePosixPath(path).parts)
    if not stat.S_ISREG(info.st_mode) or os.path.realpath(place) != real:
        raise FormatError(f"{path} is no regular file below the model's directory")
    if info.st_size != own[path].size:
        raise FormatError(
            f"{path} has {info.st_size} bytes instead of {own[path].size}",
            hint="torchinf verify checks the model",
        )
    return info
