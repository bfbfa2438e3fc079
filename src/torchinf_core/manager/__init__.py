"""The library: what a program calls to get, find and forget models.

:class:`ModelDownloader` works on one store; the module functions work on the
default one.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torchinf_core.manager.downloader import ModelDownloader, OnEvent
from torchinf_core.types import ModelInfo

_default: ModelDownloader | None = None


def get_model_downloader() -> ModelDownloader:
    """The process's downloader on the default store.

    Made anew when the environment or the settings file leads elsewhere.
    """
    global _default
    fresh = ModelDownloader()
    if _default is None or _default.settings != fresh.settings:
        _default = fresh
    return _default


def download_model(
    source: str, model_id: str | None = None, model_name: str | None = None, **asked: Any
) -> tuple[Path, ModelInfo]:
    """Have a model in the default store; see :meth:`ModelDownloader.download`.

    Example::

        path, info = download_model("torchvision", "resnet18")
        path, info = download_model("url", "https://example.com/model.onnx", name="custom")
    """
    return get_model_downloader().download(source, model_id, model_name, **asked)


def list_available_models() -> dict[str, ModelInfo]:
    """Every readable model of the default store, by name."""
    return get_model_downloader().list_available_models()


__all__ = [
    "ModelDownloader",
    "OnEvent",
    "download_model",
    "get_model_downloader",
    "list_available_models",
]
