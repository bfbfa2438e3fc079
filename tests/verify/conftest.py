"""Fixtures for judging bytes as if they were a file of a model."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import pytest

from torchinf_core.verify import Sniffed, sniff


class Judge(Protocol):
    """Sniff bytes under a name."""

    def __call__(self, content: bytes, name: str) -> Sniffed: ...


@pytest.fixture(scope="session")
def judge(tmp_path_factory: pytest.TempPathFactory) -> Judge:
    """Write the bytes to one blob and sniff it; session-wide, for use under hypothesis."""
    blob = tmp_path_factory.mktemp("sniffed") / "blob"

    def sniff_bytes(content: bytes, name: str) -> Sniffed:
        Path(blob).write_bytes(content)
        return sniff(blob, name)

    return sniff_bytes
