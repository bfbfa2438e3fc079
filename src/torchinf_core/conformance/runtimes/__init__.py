"""The kit for runtimes: bids, loading, predicting, and forms that may be faster."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from torchinf_core.conformance.checking import shown
from torchinf_core.conformance.runtimes.bidding import BiddingConformance
from torchinf_core.conformance.runtimes.loading import LoadingConformance
from torchinf_core.conformance.storing import stored_files
from torchinf_core.plugins.results import check_candidates
from torchinf_core.predicting.predictor import Predictor
from torchinf_core.runtimes import Artifact, Candidate, Derived, LoadOptions


class RuntimeConformance(BiddingConformance, LoadingConformance):
    """The checks of a plugin that loads models; subclass it and answer the questions.

    Attributes:
        format: of the model that :meth:`write_model` writes.
        hardware: what is not here and without which the runtime claims nothing, such as
            ``an NVIDIA GPU``; what needs a loaded model is skipped then.
        tolerance: largest difference of a prediction to the right one, relative to the
            largest value.

    Example::

        class TestLinear(RuntimeConformance):
            plugin, format = torchinf_linear, "linear-json"

            def write_model(self, folder):
                (folder / "model.json").write_text('{"slope": 2.0}')

            def examples(self):
                x = numpy.ones((3, 1), "float32")
                return {"x": x}, {"y": 2 * x}
    """

    def test_candidates_wait_to_be_built(self) -> None:
        """Do the work in the function given as build, and write below its folder."""
        artifact, device = self._optimizable()
        with self.watched() as watch:
            self._candidates(artifact, device)
        did = watch.written or watch.processes
        self.require(not did, f"optimize touches {did} before anything is built")

    def test_candidates_can_be_loaded(self) -> None:
        """Find the built files in artifact.files, and artifact.derived.options in load."""
        artifact, device = self._optimizable()
        feeds, _ = self.sample()
        with self.predictor() as plain:
            right = _shapes(self.predicted(plain, feeds))
        for candidate in self._candidates(artifact, device):
            if candidate.thorough:
                continue
            derived = self._built(artifact, candidate, device)
            claim = self.claim(derived)
            self.require(claim.score > 0, f"{candidate.label}: the score is 0: {claim.reason}")
            made = self.outcome(self.load, derived, claim)
            self.require(isinstance(made, Predictor), f"{candidate.label}: {shown(made)}")
            with made:
                outputs = self.outcome(self.run, made, feeds)
            ended = f"{candidate.label}: run ends with {shown(outputs)}"
            self.require(isinstance(outputs, dict), ended)
            shapes = _shapes(outputs)
            self.require(shapes == right, f"{candidate.label}: outputs {shapes}, not {right}")

    # INSIDE

    def _optimizable(self) -> tuple[Artifact, str]:
        self.hook("optimize")
        artifact, claim = self.claimed()
        return artifact, claim.device

    def _candidates(self, artifact: Artifact, device: str) -> list[Candidate]:
        options = LoadOptions(settings=self.host_settings())
        with self.host(self.wire()) as host:
            made = self.call("optimize", host, artifact=artifact, device=device, options=options)
            return check_candidates(made)

    def _built(self, artifact: Artifact, candidate: Candidate, device: str) -> Artifact:
        folder = artifact.directory
        if candidate.build is not None:
            folder = self.folder()
            candidate.build(folder)
        derived = Derived(
            runtime=self.plugin_name,
            label=candidate.label,
            format=candidate.format,
            device=device,
            precision=candidate.precision,
            options=candidate.options,
            versions={},
            hardware=candidate.hardware,
            parent=artifact.record.generation,
            files=stored_files(folder) if candidate.build is not None else (),
        )
        return replace(artifact, directory=folder, derived=derived, parent=artifact)


def _shapes(outputs: Mapping[str, Any]) -> dict[str, Any]:
    return {name: array.shape for name, array in outputs.items()}
