"""Checkpoints named as at download.pytorch.org: ``/models/<name>-<first 8 of sha256>.pth``."""

from __future__ import annotations

from pathlib import Path

from torchinf_core.testing.content import as_content
from torchinf_core.testing.git import content_sha256
from torchinf_core.testing.hub import Hub


def add_checkpoint(hub: Hub, name: str, content: bytes | Path, *, digest: str | None = None) -> str:
    """Serve a checkpoint; returns its URL.

    Args:
        hub: where; a mirror of ``https://download.pytorch.org``.
        name: such as ``resnet18``.
        content: the file.
        digest: the 8 digits in its name; those of the content if None, others
            make a checkpoint that is not what its name says.
    """
    digits = digest or content_sha256(as_content(content))[:8]
    return hub.add(f"/models/{name}-{digits}.pth", content)
