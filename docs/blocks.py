"""Runs the blocks of a page as a reader would, one after the other, and sees what comes.

A ``console`` block holds commands behind ``$`` and what they print; in that, ``...`` stands
for anything on a line, and alone on a line for any lines, and one time is as good as another.
A ``sh`` block is a script, a ``python`` block a program; a ``text`` block right behind one is
what it prints.  In a block without a language each line is a command.
"""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from world import WEB, World

KINDS = ("console", "sh", "python")
LONGEST = 200.0
_DAY = r"20\d\d\\?-\d\d\\?-\d\d\\? \d\d:\d\d"
_SERVER = "http://127.0.0.1:8000"


@dataclass
class Step:
    """One thing to run.

    Attributes:
        page: path below the repository.
        line: number of its first line.
        language: of its block.
        code: to run.
        shown: output that the page shows, or None where it shows none.
    """

    page: str
    line: int
    language: str
    code: str
    shown: str | None = None

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def steps(page: str, text: str) -> list[Step]:
    """Everything on a page that can be run, in order."""
    found: list[Step] = []
    end = -2
    for match in re.finditer(r"^```(\w*)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE):
        line = text[: match.start()].count("\n") + 2
        language, body = match[1], match[2]
        if language == "console":
            found += _commands(page, line, body)
        elif language in KINDS:
            found.append(Step(page, line, language, body))
        elif not language and "torchinf " in body:
            found += _lines(page, line, body)
        elif language == "text" and found and line - end <= 4 and found[-1].language != "console":
            found[-1].shown = body
        end = line + body.count("\n")
    return found


def _commands(page: str, line: int, body: str) -> Iterator[Step]:
    step: Step | None = None
    for offset, text in enumerate(body.splitlines()):
        if text.startswith("$ "):
            if step is not None:
                yield step
            step = Step(page, line + offset, "console", text[2:])
        elif step is None:
            raise ValueError(f"{page}:{line}: a console block starts with a command")
        elif step.code.endswith("\\"):
            step.code += "\n" + text
        else:
            step.shown = (step.shown or "") + text + "\n"
    if step is not None:
        yield step


def _lines(page: str, line: int, body: str) -> Iterator[Step]:
    """The lines of a block without a language, each a command that shows nothing."""
    for offset, text in enumerate(re.sub(r"\\\n *", "", body).splitlines()):
        if text.strip():
            yield Step(page, line + offset, "console", text)


def matches(shown: str, printed: str) -> bool:
    """True when what was printed is what is shown, where ``...`` is anything."""
    parts = []
    for line in shown.strip().splitlines():
        if line.strip() == "...":
            parts.append(r"(?:[^\n]*\n)*?")
        else:
            exact = r"[^\n]*?".join(map(re.escape, line.rstrip().split("...")))
            parts.append(re.sub(_DAY, lambda _: _DAY, exact) + r" *\n")
    return re.fullmatch("".join(parts), printed.strip() + "\n") is not None


@dataclass
class Reader:
    """Who types what a page shows, in a home of their own.

    Attributes:
        world: outside of it.
        home: a new directory.
        names: what is written for something here, and what that is.
    """

    world: World
    home: Path
    names: dict[str, str] = field(default_factory=dict)
    _servers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.place = self.home / "place"
        self.world.furnish(self.place)
        self.names |= self.world.names
        self._state = self.home / ".state"
        self._state.write_text("")

    def run(self, step: Step) -> tuple[int, str]:
        """Exit status, and all that was printed, as the page would show it."""
        code = step.code
        for shown, here in self.names.items():
            code = code.replace(shown, here)
        if step.language == "python":
            words = [sys.executable, "-c", code]
        elif re.match(r"torchinf serve\b(?!.*--help)", code):
            return self._serve(code)
        else:
            kept = f"set -ea; . {self._state}\n"
            keep = f"{{ export -p; declare -f; echo cd \\'$PWD\\'; }} > {self._state}"
            words = ["bash", "-c", f"{kept}{code}\n{keep}"]
        done = subprocess.run(  # noqa: S603 - the blocks of the pages
            words,
            cwd=self.place,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=LONGEST,
            check=False,
        )
        return done.returncode, self._as_shown(done.stdout.decode())

    def close(self) -> None:
        """End the servers."""
        for server in self._servers:
            if server.poll() is None:
                server.send_signal(signal.SIGTERM)
                server.wait(60)

    @property
    def _environment(self) -> dict[str, str]:
        return self.world.environment(self.home)

    def _serve(self, code: str) -> tuple[int, str]:
        self.close()
        log = self.home / f"server-{len(self._servers)}.log"
        # What stands for the web is on this machine, and without TLS.
        place = self.names[WEB].split("/")[2]
        code = f"exec {code} --port 0 --allow-http --url-host {place}"
        with log.open("wb") as file:
            server = subprocess.Popen(  # noqa: S603 - as above
                ["bash", "-c", code],
                cwd=self.place,
                env={**self._environment, "TORCHINF_PRIVATE_NETWORKS": "127.0.0.0/8"},
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
            )
        self._servers.append(server)
        until = time.monotonic() + LONGEST
        while time.monotonic() < until and server.poll() is None:
            if found := re.search(r"listening on (http://\S+)", log.read_text()):
                self.names[_SERVER] = found[1]
                return 0, self._as_shown(log.read_text())
            threading.Event().wait(0.02)
        return server.poll() or 1, log.read_text()

    def _as_shown(self, printed: str) -> str:
        for shown, here in self.names.items():
            printed = printed.replace(here, shown)
        printed = printed.replace(str(self.home), "~")
        return "\n".join(line.rstrip() for line in printed.splitlines()) + "\n"
