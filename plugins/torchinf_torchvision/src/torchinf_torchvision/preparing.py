"""Turns pictures into arrays exactly as torchvision's presets do, with Pillow and numpy.

So a model that another runtime holds needs neither torch nor torchvision to be
given a picture.  The parameters are the catalogue's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torchinf_core.errors import LoadError
from torchinf_core.types import Json


def prepare(picture: Any, transforms: Mapping[str, Json]) -> Any:
    """A float32 array of 3, height, width.

    Args:
        picture: ``PIL.Image``, RGB.
        transforms: of the preset ``ImageClassification`` or ``SemanticSegmentation``.
    """
    import numpy as np

    picture = _resized(picture, int(transforms["resize_size"]), str(transforms["interpolation"]))
    if transforms["class"] == "ImageClassification":
        picture = _cropped(picture, int(transforms["crop_size"]))
    array = np.asarray(picture).transpose(2, 0, 1).astype(np.float32)
    array /= np.float32(255)
    array -= np.asarray(transforms["mean"], np.float32)[:, None, None]
    array /= np.asarray(transforms["std"], np.float32)[:, None, None]
    return array


def _resized(picture: Any, size: int, interpolation: str) -> Any:
    """The shorter side at ``size``, the longer one in proportion and rounded down."""
    from PIL import Image

    kinds = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}
    if interpolation not in kinds:
        raise LoadError(f"pictures can't be resized by {interpolation!r} here")
    short, long = sorted(picture.size)
    longer = int(size * long / short)
    width, height = (longer, size) if picture.size[0] > picture.size[1] else (size, longer)
    if (width, height) == picture.size:
        return picture
    return picture.resize((width, height), kinds[interpolation])


def _cropped(picture: Any, size: int) -> Any:
    """The middle of a picture that is at least as large."""
    width, height = picture.size
    left, top = round((width - size) / 2), round((height - size) / 2)
    return picture.crop((left, top, left + size, top + size))
