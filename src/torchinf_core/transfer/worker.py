"""One connection of a transfer: fills blocks from the answers to its range requests."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from torchinf_core.network.failures import network_error
from torchinf_core.transfer.requester import RestartError
from torchinf_core.transfer.wire import Answer, BrokenError

if TYPE_CHECKING:
    from torchinf_core.transfer.engine import Transfer
    from torchinf_core.transfer.schedule import Span
    from torchinf_core.transfer.sink import Buffer


class Worker:
    """One connection and the span it is fetching; its own thread runs :meth:`run`."""

    def __init__(self, transfer: Transfer, answer: Answer | None, span: Span | None) -> None:
        self.transfer = transfer
        self.answer = answer
        self.span = span
        self.wanted = True
        self._buffer: Buffer | None = None

    def run(self) -> None:
        """Fetch spans until there are none."""
        error: BaseException | None = None
        try:
            self._fetch_all()
        except BrokenError as raised:
            error = raised.final
        except _AbandonedError:
            pass
        except BaseException as raised:  # noqa: BLE001 - the coordinator raises it
            error = raised
        finally:
            self._drop_buffer()
            if not (isinstance(error, RestartError) and error.answer is self.answer):
                self._drop_answer()
            self.transfer.leave(error)

    def _fetch_all(self) -> None:
        transfer, schedule = self.transfer, self.transfer.schedule
        while self.wanted:
            if self.span is None:
                self.span = schedule.take(len(transfer.workers)) if schedule else None
                if self.span is None:
                    return
                self.span.moved = time.monotonic()
            span = self.span
            try:
                if self.answer is None:
                    self.answer = transfer.requester.ask(span.pos, span.end)
                    self._stay_with(span)
                self._pump(self.answer, span)
            except BrokenError as error:
                self._stay_with(span)
                self._drop_answer()
                if schedule is None:
                    transfer.requester.pause(error)
                    raise RestartError(str(error)) from error  # of unknown length: no resuming
                if transfer.resign():
                    break
                transfer.requester.pause(error)
                continue
            self._drop_answer()
            if schedule is None:
                return
            schedule.finish(span)
            self.span = None
        if self.span is not None and schedule is not None:
            schedule.give_back(self.span)
            self.span = None

    def _pump(self, answer: Answer, span: Span) -> None:
        """Read the body into blocks until the span is complete."""
        transfer = self.transfer
        sink, block, gulp = transfer.sink, transfer.sink.block, transfer.context.meter.gulp
        while span.pos < span.end:
            buffer = self._buffer
            if buffer is None:
                buffer = self._buffer = sink.acquire(span.pos // block)
            room = min(block - buffer.filled, span.end - span.pos, gulp)
            count = answer.readinto(buffer.view[buffer.filled : buffer.filled + room])
            self._stay_with(span)
            if count == 0:
                if transfer.schedule is not None:
                    raise BrokenError(network_error("the answer was too short"))
                self._put(buffer)
                return
            buffer.filled += count
            span.pos += count
            span.moved = time.monotonic()
            if buffer.filled == block or span.pos == span.end:
                self._put(buffer)
            transfer.progress(count)

    def _stay_with(self, span: Span) -> None:
        if self.span is not span:
            raise _AbandonedError

    def _put(self, buffer: Buffer) -> None:
        self._buffer = None
        if buffer.filled:
            self.transfer.sink.put(buffer)
        else:
            self.transfer.sink.release(buffer)

    def _drop_buffer(self) -> None:
        if self._buffer is not None:
            self.transfer.context.meter.discard(self._buffer.filled)
            self.transfer.sink.release(self._buffer)
            self._buffer = None

    def _drop_answer(self) -> None:
        if self.answer is not None:
            self.answer.close()
            self.answer = None


class _AbandonedError(Exception):
    """The transfer went on without this worker, which stood still for too long."""
