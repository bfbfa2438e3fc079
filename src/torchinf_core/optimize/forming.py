"""From a candidate to something that predicts, as it would be loaded from the store."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path

from torchinf_core import hardware
from torchinf_core.errors import FormatError, PolicyError
from torchinf_core.loading import Bid, bids, load_artifact
from torchinf_core.optimize.offering import Offer, Surroundings
from torchinf_core.plugins import Plugins
from torchinf_core.predicting import comparing
from torchinf_core.predicting.predictor import Predictor
from torchinf_core.runtimes import Array, Artifact, Candidate, Derived
from torchinf_core.store.layout import is_safe_path
from torchinf_core.types import StoredFile
from torchinf_core.verify import hash_file, sniff


class RejectedError(Exception):
    """Why a candidate is no form of the model.

    Attributes:
        error: where its outputs were compared, by how much they differ.
    """

    def __init__(self, reason: str, error: float | None = None) -> None:
        super().__init__(reason)
        self.error = error


def built(candidate: Candidate, into: Path) -> Path:
    """Build, and move: what only works where it was built must fail here, not later."""
    place, stage = into / "build", into / "form"
    os.mkdir(place)
    if candidate.build is not None:
        candidate.build(place)
    os.rename(place, stage)
    return stage


def files_of(stage: Path) -> tuple[StoredFile, ...]:
    """What was built, hashed; sorted by path.

    Raises:
        RejectedError: there is something else than regular files.
    """
    found = []
    for folder, folders, names in os.walk(stage):
        for name in (*names, *(each for each in folders if os.path.islink(f"{folder}/{each}"))):
            path = f"{folder}/{name}"
            relative = os.path.relpath(path, stage)
            if not stat.S_ISREG(os.lstat(path).st_mode) or not is_safe_path(relative):
                raise RejectedError(f"it wrote {relative!r}, which is no regular file")
            digest, size = hash_file(path)
            found.append(StoredFile(relative, size, digest, _format_of(path, relative)))
    return tuple(sorted(found, key=lambda file: file.path))


def _format_of(path: str, name: str) -> str | None:
    try:
        return sniff(path, name).format
    except (FormatError, PolicyError):
        return None


def provenance(
    offer: Offer,
    bid: Bid,
    feeds: Mapping[str, Array],
    around: Surroundings,
    files: tuple[StoredFile, ...],
) -> Derived:
    """What is known of a candidate before it is compared and timed."""
    candidate = offer.candidate
    extra = f"; {candidate.hardware}" if candidate.hardware else ""
    return Derived(
        runtime=offer.runtime,
        label=candidate.label,
        format=candidate.format,
        device=bid.claim.device,
        precision=candidate.precision,
        options=dict(candidate.options),
        versions={
            **hardware.versions(candidate.distributions),
            **plugin_versions(around.plugins, offer.runtime),
        },
        hardware=hardware.fingerprint() + extra,
        parent=bid.artifact.record.generation,
        files=files,
        shapes=comparing.shapes(feeds),
        tolerance=around.run.tolerance,
        arch=around.run.arch,
    )


def plugin_versions(plugins: Plugins, *names: str) -> dict[str, str]:
    """Distribution → version of what brought these plugins."""
    states = [state for state in plugins.states() if state.name in names]
    return hardware.versions(state.distribution for state in states if state.distribution)


def load(
    derived: Derived, stage: Path, bid: Bid, reference: Predictor, around: Surroundings
) -> Predictor:
    """Load a form that was built in ``stage``, as :func:`load_record` will.

    Args:
        derived: what it is.
        stage: where its files are.
        bid: for the model as downloaded.
        reference: the model as downloaded.
        around: to load it with.

    Raises:
        RejectedError: it could not take the place of the model.
        TorchinfError: its runtime failed.
    """
    parent, claim = bid.artifact, bid.claim
    artifact = Artifact(
        record=parent.record,
        directory=stage,
        derived=derived,
        parent=parent,
        arch=parent.arch,
        describable=parent.describable,
        describe=parent.describe,
    )
    found = bids([artifact], claim.device, around.settings, around.plugins)
    if not found or not found[0].claim.score:
        raise RejectedError(found[0].claim.reason if found else "its runtime does not bid for it")
    best = found[0]
    if best.claim.device != claim.device:
        raise RejectedError(f"it would run on {best.claim.device}, not {claim.device}")
    if best.claim.score <= claim.score:
        raise RejectedError(
            f"its runtime bids {best.claim.score} for it, and the model as downloaded "
            f"has {claim.score}: it would never be used",
        )
    predictor = load_artifact(best, around.settings, around.run, around.plugins)
    try:
        _require_same_use(predictor, reference)
    except BaseException:
        predictor.close()
        raise
    return predictor


def _require_same_use(predictor: Predictor, reference: Predictor) -> None:
    """A form must do everything that callers do with the model, not only compute the same."""
    names = [[spec.name for spec in each.signature.inputs] for each in (reference, predictor)]
    if names[0] and names[1] and names[0] != names[1]:
        raise RejectedError(f"it takes {', '.join(names[1])}, and the model {', '.join(names[0])}")
    whole = reference.artifact.describable and reference.artifact.architecture().whole
    if whole and reference.has_module and not predictor.has_module:
        raise RejectedError("the pipeline of the model needs the module, which it lacks")
