"""From an ONNX graph to an engine.

With TensorRT for RTX that needs no GPU when the target is named.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from torchinf_core.errors import FormatError, LoadError, from_os_error
from torchinf_core.types import StoredFile
from torchinf_core.verify.external import check_external
from torchinf_tensorrt.api import Log, load_module
from torchinf_tensorrt.halving import halve
from torchinf_tensorrt.shapes import Shapes, add_profile
from torchinf_tensorrt.targets import aim


@dataclass(frozen=True, slots=True)
class Order:
    """What engine to build.

    Attributes:
        directory, main, files: of the model: its ``.onnx`` file and all it has.
        target: ``sm89``, or ``""`` for the GPU that is there.
        shapes: that it has to take.
        precision: ``fp32`` for what the graph says, ``fp16`` or ``bf16``.
        timing_cache: file to keep measured tactics in between builds, or None.
        module: ``tensorrt`` or ``tensorrt_rtx``, or None for what is installed.
    """

    directory: Path
    main: str
    files: tuple[StoredFile, ...]
    target: str = ""
    shapes: Shapes = field(default_factory=Shapes)
    precision: str = "fp32"
    timing_cache: Path | None = None
    module: str | None = None


def build_engine(order: Order) -> bytes:
    """The serialised engine.

    Raises:
        FormatError: the graph reads files that are not its own, is broken, or has
            nodes that TensorRT does not know; the message names them.
        LoadError: it can't be built for that target, shapes or precision.
        UsageError: the shapes do not fit the model.
        MissingDependencyError: no TensorRT is installed.
    """
    # Before anything parses the graph: parsing follows the paths in it.
    check_external(order.directory, order.main, order.files)
    trt = load_module(order.module, target=bool(order.target))
    graph = order.directory / order.main
    if order.precision == "fp16" and "FP16" not in trt.BuilderFlag.__members__:
        with TemporaryDirectory(prefix="torchinf-tensorrt-") as folder:
            half = halve(graph, Path(folder))
            return _build(trt, replace(order, precision="fp32"), half)
    return _build(trt, order, graph)


def _build(trt: Any, order: Order, graph: Path) -> bytes:
    log = Log(trt)
    builder = trt.Builder(log.logger)
    if not builder:
        raise log.failure(f"{trt.__name__} can't make a builder")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        config = builder.create_builder_config()
        network = builder.create_network(_flags(trt, order, config))
        _parse(trt, network, log, graph)
        aim(trt, config, order.target)
        add_profile(builder, config, network, order.shapes)
        cached = _use_cache(config, order.timing_cache)
        engine = builder.build_serialized_network(network, config)
        if engine is None:
            raise log.failure(f"{trt.__name__} built no engine of {order.main}")
        if cached and order.timing_cache is not None:
            _keep_cache(config, order.timing_cache)
    return bytes(engine)


def _flags(trt: Any, order: Order, config: Any) -> int:
    """Network flags: types as the graph has them, unless others were asked for."""
    if order.precision != "fp32":
        if order.precision.upper() not in trt.BuilderFlag.__members__:
            raise LoadError(
                f"{trt.__name__} {trt.__version__} computes in the types of the graph, "
                f"and not in {order.precision}",
                hint="export the model in that precision",
            )
        config.set_flag(getattr(trt.BuilderFlag, order.precision.upper()))
        return 0
    return 1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)


def _parse(trt: Any, network: Any, log: Log, graph: Path) -> None:
    parser = trt.OnnxParser(network, log.logger)
    if parser.parse_from_file(str(graph)) and network.num_outputs:
        return
    found = [_problem(parser.get_error(place)) for place in range(parser.num_errors)]
    more = f" (and {len(found) - 3} more)" if len(found) > 3 else ""
    what = "; ".join(found[:3]) + more if found else "; ".join(log.errors[-1:]) or "no reason given"
    raise FormatError(f"{graph.name} is no graph that {trt.__name__} can take: {what}")


def _problem(error: Any) -> str:
    """A parser's error in a line: the node, its operator and what is wrong with it."""
    operator, name = error.node_operator(), error.node_name()
    where = f"{operator} {name!r}: " if operator else ""
    return where + " ".join(str(error.desc()).split())[:200]


def _use_cache(config: Any, path: Path | None) -> bool:
    """Start from a timing cache; one that is damaged or of another GPU is begun anew."""
    if path is None:
        return False
    known = _read(path)
    cache = config.create_timing_cache(known)
    if cache is None or not config.set_timing_cache(cache, False):
        return known != b"" and bool(
            config.set_timing_cache(config.create_timing_cache(b""), False)
        )
    return True


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def _keep_cache(config: Any, path: Path) -> None:
    cache = config.get_timing_cache()
    if cache is not None:
        write(path, [bytes(cache.serialize())])


def write(path: Path, content: Iterable[bytes]) -> None:
    """Write a file whole or not at all.

    Raises:
        StoreError: it can't be written.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with open(part, "xb") as file:
            file.writelines(content)
        os.replace(part, path)
    except OSError as error:
        raise from_os_error(error, path) from None
    finally:
        part.unlink(missing_ok=True)
