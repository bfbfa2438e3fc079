"""The command line in this process: what it printed, and its exit status."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest

from torchinf_core.cli.run import run

FILES = {"config.json": b'{"a": 1}', "weights.bin": b"p" * 5000}


@dataclass(frozen=True)
class Ran:
    status: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        return json.loads(self.out)

    @property
    def stream(self) -> list[Any]:
        return [json.loads(line) for line in self.out.splitlines()]


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCHINF_CACHE_DIR", str(tmp_path / "store"))
    return tmp_path / "store"


@pytest.fixture
def torchinf(store, capsys):
    def torchinf(*argv: str) -> Ran:
        capsys.readouterr()
        status = run(argv)
        printed = capsys.readouterr()
        return Ran(status, printed.out, printed.err)

    return torchinf


@pytest.fixture
def stocked(zoo, torchinf):
    """A zoo with two models, both downloaded."""
    zoo.add("tiny", {"weights.bin": b"w" * 5000}, task="testing", license="mit")
    zoo.add("pair", FILES)
    assert torchinf("download", "zoo:tiny").status == 0
    assert torchinf("download", "zoo", "pair", "--tag", "two").status == 0
    return zoo
