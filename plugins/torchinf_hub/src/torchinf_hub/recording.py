"""Records what trusted code downloads: runs it in a process of its own and fetches for it.

Every file goes through the transfer engine into the model's record, so that
loading needs no connection afterwards.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import IO, Any

from torchinf_core import errors
from torchinf_core.errors import LoadError, PolicyError, TorchinfError
from torchinf_core.manager import ModelDownloader
from torchinf_core.refs import redact
from torchinf_core.types import Event, ModelInfo, Record, RemoteFile
from torchinf_core.verify import fold_path, safe_filename
from torchinf_hub.executing import program_of
from torchinf_hub.plans import digest_in_name, weights_folder
from torchinf_hub.running import find_record
from torchinf_hub.trusting import require_trust

MAX_LINE = 1 << 20


def capture(
    name: str,
    downloader: ModelDownloader,
    *,
    entry: str | None = None,
    arguments: Mapping[str, Any] | None = None,
    installed: Sequence[str] = (),
    on_event: Callable[[Event], None] | None = None,
) -> ModelInfo:
    """Run a stored model's entry point once, and record every file it fetches.

    Args:
        name: of the model.
        downloader: of the store that has it.
        entry: as for :func:`torchinf_hub.running.load`.
        arguments: as there.
        installed: as there.
        on_event: told about the transfers.

    Raises:
        UntrustedError: nobody has decided that this code may run; it did not.
        LoadError: the code failed; its traceback went to stderr.
        TorchinfError: as for a download.
    """
    record = find_record(name, downloader)
    require_trust(record, downloader.settings)
    with downloader.store.lease():
        root = downloader.store.model_dir(record)
        program = program_of(record, root, entry, dict(arguments or {}), installed)
        order = asdict(program)
        order["files"], order["addresses"] = dict(program.files), dict(program.addresses)
        _Session(record, downloader, on_event).run(order)
    return downloader.get_model_info(record.name)


class _Session:
    """One run: the child's questions, and our answers."""

    def __init__(
        self, record: Record, downloader: ModelDownloader, on_event: Callable[[Event], None] | None
    ) -> None:
        self._record = record
        self._downloader = downloader
        self._on_event = on_event
        self._trouble: TorchinfError | None = None

    def run(self, order: dict[str, Any]) -> None:
        """Start the child and serve it until it ends.

        Raises:
            TorchinfError: it failed, or a file it asked for could not be had.
        """
        child_reads, we_write = os.pipe()
        we_read, child_writes = os.pipe()
        with (
            open(we_read, encoding="utf-8", errors="replace") as questions,
            open(we_write, "w", encoding="utf-8") as orders,
            tempfile.TemporaryDirectory(prefix="torchinf-hub-capture-") as folder,
        ):
            try:
                child = self._start(child_reads, child_writes, folder)
            finally:
                os.close(child_reads)
                os.close(child_writes)
            try:
                ended = self._serve(order, questions, orders)
            finally:
                child.kill()  # it has nothing more to do, whatever it says
                child.wait()
        self._judge(ended, child.returncode)

    def _start(self, reads: int, writes: int, folder: str) -> subprocess.Popen[bytes]:
        environment = {
            key: value for key, value in os.environ.items() if not key.startswith("TORCHINF_TOKEN_")
        }
        return subprocess.Popen(  # noqa: S603 - this Python, and nothing of the user's
            [sys.executable, "-m", "torchinf_hub.capture", str(reads), str(writes)],
            pass_fds=(reads, writes),
            stdin=subprocess.DEVNULL,
            stdout=sys.stderr.fileno() if _has_descriptor(sys.stderr) else subprocess.DEVNULL,
            cwd=folder,
            env=environment,
        )

    def _serve(self, order: dict[str, Any], questions: IO[str], orders: IO[str]) -> dict[str, Any]:
        try:
            _tell(orders, order)
            while line := questions.readline(MAX_LINE):
                message = json.loads(line)
                if "ask" not in message:
                    return dict(message)
                _tell(orders, self._answer(str(message["ask"]), message.get("prefix")))
        except (BrokenPipeError, ValueError):
            pass
        return {}

    def _answer(self, url: str, prefix: str | None) -> dict[str, Any]:
        try:
            return self._fetch(url, prefix)
        except TorchinfError as error:
            self._trouble = error
            return {"error": str(error)}

    def _fetch(self, url: str, prefix: str | None) -> dict[str, Any]:
        if not url.startswith(("https://", "http://")):
            raise PolicyError(f"the code asks for {redact(url)}, which is no http(s) URL")
        record = self._downloader.get_record(self._record.name)
        wanted = digest_in_name(f"https://x/-{prefix}.", checked=True) if prefix else None
        path = _path_for(url, record)
        file = RemoteFile(path, url, sha256_prefix=wanted)
        root, info = self._downloader.add_files(record.name, [file], on_event=self._on_event)
        sha256 = next(file.sha256 for file in info.record.files if file.path == path)
        return {"path": str(root / path), "sha256": sha256}

    def _judge(self, ended: dict[str, Any], status: int) -> None:
        if ended.get("done"):
            return
        if self._trouble is not None:
            raise self._trouble
        if "failed" in ended:
            kind = getattr(errors, str(ended.get("kind")), LoadError)
            if not (isinstance(kind, type) and issubclass(kind, TorchinfError)):
                kind = LoadError
            raise kind(str(ended["failed"]), hint=str(ended.get("hint", "")))
        raise LoadError(
            f"the code of {self._record.name!r} ended its process with status {status}",
            hint="what it wrote to stderr may tell why",
        )


def _path_for(url: str, record: Record) -> str:
    """A path for a file of the model that no other file has."""
    code = {file.path: file.sha256 for file in record.files if not file.url}
    taken = {fold_path(file.path) for file in record.files}
    folder, name = weights_folder(code), safe_filename(url)
    number = 1
    while fold_path(f"{folder}/{name}") in taken:
        number += 1
        name = f"{number}-{safe_filename(url)}"[-255:]
    return f"{folder}/{name}"


def _has_descriptor(stream: Any) -> bool:
    try:
        return isinstance(stream.fileno(), int)
    except (OSError, ValueError, AttributeError):
        return False


def _tell(pipe: IO[str], message: dict[str, Any]) -> None:
    pipe.write(json.dumps(message) + "\n")
    pipe.flush()
