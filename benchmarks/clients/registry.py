"""``registry.py STORE COUNT``: a registry of COUNT records, and what its work costs there.

Prints median seconds as JSON.  Records are added durably where that is timed,
and without waiting for the disk where it only fills the registry.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from statistics import median
from typing import Any

from torchinf_core.registry import Registry
from torchinf_core.store import Store
from torchinf_core.types import Record, StoredFile, Trust

NOW = "2026-01-01T00:00:00+00:00"


def record(number: int) -> Record:
    """A model of one file, as a download would note it."""
    digest = f"{number:064x}"
    file = StoredFile("model.safetensors", 1 << 20, digest, "safetensors", mtime_ns=1, inode=1)
    url = f"https://example.org/{number}/model.safetensors"
    return Record(
        name=f"model-{number}", source="https", ref=url, model_id=url, requested_revision=None,
        revision=None, files=(file,), generation=digest, format="safetensors", trust=Trust.DATA,
        trusted=None, verified="pinned", task=None, description=None, license=None, tags=(),
        metadata={}, request_key=digest, created=NOW, updated=NOW, torchinf_version="0.1.0",
    )  # fmt: skip


def timed(times: int, work: Callable[[int], Any]) -> float:
    """Median seconds of ``work(0)``, ``work(1)``, …"""
    taken = []
    for number in range(times):
        start = time.perf_counter()
        work(number)
        taken.append(time.perf_counter() - start)
    return median(taken)


def main() -> None:
    """Fill, measure, print."""
    root, count = sys.argv[1], int(sys.argv[2])
    store = Store(root)
    store.prepare()
    registry = Registry(store)
    waits = os.fsync, os.fdatasync
    vars(os).update(fsync=lambda _: None, fdatasync=lambda _: None)
    for number in range(count):
        registry.put(record(number))
    vars(os).update(fsync=waits[0], fdatasync=waits[1])
    os.sync()
    step = max(1, count // 50)
    costs = {
        "get": timed(50, lambda n: Registry(Store(root)).get(f"model-{n * step % count}")),
        "by_request": timed(50, lambda n: registry.by_request(f"{n * step % count:064x}")),
        "add": timed(50, lambda n: registry.put(record(count + n))),
        "names": timed(3, lambda _: registry.names()),
        "records": timed(3, lambda _: registry.records()),
    }
    print(json.dumps(costs))


main()
