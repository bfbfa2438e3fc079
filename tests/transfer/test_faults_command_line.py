"""The same faults as someone at a terminal meets them: exit status, message, what is left."""

from __future__ import annotations

import hashlib
import json
import random

import pytest

from torchinf_core import transfer
from torchinf_core.cli.run import run
from torchinf_core.network import retry
from torchinf_core.registry import Registry
from torchinf_core.store import Store
from torchinf_core.testing import Fault, Hub, faults


def safetensors(seed: int, size: int = 200_000) -> bytes:
    header = {"w": {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + random.Random(seed).randbytes(size)


MODEL, OTHER = safetensors(1), safetensors(2)
SHA256 = hashlib.sha256(MODEL).hexdigest()


@pytest.fixture(autouse=True)
def unhurried(monkeypatch, tmp_path):
    monkeypatch.setattr(retry, "sleep", lambda _seconds, _stop=None: None)
    monkeypatch.setattr(transfer, "SMALL", -1)
    monkeypatch.setenv("TORCHINF_CACHE_DIR", str(tmp_path / "store"))
    monkeypatch.setenv("TORCHINF_IDLE_TIMEOUT", "0.3")


@pytest.fixture
def hub():
    with Hub() as hub:
        hub.add("/m.safetensors", MODEL, etag="one")
        yield hub


def blobs(tmp_path) -> list[str]:
    return [path.name for path in (tmp_path / "store" / "blobs").rglob("*") if path.is_file()]


def download(hub: Hub, *words: str) -> int:
    return run(["download", hub.url("/m.safetensors"), "--name", "m", *words])


@pytest.mark.parametrize(
    "fault",
    [
        faults.cut(0.5),
        faults.cut(25_000).always(),
        faults.reset(0.5),
        faults.reset(25_000).always(),
        faults.ignore_range(),
        faults.flip(),
        faults.status(503).repeat(3),
        faults.status(429, Retry_After="2"),
        faults.status(502),
        faults.together(faults.chunked(), faults.cut(0.5)),
        faults.stall(0.5),
        faults.empty(),
        faults.vanish().repeat(3),
        faults.gzipped().always(),
        faults.header("Content-Disposition", 'attachment; filename="../../x"').always(),
    ],
    ids=lambda fault: fault.name,
)
def test_what_can_be_survived_ends_with_0(hub, fault: Fault, tmp_path, capsys):
    hub.fail("/m.safetensors", fault)
    assert download(hub, "--sha256", SHA256) == 0
    assert blobs(tmp_path) == [SHA256]
    capsys.readouterr()
    assert run(["path", "m"]) == 0
    path = capsys.readouterr().out.strip()
    with open(path, "rb") as file:
        assert file.read() == MODEL
    assert path.startswith(str(tmp_path / "store"))
    assert [entry.name for entry in tmp_path.iterdir()] == ["store"]


@pytest.mark.parametrize(
    ("fault", "statuses", "words"),
    [
        (faults.flip(), {5}, ()),
        (faults.garble(), {5, 8}, ()),
        (faults.portal(), {5, 8}, ()),
        (faults.empty(), {5, 8}, ()),
        (faults.claim_length(-1000), {5}, ()),
        (faults.together(faults.no_length(), faults.cut(0.5)), {5}, ()),
        (faults.endless(), {5, 7}, ("--max-bytes", "3M")),
        (faults.bomb(1 << 28), {5, 7}, ("--max-bytes", "3M")),
        (faults.status(503), {4}, ()),
        (faults.status(404), {3}, ()),
        (faults.status(403), {4}, ()),
        (faults.vanish(), {4}, ()),
        (faults.many_headers(), {4}, ()),
        (faults.big_header(), {4}, ()),
        (faults.moved("/m.safetensors"), {4}, ()),
    ],
    ids=lambda value: value.name if isinstance(value, Fault) else None,
)
def test_what_can_not_be_survived_ends_with_its_status_and_no_model(
    hub, fault: Fault, statuses: set[int], words: tuple[str, ...], tmp_path, capsys
):
    hub.fail("/m.safetensors", fault.always())
    assert download(hub, "--sha256", SHA256, *words) in statuses
    shown = capsys.readouterr().err
    assert "Traceback" not in shown
    assert "m.safetensors" in shown
    assert blobs(tmp_path) == []
    assert run(["list", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"models": [], "damaged": []}
    assert Store(tmp_path / "store").fsck(repair=False) == []


def test_a_file_that_changes_meanwhile_is_recorded_with_its_new_entity_tag(hub, tmp_path):
    changed = faults.replaced_by(OTHER, etag='"two"', heed_if_range=False)
    hub.fail("/m.safetensors", faults.cut(0.5), changed.always())
    assert download(hub) == 0
    (file,) = Registry(Store(tmp_path / "store")).get("m").files
    assert file.sha256 == hashlib.sha256(OTHER).hexdigest()
    assert file.validator == '"two"'


def test_a_model_that_is_there_stays_as_it_was_when_its_update_fails(hub, tmp_path, capsys):
    assert download(hub) == 0
    hub.add("/m.safetensors", OTHER, etag="two")
    hub.fail("/m.safetensors", faults.vanish().always())
    assert download(hub, "--update") == 4
    capsys.readouterr()
    assert run(["path", "m"]) == 0
    with open(capsys.readouterr().out.strip(), "rb") as file:
        assert file.read() == MODEL
    assert Store(tmp_path / "store").fsck(repair=False) == []
