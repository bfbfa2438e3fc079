"""The optimised forms of a model that are good here and now."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from torchinf_core.hardware import fingerprint, versions
from torchinf_core.run_settings import RunSettings
from torchinf_core.runtimes import Artifact, Derived
from torchinf_core.store import Store
from torchinf_core.store import derived as shelf


def derived_artifacts(artifact: Artifact, store: Store, run: RunSettings) -> list[Artifact]:
    """Forms of the model that may be used in place of it.

    Bound to this processor and to the versions that are installed; damaged ones,
    and those of another precision than the one that was asked for, are left out.

    Args:
        artifact: the model as downloaded.
        store: that holds the forms.
        run: ``optimize="off"`` wants none.
    """
    if run.optimize == "off":
        return []
    record = artifact.record
    return [
        Artifact(
            record=record,
            directory=Path(directory),
            derived=derived,
            parent=artifact,
            arch=artifact.arch,
            describable=artifact.describable,
            describe=artifact.describe,
        )
        for directory, derived in shelf.find(store.layout, record.name, record.generation)
        if run.precision in ("auto", derived.precision)
        and not stale(derived)
        and _is_intact(directory, derived, store, run.check)
    ]


def stale(derived: Derived) -> str:
    """Why a form is not to be used here, or ``""``."""
    own, _, _ = derived.hardware.partition("; ")
    if own != fingerprint():
        return "it was made on other hardware"
    for name, version in versions(derived.versions).items():
        if version != derived.versions[name]:
            return f"it was made with {name} {derived.versions[name]}, here is {version or 'none'}"
    return ""


def _is_intact(directory: str, derived: Derived, store: Store, when: str) -> bool:
    """Hash the files as :func:`check_files` does; a form that differs is as good as none."""
    from torchinf_core.verify import hash_file

    mark = f"{store.layout.scratch()}/checked-{os.path.basename(directory)}"
    if when == "never" or (when == "boot" and os.path.exists(mark)):
        return True
    for file in derived.files:
        if hash_file(f"{directory}/{file.path}")[0] != file.sha256:
            return False
    with suppress(OSError):
        os.makedirs(os.path.dirname(mark), mode=0o700, exist_ok=True)
        with open(mark, "xb"):
            pass
    return True
