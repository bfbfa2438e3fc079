"""Puts recorded files in the place of torch.hub's downloads while an entry point runs.

The one module that reaches into torch.hub: its two download functions, the
``urlopen`` below them, ``load`` and the directory that it keeps files in.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.message import Message
from pathlib import Path
from typing import Any, BinaryIO, Self

from torchinf_core.errors import IntegrityError, UntrustedError
from torchinf_core.refs import redact

Serve = Callable[[str, str | None], tuple[Path, str]]
"""Gives the verified file for a URL and its sha256; told the digits the code expects."""

_lock = threading.RLock()


@contextmanager
def redirected(serve: Serve, folder: Path) -> Iterator[None]:
    """For the block, let torch.hub take files from ``serve`` and keep them in ``folder``.

    Args:
        serve: asked for each URL; raises for one that is not to be had.
        folder: in place of torch.hub's own directory.
    """
    import torch.hub as hub

    def download_url_to_file(
        url: str, dst: str, hash_prefix: str | None = None, progress: bool = True
    ) -> None:
        del progress
        _place(_checked(serve(url, hash_prefix), hash_prefix, url), Path(dst).expanduser(), folder)

    def urlopen(request: Any, *_: Any, **__: Any) -> _Answer:
        url = request if isinstance(request, str) else request.full_url
        return _Answer(serve(url, None)[0])

    def load(repo_or_dir: str, model: str, *given: Any, source: str = "github", **more: Any) -> Any:
        if source == "local":
            return before["load"](repo_or_dir, model, *given, source="local", **more)
        raise UntrustedError(
            f"the code wants to load the code of another repository: {repo_or_dir}",
            hint=f"torchinf download hub:{repo_or_dir}/{model} --trust, and load that by itself",
        )

    changes = {
        "download_url_to_file": download_url_to_file,
        "urlopen": urlopen,
        "load": load,
        "_hub_dir": str(folder),
    }
    with _lock:
        before = {name: getattr(hub, name) for name in changes}
        vars(hub).update(changes)
        try:
            yield
        finally:
            vars(hub).update(before)


def make_folder(root: Path, names: list[str]) -> Path:
    """A directory for torch.hub, in which the code is found where it may look for itself.

    It is removed when the process ends: a model may read from it at any time.

    Args:
        root: of the code.
        names: what torch.hub would call its directory.
    """
    folder = Path(tempfile.mkdtemp(prefix="torchinf-hub-run-"))
    atexit.register(_remove, str(folder), os.getpid())
    (folder / "checkpoints").mkdir()
    for name in names:
        (folder / name).symlink_to(root, target_is_directory=True)
    return folder


def _remove(folder: str, process: int) -> None:
    if process == os.getpid():
        shutil.rmtree(folder, ignore_errors=True)


def _checked(found: tuple[Path, str], prefix: str | None, url: str) -> Path:
    path, sha256 = found
    if prefix and not sha256.startswith(prefix.lower()):
        raise IntegrityError(
            f"the code expects a sha256 that begins with {prefix} for {redact(url)}; "
            f"that of the file is {sha256}"
        )
    return path


def _place(path: Path, target: Path, folder: Path) -> None:
    """A link within torch.hub's directory, which is ours; a copy anywhere else."""
    target.unlink(missing_ok=True)
    if folder.resolve() in target.resolve().parents:
        target.symlink_to(path)
    else:
        shutil.copyfile(path, target)


class _Answer:
    """As much of an HTTP answer as torch.hub reads."""

    def __init__(self, path: Path) -> None:
        self._file: BinaryIO = open(path, "rb")  # noqa: SIM115 - closed by __exit__
        self._size = path.stat().st_size

    def info(self) -> Message:
        """The headers."""
        message = Message()
        message["Content-Length"] = str(self._size)
        return message

    def read(self, size: int = -1) -> bytes:
        """The next bytes."""
        return self._file.read(size)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
