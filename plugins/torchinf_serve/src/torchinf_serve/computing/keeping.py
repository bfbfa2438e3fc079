"""What stays for long is not looked at by Python's garbage collector again and again.

With a web framework, runtimes and a thousand clients in memory one look takes a tenth
of a second, in which nobody is answered; and it came every second or two.
"""

from __future__ import annotations

import gc
import sys

SWITCH_SECONDS = 0.001
"""Python's own are 0.005, of which an answer needs several."""
YOUNG = 10_000
"""New objects after which is looked for what can be freed; with Python's own 700 the
requests that wait are looked at five times a second."""


def share() -> None:
    """Let the thread that answers have its turn soon while another computes."""
    sys.setswitchinterval(SWITCH_SECONDS)
    gc.set_threshold(YOUNG, 10, 10)


def keep() -> None:
    """Take all there is now as lasting: a server that has started, a model that was loaded."""
    gc.freeze()


def let_go() -> None:
    """Free what was lasting and is not needed any more, which takes a moment."""
    gc.unfreeze()
    gc.collect()
    gc.freeze()
