"""Opening an ``InferenceSession`` that is what it was asked to be, or not at all.

onnxruntime by itself prints, and falls back to the processor, where a provider does
not load; here that is an error.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import field
from pathlib import Path
from typing import Any, Literal

from torchinf_core.errors import DeviceError, FormatError, LoadError, MissingDependencyError
from torchinf_core.frozen import dataclass
from torchinf_onnx.devices import cuda_index

CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"
Level = Literal["all", "basic", "none"]
_LEVELS: dict[Level, str] = {
    "all": "ORT_ENABLE_ALL",
    "basic": "ORT_ENABLE_BASIC",
    "none": "ORT_DISABLE_ALL",
}
SILENT = 4  # errors come as exceptions; the log would print them a second time


@dataclass(frozen=True, slots=True)
class Setup:
    """How a session is opened.

    Attributes:
        device: ``cpu`` or ``cuda:N``.
        threads: for one operator; 0 for as many as there are cores.
        level: how far the graph is optimised when it is opened: ``all``, ``basic`` (what
            holds on any hardware), or ``none`` where that was done before.
        prepacking: lay the weights out for this processor when opening, which costs
            a copy of them and time, and makes each call faster.
        entries: session options by their names in onnxruntime's
            ``onnxruntime_session_options_config_keys.h``.
        save: where to write the optimised graph, or None.
    """

    device: str = "cpu"
    threads: int = 0
    level: Level = "all"
    prepacking: bool = True
    entries: Mapping[str, str] = field(default_factory=dict)
    save: Path | None = None


def open_session(path: Path, setup: Setup) -> Any:
    """A session over the graph at ``path``, which was checked before.

    Raises:
        DeviceError: the provider for the device did not load.
        FormatError: the graph is broken.
        LoadError: onnxruntime can't run it.
        MissingDependencyError: onnxruntime is not installed.
    """
    try:
        import onnxruntime as ort
    except ImportError as error:
        raise MissingDependencyError(
            f"onnxruntime can't be imported: {error}", hint="pip install onnxruntime"
        ) from None
    providers: list[Any] = [CPU]
    if setup.device != "cpu" and CUDA not in ort.get_available_providers():
        # One that is listed there may still not load; one that is not never does.
        raise _no_provider(setup.device, [CPU])
    if setup.device != "cpu":
        providers.insert(0, (CUDA, {"device_id": str(cuda_index(setup.device))}))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a missing provider is found out below
            session = ort.InferenceSession(
                str(path),
                _options(ort, setup),
                providers=providers,
                enable_fallback=0,
                read_config_from_model=0,
            )
    except Exception as error:  # its exceptions have no class in common
        raise _translated(error, path, setup.device) from error
    _check_provider(session, setup.device)
    return session


def _options(ort: Any, setup: Setup) -> Any:
    options = ort.SessionOptions()
    options.log_severity_level = SILENT
    options.intra_op_num_threads = setup.threads
    options.graph_optimization_level = getattr(ort.GraphOptimizationLevel, _LEVELS[setup.level])
    if not setup.prepacking:
        options.add_session_config_entry("session.disable_prepacking", "1")
    for key, value in setup.entries.items():
        options.add_session_config_entry(key, value)
    if setup.save is not None:
        options.optimized_model_filepath = str(setup.save)
    return options


def _check_provider(session: Any, device: str) -> None:
    loaded = session.get_providers()
    wanted = CPU if device == "cpu" else CUDA
    if loaded[:1] != [wanted]:
        raise _no_provider(device, loaded)


def _no_provider(device: str, loaded: list[str]) -> DeviceError:
    return DeviceError(
        f"onnxruntime has no {CUDA} that works on {device}; it loaded {', '.join(loaded)}",
        hint="--device cpu, or an onnxruntime-gpu that fits the CUDA libraries here",
    )


def _translated(error: Exception, path: Path, device: str) -> Exception:
    """The error of ours for one of onnxruntime's, without the directory's name in it."""
    kind = type(error).__name__
    text = str(error).replace(f"{path.parent}/", "").strip().splitlines()
    what = text[0][:400] if text else kind
    if kind in ("InvalidProtobuf", "InvalidGraph"):
        return FormatError(f"{path.name} is no graph that onnxruntime can run: {what}")
    if kind == "NotImplemented":
        return LoadError(
            f"{path.name} uses what this onnxruntime does not have: {what}",
            hint="pip install -U onnxruntime",
        )
    if device != "cpu" and ("CUDA" in what or kind == "EPFail"):
        return DeviceError(f"{path.name} can't run on {device}: {what}", hint="--device cpu")
    return LoadError(f"onnxruntime can't load {path.name}: {what}")
