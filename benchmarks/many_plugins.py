"""What installed plugins cost: ``torchinf --help`` beside 50 of them, and each import.

``python -m benchmarks.many_plugins`` prints both; the goals are a ratio below 2 and
15 ms for each plugin of this project.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

RATIO_GOAL = 2.0
IMPORT_GOAL_MS = 15.0

PLUGIN = """
from torchinf_core import Plan, SourceInfo, hookimpl

@hookimpl
def sources():
    yield SourceInfo("fake{n}", ("fake{n}",), "a source", ("fake{n}:x",))

@hookimpl
def resolve(ref):
    return Plan(ref, ref.locator, ())
"""


def install(folder: Path, count: int) -> None:
    """Write the modules and the metadata of that many sources into a folder."""
    for n in range(count):
        info = folder / f"torchinf_fake{n}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Name: torchinf-fake{n}\nVersion: 1.0\n\n")
        (info / "entry_points.txt").write_text(f"[torchinf.v1]\nfake{n} = torchinf_fake{n}\n")
        (folder / f"torchinf_fake{n}.py").write_text(PLUGIN.format(n=n))


def seconds(site: Path) -> float:
    """Wall time of ``torchinf --help`` in a process that finds what is in ``site``."""
    env = {**os.environ, "PYTHONPATH": str(site)}
    command = [sys.executable, "-m", "torchinf_core", "--help"]
    started = time.perf_counter()
    subprocess.run(command, env=env, check=True, capture_output=True)
    return time.perf_counter() - started


def import_ms(module: str) -> float:
    """What importing a plugin adds to a process that has imported the core, in ms."""
    code = f"import torchinf_core.plugins, torchinf_core.hookspecs\nimport {module}"
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", code], check=True, capture_output=True, text=True
    )
    package = re.escape(module.partition(".")[0])
    # Lines that are not indented are those that nothing listed imported.
    line = rf"^import time: +\d+ \| +(\d+) \| {package}(?:\..*)?$"
    return sum(int(found) for found in re.findall(line, done.stderr, re.MULTILINE)) / 1e3


def first_party() -> list[tuple[str, str]]:
    """Name and module of the plugins of this project that are installed."""
    from torchinf_core import known
    from torchinf_core.plugins import find_entry_points

    ours = {plugin.name for plugin in known.FIRST_PARTY}
    found = {(e.name, e.value.partition(":")[0]) for e in find_entry_points()}
    return sorted(
        item for item in found if item[0] in ours or item[1].startswith(f"torchinf_{item[0]}")
    )


def main() -> None:
    """Measure in turns, print medians and whether the goals are kept."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--plugins", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        none, many = Path(folder) / "none", Path(folder) / "many"
        none.mkdir()
        many.mkdir()
        install(many, arguments.plugins)
        seconds(none), seconds(many)  # the first runs compile
        pairs = [(seconds(none), seconds(many)) for _ in range(arguments.rounds)]
    without, beside = (median(times) for times in zip(*pairs, strict=True))
    ratio = beside / without
    verdict = "kept" if ratio < RATIO_GOAL else "missed"
    print(
        f"--help: {without * 1e3:.0f} ms, beside {arguments.plugins} plugins "
        f"{beside * 1e3:.0f} ms, ratio {ratio:.2f} (goal < {RATIO_GOAL:g}: {verdict})"
    )
    for name, module in first_party():
        took = median(import_ms(module) for _ in range(5))
        verdict = "kept" if took < IMPORT_GOAL_MS else "missed"
        print(f"import {name}: {took:.1f} ms (goal < {IMPORT_GOAL_MS:g}: {verdict})")


if __name__ == "__main__":
    main()
