"""From an artifact to a predictor on a GPU."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from torchinf_core.errors import OptionError, TorchinfError
from torchinf_core.runtimes import Artifact, Claim, LoadOptions
from torchinf_core.types import Json
from torchinf_cuda.bidding import RUNTIME
from torchinf_cuda.memory import human, size_of, translate
from torchinf_cuda.placing import USABLE, plan, spread
from torchinf_cuda.predictor import CudaPredictor
from torchinf_torch import devices, framework, tuning
from torchinf_torch.loading import load_on
from torchinf_torch.predictor import Loaded, set_threads

_log = logging.getLogger("torchinf.plugin.cuda")


def load_predictor(artifact: Artifact, claim: Claim, options: LoadOptions) -> CudaPredictor:
    """Load an artifact for the ``load`` hook; see there for what it raises."""
    torch = framework.import_torch()
    device = devices.require(torch, claim.device)
    set_threads(torch, options.threads)
    chosen: Mapping[str, Json] = artifact.derived.options if artifact.derived else {}
    spread_over: list[str] = []

    def place(module: Any) -> None:
        spread_over.extend(place_module(torch, module, device))

    try:
        with torch.cuda.device(device):
            loaded = load_on(torch, artifact, device, options, RUNTIME, place)
    except TorchinfError as error:
        known = translate(error.__cause__ or error, artifact.name, claim.device)
        raise known or error from error.__cause__
    loaded = with_autocast(torch, loaded, chosen)
    # A graph is recorded on one GPU.
    graph = bool(chosen.get("graph")) and len(spread_over) < 2
    return CudaPredictor(torch, artifact, claim, loaded, options, graph=graph)


def place_module(torch: Any, module: Any, device: Any) -> list[str]:
    """Move a module to a GPU, or over that one and the others where it is too small.

    Returns:
        Names of the GPUs that hold it.

    Raises:
        DeviceError: they are too small together.
    """
    size = size_of(module)
    home = str(device)
    if size <= _room(torch, device):
        module.to(device)
        return [home]
    others = [f"cuda:{number}" for number in range(torch.cuda.device_count())]
    order = [home, *(name for name in others if name != home)]
    rooms = {name: _room(torch, torch.device(name)) for name in order}
    parts = plan(module, rooms)
    spread(torch, module, parts, device)
    held = sorted({part.device for part in parts})
    _log.warning("%s of weights do not fit on %s: they are on %s", human(size), home, held)
    return held


def _room(torch: Any, device: Any) -> int:
    free, _total = torch.cuda.mem_get_info(device)
    return int(free * USABLE)


def with_autocast(torch: Any, loaded: Loaded, chosen: Mapping[str, Json]) -> Loaded:
    """The model with matrix products in a short type, and everything delicate in float32.

    Raises:
        OptionError: there is no such type.
    """
    word = chosen.get("autocast")
    if not word:
        return loaded
    if word not in ("bf16", "fp16"):
        raise OptionError(f"autocast takes bf16 or fp16, not {word!r}")
    dtype = getattr(torch, tuning.WORDS[word])
    call: Callable[..., Any] = loaded.call

    def autocasting(*places: Any, **named: Any) -> Any:
        with torch.autocast("cuda", dtype=dtype):
            return call(*places, **named)

    return replace(loaded, call=autocasting, precision=str(word))
