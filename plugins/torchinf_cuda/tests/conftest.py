"""Models of the tests, and a processor that stands in for a GPU."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch

from torchinf_core.runtimes import Architecture, Artifact, Derived, Signature, TensorSpec
from torchinf_core.types import Record, Trust

VECTOR = Signature((TensorSpec("x", "float32", ("batch", 4)),))


def _record(kind: str | None) -> Record:
    return Record(
        name="tiny",
        source="test",
        ref="test:tiny",
        model_id="tiny",
        requested_revision=None,
        revision=None,
        files=(),
        generation="0" * 64,
        format=kind,
        trust=Trust.DATA,
        trusted=None,
        verified="recorded",
        task=None,
        description=None,
        license=None,
        tags=(),
        metadata={},
        request_key="0" * 64,
        created="2026-01-01T00:00:00Z",
        updated="2026-01-01T00:00:00Z",
        torchinf_version="0",
    )


@pytest.fixture
def artifact_of(tmp_path: Path) -> Callable[..., Artifact]:
    """An artifact without files whose source builds the module."""

    def make(
        build: Callable[[], torch.nn.Module] | None = None,
        signature: Signature = VECTOR,
        kind: str | None = None,
        hardware: str = "here; NVIDIA H100",
        device: str = "cuda:0",
        **options: Any,
    ) -> Artifact:
        architecture = Architecture(
            name="tiny", signature=signature, build=build or (lambda: torch.nn.Linear(4, 2))
        )
        parent = Artifact(_record(kind), tmp_path, describable=True, describe=lambda: architecture)
        if not options:
            return parent
        derived = Derived(
            "cuda", "tuned", "torch-module", device, "fp32", options, {}, hardware, "0" * 64
        )
        return Artifact(
            parent.record,
            tmp_path,
            derived=derived,
            parent=parent,
            describable=True,
            describe=parent.describe,
        )

    return make


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """Has the processor answer for GPUs; device → bytes that are free, which a test may change."""
    free = {"cpu": 1 << 40}

    def mem_get_info(device: Any) -> tuple[int, int]:
        return free[str(device)], 1 << 40

    monkeypatch.setattr("torchinf_torch.devices.require", lambda *_: torch.device("cpu"))
    monkeypatch.setattr(torch.cuda, "device", lambda _device: nullcontext())
    monkeypatch.setattr(torch.cuda, "mem_get_info", mem_get_info)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: None)
    return free
