"""The hooks of a runtime: from an artifact to what predicts with it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from torchinf_core.hookspecs.marking import hookspec

if TYPE_CHECKING:
    from torchinf_core.host import Host
    from torchinf_core.predicting.predictor import Predictor
    from torchinf_core.runtimes import Artifact, Candidate, Claim, LoadOptions


class RuntimeHooks:
    """Signatures only; the docstrings are the contract."""

    @hookspec
    def claim(self, artifact: Artifact, device: str, host: Host) -> Claim:
        """Bid for loading an artifact on a device.

        Asked of every runtime, one by one; can't be wrapped.

        * No framework is imported and no process started: ``find_spec`` and the record
          are enough.  [claim_is_cheap]
        * No file is read whole.  [claim_reads_little]
        * Every artifact gets an answer: what the runtime can't do is a score of 0 with
          the reason.  [claim_always_answers]
        * A device that was asked for by name and is not there is a score of 0, never
          another device.  [claim_keeps_the_device]
        * What it is made for gets a score above 0.  [claim_takes_its_own]

        Args:
            artifact: a model as downloaded, or a derived form of one.
            device: ``auto``, or what the user asked for: ``cpu``, ``cuda``,
                ``cuda:1``, ``mps``.
            host: the user's settings.

        Example::

            @hookimpl
            def claim(artifact, device):
                if artifact.format != "zoo":
                    return Claim(0, "cpu", f"it does not read {artifact.format}")
                return Claim(100, "cpu", "made for this format")
        """
        raise NotImplementedError

    @hookspec
    def load(self, artifact: Artifact, claim: Claim, options: LoadOptions, host: Host) -> Predictor:
        """Load an artifact and return what predicts with it.

        Goes to the runtime whose claim won; can't be wrapped.

        * The predictor runs on the claim's device, or a DeviceError says why not.
          [load_keeps_the_device]
        * Loading runs no code of a file: torch checkpoints are read with
          ``weights_only=True`` alone, and a failure of that is never followed by
          another way.  [load_runs_no_code]
        * Files beside the artifact's own are not read.  [load_reads_its_own_files]
        * Damaged files are a :class:`LoadError`.  [damaged_files_are_errors]
        * The signature tells what the model takes and gives, by name.
          [signatures_are_told]
        * Predictions are right.  [predictions_are_right]
        * A batch gives what its items give one by one.  [batches_are_their_items]
        * Several threads may predict at once.  [threads_do_not_mix]
        * Closing gives back what is held, and what is called afterwards is a
          :class:`LoadError`.  [closing_ends_it]

        Args:
            artifact: its files were checked and its code, if any, is trusted.
            claim: this runtime's own.
            options: precision, threads and batch.
            host: the user's settings.

        Example::

            @hookimpl
            def load(artifact, claim):
                return ZooPredictor(artifact, claim, zoo.open(artifact.path("model.zoo")))
        """
        raise NotImplementedError

    @hookspec
    def optimize(
        self, artifact: Artifact, device: str, options: LoadOptions, host: Host
    ) -> Iterable[Candidate]:
        """Offer forms of a model that may be faster; the core builds, compares and measures.

        Asked of every runtime, one by one; can't be wrapped.

        A candidate may be wrong: it is used only when its outputs are those of the
        model within the tolerance.

        * Nothing is built before the core calls ``Candidate.build``.
          [candidates_wait_to_be_built]
        * What was built is loaded by ``load`` of the same runtime, as an artifact whose
          ``derived`` holds the candidate's options, and gives the model's outputs by
          name and shape.  [candidates_can_be_loaded]

        Args:
            artifact: a model as downloaded.
            device: that the result is to run on.
            options: precision, threads and batch that the user wants.
            host: the user's settings.

        Example::

            @hookimpl
            def optimize(artifact, device):
                if artifact.format == "zoo":
                    yield Candidate(label="zoo, packed", format="zoo", build=pack)
        """
        raise NotImplementedError
