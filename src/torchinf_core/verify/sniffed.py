"""What a look at a file's content tells."""

from __future__ import annotations

from dataclasses import dataclass

from torchinf_core.types import Trust


@dataclass(frozen=True, slots=True)
class Sniffed:
    """The verdict on one file.

    Attributes:
        format: ``safetensors``, ``onnx``, ``torch`` (a checkpoint, zip or
            legacy), ``torchscript``, ``torch-export``, ``torch-package``,
            ``pickle``, ``gguf``, ``python``, ``library``, ``tensorrt``,
            ``json``, an archive format, or None for plain data.
        trust: what using the file can do.
        external: for ONNX, the sorted paths relative to the file's directory
            from which it reads further tensors.
    """

    format: str | None
    trust: Trust = Trust.DATA
    external: tuple[str, ...] = ()
