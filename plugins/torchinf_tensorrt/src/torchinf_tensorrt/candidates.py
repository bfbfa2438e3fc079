"""The engines that are offered for a model that is an ONNX graph."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from torchinf_core.errors import UsageError
from torchinf_core.runtimes import Artifact, Candidate, LoadOptions
from torchinf_core.types import Json
from torchinf_tensorrt.api import distributions, installed
from torchinf_tensorrt.choosing import main_file
from torchinf_tensorrt.halving import can_halve
from torchinf_tensorrt.shapes import Shapes, parse_range
from torchinf_tensorrt.targets import NO_GPU, count_gpus, cuda_index, gpu_name, parse_target

if TYPE_CHECKING:
    from torchinf_core.host import Host
    from torchinf_tensorrt.building import Order

ENGINE = "model.engine"
TITLES = {"tensorrt": "TensorRT", "tensorrt_rtx": "TensorRT for RTX"}


def offer(artifact: Artifact, device: str, options: LoadOptions, host: Host) -> Iterator[Candidate]:
    """One engine for each precision, or a note that says why there is none."""
    if artifact.derived is not None or artifact.format != "onnx":
        return
    if device != "auto" and not device.startswith("cuda"):
        return
    index = 0 if device == "auto" else cuda_index(device)
    target = host.setting("target")
    if index >= count_gpus() and not target:
        host.note(f"{NO_GPU}, and no target is set ([plugins.tensorrt] target)")
        return
    modules = installed(target=bool(target))
    if not modules:
        host.note("neither tensorrt nor tensorrt_rtx is installed")
        return
    order = make_order(artifact, parse_target(target) if target else "", options, host)
    gpu = gpu_name(index) if index < count_gpus() else ""
    module = modules[0]
    # What TensorRT can be told to use is known when it is imported, in `build`.
    names = (
        ("fp32", "fp16", "bf16") if module == "tensorrt" else ("fp32", "fp16")[: 1 + can_halve()]
    )
    for precision in names:
        if options.precision not in ("auto", precision):
            continue
        loads: dict[str, Json] = {"module": module, "target": order.target, "gpu": gpu}
        yield Candidate(
            label=f"{TITLES[module]} {precision}",
            format="tensorrt",
            precision=precision,
            options=loads,
            distributions=distributions(module),
            hardware=gpu or order.target,
            build=partial(_build, order, precision, module),
            thorough=module == "tensorrt",
        )


def make_order(artifact: Artifact, target: str, options: LoadOptions, host: Host) -> Order:
    """What to build, by the user's settings.

    Raises:
        UsageError: a setting has a value that it can't have.
        LoadError: the model has no graph, or several.
    """
    from torchinf_tensorrt.building import Order

    cache = host.setting("timing_cache")
    most = options.batch_size or 8
    batch = tuple(
        _number(host, key, default)
        for key, default in (("min_batch", 1), ("opt_batch", most), ("max_batch", most))
    )
    ranges = host.setting("shapes") or ()
    words = ranges.split(";") if isinstance(ranges, str) else ranges
    return Order(
        directory=artifact.directory,
        main=main_file(artifact),
        files=artifact.files,
        target=target,
        shapes=Shapes((batch[0], batch[1], batch[2]), dict(parse_range(word) for word in words)),
        timing_cache=Path(str(cache)).expanduser() if cache else None,
    )


def _number(host: Host, key: str, default: int) -> int:
    value = host.setting(key)
    if value is None:
        return default
    if not str(value).isdecimal() or isinstance(value, bool):
        raise UsageError(f"[plugins.tensorrt] {key} is {value!r}, expected a number")
    return int(value)


def _build(order: Order, precision: str, module: str, into: Path) -> None:
    from dataclasses import replace

    from torchinf_tensorrt.building import build_engine, write

    engine = build_engine(replace(order, precision=precision, module=module))
    write(into / ENGINE, [engine])
