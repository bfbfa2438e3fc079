"""What survives of a transfer: after a dead process, after a power cut, after tampering."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from torchinf_core.transfer import partial as module
from torchinf_core.transfer.partial import DURABLE, WRITTEN, Partial, Source

SOURCE = Source("http://x/y", total=25, block=10, etag='"1"')


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "key.part"


def begun(path: Path, *marks: tuple[int, int]) -> None:
    partial = Partial.open(path, locks_work=True)
    partial.begin(SOURCE)
    for index, state in marks:
        partial.mark(index, state)
    partial.close()


def test_blocks_of_a_dead_process_are_found_again(path: Path) -> None:
    begun(path, (0, WRITTEN), (2, DURABLE))
    partial = Partial.open(path, locks_work=True)
    found = partial.load()
    partial.close()
    assert found is not None
    assert found[0].etag == '"1"'
    assert list(found[1]) == [WRITTEN, 0, DURABLE]


def test_after_a_power_cut_only_blocks_known_to_be_on_the_disk_count(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun(path, (0, WRITTEN), (2, DURABLE))
    monkeypatch.setattr(module, "boot_id", lambda: "another boot")
    partial = Partial.open(path, locks_work=True)
    found = partial.load()
    partial.close()
    assert found is not None
    assert list(found[1]) == [0, 0, DURABLE]


def test_the_map_of_another_beginning_counts_as_nothing(path: Path) -> None:
    begun(path, (0, WRITTEN))
    sidecar = path.with_suffix(".json")
    raw = json.loads(sidecar.read_text())
    sidecar.write_text(json.dumps({**raw, "nonce": "00" * 16}))
    partial = Partial.open(path, locks_work=True)
    assert partial.load() is None
    partial.close()


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"{}", b'{"schema": 9}', b"\xff", b'{"schema":1,"total":"x"}']
)
def test_a_damaged_sidecar_counts_as_nothing(path: Path, content: bytes) -> None:
    begun(path, (0, WRITTEN))
    path.with_suffix(".json").write_bytes(content)
    partial = Partial.open(path, locks_work=True)
    assert partial.load() is None
    partial.close()


def test_blocks_behind_a_truncated_end_do_not_count(path: Path) -> None:
    begun(path, (0, WRITTEN), (2, WRITTEN))
    with path.open("r+b") as file:
        file.truncate(15)
    partial = Partial.open(path, locks_work=True)
    found = partial.load()
    partial.close()
    assert found is not None
    assert list(found[1]) == [WRITTEN, 0, 0]


def test_a_second_owner_gets_a_file_of_its_own(path: Path) -> None:
    first = Partial.open(path, locks_work=True)
    second = Partial.open(path, locks_work=True)
    assert first.path == path
    assert second.path != path
    first.close()
    second.discard()
    assert list(path.parent.iterdir()) == [path]


def test_a_file_that_was_published_under_the_new_owner_is_not_written_to(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path.write_bytes(b"published")
    published = path.with_name("blob")
    real = module.fcntl.flock

    def publish_then_lock(fd: int, operation: int) -> None:
        if path.exists() and not published.exists():
            path.rename(published)
        real(fd, operation)

    monkeypatch.setattr(module.fcntl, "flock", publish_then_lock)
    partial = Partial.open(path, locks_work=True)
    partial.begin(SOURCE)
    partial.discard()
    assert published.read_bytes() == b"published"


def test_without_working_locks_every_process_has_its_own_partial(path: Path) -> None:
    partial = Partial.open(path, locks_work=False)
    assert partial.path != path
    partial.discard()
