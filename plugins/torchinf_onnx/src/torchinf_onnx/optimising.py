"""Graphs that are made for this machine: optimised in advance, and with 8-bit weights."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from torchinf_core.errors import FormatError, MissingDependencyError
from torchinf_onnx.sessions import Level, Setup, open_session

LEAST = "1024"  # bytes of a tensor that goes there


def save_optimised(
    source: Path, target: Path, device: str, *, beside: bool, level: Level = "all"
) -> None:
    """Write what onnxruntime makes of a graph when it opens it for a device.

    Opening that again takes a part of the time; it is only good on this hardware.

    Args:
        source: the graph, checked.
        target: the file to write, in a directory of its own.
        device: it is optimised for.
        beside: write the weights to ``NAME.data`` beside it.  A graph that has external
            data needs that: onnxruntime would leave its old paths in the new one.
        level: ``basic`` for a graph that holds on any hardware.
    """
    entries = {}
    if beside:
        entries = {
            "session.optimized_model_external_initializers_file_name": f"{target.name}.data",
            "session.optimized_model_external_initializers_min_size_in_bytes": LEAST,
        }
    open_session(source, Setup(device, level=level, entries=entries, save=target, prepacking=False))


def quantise(source: Path, target: Path, *, beside: bool) -> None:
    """Write a graph whose matrix products have 8-bit weights.

    Convolutions keep their precision: quantised on the fly they only get slower.

    Raises:
        FormatError: there is nothing to quantise.
        MissingDependencyError: onnxruntime's tool for it can't be imported.
    """
    with quiet():
        try:
            from onnxruntime.quantization import QuantType, quantize_dynamic
        except ImportError as error:
            raise MissingDependencyError(
                f"quantising needs {error.name}", hint="pip install onnx"
            ) from None
        folded = target.with_name(f"folded-{target.name}")
        save_optimised(source, folded, "cpu", beside=beside, level="basic")
        quantize_dynamic(
            folded,
            target,
            op_types_to_quantize=["MatMul", "Gemm", "Attention", "LSTM"],
            # Signed ones saturate on processors without VNNI: 21 % off instead of 0.6 %.
            weight_type=QuantType.QUInt8,
            per_channel=True,
            use_external_data_format=beside,
            extra_options={"MatMulConstBOnly": True},
        )
    if not _is_quantised(target):
        raise FormatError("the graph has no matrix product with constant weights to quantise")


def _is_quantised(path: Path) -> bool:
    import onnx

    model: Any = onnx.load(path, load_external_data=False)
    return any("Integer" in node.op_type or "Quant" in node.op_type for node in model.graph.node)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep what exporters and tools print, log and warn of from the user."""
    disabled, handlers = logging.root.manager.disable, logging.root.handlers[:]
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        logging.disable(logging.CRITICAL)
        try:
            yield
        finally:
            logging.disable(disabled)
            logging.root.handlers[:] = handlers  # logging.warning() adds one where there is none
