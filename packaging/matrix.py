"""Installs each documented combination of extras from built wheels, uses it, and prints a table.

``python packaging/matrix.py WHEELS [COMBINATION ...]``: each goes into an empty environment that is
removed afterwards, and is used as a person would, by the command line, against servers on loopback.
Combinations are those that the documents name, and each extra.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path

from smoke import OTHERS, RUNTIMES, SOURCES, NotAsExpectedError, Place, clean_environment

from torchinf_core import __version__
from torchinf_core.testing import Hub

ROOT = Path(__file__).parents[1]
DOCUMENTS = ("README.md", "docs/**/*.md", "plugins/*/README.md")
TOOLS = {"testing"}
"""Extras that bring no plugin."""
ROW = "{:28} {:>9} {:>9} {:>7} {:>11}  {}"


def declared(project: Path) -> dict[str, object]:
    """The ``[project]`` table of a folder."""
    return tomllib.loads((project / "pyproject.toml").read_text())["project"]


def extras() -> list[str]:
    """Those of torchinf, ``all`` last."""
    names = list(declared(ROOT)["optional-dependencies"])
    return sorted(names, key=lambda name: name == "all")


def combinations() -> list[str]:
    """What a reader of the documents may install: the core, each extra, and the pairs they name."""
    pages = [path.read_text() for pattern in DOCUMENTS for path in sorted(ROOT.glob(pattern))]
    named = sorted({match for page in pages for match in re.findall(r"torchinf\[[\w,]+\]", page)})
    alone = [f"torchinf[{extra}]" for extra in extras()]
    return ["torchinf", *alone[:-1], *(name for name in named if name not in alone), alone[-1]]


def plugins(combination: str) -> set[str]:
    """Names of the plugins that a combination brings, with those that they need."""
    asked = set(re.findall(r"\w+", combination)[1:]) - TOOLS
    found: set[str] = set(extras()) - TOOLS - {"all"} if "all" in asked else set()
    asked -= {"all"}
    while asked - found:
        name = (asked - found).pop()
        found.add(name)
        for need in declared(ROOT / f"plugins/torchinf_{name}")["dependencies"]:
            asked |= set(re.findall(r"^torchinf-(\w+)", need))
    return found


def pip(python: Path, *words: str | Path) -> None:
    """Install something into another environment with this one's pip."""
    command = [sys.executable, "-m", "pip", "--python", str(python), "install", "-q"]
    done = subprocess.run([*command, *map(str, words)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise NotAsExpectedError(f"pip: {done.stderr.strip()[-2000:]}")


def ours(wheels: Path) -> dict[str, str]:
    """Our distributions by name, each as a requirement for its wheel, never for an index."""
    return {
        name: f"{name} @ {path.resolve().as_uri()}"
        for path in sorted(wheels.glob("torchinf*.whl"))
        for name in [path.name.split("-")[0].replace("_", "-")]
    }


def megabytes(folder: Path) -> float:
    """Size of a folder's files, in millions of bytes."""
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6


def start_up(place: Place) -> float:
    """Seconds of ``torchinf --version``, the best of five."""
    times = []
    for _ in range(5):
        began = time.perf_counter()
        place.expect(place.run("torchinf", "--version").stdout.strip(), f"torchinf {__version__}")
        times.append(time.perf_counter() - began)
    return min(times)


def use(place: Place, expected: set[str], url: str) -> Iterator[str]:
    """Do with a combination what it is for; yields what was done."""
    states = json.loads(place.run("torchinf", "plugins", "--json").stdout)
    place.expect({state["name"] for state in states if state["state"] == "ok"}, expected)
    place.expect({state["state"] for state in states} <= {"ok", "not installed"}, True)
    yield f"plugins: {len(expected)}"
    for name in sorted(expected & SOURCES.keys()):
        yield SOURCES[name](place)
    if not expected & SOURCES.keys():
        said = place.run("torchinf", "download", place.hub.url("/x"), status=9).stderr
        place.expect("pip install 'torchinf[url]'" in said, True)
        yield "download names what is missing"
    for name in sorted(expected & OTHERS.keys()):
        yield OTHERS[name](place)
    if expected & RUNTIMES.keys() and "url" not in expected:
        # A runtime alone has nothing to run; files by their path come with this source.
        pip(place.binaries / "python", "--no-deps", url)
    for name in sorted(expected & RUNTIMES.keys()):
        yield RUNTIMES[name](place)


def row(combination: str, wheels: Path) -> tuple[str, bool]:
    """One line of the table, and whether all was well."""
    mine = ours(wheels)
    wheel = mine["torchinf"].removeprefix("torchinf")
    cells = ["-"] * 4
    with tempfile.TemporaryDirectory(prefix="matrix-") as name, Hub() as hub:
        venv, home, constraints = (Path(name, part) for part in ("venv", "home", "pins.txt"))
        home.mkdir()
        constraints.write_text("\n".join(mine.values()))
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
        empty = megabytes(venv)
        place = Place(venv / "bin", hub, home, clean_environment(home))
        try:
            began = time.perf_counter()
            pip(venv / "bin/python", "-c", constraints, f"{combination}{wheel}")
            seconds = time.perf_counter() - began
            count = len(list(venv.glob("lib/*/site-packages/*.dist-info")))
            cells = [f"{megabytes(venv) - empty:.1f}", f"{seconds:.1f}", str(count)]
            cells.append(f"{start_up(place):.3f}")
            outcome = ", ".join(["ok", *use(place, plugins(combination), mine["torchinf-url"])])
        except (NotAsExpectedError, OSError, ValueError) as error:
            sys.stderr.write(f"{combination}: {error}\n")
            outcome, cells = "FAILED", [*cells, "-"][:4]
    return ROW.format(combination, *cells, outcome), outcome != "FAILED"


def main(wheels: Path, chosen: list[str]) -> int:
    """Try combinations, all by default; returns the exit status."""
    version = ".".join(map(str, sys.version_info[:3]))
    print(f"Python {version}, torchinf {__version__} from {wheels}")
    print(ROW.format("combination", "MB", "install s", "dists", "--version s", ""), flush=True)
    well = True
    for combination in chosen or combinations():
        line, good = row(combination, wheels)
        print(line, flush=True)
        well &= good
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
