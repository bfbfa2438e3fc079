"""Which file of a model is the graph to run."""

from __future__ import annotations

from pathlib import PurePosixPath

from torchinf_core.errors import LoadError
from torchinf_core.runtimes import Artifact


def main_file(artifact: Artifact) -> str:
    """Path of the graph: the only one, or else the ``model.onnx`` nearest to the top.

    Raises:
        LoadError: it has none, or several of which none is called so.
    """
    paths = [file.path for file in artifact.having("onnx")]
    paths = paths or [file.path for file in artifact.files if file.path.endswith(".onnx")]
    if not paths:
        raise LoadError(f"{artifact.name!r} has no ONNX file")
    if len(paths) == 1:
        return paths[0]
    named = [path for path in paths if PurePosixPath(path).name == "model.onnx"]
    depths = [path.count("/") for path in named]
    nearest = [path for path in named if path.count("/") == min(depths)]
    if len(nearest) == 1:
        return nearest[0]
    shown = ", ".join(sorted(paths)[:4]) + (", ..." if len(paths) > 4 else "")
    raise LoadError(
        f"{artifact.name!r} has {len(paths)} ONNX files ({shown}), and no one model.onnx",
        hint="download the one that you want as a model of its own",
    )
