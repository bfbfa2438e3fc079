"""The forms that ONNX Runtime offers to build; the core compares and measures them."""

from __future__ import annotations

import shutil
import weakref
from collections.abc import Iterator
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp
from typing import TYPE_CHECKING

from torchinf_core.errors import LoadError, TorchinfError
from torchinf_core.runtimes import Artifact, Candidate, LoadOptions
from torchinf_core.types import Json
from torchinf_core.verify.external import check_external
from torchinf_onnx import devices
from torchinf_onnx.choosing import main_file

if TYPE_CHECKING:
    from torchinf_core.host import Host

NAME = "model.onnx"
BESIDE = 64 << 20
"""Bytes of a graph above which its weights go to a file beside it, to be mapped."""
INT8_TOLERANCE = 1e-2
"""Below this 8-bit weights don't pass the gate, so that only ``full`` tries them."""


def offer(artifact: Artifact, device: str, options: LoadOptions, host: Host) -> Iterator[Candidate]:
    """Candidates for a model that is a graph, or that can be exported to one."""
    if devices.package() is None or artifact.derived is not None:
        return
    if device not in ("auto", "cpu") and not device.startswith("cuda"):
        return
    if options.precision not in ("auto", "fp32"):
        return
    graph = _graph_of(artifact, host)
    if graph is None:
        return
    device = "cpu" if device == "auto" else device
    loads: dict[str, Json] = {"optimised": True}
    versions = devices.distributions()
    yield Candidate(
        label="ONNX Runtime fp32",
        format="onnx",
        options=loads,
        distributions=versions,
        hardware=devices.gpu_name(device),
        build=partial(_optimise, graph, device),
    )
    if device == "cpu" and find_spec("onnx"):
        yield Candidate(
            label="ONNX Runtime int8",
            format="onnx",
            precision="int8",
            options=loads,
            distributions=versions,
            build=partial(_quantise, graph),
            thorough=_tolerance(artifact, options) < INT8_TOLERANCE,
        )


class Graph:
    """The graph of a model, exported on first use where the model is no graph.

    What was exported is kept until all candidates that use it are gone.
    """

    def __init__(self, artifact: Artifact, own: str | None) -> None:
        self._artifact = artifact
        self._own = own
        self._made: Path | None = None

    def path(self) -> Path:
        """Where it is; checked.

        Raises:
            TorchinfError: it can't be exported, or reads other files than its own.
        """
        if self._own is not None:
            check_external(self._artifact.directory, self._own, self._artifact.files)
            return self._artifact.path(self._own)
        if self._made is None:
            from torchinf_onnx.exporting import export

            folder = mkdtemp(prefix="torchinf-onnx-")
            weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
            export(self._artifact, Path(folder) / NAME)
            self._made = Path(folder) / NAME
        return self._made

    def is_large(self) -> bool:
        """True when its weights are, or should be, in a file beside it."""
        path = self.path()
        if self._own is not None:
            files = self._artifact.files
            beside = bool(check_external(self._artifact.directory, self._own, files))
        else:
            beside = len(list(path.parent.iterdir())) > 1
        return beside or path.stat().st_size > BESIDE


def _graph_of(artifact: Artifact, host: Host) -> Graph | None:
    if artifact.format == "onnx" or artifact.having("onnx"):
        try:
            return Graph(artifact, main_file(artifact))
        except LoadError as error:
            host.note(str(error))
            if artifact.format == "onnx":
                return None
    if not artifact.describable:
        return None
    architecture = artifact.architecture()
    if architecture.build is None or architecture.examples is None:
        return None
    lacking = [name for name in ("torch", "onnx", "onnxscript") if find_spec(name) is None]
    if lacking:
        host.note(f"exporting to ONNX needs {', '.join(lacking)}: pip install {' '.join(lacking)}")
        return None
    return Graph(artifact, None)


def _optimise(graph: Graph, device: str, into: Path) -> None:
    from torchinf_onnx.optimising import save_optimised

    save_optimised(graph.path(), into / NAME, device, beside=graph.is_large())


def _quantise(graph: Graph, into: Path) -> None:
    from torchinf_onnx.optimising import quantise, save_optimised

    with TemporaryDirectory(prefix="torchinf-onnx-") as folder:
        made = Path(folder) / NAME
        quantise(graph.path(), made, beside=graph.is_large())
        save_optimised(made, into / NAME, "cpu", beside=graph.is_large())


def _tolerance(artifact: Artifact, options: LoadOptions) -> float:
    if options.settings is None:
        return 0.0
    try:
        return options.settings.run_for(artifact.name).tolerance
    except TorchinfError:
        return 0.0
