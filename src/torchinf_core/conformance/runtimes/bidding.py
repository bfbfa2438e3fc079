"""Checks of ``claim``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from torchinf_core.conformance.checking import shown
from torchinf_core.conformance.contract import NotChecked
from torchinf_core.conformance.runtimes.trying import Trying
from torchinf_core.runtimes import Artifact, Claim


class BiddingConformance(Trying):
    """What is asked of ``claim``."""

    def test_claim_is_cheap(self) -> None:
        """Decide by artifact.format, the record and importlib.util.find_spec."""
        artifact = self.any_artifact()
        self.claim(artifact)  # the first looks at what is installed, once in a process
        with self.watched() as watch:
            self.claim(artifact)
        did = watch.frameworks or watch.processes or watch.connections
        self.require(not did, f"claim brings in {did}")

    def test_claim_reads_little(self) -> None:
        """Look at sizes and formats in artifact.record; read a header at most."""
        artifact = self._large()
        before = _bytes_read()
        self.claim(artifact)
        read = _bytes_read() - before
        self.require(read < 1 << 20, f"claim reads {read} bytes of a file of {_LARGE}")

    def test_claim_always_answers(self) -> None:
        """End claim with ``return Claim(0, device, "it does not read ...")``."""
        for artifact in self.strangers():
            for device in ("auto", "cpu"):
                made = self.outcome(self.bid, artifact, device)
                said = f"the claim for the format {artifact.format!r} on {device}"
                self.require(isinstance(made, Claim), f"{said} is {shown(made)}")
                alien = artifact.format in (None, "kit-unheard-of")
                self.require(not alien or made.score == 0, f"{said} has the score {made.score}")

    def test_claim_keeps_the_device(self) -> None:
        """Compare the device with those there are; 0 for any other."""
        artifact = self.any_artifact()
        for device in ("cuda:99", "mps:7", "kit-device"):
            claim = self.claim(artifact, device)
            self.require(claim.score == 0, f"{device} is claimed with {claim.score}")
        claim = self.claim(artifact, "cpu")
        fits = not claim.score or claim.device == "cpu"
        self.require(fits, f"asked for cpu, it claims {claim.device}")

    def test_claim_takes_its_own(self) -> None:
        """Return a score of 100 for the format and device that it is made for."""
        artifact = self.artifact()
        claim = self.claim(artifact)
        if self.hardware:
            zero = f"{self.hardware} is not here, and the score is {claim.score}"
            self.require(claim.score == 0, zero)
            raise NotChecked(f"it needs {self.hardware}")
        found = ", ".join(f"{file.path} is {file.format}" for file in artifact.files)
        zero = f"the score is 0: {claim.reason} (told: {self.format!r}; torchinf sees: {found})"
        self.require(claim.score > 0, zero)

    # INSIDE

    def _large(self) -> Artifact:
        """An artifact whose main file is large, of the runtime's format."""
        artifact = self.any_artifact()
        main = max(artifact.files, key=lambda file: file.size)
        with artifact.path(main).open("ab") as file:
            file.truncate(_LARGE)
        grown = tuple(
            replace(file, size=_LARGE) if file == main else file for file in artifact.files
        )
        return replace(artifact, record=replace(artifact.record, files=grown))


_LARGE = 64 << 20
"""Bytes of a file that takes no room: it is a hole."""


def _bytes_read() -> int:
    """Bytes that this process asked the system for so far."""
    try:
        text = Path("/proc/self/io").read_text()
    except OSError:
        raise NotChecked("only Linux tells how much is read") from None
    return int(text.split("rchar:")[1].split()[0])
