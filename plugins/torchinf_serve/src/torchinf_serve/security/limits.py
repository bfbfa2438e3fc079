"""How often one token may ask."""

from __future__ import annotations

import time
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
