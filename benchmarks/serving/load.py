"""The client: wrk, which costs next to nothing of the processors that it shares."""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

SCRIPT = """
local file = io.open("{body}", "rb")
wrk.method = "POST"
wrk.body = file:read("*a")
file:close()
wrk.headers["Content-Type"] = "{kind}"
wrk.headers["Authorization"] = "Bearer {token}"
done = function(summary, latency)
  local errors = summary.errors
  local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout
  print(string.format("FIGURES %d %d %d %.6f %.6f", summary.requests, summary.duration, failed,
    latency:percentile(50), latency:percentile(99)))
end
"""


@dataclass(frozen=True, slots=True)
class Figures:
    """What one run showed.

    Attributes:
        rate: requests a second.
        p50, p99: milliseconds.
        failed: answers that were none, or not 200.
        cpu: milliseconds of the server's processors for each request, which other
            programs on the machine hardly change.
    """

    rate: float
    p50: float
    p99: float
    failed: int
    cpu: float


def spent(session: int) -> float:
    """Processor seconds of all processes of a session so far."""
    total = 0
    for place in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = place.read_text().rpartition(")")[2].split()
        except OSError:  # it has ended
            continue
        if int(fields[3]) == session:
            total += int(fields[11]) + int(fields[12])
    return total / os.sysconf("SC_CLK_TCK")


def press(
    url: str,
    body: bytes,
    kind: str,
    *,
    connections: int,
    seconds: int,
    folder: Path,
    token: str,
    session: int = 0,
) -> Figures:
    """Send the same request over so many connections, each at once after its answer."""
    content, script = folder / "body", folder / "press.lua"
    content.write_bytes(body)
    script.write_text(SCRIPT.format(body=content, kind=kind, token=token))
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "60s"]
    before = spent(session)
    done = subprocess.run(
        [*command, "-s", str(script), url], capture_output=True, text=True, check=True
    )
    cpu = spent(session) - before
    found = re.search(r"FIGURES (\d+) (\d+) (\d+) ([\d.]+) ([\d.]+)", done.stdout)
    assert found, done.stdout
    requests, microseconds, failed = (int(found[n]) for n in (1, 2, 3))
    rate = (requests - failed) / (microseconds / 1e6)
    each = 1e3 * cpu / max(1, requests)
    return Figures(rate, float(found[4]) / 1e3, float(found[5]) / 1e3, failed, each)
