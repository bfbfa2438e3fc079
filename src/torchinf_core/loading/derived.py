"""The optimised forms of a model: which are good here and now, and why others are not."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from torchinf_core.frozen import dataclass
from torchinf_core.hardware import stale
from torchinf_core.runtimes import Artifact, Derived
from torchinf_core.settings.run import RunSettings
from torchinf_core.store import Store
from torchinf_core.store import derived as shelf


@dataclass(frozen=True, slots=True)
class Form:
    """An optimised form, and why it is not to be used, or ``""``."""

    artifact: Artifact
    derived: Derived
    problem: str


def derived_artifacts(artifact: Artifact, store: Store, run: RunSettings) -> list[Artifact]:
    """Forms of the model that may be used in place of it, one for each device.

    Bound to this processor and to the versions that are installed; damaged ones,
    and those that do not fit what was asked for, are left out.

    Args:
        artifact: the model as downloaded.
        store: that holds the forms.
        run: ``optimize="off"`` wants none.
    """
    if run.optimize == "off":
        return []
    good = [form.artifact for form in forms(artifact, store, run) if not form.problem]
    for each in good:
        shelf.touch(str(each.directory))
    return good


def forms(artifact: Artifact, store: Store, run: RunSettings) -> list[Form]:
    """All forms of the model, the newest first, each with why it is not to be used."""
    record = artifact.record
    found = shelf.find(store.layout, record.name, record.generation)
    made = []
    devices: set[str] = set()
    for directory, derived in sorted(found, key=lambda each: each[1].created, reverse=True):
        problem = _problem(directory, derived, store, run)
        if not problem and derived.device in devices:
            problem = "there is a newer form for the same device"
        if not problem:
            devices.add(derived.device)
        form = Artifact(
            record=record,
            directory=Path(directory),
            derived=derived,
            parent=artifact,
            arch=artifact.arch,
            describable=artifact.describable,
            describe=artifact.describe,
        )
        made.append(Form(form, derived, problem))
    return made


def _problem(directory: str, derived: Derived, store: Store, run: RunSettings) -> str:
    if run.optimize == "off":
        return "optimize is off"
    if run.device not in ("auto", derived.device, derived.device.partition(":")[0]):
        return f"it is for {derived.device}"
    if run.precision not in ("auto", derived.precision):
        return f"it computes in {derived.precision}, and {run.precision} was asked for"
    if run.arch != derived.arch:
        return f"it was made as {derived.arch or 'what its source says'}"
    if derived.error > run.tolerance:
        return f"its error of {derived.error:.1e} is above {run.tolerance:g}"
    if reason := stale(derived.hardware, derived.versions):
        return reason
    return "" if _is_intact(directory, derived, store, run.check) else "its files are damaged"


def _is_intact(directory: str, derived: Derived, store: Store, when: str) -> bool:
    """Hash the files as :func:`check_files` does; a form that differs is as good as none."""
    from torchinf_core.verify import hash_file

    mark = f"{store.layout.scratch()}/checked-{os.path.basename(directory)}"
    if when == "never" or (when == "boot" and os.path.exists(mark)):
        return True
    try:
        for file in derived.files:
            if hash_file(f"{directory}/{file.path}")[0] != file.sha256:
                return False
    except OSError:
        return False
    with suppress(OSError):
        os.makedirs(os.path.dirname(mark), mode=0o700, exist_ok=True)
        with open(mark, "xb"):
            pass
    return True
