"""Asking for one file: retries, mirrors, and what an answer must prove first."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from torchinf_core.network import retry
from torchinf_core.settings import Settings
from torchinf_core.transfer import answers
from torchinf_core.transfer.meter import Meter
from torchinf_core.transfer.partial import Source
from torchinf_core.transfer.wire import Answer, BrokenError, Wire
from torchinf_core.types import Event, RemoteFile


@dataclass(frozen=True, slots=True)
class Context:
    """What all transfers of one download share."""

    wire: Wire
    meter: Meter
    settings: Settings
    stop: threading.Event
    on_event: Callable[[Event], None]


class RestartError(Exception):
    """What is there can't be continued; ``answer`` is a usable start from byte 0, or None."""

    def __init__(self, reason: str, answer: Answer | None = None) -> None:
        super().__init__(reason)
        self.answer = answer


class Requester:
    """Sends the requests for one file, from any of its workers.

    Attributes:
        known: what the bytes received so far are a part of; None before the
            first answer.
        latency: seconds from the last request to its answer.
    """

    def __init__(self, file: RemoteFile, context: Context) -> None:
        self.file = file
        self.context = context
        self.known: Source | None = None
        self.latency = 0.0
        self._sources = (file.url, *file.mirrors)
        self._current = 0
        self._failures = 0
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        """The source being asked now."""
        return self._sources[self._current]

    @property
    def resumable(self) -> bool:
        """Whether a continuation can be told from another version of the file."""
        return self.known is not None and (
            self.file.sha256 is not None or answers.strong_validator(self.known) is not None
        )

    def ask(self, start: int, end: int | None, *, may_restart: bool = False) -> Answer:
        """GET ``[start, end)`` of what is known, or all of a file that is not known yet.

        Args:
            start: first byte.
            end: behind the last byte, or None for all that follow.
            may_restart: return an answer with the whole file, too.

        Raises:
            RestartError: what is there can't be continued.
            TorchinfError: no attempt succeeded.
        """
        while True:
            answer: Answer | None = None
            began = time.monotonic()
            try:
                known = self.known
                headers = {} if known is None else answers.range_headers(start, end, known)
                answer = self.context.wire.get(self.url, headers)
                if known is None:
                    answers.check_whole(answer, self.file)
                else:
                    answers.check_range(answer, start, known, may_restart=may_restart)
            except answers.ChangedError as error:
                if answer is not None and error.answer is not answer:
                    answer.close()
                raise RestartError(str(error), error.answer) from error
            except BrokenError as error:
                if answer is not None:
                    answer.close()
                self.pause(error)
            except BaseException:
                if answer is not None:
                    answer.close()
                raise
            else:
                self.latency = time.monotonic() - began
                return answer

    def pause(self, error: BrokenError) -> None:
        """Wait before another attempt.

        Raises:
            TorchinfError: when the budget of attempts without progress is used up.
            RestartError: when the next attempt goes to a mirror, and nothing
                would prove that its bytes fit to those that are there.
        """
        stop, settings = self.context.stop, self.context.settings
        with self._lock:
            self._failures += 1
            failures = self._failures
        most = max(settings.retries, 2 * len(self._sources) if self.file.mirrors else 1)
        if stop.is_set() or failures >= most:
            raise error.final from error
        seconds = retry.pause_before(failures, error.retry_after)
        message = f"{error}; trying again in {seconds:.1f} s"
        self.context.on_event(Event("retry", self.file.path, message=message))
        retry.sleep(seconds, stop)
        self.context.meter.forget_speed()
        if stop.is_set():
            raise error.final from error
        if len(self._sources) > 1 and failures % 2 == 0:
            self._current = (self._current + 1) % len(self._sources)
            if self.file.sha256 is None and self.known is not None:
                raise RestartError("the next mirror may hold another version")

    def progress(self) -> None:
        """Bytes arrived: the budget of attempts is whole again."""
        self._failures = 0
