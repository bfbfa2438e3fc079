"""From a record to an artifact: the files are as recorded, and code is trusted.

What a plugin is given to load has passed both; no plugin can leave that out.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import suppress

from torchinf_core.errors import IntegrityError, UntrustedError
from torchinf_core.plugins import Plugins
from torchinf_core.runtimes import Architecture, Artifact
from torchinf_core.settings import Settings
from torchinf_core.settings.run import RunSettings
from torchinf_core.store import Store
from torchinf_core.types import ModelRef, Record, Trust


def open_record(
    record: Record, store: Store, settings: Settings, run: RunSettings, plugins: Plugins
) -> Artifact:
    """Check a model's files and its trust, and open it.

    The caller holds the store's lease until the artifact is loaded.

    Raises:
        UntrustedError: it holds code, and nobody decided that it may run.
        IntegrityError: a file is missing or not as recorded.
        RefError: ``run.arch`` is no reference.
    """
    require_trust(record, settings, plugins)
    check_files(record, store, run.check)
    arch = None
    if run.arch:
        from torchinf_core.refs import parse_ref

        arch = parse_ref(run.arch)
    describable = arch is not None or plugins.implements(record.source, "architecture")
    ref = arch or ModelRef(record.source, record.model_id, record.revision)
    artifact: list[Artifact] = []

    def ask() -> Architecture:
        return plugins.architecture(artifact[0], ref, settings)

    artifact.append(
        Artifact(
            record=record,
            directory=store.model_dir(record),
            arch=arch,
            describable=describable,
            describe=once(ask) if describable else None,
        )
    )
    return artifact[0]


def require_trust(record: Record, settings: Settings, plugins: Plugins) -> None:
    """Return when loading the model runs no code, or code that somebody trusted.

    Raises:
        UntrustedError: nobody decided that exactly these files may run.
    """
    if record.trust is not Trust.CODE or record.trusted is not None:
        return
    if plugins.trusts(record, settings):
        return
    at = f" at {record.revision}" if record.revision else ""
    raise UntrustedError(
        f"loading {record.name!r} would run code of {record.ref}{at}, which nobody has trusted yet",
        hint=f"look at it in the directory that torchinf path {record.name} prints, then: "
        f"torchinf trust {record.name}",
    )


def check_files(record: Record, store: Store, when: str) -> None:
    """See that a model's files are what was recorded.

    Size, time and inode are compared always; the content is hashed where ``when``
    is ``always``, or ``boot`` and nobody did so since the machine was started, and
    once where the files were moved.

    Raises:
        IntegrityError: a file is missing, or another.
    """
    mark = f"{store.layout.scratch()}/checked-{record.generation}"
    full = when == "always" or (when == "boot" and not os.path.exists(mark))
    problems = store.check(record, full=False) or (store.check(record, full=True) if full else [])
    if problems:
        raise IntegrityError(
            f"{record.name!r} is damaged: {problems[0]}",
            hint=f"torchinf download {record.ref} repairs it",
        )
    if full:
        # A store that can't be written is hashed each time.
        with suppress(OSError):
            os.makedirs(os.path.dirname(mark), mode=0o700, exist_ok=True)
            with open(mark, "xb"):
                pass


def once(ask: Callable[[], Architecture]) -> Callable[[], Architecture]:
    """``ask``, called at most once, whatever number of threads want to know."""
    lock = threading.Lock()
    known: list[Architecture] = []

    def told() -> Architecture:
        if not known:
            with lock:
                if not known:
                    known.append(ask())
        return known[0]

    return told
