"""Imports httpx, for everybody who needs it: the one module that does.

Its own command line (rich, click, pygments), which it imports when these happen to be
installed, is left out; that is a third of its import time, and nothing here uses it.
"""

import sys

_hidden = "httpx._main" not in sys.modules
if _hidden:
    sys.modules["httpx._main"] = None  # type: ignore[assignment]
try:
    import httpx as httpx  # noqa: PLC0414 - the others take it from here
finally:
    if _hidden:
        del sys.modules["httpx._main"]
