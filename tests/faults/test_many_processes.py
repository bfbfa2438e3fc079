"""Many processes on one store: one fetches, nobody is in another's way, the dead hold nothing."""

from __future__ import annotations

import hashlib
import os
import random
import signal
import subprocess
import sys
import threading
import time

import pytest

from torchinf_core.testing import Fault, Hub, faults

MODEL = random.Random(5).randbytes(3_000_000)
NO_LOCKS = "import fcntl; fcntl.flock = lambda *a: None"
DOWNLOADER = """
import sys
from torchinf_core.manager import ModelDownloader
store, file, name, rounds = sys.argv[1:]
downloader = ModelDownloader(store)
for number in range(int(rounds)):
    downloader.obtain(f"{file}-{number % 3}.bin", name=f"{name}-{number % 3}")
"""
REMOVER = """
import os
import sys
from torchinf_core.errors import NotCachedError
from torchinf_core.manager import ModelDownloader
store, stop, collect = sys.argv[1:]
downloader = ModelDownloader(store)
removed = 0
while not os.path.exists(stop):
    for name in downloader.registry.names():
        try:
            downloader.remove_model(name)
            removed += 1
        except NotCachedError:
            pass
    if collect:
        downloader.store.gc(dry_run=False, grace=0)
print(removed)
"""


@pytest.fixture
def hub():
    with Hub() as hub:
        hub.add("/model.bin", MODEL)
        yield hub


@pytest.fixture
def stalled(hub, cli):
    """A process that holds the locks of a download which stands still."""
    asked = threading.Event()

    def notice(_request, reply):
        asked.set()
        return reply

    hub.fail("/model.bin", faults.together(Fault("notice", notice), faults.stall(0.5)))
    process = cli.start("download", hub.url("/model.bin"))
    assert asked.wait(30)
    yield process
    process.kill()
    process.communicate()


def finish(processes):
    ended = [(process, *process.communicate(timeout=100)) for process in processes]
    failed = [said for process, _, said in ended if process.returncode != 0]
    assert not failed, "\n".join(failed)
    return [printed for _, printed, _ in ended]


def blobs(shelf):
    return [path for path in (shelf.store.root / "blobs").rglob("*") if path.is_file()]


def until(condition):
    """Wait for something another process does; fails after 30 s."""
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.005)


def test_sixteen_processes_that_want_one_model_fetch_it_once(hub, cli, make_shelf):
    hub.throttle = 3_000_000
    url = hub.url("/model.bin")
    finish([cli.start("download", url) for _ in range(16)])
    assert hub.bytes_sent("/model.bin") == len(MODEL)
    shelf = make_shelf(cli.store)
    assert shelf.content("model") == {"model.bin": MODEL}
    assert shelf.damage() == []


@pytest.mark.parametrize("pinned", [True, False])
def test_sixteen_names_of_the_same_bytes_are_sixteen_records_and_one_blob(
    hub, cli, make_shelf, pinned
):
    url = hub.url("/model.bin")
    if pinned:
        url += "#sha256=" + hashlib.sha256(MODEL).hexdigest()
    finish([cli.start("download", url, "--name", f"name-{n}") for n in range(16)])
    shelf = make_shelf(cli.store)
    if pinned:
        assert hub.bytes_sent("/model.bin") == len(MODEL)
    assert sorted(shelf.registry.names()) == sorted(f"name-{n}" for n in range(16))
    assert len(blobs(shelf)) == 1
    assert shelf.damage() == []
    assert list((shelf.store.root / "partial").iterdir()) == []


def test_when_the_fetching_process_is_killed_a_waiting_one_goes_on(hub, cli, make_shelf, stalled):
    waiting = cli.start("download", hub.url("/model.bin"))
    for line in waiting.stderr:
        if f"waiting for process {stalled.pid}" in line:
            break
    else:
        pytest.fail("it did not say for whom it waits")
    stalled.kill()
    finish([waiting])
    shelf = make_shelf(cli.store)
    assert shelf.content("model") == {"model.bin": MODEL}
    assert shelf.damage() == []


def test_a_stopped_process_is_named_when_the_patience_ends(hub, cli, stalled):
    stalled.send_signal(signal.SIGSTOP)
    done = cli("download", hub.url("/model.bin"), "--lock-timeout", "0.3s")
    assert done.returncode == 10, done.stderr
    assert f"process {stalled.pid}" in done.stderr
    cli.env["TORCHINF_LOCK_TIMEOUT"] = "0.3"
    done = cli("gc")
    assert done.returncode == 10, done.stderr


def test_without_locks_eight_processes_all_get_the_right_bytes(hub, cli, make_shelf):
    hub.throttle = 3_000_000
    url = hub.url("/model.bin")
    finish([cli.start("download", url, patch=NO_LOCKS) for _ in range(8)])
    shelf = make_shelf(cli.store)
    assert shelf.content("model") == {"model.bin": MODEL}
    assert shelf.damage() == []
    assert len(blobs(shelf)) == 1


def test_removing_and_collecting_in_a_loop_breaks_no_download(cli, make_shelf, tmp_path, depth):
    for number in range(3):
        content = random.Random(number).randbytes(50_000)
        (tmp_path / f"file-{number}.bin").write_bytes(content)
    rounds = str(int(12 * depth))

    def start(program, *args):
        return subprocess.Popen(
            [sys.executable, "-c", program, str(cli.store), *args],
            env=cli.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    downloaders = [
        start(DOWNLOADER, str(tmp_path / "file"), f"name-{n // 2}", rounds) for n in range(8)
    ]
    stop = tmp_path / "stop"
    removers = [start(REMOVER, str(stop), collect) for collect in ("", "collect")]
    finish(downloaders)
    stop.touch()
    assert sum(int(printed) for printed in finish(removers)) > 10
    shelf = make_shelf(cli.store)
    assert shelf.damage() == []
    for name in shelf.registry.names():
        shelf.registry.remove(name)
    shelf.store.gc(dry_run=False, grace=0)
    assert blobs(shelf) == []


def test_after_three_kills_little_was_sent_twice_and_nothing_is_left_over(cli, make_shelf):
    content = random.Random(6).randbytes(24_000_000)
    with Hub(throttle=8_000_000, send_buffer=1 << 14) as hub:
        url = hub.add("/big.bin", content)
        for part in (0.25, 0.5, 0.75):
            process = cli.start("download", url, "--connections", "2")
            until(lambda part=part: hub.bytes_sent("/big.bin") > part * len(content))
            process.kill()
            process.communicate()
        hub.throttle = None
        done = cli("download", url)
        assert done.returncode == 0, done.stderr
        assert hub.bytes_sent("/big.bin") <= 1.1 * len(content)
    shelf = make_shelf(cli.store)
    assert shelf.content("big") == {"big.bin": content}
    assert shelf.damage() == []
    assert list((cli.store / "partial").iterdir()) == []
    assert [path for path in (cli.store / "tmp").rglob("*") if path.is_file()] == []
    assert len(blobs(shelf)) == 1
    assert os.stat(blobs(shelf)[0]).st_nlink == 2
