"""Exit statuses, streams, signals, help: what holds for every command."""

import io
import os
import signal
import subprocess
import sys
import time

import pytest

from torchinf_core.cli import commands, fast
from torchinf_core.cli.app import build
from torchinf_core.cli.run import run
from torchinf_core.errors import TorchinfError


def start(*argv, **more):
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    return subprocess.Popen(
        [sys.executable, "-m", "torchinf_core", *argv],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=env,
        **more,
    )


@pytest.mark.parametrize("argv", [[], ["--help"], ["-h"]])
def test_help_lists_every_command(torchinf, argv):
    ran = torchinf(*argv)
    assert ran.status == 0
    for name, module in commands.MODULE_OF.items():
        assert f"\n  {name} " in ran.out, module


def test_help_of_each_command_says_what_the_list_says(torchinf):
    for section in commands.COMMANDS.values():
        for name, (_, summary) in section.items():
            ran = torchinf(name, "--help")
            assert ran.status == 0
            assert f"Usage: torchinf {name} " in ran.out
            words = " ".join(ran.out.split())
            assert summary.rstrip(".").lower() in words.lower(), name


def test_help_of_download_reads_well(torchinf):
    out = torchinf("download", "--help").out
    assert "torchinf download torchvision:resnet18\n" in out
    assert out.count("What to get: ") == 1
    assert max(map(len, out.splitlines())) <= 100
    for option in ("--name", "--sha256", "--dry-run", "--update", "--limit-rate", "--json"):
        assert f" {option}" in out


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["dowload", "x"], "did you mean 'torchinf download'?"),
        (["xyzzy"], "torchinf --help"),
        (["list", "--jsno"], "did you mean --json?"),
        (["list", "--nothing-like-it-at-all"], "torchinf list --help"),
        (["list", "extra"], "torchinf list --help"),
        (["--nosuch"], "torchinf --help"),
        (["path"], "torchinf path --help"),
        (["search", "zoo", "--limit", "x"], "torchinf search --help"),
    ],
)
def test_wrong_words_get_a_hint_and_status_2(torchinf, argv, words):
    ran = torchinf(*argv)
    assert (ran.status, ran.out) == (2, "")
    first, *rest = ran.err.splitlines()
    assert first.startswith("error: ")
    assert words in "\n".join(rest)


def test_a_bug_is_reported_without_a_traceback(torchinf, monkeypatch):
    def broken(*_args, **_more):
        raise RuntimeError("boom at https://user:pw@h/x")

    monkeypatch.setattr("torchinf_core.manager.ModelDownloader.__init__", broken)
    ran = torchinf("list")
    assert ran.status == 1
    assert ran.err.splitlines()[0] == (
        "error: internal error: RuntimeError: boom at https://***@h/x"
    )
    assert "TORCHINF_DEBUG=1" in ran.err
    assert "Traceback" not in ran.err
    monkeypatch.setenv("TORCHINF_DEBUG", "1")
    assert "Traceback" in torchinf("list").err
    assert torchinf("list", "--json").stream[0]["error"]["type"] == "InternalError"


@pytest.mark.parametrize(
    ("error", "status"),
    [(KeyboardInterrupt(), 130), (BrokenPipeError(), 141), (EOFError(), 2), (MemoryError(), 1)],
)
def test_other_ends_have_their_status(torchinf, monkeypatch, error, status):
    def stop(*_args, **_more):
        raise error

    monkeypatch.setattr("torchinf_core.manager.ModelDownloader.__init__", stop)
    assert torchinf("list").status == status


def test_an_error_message_can_not_steer_the_terminal(torchinf, monkeypatch):
    def broken(*_args, **_more):
        raise TorchinfError("bad \x1b[2J thing", hint="\x1b]0;x\x07")

    monkeypatch.setattr("torchinf_core.manager.ModelDownloader.__init__", broken)
    assert "\x1b" not in torchinf("list").err


def test_a_full_disk_below_stdout_is_an_error_and_no_traceback(store):
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "torchinf_core", "config"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert done.returncode == 6
    assert "No space left" in done.stderr
    assert "Traceback" not in done.stderr


def test_nobody_reads_on(stocked):
    process = start("list")
    process.stdout.close()
    _, err = process.communicate()
    assert err == ""
    assert process.returncode in (0, 141)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_in_the_middle_keeps_what_arrived(zoo, store, number, status):
    content = os.urandom(4_000_000)
    zoo.add("big", {"weights.bin": content})
    zoo.hub.throttle = 1_000_000
    process = start("download", "zoo:big", "--connections", "1")
    partials = store / "partial"
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and zoo.hub.bytes_sent("/files/big/1/weights.bin") == 0:
        if partials.is_dir() and any(partials.glob("*.map")):
            break
        time.sleep(0.02)
    time.sleep(0.5)
    process.send_signal(number)
    began = time.monotonic()
    out, err = process.communicate(timeout=20)
    assert process.returncode == status
    assert time.monotonic() - began < 5
    assert out == ""
    assert "goes on from there" in err
    assert "Traceback" not in err
    assert any(partials.glob("*.part"))
    zoo.hub.throttle = None
    assert run(["download", "zoo:big", "-q"]) == 0
    assert zoo.hub.bytes_sent("/files/big/1/weights.bin") < 2 * len(content)


def test_the_fast_answers_are_those_of_the_whole_command_line(stocked, store, capsys):
    cases = [
        ["--version"],
        ["-V"],
        [],
        ["--help"],
        ["path", "tiny"],
        ["path", "pair"],
        ["download", "zoo:tiny"],
        ["download", "zoo", "pair"],
        ["download", "zoo:tiny", "-q"],
        ["list"],
        ["list", "-q"],
        ["list", "--json"],
        ["info", "tiny"],
        ["info", "pair", "--json"],
        ["path", "tiny", "--cache-dir", str(store)],
    ]
    for argv in cases:
        capsys.readouterr()
        quick = fast.answer(argv)
        quickly = capsys.readouterr()
        whole = run(argv)
        wholly = capsys.readouterr()
        assert (quick, quickly.out, quickly.err) == (whole, wholly.out, wholly.err), argv


def test_whatever_is_unusual_is_left_to_the_whole_command_line(stocked, store, capsys, monkeypatch):
    def left(*argv):
        assert fast.answer(argv) is None
        printed = capsys.readouterr()
        assert printed.out == printed.err == ""

    for argv in (
        ["path", "nothing"],
        ["path"],
        ["path", "tiny", "pair"],
        ["path", "tiny", "--json"],
        ["path", "../../x"],
        ["path", ""],
        ["download"],
        ["download", "zoo:other"],
        ["download", "zoo:tiny", "--name", "x"],
        ["download", "zoo", "zoo:tiny"],
        ["download", "zoo", "tiny", "x"],
        ["info", "nothing"],
        ["list", "x"],
        ["gc"],
        ["nosuch"],
        ["list", "--filter", "size>1"],
        ["path", "tiny", "--cache-dir"],
    ):
        left(*argv)
    tiny = store / "models"
    (weights,) = tiny.glob("tiny-*/*/weights.bin")
    os.utime(weights, (1, 1))
    left("path", "tiny")
    left("download", "zoo:tiny")
    (record,) = (store / "records").glob("pair-*")
    record.write_bytes(b"[]")
    left("path", "pair")
    left("download", "zoo:pair")
    monkeypatch.setenv("TORCHINF_DEBUG", "1")
    left("--version")


def test_a_settings_file_is_honoured_by_every_path(stocked, tmp_path, monkeypatch, capsys):
    empty = tmp_path / "config.toml"
    empty.write_text(f'cache_dir = "{tmp_path / "other"}"\n')
    monkeypatch.setenv("TORCHINF_CONFIG", str(empty))
    monkeypatch.delenv("TORCHINF_CACHE_DIR")
    assert fast.answer(["path", "tiny"]) is None
    assert run(["path", "tiny"]) == 3
    capsys.readouterr()
    assert fast.answer(["list", "-q"]) == run(["list", "-q"]) == 0
    assert capsys.readouterr().out == ""


def test_a_warm_answer_imports_next_to_nothing(stocked):
    program = (
        "import sys\n"
        "from torchinf_core.cli.fast import answer\n"
        "before = set(sys.modules)\n"
        "assert answer(['path', 'tiny']) == 0\n"
        "assert answer(['download', 'zoo:tiny']) == 0\n"
        "heavy = {'typing', 'dataclasses', 'inspect', 'pathlib', 'urllib.parse', 'typer', 'rich',\n"
        "         'httpx', 'pluggy', 'logging', 'argparse', 'torchinf_core.types'}\n"
        "print(sorted(heavy & (set(sys.modules) - before)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_list_and_help_do_not_import_typer(stocked):
    program = (
        "import sys\n"
        "from torchinf_core.cli.fast import answer\n"
        "assert answer(['list']) == answer(['info', 'tiny']) == answer(['--help']) == 0\n"
        "print(sorted({'typer', 'click', 'rich', 'httpx', 'torch'} & sys.modules.keys()))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_completion_offers_commands_options_and_names(stocked, capsys, monkeypatch):
    def complete(words):
        monkeypatch.setenv("_TORCHINF_COMPLETE", "complete_bash")
        monkeypatch.setenv("COMP_WORDS", words)
        monkeypatch.setenv("COMP_CWORD", str(len(words.split(" ")) - 1))
        assert fast.answer([]) is None
        with pytest.raises(SystemExit):
            build().main([], prog_name="torchinf")
        return capsys.readouterr().out.split()

    assert complete("torchinf dow") == ["download"]
    assert "--limit-rate" in complete("torchinf download --li")
    assert complete("torchinf info t") == ["tiny"]


def test_stdout_may_be_closed(stocked, monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    assert run(["list"]) == 0
    assert fast.answer(["path", "tiny"]) == 0


def test_an_encoding_that_can_not_say_it_gets_escapes(stocked, monkeypatch):
    assert run(["tag", "tiny", "größe"]) == 0
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))
    assert run(["info", "tiny"]) == 0
    sys.stdout.flush()
    assert rb"gr\xf6\xdfe" in raw.getvalue()
