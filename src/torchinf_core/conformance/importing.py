"""Imports a plugin in a process of its own: ``python -m torchinf_core.conformance.importing M``.

Prints as JSON what that did, for only a fresh process can tell.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import os
import sys
import time
from typing import Any

from torchinf_core.conformance.watching import watching


def main(module: str) -> dict[str, Any]:
    """Import the module; what it loaded, did, printed and changed."""
    import torchinf_core
    from torchinf_core import hookspecs  # noqa: F401 - every plugin has these

    for name in dir(torchinf_core):  # what the core brings is not the plugin's doing
        getattr(torchinf_core, name)
    before, environ = set(sys.modules), dict(os.environ)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        with watching() as watch:
            started = time.perf_counter()
            importlib.import_module(module)
            seconds = time.perf_counter() - started
    return {
        "foreign": sorted({_top(name) for name in set(sys.modules) - before} - _own(module)),
        "connections": watch.connections,
        "processes": watch.processes,
        "written": watch.written,
        "printed": printed.getvalue(),
        "environ": sorted(
            name for name in {*environ, *os.environ} if environ.get(name) != os.environ.get(name)
        ),
        "seconds": seconds,
    }


def _own(module: str) -> set[str]:
    """Top-level packages whose loading is no cost of the plugin's choice."""
    return {_top(module), "torchinf_core", "__main__", "__mp_main__", *sys.stdlib_module_names}


def _top(name: str) -> str:
    return name.partition(".")[0]


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(sys.argv[1])))
