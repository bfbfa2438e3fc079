"""When to try again, and how long to wait first.

One policy for metadata requests and for transfers: exponential, jittered,
capped, and obedient to ``Retry-After`` within reason.
"""

from __future__ import annotations

import random
import time
from email.utils import parsedate_to_datetime
from threading import Event

STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})
"""HTTP answers that another attempt may change."""
FIRST_PAUSE = 0.5
LONGEST_PAUSE = 30.0
LONGEST_RETRY_AFTER = 60.0


def pause_before(attempt: int, retry_after: float | None = None) -> float:
    """Seconds to wait before attempt number ``attempt`` (the first repeat is 1).

    Half to all of an exponential step, so that many clients do not return at
    once; a server's wish is honoured up to a minute.
    """
    if retry_after is not None:
        return min(max(retry_after, 0.0), LONGEST_RETRY_AFTER)
    step = min(FIRST_PAUSE * 2.0 ** min(attempt - 1, 20), LONGEST_PAUSE)
    return step * (0.5 + random.random() / 2)


def parse_retry_after(value: str | None, now: float | None = None) -> float | None:
    """Seconds asked for by a ``Retry-After`` header, or None.

    Both forms of RFC 9110 §10.2.3; what is neither, or lies in the past, counts
    as not asked for.
    """
    if not value:
        return None
    value = value.strip()
    if value.isascii() and value.isdigit():
        return min(float(value), 1e9)
    try:
        when = parsedate_to_datetime(value).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None
    seconds = when - (time.time() if now is None else now)
    return seconds if seconds > 0 else None


def sleep(seconds: float, stop: Event | None = None) -> None:
    """Wait; ends early when ``stop`` is set.  Tests replace this function."""
    if stop is not None:
        stop.wait(seconds)
    else:
        time.sleep(seconds)
