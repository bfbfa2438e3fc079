"""The power goes at any call: what was acknowledged is there, and nothing is half there.

A file system of its own is shut down without flushing its journal.  Half of
the cuts come after an unrelated fsync, which commits names whose content may
not have reached the disk: that is what shows a missing fsync.
"""

from __future__ import annotations

import os
import random
import shutil

import pytest

pytestmark = pytest.mark.root
CUT = 99


class Disk:
    """An image with an ext4 file system, which loses its power when it is told to."""

    def __init__(self, run, directory):
        self.run = run
        self.image = directory / "disk.img"
        self.path = directory / "disk"
        self.path.mkdir()

    def format(self):
        with open(self.image, "wb") as file:
            file.truncate(48 << 20)
        self.run(["mkfs.ext4", "-q", "-F", "-O", "has_journal", str(self.image)])
        self.mount()

    def mount(self):
        done = self.run(["mount", "-o", "loop", str(self.image), str(self.path)], check=False)
        if done.returncode != 0:
            pytest.skip(f"may not mount a loop file system: {done.stderr.strip()}")

    def unmount(self):
        self.run(["umount", str(self.path)])


@pytest.fixture
def disk(as_root, run, tmp_path):
    """A disk that loses its power; skip where there can be none."""
    if shutil.which("mkfs.ext4", path=os.environ["PATH"] + ":/usr/sbin:/sbin") is None:
        pytest.skip("needs mkfs.ext4")
    disk = Disk(run, tmp_path)
    yield disk
    run(["umount", str(disk.path)], check=False)


def allowed(publisher, steps):
    """What each name may hold after so many steps, and one more that may or may not have come."""
    states = [{}]
    for action, name, value in publisher.STEPS:
        state = dict(states[-1])
        if action == "publish":
            state[name] = publisher.contents(value)
        elif action == "rename":
            state[value] = state.pop(name)
        elif action == "remove":
            del state[name]
        states.append(state)
    now, then = states[steps], states[min(steps + 1, len(states) - 1)]
    return {name: (now.get(name), then.get(name)) for name in {*now, *then}}


def test_a_power_cut_at_any_call_loses_nothing_that_was_acknowledged(
    disk, victim, run, publisher, make_shelf, depth
):
    disk.format()
    count = run(victim(disk.path / "store", "--cut", 0, disk.path, "none"))
    calls = int(count.stdout.split()[-1])
    assert calls > 200
    disk.unmount()
    chance = random.Random(os.environ.get("TORCHINF_SEED", "1"))
    seen = set()
    for number in range(max(2, int(12 * depth))):
        disk.format()
        at = chance.randint(1, calls)
        how = "fsync" if number % 2 else "none"
        done = run(victim(disk.path / "store", "--cut", at, disk.path, how), check=False)
        assert done.returncode == CUT, (at, how, done.stderr)
        acknowledged = done.stdout.split().count("acknowledged")
        disk.unmount()
        disk.mount()
        where = f"call {at} of {calls}, {how}, {acknowledged} steps acknowledged"
        shelf = make_shelf(disk.path / "store")
        assert shelf.damage() == [], where
        names = set(shelf.registry.names())
        for name, contents in allowed(publisher, acknowledged).items():
            found = shelf.content(name) if name in names else None
            assert found in contents, where
        assert names <= set(allowed(publisher, acknowledged)), where
        publisher.publish(str(shelf.store.root), "a", "afterwards")
        assert shelf.content("a") == publisher.contents("afterwards"), where
        shelf.store.gc(dry_run=False, grace=0)
        assert shelf.damage() == [], where
        seen.add(acknowledged)
        disk.unmount()
    assert len(seen) > 1
