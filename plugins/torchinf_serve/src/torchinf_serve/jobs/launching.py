"""Starts the process of a job, and is sure to see its end."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any, Protocol

_LONGEST_LINE = 1 << 20
_GRACE = 5.0


class SilentError(Exception):
    """A worker gave no sign of life."""


class Worker(Protocol):
    """A running job, wherever it runs."""

    pid: int

    def events(self, silence: float) -> AsyncIterator[dict[str, Any]]:
        """What it tells, until it has no more to tell.

        Raises:
            SilentError: it told nothing for ``silence`` seconds.
        """

    async def end(self, *, kill: bool = False) -> int:
        """Its exit status, negative for a signal; asked to stop before, if need be."""


class ProcessWorker:
    """A job in a process and process group of its own."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.pid = process.pid

    async def events(self, silence: float) -> AsyncIterator[dict[str, Any]]:
        """See :class:`Worker`."""
        stdout = self._process.stdout
        assert stdout is not None
        while True:
            try:
                line = await asyncio.wait_for(stdout.readline(), silence)
            except TimeoutError:
                raise SilentError from None
            except ValueError:
                continue  # a line that no worker of ours writes
            if not line.endswith(b"\n"):
                return
            with suppress(ValueError):
                event = json.loads(line)
                if isinstance(event, dict):
                    yield event

    async def end(self, *, kill: bool = False) -> int:
        """See :class:`Worker`."""
        if self._process.returncode is None and kill:
            self._signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(self._process.wait(), _GRACE)
        except TimeoutError:
            self._signal(signal.SIGKILL)
            await self._process.wait()
        # Whatever else it started ends with it.
        self._signal(signal.SIGKILL)
        if self._process.stdin is not None:
            self._process.stdin.close()
        assert self._process.returncode is not None
        return self._process.returncode

    def _signal(self, number: int) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)


async def launch(job: dict[str, Any], cwd: str) -> Worker:
    """Start the process of a job.

    Args:
        job: as :func:`torchinf_serve.jobs.worker.work` takes it.
        cwd: directory it runs in.
    """
    # hf_xet makes connections of its own, which nobody checks.
    environment = {**os.environ, "TORCHINF_HF_XET": "off"}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-P",  # what lies in the directory is no module
        "-m",
        "torchinf_serve.jobs.worker",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        cwd=cwd,
        env=environment,
        limit=_LONGEST_LINE,
        start_new_session=True,
    )
    assert process.stdin is not None
    with suppress(ConnectionError):
        process.stdin.write(json.dumps(job).encode() + b"\n")
        await process.stdin.drain()
    return ProcessWorker(process)
