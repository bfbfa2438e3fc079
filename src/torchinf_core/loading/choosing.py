"""Which runtime loads a model: bids with reasons, and the highest wins.

A device that was asked for and is not there is an error, never another device.
"""

from __future__ import annotations

from collections.abc import Sequence

from torchinf_core.errors import (
    AmbiguousRuntimeError,
    DeviceError,
    MissingError,
    NoRuntimeError,
    TorchinfError,
)
from torchinf_core.frozen import dataclass
from torchinf_core.plugins import Plugins
from torchinf_core.plugins.results import check_claim
from torchinf_core.runtimes import Artifact, Claim
from torchinf_core.settings import Settings
from torchinf_core.settings.run import RunSettings

_INSTALL = "pip install 'torchinf[torch]', or 'torchinf[onnx]' for ONNX models"


@dataclass(frozen=True, slots=True)
class Bid:
    """A claim, and what it is for."""

    artifact: Artifact
    claim: Claim


def bids(
    artifacts: Sequence[Artifact], device: str, settings: Settings, plugins: Plugins
) -> list[Bid]:
    """What every runtime says of every form of a model, the best first.

    A runtime that fails bids 0 with what went wrong as its reason.
    """
    found = [
        Bid(artifact, _claim(name, artifact, device, settings, plugins))
        for artifact in artifacts
        for name in plugins.implementing("claim")
        if artifact.derived is None or artifact.derived.runtime == name
    ]
    return sorted(found, key=lambda bid: (-bid.claim.score, bid.claim.runtime))


def choose(
    found: Sequence[Bid], run: RunSettings, artifact: Artifact, settings: Settings, plugins: Plugins
) -> Bid:
    """The highest bid of the runtime that was asked for, or of any.

    Args:
        found: as :func:`bids` returns them, for ``run.device``.
        run: tells the runtime and the device that were asked for.
        artifact: the model as downloaded, for messages.
        settings: to ask again,
        plugins: and whom, whether another device would do.

    Raises:
        MissingError: there is no runtime of that name.
        NoRuntimeError: none can load this model.
        DeviceError: some could, but not on the device that was asked for.
        AmbiguousRuntimeError: the highest bid came from two.
    """
    names = plugins.implementing("claim")
    if run.runtime and run.runtime not in names:
        there = f"those there are: {', '.join(names)}" if names else _INSTALL
        raise MissingError(f"no runtime {run.runtime!r} is installed", hint=there)
    fitting = [bid for bid in found if run.runtime in ("", bid.claim.runtime)]
    best = [bid for bid in fitting if bid.claim.score and bid.claim.score == fitting[0].claim.score]
    if not best:
        raise _nothing(fitting, run, artifact, settings, plugins)
    if len({bid.claim.runtime for bid in best}) > 1:
        tied = sorted({bid.claim.runtime for bid in best})
        raise AmbiguousRuntimeError(
            f"{' and '.join(tied)} would load {artifact.name!r} equally well",
            hint=f"say which: --runtime {tied[0]}",
        )
    return best[0]


def _claim(
    name: str, artifact: Artifact, device: str, settings: Settings, plugins: Plugins
) -> Claim:
    arguments = {"artifact": artifact, "device": device}
    try:
        return plugins.call_one(
            name, "claim", artifact.name, arguments, settings, lambda made: check_claim(made, name)
        )
    except TorchinfError as error:
        return Claim(0, device, str(error), error.hint, name)


def _nothing(
    fitting: Sequence[Bid],
    run: RunSettings,
    artifact: Artifact,
    settings: Settings,
    plugins: Plugins,
) -> TorchinfError:
    original = [bid.claim for bid in fitting if bid.artifact.derived is None]
    reasons = "; ".join(f"{claim.runtime}: {claim.reason}" for claim in original)
    hint = next((claim.hint for claim in original if claim.hint), "")
    if not original:
        return NoRuntimeError(f"no runtime is installed to load {artifact.name!r}", hint=_INSTALL)
    if run.device != "auto":
        elsewhere = [
            bid.claim
            for bid in bids([artifact], "auto", settings, plugins)
            if bid.claim.score and run.runtime in ("", bid.claim.runtime)
        ]
        if elsewhere:
            return DeviceError(
                f"{artifact.name!r} can't run on {run.device}: {reasons}",
                hint=f"--device {elsewhere[0].device} would do",
            )
    what = artifact.format or "unknown"
    return NoRuntimeError(
        f"no runtime loads {artifact.name!r} ({what}): {reasons}",
        hint=hint or f"torchinf explain {artifact.name}",
    )
