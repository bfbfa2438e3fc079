"""What the checks of a runtime have at hand: a model, the bid for it, and its predictor."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from torchinf_core.conformance.checking import shown
from torchinf_core.conformance.contract import NotChecked
from torchinf_core.conformance.every import Conformance
from torchinf_core.conformance.storing import artifact_of
from torchinf_core.plugins.results import check_claim
from torchinf_core.predicting.predictor import Predictor
from torchinf_core.runtimes import Architecture, Artifact, Claim, LoadOptions

Arrays = Mapping[str, Any]


class Trying(Conformance):
    """The questions, and what comes of the answers.

    Attributes:
        format: of the model that :meth:`write_model` writes.
        hardware: what is not here and without which the runtime claims nothing, such as
            ``an NVIDIA GPU``; what needs a loaded model is skipped then.
        tolerance: largest difference of a prediction to the right one, relative to the
            largest value.
    """

    format: ClassVar[str] = ""
    hardware: ClassVar[str] = ""
    tolerance: ClassVar[float] = 1e-4

    def write_model(self, folder: Path) -> None:  # noqa: ARG002 - for who answers it
        """Write the files of a small model of :attr:`format`."""
        raise self.unanswered("write_model(folder), which writes a small model")

    def examples(self) -> tuple[Arrays, Arrays]:
        """Inputs by name for a batch of at least two items, and the right outputs by name."""
        raise self.unanswered("examples(), inputs and right outputs by name")

    def architecture(self) -> Architecture | None:
        """What a source would tell of the model, where its files do not say enough."""
        return None

    # FOR CHECKS

    def artifact(self) -> Artifact:
        """The model that the test writes, as stored."""
        folder = self.folder()
        self.write_model(folder)
        if not any(folder.iterdir()):
            raise TypeError("write_model wrote no file into the folder that it was given")
        told = self.architecture()
        describe = None if told is None else lambda: told
        return artifact_of(
            folder, kind=self.format or None, describable=told is not None, describe=describe
        )

    def claim(self, artifact: Artifact, device: str = "auto") -> Claim:
        """The checked claim, or the check is skipped."""
        made = self.outcome(self.bid, artifact, device)
        if not isinstance(made, Claim):
            raise NotChecked("claim_always_answers fails")
        return made

    def bid(self, artifact: Artifact, device: str) -> Claim:
        """What the runtime bids for a model on a device, checked."""
        with self.host(self.wire()) as host:
            made = self.call("claim", host, artifact=artifact, device=device)
            return check_claim(made, self.plugin_name)

    def load(self, artifact: Artifact, claim: Claim) -> Any:
        """What the runtime loads."""
        options = LoadOptions(settings=self.host_settings())
        with self.host(self.wire()) as host:
            return self.call("load", host, artifact=artifact, claim=claim, options=options)

    def sample(self) -> tuple[Arrays, Arrays]:
        """The examples of the test, or the check is skipped for want of hardware."""
        if self.hardware:
            raise NotChecked(f"it needs {self.hardware}")
        feeds, expected = self.examples()
        if any(len(array) < 2 for array in feeds.values()):
            raise TypeError("examples() is to give a batch of two items or more")
        return feeds, expected

    def claimed(self) -> tuple[Artifact, Claim]:
        """The model and the bid for it, or the check is skipped."""
        artifact = self.artifact()
        if self.hardware:
            raise NotChecked(f"it needs {self.hardware}")
        claim = self.claim(artifact)
        if not claim.score:
            raise NotChecked("claim_takes_its_own fails")
        return artifact, claim

    def predictor(self, artifact: Artifact | None = None, claim: Claim | None = None) -> Predictor:
        """The loaded model, or the check is skipped."""
        if artifact is None or claim is None:
            artifact, claim = self.claimed()
        made = self.outcome(self.load, artifact, claim)
        if not isinstance(made, Predictor):
            raise NotChecked(f"load_keeps_the_device fails: {shown(made)}")
        return made

    def run(self, predictor: Predictor, feeds: Arrays) -> dict[str, Any]:
        """The outputs for a batch, as arrays."""
        made = predictor.run(dict(feeds))
        return {name: _array(value) for name, value in made.items()}

    def predicted(self, predictor: Predictor, feeds: Arrays) -> dict[str, Any]:
        """What :meth:`run` gives, or the check is skipped."""
        made = self.outcome(self.run, predictor, feeds)
        if not isinstance(made, dict):
            raise NotChecked(f"predictions_are_right fails: {shown(made)}")
        return made

    def any_artifact(self) -> Artifact:
        """The model of the test, or any where it has none."""
        try:
            return self.artifact()
        except NotChecked:
            return next(self.strangers())

    def strangers(self) -> Iterator[Artifact]:
        """Artifacts of formats that the runtime may never have heard of."""
        self.hook("claim")
        contents = {
            "model.bin": (b"\x00" * 64, "kit-unheard-of"),
            "readme.txt": (b"no model", None),
            "model.onnx": (b"\x08\x07", "onnx"),
            "model.pt": (b"PK\x03\x04", "torch"),
            "model.safetensors": (b"\x02" + bytes(7) + b"{}", "safetensors"),
        }
        for name, (content, kind) in contents.items():
            folder = self.folder()
            (folder / name).write_bytes(content)
            made = artifact_of(folder)
            files = tuple(replace(file, format=kind) for file in made.record.files)
            yield replace(made, record=replace(made.record, format=kind, files=files))


def error_of(made: Any, right: Any) -> float:
    """Largest difference, relative to the largest value; infinite for another shape."""
    import numpy as np

    if made is None or np.shape(made) != np.shape(right):
        return float("inf")
    if not np.size(right):
        return 0.0
    made, right = np.asarray(made, "float64"), np.asarray(right, "float64")
    scale = max(float(np.max(np.abs(right))), 1e-12)
    return float(np.max(np.abs(made - right))) / scale


def _array(value: Any) -> Any:
    import numpy as np

    return np.asarray(value)
