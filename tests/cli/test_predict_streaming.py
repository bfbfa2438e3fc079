"""Results come while inputs do, and what is shown of the progress meanwhile."""

import io
import json
import os
import re
import subprocess
import sys

import pytest

from torchinf_core.cli.predicting import counting, hushing

np = pytest.importorskip("numpy")


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_results_come_while_the_inputs_are_not_all_there(toys, tmp_path):
    with subprocess.Popen(
        [sys.executable, "-m", "torchinf_core", "predict", "sum", "-", "--json"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for number in range(3):
            process.stdin.write(f"[{number}, 0, 0, 0]\n" * 8)
            process.stdin.flush()
            lines = [json.loads(process.stdout.readline()) for _ in range(8)]
            assert [line["result"] for line in lines] == [number] * 8
        process.stdin.close()
        assert process.stdout.read() == ""
        assert process.wait() == 0


def test_a_bar_is_drawn_while_results_go_to_a_file(toys, torchinf, monkeypatch, tmp_path):
    (tmp_path / "in.jsonl").write_text("[1, 0, 0, 0]\n" * 20)
    screen = Terminal()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setattr("sys.stderr", screen)
    assert torchinf("predict", "sum", "in.jsonl", "--out", "o.jsonl").status == 0
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", screen.getvalue())
    assert re.search(r"\b20 ━+ [\d,.]+/s", shown)
    assert shown.rstrip().endswith("20 inputs: " + str(tmp_path / "o.jsonl"))
    assert "a library" not in shown
    screen.truncate(0)
    words = ("predict", "sum", "in.jsonl", "--out", "o.jsonl", "--force", "-q")
    assert torchinf(*words).status == 0
    assert screen.getvalue().strip("\0") == ""


def test_elsewhere_a_line_is_written_now_and_then(monkeypatch, capsys):
    times = iter([0.0, 5.0, 10.0, 10.0, 15.0, 20.0, 20.0])
    monkeypatch.setattr(counting.time, "monotonic", lambda: next(times))
    with counting.counting(4000, shown=True) as count:
        for done in (1000, 2000, 3000, 4000):
            count(done)
    assert capsys.readouterr().err == "2,000 of 4,000, 200.0/s\n4,000 of 4,000, 200.0/s\n"


def test_streams_are_as_before_when_hushing_ends(capfd):
    streams = sys.stdout, sys.stderr
    with pytest.raises(ZeroDivisionError), hushing.hushed():
        print("nothing")
        os.write(1, b"of this")
        os.write(2, b"is seen")
        kept = sys.stdout
        raise ZeroDivisionError
    assert (sys.stdout, sys.stderr) == streams
    kept.write("what a library kept stays usable")
    os.write(1, b"seen")
    assert capfd.readouterr() == ("seen", "")


def test_with_verbose_all_goes_to_stderr(capfd):
    with hushing.hushed(verbose=1):
        print("one")
        os.write(1, b"two\n")
        os.write(2, b"three\n")
    out, err = capfd.readouterr()
    assert out == ""
    assert sorted(err.split()) == ["one", "three", "two"]


def test_closed_streams_do_no_harm():
    program = (
        "import os, sys\n"
        "from torchinf_core.cli.predicting.hushing import hushed\n"
        "os.close(1); os.close(2)\n"
        "sys.stdout = sys.stderr = None\n"
        "with hushed(): pass\n"
        "with hushed(verbose=1): pass\n"
        "os._exit(7)\n"
    )
    assert subprocess.run([sys.executable, "-c", program]).returncode == 7
