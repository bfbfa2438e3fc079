"""Words and numbers on the terminal: data on stdout, everything about it on stderr.

Text that came from elsewhere (descriptions, names, answers of servers) never
reaches a terminal with control characters in it.
"""

from __future__ import annotations

import os
import sys

# The fast path imports this module, and typing takes as long as all it does.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, TextIO

    from torchinf_core.types import Json, Record

BROKEN_PIPE = 141
"""Exit status when nobody reads what is printed: 128 + SIGPIPE, as a shell has it."""
_UNITS = ("B", "kB", "MB", "GB", "TB", "PB")


def size(count: int | None) -> str:
    """Bytes for people, in powers of 1000: ``46.8 MB``."""
    if count is None:
        return "unknown size"
    value = float(count)
    for unit in _UNITS:
        if value < 999.95 or unit == _UNITS[-1]:
            break
        value /= 1000
    return f"{count} B" if unit == "B" else f"{value:.1f} {unit}"


def plural(count: int, word: str) -> str:
    """``1 file``, ``2 files``."""
    return f"{count} {word}" if count == 1 else f"{count} {word}s"


def summary(name: str, files: int, total: int, state: str) -> str:
    """The line that ends a download."""
    what = f"{plural(files, 'file')}, {size(total)}" if files else "no weights"
    return f"{name}: {what}, {state}"


def day(timestamp: str) -> str:
    """The date and time of a record, to the minute."""
    return timestamp[:16].replace("T", " ")


def clean(text: str) -> str:
    """The text without control and direction characters, so it can't steer a terminal."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in "\n\t" else "\ufffd" for c in text)


def say(text: str = "") -> None:
    """A line of data or of the answer, on stdout."""
    print(clean(text))  # noqa: T201 - the command line's one way out


def tell(text: str) -> None:
    """A line about what is going on, on stderr."""
    print(clean(text), file=sys.stderr, flush=True)  # noqa: T201


def note(text: str) -> None:
    """Something the user should know though nothing is wrong."""
    labelled("note", text, "33")


def labelled(label: str, text: str, color: str) -> None:
    """``label: text`` on stderr, the label in an ANSI colour where that shows."""
    mark = f"{label}:"
    if has_color(sys.stderr):
        mark = f"\x1b[{color}m{mark}\x1b[0m"
    print(mark, clean(text), file=sys.stderr, flush=True)  # noqa: T201


def marked(mark: str, color: str, text: str) -> None:
    """``mark text`` on stdout, the mark in an ANSI colour where that shows."""
    painted = f"\x1b[{color}m{mark}\x1b[0m" if has_color(sys.stdout) else mark
    print(painted, clean(text))  # noqa: T201


def document(value: Json) -> None:
    """One JSON document on stdout, indented for people only: that takes ten times as long."""
    import json

    indent = 2 if is_terminal(sys.stdout) else None
    print(json.dumps(value, indent=indent, ensure_ascii=True))  # noqa: T201


def json_line(value: Json) -> None:
    """One line of a JSON stream on stdout, at once."""
    import json

    print(json.dumps(value, ensure_ascii=True), flush=True)  # noqa: T201


def is_terminal(stream: TextIO | None) -> bool:
    """True when ``stream`` shows to a person."""
    return stream is not None and stream.isatty() and os.environ.get("TERM") != "dumb"


def has_color(stream: TextIO | None) -> bool:
    """True when ``stream`` may get colours (https://no-color.org)."""
    return is_terminal(stream) and not os.environ.get("NO_COLOR")


def bold(text: str, stream: TextIO | None = None) -> str:
    """The text in bold where the stream can show that."""
    return f"\x1b[1m{text}\x1b[0m" if has_color(stream or sys.stdout) else text


def table(head: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[str] = ()) -> None:
    """Aligned columns on stdout; on a terminal, lines are cut to its width.

    Args:
        head: titles.
        rows: cells.
        right: titles of columns that are aligned right.
    """
    cells = [[_cell(text) for text in row] for row in rows]
    lines = [list(head), *cells]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    layout = "  ".join(
        f"{{:{'>' if title in right else '<'}{width}}}"
        for title, width in zip(head, widths, strict=True)
    )
    limit = _terminal_width() if is_terminal(sys.stdout) else 0
    shown = [layout.format(*line).rstrip() for line in lines]
    if limit:
        shown = [line if len(line) <= limit else line[: limit - 1] + "…" for line in shown]
    shown[0] = bold(shown[0])
    print("\n".join(shown))  # noqa: T201


def facts(pairs: Sequence[tuple[str, str | None]]) -> None:
    """``label  value`` lines on stdout; pairs without a value are left out."""
    shown = [(label, value) for label, value in pairs if value]
    width = max((len(label) for label, _ in shown), default=0)
    for label, value in shown:
        first, *rest = clean(value).splitlines() or [""]
        print(f"{bold(label.ljust(width))}  {first}")  # noqa: T201
        for line in rest:
            print(f"{'':{width}}  {line}")  # noqa: T201


def record_json(record: Record, path: str | None) -> dict[str, Any]:
    """A record as ``--json`` shows it; the field names are stable."""
    return {
        "name": record.name,
        "source": record.source,
        "model_id": record.model_id,
        "ref": record.ref,
        "requested_revision": record.requested_revision,
        "revision": record.revision,
        "path": path,
        "size": record.size,
        "size_mb": round(record.size / 1e6, 3),
        "format": record.format,
        "trust": record.trust.name.lower(),
        "trusted": record.trusted,
        "verified": record.verified,
        "task": record.task,
        "description": record.description,
        "license": record.license,
        "tags": list(record.tags),
        "metadata": dict(record.metadata),
        "files": [
            {
                "path": file.path,
                "size": file.size,
                "sha256": file.sha256,
                "format": file.format,
                "url": file.url,
            }
            for file in record.files
        ],
        "generation": record.generation,
        "created": record.created,
        "updated": record.updated,
        "torchinf_version": record.torchinf_version,
    }


def _cell(text: str) -> str:
    """One line, whatever the text."""
    return text if text.isprintable() else " ".join(clean(text).split())


def _terminal_width() -> int:
    try:
        return os.get_terminal_size(sys.stdout.fileno()).columns
    except (OSError, ValueError):
        return 0


def prepare_streams() -> None:
    """Print what an encoding can't hold as escapes instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def drop_stdout() -> None:
    """Keep Python from complaining about a closed pipe while it shuts down."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, ValueError, AttributeError):
        sys.stdout = None
