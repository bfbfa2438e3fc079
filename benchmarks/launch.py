"""Runs one command and prints what it cost, as JSON.  Started as ``python -I -S launch.py``.

A process of its own, because Linux counts the memory of whoever forks towards
the peak of the program that is executed: started by the harness itself, every
peer would seem to need what the harness has.
"""

import json
import os
import signal
import sys
import time
from typing import Any


def main() -> None:
    """Read the order from standard input, obey, report."""
    order: dict[str, Any] = json.load(sys.stdin)
    os.chdir(order["cwd"])
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    actions: list[Any] = [
        (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, order["log"], flags, 0o600),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    argv = order["argv"]
    start = time.perf_counter()
    process = os.posix_spawn(argv[0], argv, order["env"], file_actions=actions, setpgroup=0)
    if order["kill_after"]:
        time.sleep(order["kill_after"])
        os.killpg(process, signal.SIGKILL)  # git's helpers would go on without it
    _, status, usage = os.wait4(process, 0)
    wall = time.perf_counter() - start
    report = {
        "wall": wall,
        "cpu": usage.ru_utime + usage.ru_stime,
        "rss": usage.ru_maxrss * 1024,
        "code": os.waitstatus_to_exitcode(status),
    }
    print(json.dumps(report))


main()
