"""Several processes that want the same, or get in each other's way."""

import os
import subprocess
import sys

import pytest

from torchinf_core.registry import Registry
from torchinf_core.store import Store

PROGRAM = """
import sys
from torchinf_core.manager import ModelDownloader
store, ref, name = sys.argv[1:]
outcome = ModelDownloader(store).obtain(ref, name=name or None)
print(outcome.hit, outcome.fetched)
"""


def start(store, ref, name=""):
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, store, ref, name],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=env,
    )


def finish(processes):
    printed = []
    for process in processes:
        out, err = process.communicate(timeout=100)
        assert process.returncode == 0, err
        printed.append(out.split())
    return printed


@pytest.mark.parametrize("digests", [True, False])
def test_of_many_that_want_one_model_one_fetches_it(zoo, settings, digests):
    content = os.urandom(1_500_000)
    zoo.add("big", {"weights.bin": content}, digests=digests)
    zoo.hub.throttle = 3_000_000
    printed = finish([start(settings.cache_dir, "zoo:big") for _ in range(6)])
    assert sorted(printed) == [["False", str(len(content))], *[["True", "0"]] * 5]
    assert zoo.hub.bytes_sent(zoo.file_of("big", "weights.bin")) == len(content)


def test_of_many_names_for_one_content_one_is_fetched(zoo, settings):
    content = os.urandom(1_500_000)
    zoo.add("big", {"weights.bin": content})
    zoo.hub.throttle = 3_000_000
    finish([start(settings.cache_dir, "zoo:big", f"name{n}") for n in range(4)])
    assert zoo.hub.bytes_sent(zoo.file_of("big", "weights.bin")) == len(content)
    store = Store(settings.cache_dir)
    assert Registry(store).names() == [f"name{n}" for n in range(4)]
    assert len([p for p in (store.root / "blobs").rglob("*") if p.is_file()]) == 1
    assert store.fsck() == []


def test_two_contents_that_race_for_a_name_do_not_replace_each_other(zoo, settings):
    zoo.add("a", {"weights.bin": b"a" * 100_000})
    zoo.add("b", {"weights.bin": b"b" * 100_000})
    zoo.hub.throttle = 400_000
    racers = [start(settings.cache_dir, f"zoo:{ref}", "same") for ref in ("a", "b")]
    ended = [(process.communicate(timeout=100)[1], process.returncode) for process in racers]
    assert sorted(code for _, code in ended) == [0, 1]
    (message,) = [err for err, code in ended if code]
    assert "NameTakenError" in message
    store = Store(settings.cache_dir)
    record = Registry(store).get("same")
    assert store.model_path(record).read_bytes() == record.model_id.encode() * 100_000
