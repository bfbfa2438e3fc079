"""Which file of a model is the graph that an engine is built from."""

from __future__ import annotations

from torchinf_core.errors import LoadError
from torchinf_core.runtimes import Artifact


def main_file(artifact: Artifact) -> str:
    """Path of the only ONNX file, or of ``model.onnx``.

    Raises:
        LoadError: it has none, or several of which none is called so.
    """
    paths = [file.path for file in artifact.having("onnx")]
    if len(paths) == 1:
        return paths[0]
    if "model.onnx" in paths:
        return "model.onnx"
    what = f"{len(paths)} ONNX files, and no model.onnx" if paths else "no ONNX file"
    raise LoadError(f"{artifact.name!r} has {what}")
