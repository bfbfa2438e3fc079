"""Artifacts of the tests: files in a directory, and what a source would tell of them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from torchinf_core.runtimes import (
    Architecture,
    Artifact,
    Derived,
    LoadOptions,
    Signature,
    TensorSpec,
)
from torchinf_core.types import Record, StoredFile, Trust
from torchinf_torch.bidding import bid
from torchinf_torch.loading import load_predictor
from torchinf_torch.predictor import TorchPredictor

VECTOR = Signature(
    (TensorSpec("x", "float32", ("batch", 4)),), (TensorSpec("y", "float32", ("batch", 2)),)
)


def record(name: str, files: tuple[StoredFile, ...], kind: str | None, **fields: Any) -> Record:
    """What the registry would remember."""
    values: dict[str, Any] = {
        "name": name,
        "source": "test",
        "ref": f"test:{name}",
        "model_id": name,
        "requested_revision": None,
        "revision": None,
        "files": files,
        "generation": "0" * 64,
        "format": kind,
        "trust": Trust.DATA,
        "trusted": None,
        "verified": "recorded",
        "task": None,
        "description": None,
        "license": None,
        "tags": (),
        "metadata": {},
        "request_key": "0" * 64,
        "created": "2026-01-01T00:00:00Z",
        "updated": "2026-01-01T00:00:00Z",
        "torchinf_version": "0",
    }
    return Record(**{**values, **fields})


def artifact_of(
    directory: Path,
    kinds: Mapping[str, str | None],
    kind: str | None = None,
    architecture: Architecture | None = None,
    **fields: Any,
) -> Artifact:
    """An artifact of the files of a directory, by path and format."""
    files = tuple(
        StoredFile(
            path,
            (directory / path).stat().st_size,
            hashlib.sha256((directory / path).read_bytes()).hexdigest(),
            format=form,
        )
        for path, form in sorted(kinds.items())
    )
    known = kind if kind is not None else next(iter(kinds.values()), None)
    return Artifact(
        record=record("tiny", files, known, **fields),
        directory=directory,
        describable=architecture is not None,
        describe=(lambda: architecture) if architecture is not None else None,
    )


def derived_of(parent: Artifact, fmt: str = "torch-module", **options: Any) -> Artifact:
    """An optimised form without files of its own."""
    derived = Derived(
        runtime="torch",
        label="tuned",
        format=fmt,
        device="cpu",
        precision=str(options.get("precision", "fp32")),
        options=options,
        versions={},
        hardware="here",
        parent=parent.record.generation,
    )
    return Artifact(
        record=parent.record,
        directory=parent.directory,
        derived=derived,
        parent=parent,
        describable=parent.describable,
        describe=parent.describe,
    )


def linear(weights: tuple[str, ...] = (), **fields: Any) -> Architecture:
    """Four numbers in, two out."""
    return Architecture(
        name="a linear layer",
        signature=VECTOR,
        build=lambda: torch.nn.Linear(4, 2),
        weights=weights,
        **fields,
    )


@pytest.fixture
def load() -> Callable[..., TorchPredictor]:
    """Bids and loads as the core does."""

    def call(
        artifact: Artifact, device: str = "auto", options: LoadOptions | None = None
    ) -> TorchPredictor:
        claim = bid(artifact, device)
        assert claim.score, claim.reason
        return load_predictor(artifact, claim, options or LoadOptions())

    return call


@pytest.fixture(name="artifact_of")
def _artifact_of() -> Callable[..., Artifact]:
    """See the function."""
    return artifact_of


@pytest.fixture(name="derived_of")
def _derived_of() -> Callable[..., Artifact]:
    """See the function."""
    return derived_of


@pytest.fixture(name="linear")
def _linear() -> Callable[..., Architecture]:
    """See the function."""
    return linear
