"""What servers send in place of a model: error pages, pointers, nothing."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from torchinf_core.errors import FormatError

_HTML = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*+(?:<\?xml[^>]*+>\s*+)?(?:<!--(?:[^-]++|-(?!->))*+-->\s*+)*+"
    rb"<(?:!doctype\s++html|html|head|body|title|meta|script)\b",
    re.IGNORECASE,
)
_POINTER = re.compile(rb"version https?://(?:git-lfs\.github\.com|hawser\.github\.com)/spec/v1\s")
WEIGHTS = frozenset(
    (
        *(".safetensors", ".onnx", ".onnx_data", ".data", ".gguf", ".ggml", ".bin", ".model"),
        *(".pt", ".pth", ".pt2", ".ckpt", ".th", ".jit", ".ptl", ".pkl", ".pickle"),
        *(".h5", ".hdf5", ".keras", ".tflite", ".pb", ".msgpack", ".npz", ".npy"),
        *(".engine", ".plan", ".trt"),
    )
)
"""Extensions of files that hold weights: never empty, and never let through damaged."""

_DOCUMENTS = frozenset(
    (".html", ".htm", ".xhtml", ".md", ".markdown", ".rst", ".svg", ".xml", ".ipynb", ".jinja")
)
_MEDIA = frozenset(
    (
        *(".png", ".jpg", ".jpeg", ".gif", ".webp", ".bmp", ".ico", ".pdf", ".csv"),
        *(".mp3", ".mp4", ".wav", ".flac", ".ogg", ".webm", ".mov", ".avi", ".ttf", ".otf"),
    )
)


def refuse_impostor(head: bytes, size: int, name: str) -> None:
    """Refuse an empty weight file, an HTML page or a Git LFS pointer.

    Documents may be HTML, and documents and media may be pointers: a source
    tree holds both, and neither is a model.

    Args:
        head: the first bytes, a kilobyte or more.
        size: bytes of the whole file.
        name: what the file is to be called.

    Raises:
        FormatError: saying what arrived instead of the file.
    """
    suffix = PurePosixPath(name).suffix.lower()
    if size == 0 and suffix in WEIGHTS:
        raise FormatError("is empty", hint="the source is broken, or the transfer was cut")
    if suffix in _DOCUMENTS:
        return
    if _HTML.match(head):
        raise FormatError(
            "got HTML (a login or error page?), not the file",
            hint="open the URL in a browser; it may want a login or a token",
        )
    if suffix not in _MEDIA and _POINTER.match(head):
        raise FormatError(
            "got a Git LFS pointer, not the file",
            hint="use the URL that serves the content, such as …/resolve/… instead of …/raw/…",
        )
