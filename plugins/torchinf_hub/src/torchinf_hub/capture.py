"""The process that trusted code runs in for the first time: ``python -m torchinf_hub.capture``.

Told what to run by a JSON line on one pipe; asks on another for every file that
the code wants and that was not recorded.  :mod:`torchinf_hub.recording` is at
the other end.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any, TextIO

from torchinf_core.errors import NetworkError, TorchinfError


def main() -> int:
    """Run one program; the exit status is 0 when it returned."""
    orders = open(int(sys.argv[1]), encoding="utf-8")  # noqa: SIM115 - for the process's life
    answers = open(int(sys.argv[2]), "w", encoding="utf-8")  # noqa: SIM115
    os.dup2(2, 1)  # what the code prints is not our result
    from torchinf_hub.executing import Program, execute

    def missing(url: str, prefix: str | None) -> tuple[Path, str]:
        _tell(answers, {"ask": url, "prefix": prefix})
        answer = json.loads(orders.readline() or "{}")
        if "path" not in answer:
            raise NetworkError(answer.get("error", "nobody answered"))
        return Path(answer["path"]), answer["sha256"]

    program = Program(**json.loads(orders.readline()))
    try:
        execute(program, missing)
    except TorchinfError as error:
        cause = error.__cause__
        if cause is not None:
            import traceback

            traceback.print_exception(cause)
        _tell(answers, {"failed": str(error), "hint": error.hint, "kind": type(error).__name__})
        return error.exit_code
    _tell(answers, {"done": True})
    return 0


def _tell(pipe: TextIO, message: dict[str, Any]) -> None:
    pipe.write(json.dumps(message) + "\n")
    pipe.flush()


if __name__ == "__main__":
    # Threads that the code left behind are not waited for.
    status = main()
    sys.stderr.flush()
    os._exit(status)
