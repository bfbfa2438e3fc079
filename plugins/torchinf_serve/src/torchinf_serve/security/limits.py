"""How often one token may ask, and in which order what was asked has its turn."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable


class Rate:
    """A bucket for each caller: full at first, filled again evenly.

    Args:
        rate: requests a second; 0 lets all pass.
        burst: requests at once after a pause.
        clock: seconds; for tests.
    """

    def __init__(
        self, rate: float, burst: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._rate = rate
        self._burst = float(burst)
        self._clock = clock
        self._left: dict[str, tuple[float, float]] = {}

    def wait(self, caller: str) -> float:
        """0.0 and one request less, or the seconds after which there is one again."""
        if not self._rate:
            return 0.0
        now = self._clock()
        left, since = self._left.get(caller, (self._burst, now))
        left = min(self._burst, left + (now - since) * self._rate)
        if left < 1.0:
            self._left[caller] = (left, now)
            return (1.0 - left) / self._rate
        self._left[caller] = (left - 1.0, now)
        return 0.0


class Turnstile:
    """Lets few requests through in each round of the event loop.

    A thousand requests that come at once would else all have their turn before
    anything that comes a moment later: a prediction, or the question for health.

    Args:
        many: that have their turn in one round.
    """

    def __init__(self, many: int = 1) -> None:
        self._many = many
        self._left = many
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._turning = False

    async def enter(self) -> None:
        """Wait for one's turn."""
        loop = asyncio.get_running_loop()
        if not self._turning:
            self._turning = True
            self._left = self._many
            loop.call_soon(self._turn, loop)
        if self._left and not self._waiting:
            self._left -= 1
            return
        turn: asyncio.Future[None] = loop.create_future()
        self._waiting.append(turn)
        await turn

    def _turn(self, loop: asyncio.AbstractEventLoop) -> None:
        self._left = self._many
        while self._waiting and self._left:
            turn = self._waiting.popleft()
            if not turn.done():  # cancelled: the client left
                turn.set_result(None)
                self._left -= 1
        # A round more when anybody had a turn in this one: who comes next waits for it.
        self._turning = self._left < self._many
        if self._turning:
            loop.call_soon(self._turn, loop)
