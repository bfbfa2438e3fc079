"""What is shown while a download runs."""

import io
import re

import pytest

from torchinf_core.cli import progress
from torchinf_core.types import Event


class Terminal(io.StringIO):
    def isatty(self):
        return True


def walk(path, total, steps=4):
    for n in range(1, steps + 1):
        yield Event("progress", path, total * n // steps, total)


def run_bars(events, monkeypatch, width=100):
    screen = Terminal()
    monkeypatch.setattr("sys.stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", str(width))
    with progress.reporter(as_json=False, quiet=False) as on_event:
        for event in events:
            on_event(event)
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", screen.getvalue())


def test_one_file_has_one_bar(monkeypatch):
    events = [Event("resolved", total=4_000_000, message="m"), Event("started", total=4_000_000)]
    shown = run_bars([*events, *walk("model.onnx", 4_000_000)], monkeypatch)
    assert "model.onnx" in shown
    assert "4.0/4.0 MB" in shown
    assert "total" not in shown


def test_several_files_have_a_total_and_finished_ones_leave(monkeypatch):
    events = [Event("started", total=3000)]
    for n in range(3):
        events += walk(f"part-{n}", 1000)
    last = run_bars(events, monkeypatch).rstrip().splitlines()[-1]
    assert last.startswith("total")
    assert "3.0/3.0 kB" in last


def test_notes_and_retries_stand_above_the_bars(monkeypatch):
    events = [
        Event("note", message="waiting for process 17"),
        Event("progress", "a", 1, 2),
        Event("retry", "a", message="trying\x1b[2J again"),
    ]
    shown = run_bars(events, monkeypatch)
    assert "waiting for process 17" in shown
    assert "a: trying\ufffd[2J again" in shown


def test_a_narrow_terminal_is_no_error(monkeypatch):
    assert run_bars(walk("x" * 200, 10), monkeypatch, width=10)


def test_an_unknown_size_is_no_error(monkeypatch):
    assert "a" in run_bars([Event("progress", "a", n) for n in (1, 5, 9)], monkeypatch)


def test_without_a_terminal_lines_come_now_and_then(monkeypatch, capsys):
    clock = iter(range(0, 1000, 4))
    monkeypatch.setattr(progress.time, "monotonic", lambda: float(next(clock)))
    with progress.reporter(as_json=False, quiet=False) as on_event:
        on_event(Event("resolved", total=8_000_000, message="m"))
        on_event(Event("started", total=8_000_000))
        for event in walk("model.onnx", 8_000_000, steps=8):
            on_event(event)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "m: 8.0 MB at the source"
    assert lines[1] == "3.0 MB of 8.0 MB (37 %), 250.0 kB/s"
    assert len(lines) == 3


def test_quiet_shows_nothing(capsys):
    with progress.reporter(as_json=False, quiet=True) as on_event:
        for event in (Event("retry", "a", message="x"), *walk("a", 10)):
            on_event(event)
    assert capsys.readouterr() == ("", "")


def test_json_events_are_thinned_out_but_none_but_progress(monkeypatch, capsys):
    monkeypatch.setattr(progress.time, "monotonic", lambda: 100.0)
    with progress.reporter(as_json=True, quiet=False) as on_event:
        for event in (*walk("a", 100, steps=50), Event("retry", "a"), Event("retry", "a")):
            on_event(event)
    assert len(capsys.readouterr().out.splitlines()) == 3


@pytest.mark.parametrize("term", ["dumb", "xterm"])
def test_a_dumb_terminal_gets_lines(monkeypatch, term):
    screen = Terminal()
    monkeypatch.setattr("sys.stderr", screen)
    monkeypatch.setenv("TERM", term)
    with progress.reporter(as_json=False, quiet=False) as on_event:
        assert isinstance(on_event, progress.Lines if term == "dumb" else progress.Bars)
