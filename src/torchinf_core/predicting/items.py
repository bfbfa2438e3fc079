"""What people have, as the pipelines of sources take it: pictures, texts, dicts.

The other module of the core that uses numpy, and the only one that uses Pillow;
both inside functions.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import Any

from torchinf_core.errors import InputError, MissingDependencyError
from torchinf_core.predicting import arrays
from torchinf_core.runtimes import ItemKind

PICTURES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff")


def is_picture(value: object) -> bool:
    """True for an array of bytes as pictures are held: height, width, and 1, 3 or 4 colours."""
    shape: Sequence[int] = getattr(value, "shape", ())
    dtype = str(getattr(value, "dtype", "")).removeprefix("torch.")
    return dtype == "uint8" and (len(shape) == 2 or (len(shape) == 3 and shape[2] in (1, 3, 4)))


def to_item(value: Any, kind: ItemKind) -> Any:
    """One input as the pipeline takes it.

    Raises:
        InputError: it is something else, or a picture that can't be read.
        MissingDependencyError: pictures need Pillow.
    """
    if kind == "image":
        return _picture(value)
    if kind == "text":
        if isinstance(value, str):
            return value
        if isinstance(value, os.PathLike):
            return _text_of(value)
        raise InputError(f"the model takes a text, and got a {type(value).__name__}")
    if kind == "mapping":
        if isinstance(value, Mapping):
            return dict(value)
        raise InputError(f"the model takes a dict, and got a {type(value).__name__}")
    return value


def _text_of(path: os.PathLike[str]) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except (OSError, ValueError) as error:
        raise InputError(f"{os.fspath(path)!r} can't be read as text: {error}") from None


def _picture(value: Any) -> Any:
    try:
        from PIL import Image, UnidentifiedImageError
    except ImportError:
        raise MissingDependencyError(
            "pictures need Pillow, which is not installed", hint="pip install pillow"
        ) from None
    if isinstance(value, Image.Image):
        return value.convert("RGB")
    if arrays.is_array(value) and is_picture(value):
        import numpy as np

        array = np.asarray(value)
        flat = array[..., 0] if array.ndim == 3 and array.shape[2] == 1 else array
        return Image.fromarray(flat).convert("RGB")
    if isinstance(value, (bytes, bytearray)):
        source: Any = BytesIO(value)
        what = "the picture"
    elif isinstance(value, (str, os.PathLike)):
        source = os.fspath(value)
        what = repr(source)
    else:
        raise InputError(
            f"the model takes a picture (path, bytes, PIL.Image or a uint8 array of height, "
            f"width, colours), and got a {type(value).__name__}"
        )
    try:
        with warnings.catch_warnings():
            # More pixels than a picture should have: Pillow warns, and fails at twice as many.
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(source) as opened:
                return opened.convert("RGB")
    except UnidentifiedImageError:
        raise InputError(f"{what} is not a picture that Pillow can read") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise InputError(
            f"{what} has more than {Image.MAX_IMAGE_PIXELS:,} pixels", hint="make it smaller first"
        ) from None
    except FileNotFoundError:
        raise InputError(f"there is no file {what}") from None
    except (OSError, ValueError, SyntaxError) as error:
        raise InputError(f"{what} can't be read as a picture: {str(error)[:200]}") from None
