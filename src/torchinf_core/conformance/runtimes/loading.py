"""Checks of ``load``, and of the predictor that it returns."""

from __future__ import annotations

import pickle
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from torchinf_core.conformance.checking import meant, shown
from torchinf_core.conformance.contract import NotChecked
from torchinf_core.conformance.runtimes.trying import Trying, error_of
from torchinf_core.conformance.storing import artifact_of
from torchinf_core.errors import DeviceError, LoadError
from torchinf_core.predicting.predictor import Predictor
from torchinf_core.runtimes import Artifact, Claim


class LoadingConformance(Trying):
    """What is asked of ``load``."""

    def test_load_keeps_the_device(self) -> None:
        """Give the claim to Predictor.__init__, and load to claim.device."""
        artifact, claim = self.claimed()
        made = self.outcome(self.load, artifact, claim)
        if isinstance(made, DeviceError):
            return
        self.require(isinstance(made, Predictor), f"loading ends with {shown(made)}")
        with made:
            self.require(made.device == claim.device, f"it is on {made.device}")

    def test_load_runs_no_code(self) -> None:
        """Read checkpoints with torch.load(..., weights_only=True), and nothing with pickle."""
        self.hook("load")
        for artifact, claim in self._poisoned():
            made = self.outcome(self.load, artifact, claim)
            if isinstance(made, Predictor):
                made.close()
            ran = (self.home / "ran").exists()
            self.require(not ran, f"loading ran code of a file of the format {artifact.format!r}")

    def test_load_reads_its_own_files(self) -> None:
        """Open artifact.files by artifact.path(file); do not look around in the directory."""
        artifact, claim = self.claimed()
        beside = ("config.json", "model.py", "tokenizer.json", "preprocessor.json", "labels.txt")
        names = {file.path for file in artifact.files}
        for name in (name for name in beside if name not in names):
            (artifact.directory / name).write_text("{}")
        with self.watched() as watch, self.predictor(artifact, claim):
            pass
        read = [p for p in watch.opened if Path(p).parent == artifact.directory]
        foreign = [p for p in read if Path(p).name not in names]
        self.require(not foreign, f"loading reads {foreign}")

    def test_damaged_files_are_errors(self) -> None:
        """Catch what the framework raises for such a file, and raise LoadError."""
        for what, artifact in self._damaged():
            claim = self.claim(artifact)
            if not claim.score:
                continue
            made = self.outcome(self.load, artifact, claim)
            if isinstance(made, Predictor):
                made.close()
                continue  # the files were checked before; some formats bear a change
            fine = meant(made) and isinstance(made, LoadError)
            self.require(fine, f"loading {what} ends with {shown(made)}")

    def test_signatures_are_told(self) -> None:
        """Give Predictor.__init__ a Signature with the names, types and shapes of the model."""
        feeds, expected = self.sample()
        with self.predictor() as predictor:
            inputs = {spec.name for spec in predictor.signature.inputs}
            outputs = {spec.name for spec in predictor.signature.outputs}
        self.require(inputs == set(feeds), f"the inputs are {inputs}, told are {set(feeds)}")
        told = not outputs or outputs == set(expected)
        self.require(told, f"the outputs are {outputs}, told are {set(expected)}")

    def test_predictions_are_right(self) -> None:
        """Compare run() with the framework that the model was made with."""
        feeds, expected = self.sample()
        with self.predictor() as predictor:
            made = self.outcome(self.run, predictor, feeds)
            names = {spec.name for spec in predictor.signature.inputs}
        if isinstance(made, Exception) and names != set(feeds):
            raise NotChecked("signatures_are_told fails")
        self.require(isinstance(made, dict), f"run ends with {shown(made)}")
        for name, right in expected.items():
            self.require(name in made, f"there is no output {name!r}, but {', '.join(made)}")
            error = error_of(made[name], right)
            self.require(error <= self.tolerance, f"the output {name!r} is off by {error:.2g}")

    def test_batches_are_their_items(self) -> None:
        """Compute each item of a batch for itself."""
        feeds, _ = self.sample()
        with self.predictor() as predictor:
            whole = self.predicted(predictor, feeds)
            for number in range(len(next(iter(feeds.values())))):
                part = slice(number, number + 1)
                item = {name: array[part] for name, array in feeds.items()}
                one = self.outcome(self.run, predictor, item)
                self.require(isinstance(one, dict), f"run for one item ends with {shown(one)}")
                for name, array in whole.items():
                    error = error_of(one.get(name), array[part])
                    wrong = f"item {number} of the output {name!r} is off by {error:.2g}"
                    self.require(error <= self.tolerance, wrong)

    def test_threads_do_not_mix(self) -> None:
        """Keep nothing of a call in the predictor, or hold a lock."""
        feeds, _ = self.sample()
        other = {name: array[::-1].copy() for name, array in feeds.items()}
        with self.predictor() as predictor:
            wanted = [self.predicted(predictor, feeds), self.predicted(predictor, other)]
            wrong: list[float] = []

            def predict(index: int) -> None:
                given = (feeds, other)[index]
                for _ in range(20):
                    made = self.outcome(self.run, predictor, given)
                    if isinstance(made, Exception):
                        made = {}
                    wrong.extend(
                        error
                        for name, right in wanted[index].items()
                        if (error := error_of(made.get(name), right)) > self.tolerance
                    )

            threads = [threading.Thread(target=predict, args=(i % 2,)) for i in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        self.require(not wrong, f"{len(wrong)} outputs differ when four threads predict")

    def test_closing_ends_it(self) -> None:
        """Give back in release() what load took, and bear a second close."""
        feeds, _ = self.sample()
        predictor = self.keep(self.predictor())
        if isinstance(self.outcome(predictor.predict, dict(feeds)), Exception):
            raise NotChecked("it does not predict at all")
        for _ in range(2):
            failed = self.outcome(predictor.close)
            self.require(failed is None, f"close ends with {shown(failed)}")
        made = self.outcome(predictor.predict, dict(feeds))
        self.require(isinstance(made, LoadError), f"a closed predictor gives {shown(made)}")

    # INSIDE

    def _poisoned(self) -> Iterator[tuple[Artifact, Claim]]:
        """Artifacts whose files are pickles that would leave a mark, and claims for them."""
        poison = _poison(self.home / "ran")
        with suppress(NotChecked):
            good = self.artifact()
            for file in good.files:
                good.path(file).write_bytes(poison)
            yield good, Claim(100, "cpu", "the kit says so", runtime=self.plugin_name)
        for name in ("model.pt", "model.pth", "pytorch_model.bin"):
            folder = self.folder()
            (folder / name).write_bytes(poison)
            artifact = artifact_of(folder, kind="torch")
            yield artifact, Claim(100, "cpu", "the kit says so", runtime=self.plugin_name)

    def _damaged(self) -> Iterator[tuple[str, Artifact]]:
        artifact = self.artifact()
        path = artifact.path(max(artifact.files, key=lambda file: file.size))
        content = path.read_bytes()
        damages = {
            "an empty file": b"",
            "half a file": content[: len(content) // 2],
            "a file of zeros": bytes(len(content)),
            "a file that is no model": b"<html>log in</html>",
        }
        for part in range(16):
            at = part * (len(content) - 1) // 15
            flipped = bytes([content[at] ^ 0xFF])
            damages[f"a file with another byte {at}"] = content[:at] + flipped + content[at + 1 :]
        for what, damaged in damages.items():
            path.write_bytes(damaged)
            yield what, artifact


class _Mark:
    """Pickled, it makes a directory when it is read."""

    def __init__(self, path: Path) -> None:
        self._path = str(path)

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        import os

        return os.mkdir, (self._path,)


def _poison(mark: Path) -> bytes:
    return pickle.dumps({"weight": _Mark(mark)}, protocol=2)
