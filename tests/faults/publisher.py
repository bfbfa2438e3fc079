"""A process of its own that publishes models and says so: the victim of the fault tests.

::

    publisher.py ROOT NAME SEED              publish one model
    publisher.py ROOT --cut K MOUNT FSYNC    run STEPS, and cut the power at call K

Prints one line for every step that was acknowledged.  Imports nothing heavy.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import struct
import sys
from pathlib import Path

from torchinf_core.errors import TorchinfError, from_os_error
from torchinf_core.registry import Registry
from torchinf_core.store import Store, generation
from torchinf_core.types import Record, StoredFile, Trust

FS_IOC_GOINGDOWN = 0x8004587D
NO_LOG_FLUSH = 2
WRITERS = ("open", "write", "fsync", "fdatasync", "rename", "link", "mkdir", "unlink", "fchmod",
           "close")  # fmt: skip


def contents(seed: str) -> dict[str, bytes]:
    """The files of a version: what it is can be told from any of them."""
    mark = hashlib.sha256(seed.encode()).digest()
    files = {"model.bin": mark * 2000, "config.json": b'{"seed": "%s"}' % seed.encode()}
    if seed.startswith("onnx"):
        files = {"graph.onnx": mark * 10, "weights.data": mark * 2000}
    return {**files, "shared/labels.txt": b"the same in all versions\n" * 100}


def fetch(part: Path, content: bytes) -> None:
    """What the transfer engine owes the store: the whole content, durable."""
    fd = os.open(part, os.O_RDWR | os.O_CREAT, 0o644)
    os.write(fd, content)
    os.ftruncate(fd, len(content))
    os.fdatasync(fd)
    os.close(fd)


def publish(root: str, name: str, seed: str) -> None:
    """Do what a download does after its last byte arrived."""
    store = Store(root)
    store.prepare()
    with store.lease(), store.single_flight(name):
        files = []
        for path, content in sorted(contents(seed).items()):
            digest = hashlib.sha256(content).hexdigest()
            if not store.has_blob(digest, len(content)):
                part = store.partial(digest[:32])
                try:
                    fetch(part, content)
                except OSError as error:
                    raise from_os_error(error, part) from None
                store.add_blob(part, digest)
            files.append(StoredFile(path, len(content), digest))
        stored = store.materialise(name, files)
        Registry(store).put(
            Record(
                name, "test", f"test:{name}", name, None, seed, stored, generation(stored), None,
                Trust.DATA, None, "recorded", None, None, None, (), {},
                hashlib.sha256(name.encode()).hexdigest(), "", "", "0",
            )
        )  # fmt: skip


STEPS = (
    ("publish", "a", "one"),
    ("publish", "b", "onnx-one"),
    ("publish", "a", "two"),
    ("rename", "a", "c"),
    ("publish", "b", "onnx-two"),
    ("remove", "c", ""),
    ("publish", "c", "one"),
    ("gc", "", ""),
)


def perform(root: str, action: str, name: str, value: str) -> None:
    """One of the steps."""
    store = Store(root)
    if action == "publish":
        publish(root, name, value)
    elif action == "rename":
        Registry(store).rename(name, value)
    elif action == "remove":
        Registry(store).remove(name)
    else:
        store.gc(dry_run=False, grace=0)


def cut_power_at(number: int, mount: str, *, unrelated_fsync: bool) -> list[int]:
    """Shut the file system down, journal and all, at the ``number``-th call; counts the calls."""
    calls = [0]
    real = {name: getattr(os, name) for name in WRITERS}

    def wrap(name: str):
        def call(*args, **options):
            calls[0] += 1
            if calls[0] == number:
                if unrelated_fsync:
                    fd = real["open"](f"{mount}/unrelated", os.O_WRONLY | os.O_CREAT)
                    real["write"](fd, b"x")
                    real["fsync"](fd)
                fd = real["open"](mount, os.O_RDONLY)
                fcntl.ioctl(fd, FS_IOC_GOINGDOWN, struct.pack("I", NO_LOG_FLUSH))
                os._exit(99)
            return real[name](*args, **options)

        return call

    for name in WRITERS:
        setattr(os, name, wrap(name))
    return calls


def main() -> int:
    root = sys.argv[1]
    try:
        if sys.argv[2] != "--cut":
            publish(root, sys.argv[2], sys.argv[3])
            print("acknowledged", flush=True)
            return 0
        number, mount, how = int(sys.argv[3]), sys.argv[4], sys.argv[5]
        calls = cut_power_at(number, mount, unrelated_fsync=how == "fsync")
        for step in STEPS:
            perform(root, *step)
            print("acknowledged", flush=True)
        print(calls[0], flush=True)
        return 0
    except TorchinfError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return error.exit_code


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    sys.exit(main())
