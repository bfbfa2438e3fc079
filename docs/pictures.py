"""Draws what the command line shows into ``docs/pictures``: ``python docs/pictures.py``.

Each picture is of commands that were run, on a terminal, against the world of the pages.
A test runs them again and compares the texts, apart from numbers that measure something.
"""

from __future__ import annotations

import fcntl
import html
import os
import pty
import re
import struct
import subprocess
import sys
import tempfile
import termios
from pathlib import Path

from rich.console import CONSOLE_SVG_FORMAT, Console
from rich.text import Text
from world import World

HERE = Path(__file__).parent / "pictures"
WIDTH = 110
PACE = 12_000_000
"""Bytes per second and connection, slow enough to see the bar."""
FETCHED = (
    "torchinf download torchvision:resnet18",
    "torchinf download https://example.com/model.onnx --name detector --tag trial",
    "torchinf download hf:sentence-transformers/all-MiniLM-L6-v2",
)
PICTURES = {
    "download": FETCHED[0],
    "plugins": "torchinf plugins",
    "list": "torchinf list",
    "explain": "torchinf explain resnet18 --device cpu",
}
"""Picture → what is run for it, where the three models are there."""
_REDRAWN = "\r\x1b[2K"


def pictures() -> dict[str, str]:
    """Name of each picture and its SVG."""
    with World(throttle=PACE) as world, tempfile.TemporaryDirectory() as folder:
        home = Path(folder).resolve()
        first, *others = (_run(world, home, command) for command in FETCHED)
        if any("error" in printed for printed in (first, *others)):
            raise AssertionError(first, others)
        made = {"download": _draw(PICTURES["download"], _half_way(first))}
        for name, command in PICTURES.items():
            if name not in made:
                made[name] = _draw(command, _run(world, home, command))
    return made


def texts(svg: str) -> str:
    """What can be read in a picture, with numbers and bars as they always are."""
    found = " ".join(re.findall(r"<text[^>]*>(.*?)</text>", svg))
    found = re.sub(r"[━╸╺]+", "━", html.unescape(found).replace("\xa0", " "))
    found = re.sub(r"[0-9a-f]{8}\.pth", "0.pth", found)
    return re.sub(r"[\s━?-]+", " ", re.sub(r"[\d.:]+", "0", found))


def _run(world: World, home: Path, command: str) -> str:
    """Run a command on a terminal; returns all that it wrote."""
    for shown, here in world.names.items():
        command = command.replace(shown, here)
    environment = {**world.environment(home), "TERM": "xterm-256color", "COLORTERM": "truecolor"}
    del environment["NO_COLOR"], environment["COLUMNS"]
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, WIDTH, 0, 0))
    process = subprocess.Popen(  # noqa: S603 - one of those above
        command.split(), stdin=theirs, stdout=theirs, stderr=theirs, env=environment, cwd=home
    )
    os.close(theirs)
    parts = []
    try:
        while part := os.read(ours, 1 << 16):
            parts.append(part)
    except OSError:  # the terminal ends with its last process
        pass
    os.close(ours)
    if process.wait():
        raise AssertionError(b"".join(parts).decode())
    printed = b"".join(parts).decode().replace("\r\n", "\n")
    for shown, here in world.names.items():
        printed = printed.replace(here, shown)
    return re.sub(r"20\d\d-\d\d-\d\d \d\d:\d\d", "2026-01-01 12:00", printed)


def _half_way(printed: str) -> str:
    """The bar when about half of the bytes were there."""
    frames = printed.split(_REDRAWN)

    def distance(frame: str) -> float:
        share = re.search(r"(\d+\.\d)/(\d+\.\d) MB", frame)
        return abs(float(share[1]) / float(share[2]) - 0.6) if share else 1.0

    return min((frame for frame in frames if "/s" in frame), key=distance)


def _draw(command: str, printed: str) -> str:
    with open(os.devnull, "w", encoding="utf-8") as nowhere:
        console = Console(record=True, width=WIDTH, file=nowhere, force_terminal=True)
        console.print(Text.assemble(("$ ", "bold green"), command), soft_wrap=True)
        console.print(Text.from_ansi(printed.strip("\n")), soft_wrap=True)
        console.print()  # room for what hangs below the last line
        form = re.sub(r"@font-face \{\{.*?\}\}\n", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)
        form = form.replace("Fira Code, monospace", "ui-monospace, Menlo, Consolas, monospace")
        svg = console.export_svg(title="", code_format=form, unique_id="terminal")
    return "\n".join(line.rstrip() for line in svg.strip().splitlines() if line.strip()) + "\n"


def main() -> int:
    """Write the pictures."""
    HERE.mkdir(exist_ok=True)
    for name, svg in pictures().items():
        (HERE / f"{name}.svg").write_text(svg, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
