"""Runs an entry point: the only place where code of a repository is imported.

Asks nobody whether it may; :mod:`torchinf_hub.running` and
:mod:`torchinf_hub.recording` do that first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torchinf_core.errors import (
    IntegrityError,
    LoadError,
    MissingDependencyError,
    ModelNotFoundError,
    NotCachedError,
    TorchinfError,
)
from torchinf_core.refs import redact
from torchinf_core.types import Json, Record
from torchinf_core.verify import hash_file
from torchinf_hub import dependencies
from torchinf_hub.isolation import namespace
from torchinf_hub.naming import is_entry
from torchinf_hub.torchhub import Serve, make_folder, redirected


@dataclass(frozen=True, slots=True)
class Program:
    """What is to be run.

    Attributes:
        name: of the model, for messages.
        root: directory of the code.
        entry: point to call, with ``arguments``.
        files: path to sha256 of everything below ``root``.
        addresses: URL, redacted, to path of the files that came from one.
        folders: names that torch.hub would give the directory of the code.
        needs: modules that the code says it needs.
        installed: packages to take from this Python although the code has them.
    """

    name: str
    root: str
    entry: str
    arguments: Mapping[str, Json] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    addresses: Mapping[str, str] = field(default_factory=dict)
    folders: Sequence[str] = ()
    needs: Sequence[str] = ()
    installed: Sequence[str] = ()


def program_of(
    record: Record,
    root: Path,
    entry: str | None,
    arguments: Mapping[str, Any],
    installed: Sequence[str],
) -> Program:
    """The program that a record stands for.

    Args:
        record: of a model of this source.
        root: its directory.
        entry: another entry point than the one it was downloaded for, or None.
        arguments: win over those it was downloaded for.
        installed: see :class:`Program`.
    """
    metadata = record.metadata
    own = metadata.get("entry")
    recorded = metadata.get("arguments") if entry in (None, own) else None
    return Program(
        name=record.name,
        root=str(root),
        entry=str(entry or own),
        arguments={**(recorded if isinstance(recorded, dict) else {}), **arguments},
        files={file.path: file.sha256 for file in record.files},
        addresses={file.url: file.path for file in record.files if file.url},
        folders=_folders(metadata),
        needs=[str(name) for name in metadata.get("dependencies") or ()],
        installed=list(installed),
    )


def execute(program: Program, missing: Serve | None = None) -> Any:
    """What the entry point returns.

    Args:
        program: to run.
        missing: asked for a URL that was not recorded; None refuses.

    Raises:
        MissingDependencyError: a module it says it needs is not installed.
        ModelNotFoundError: it has no such entry point.
        NotCachedError: it asks for a file that was not recorded.
        IntegrityError: a file is not as recorded.
        LoadError: the code failed.
    """
    absent = dependencies.missing(program.needs)
    if absent:
        raise MissingDependencyError(
            f"the code of {program.name!r} needs {', '.join(absent)}, not installed here",
            hint=dependencies.install_line(absent),
        )
    root = Path(program.root)
    space = namespace(root, program.files, program.installed)
    folder = make_folder(root, list(program.folders))
    try:
        with space.active(), redirected(_server(program, missing), folder):
            module = space.module("hubconf")
            target = getattr(module, program.entry, None) if is_entry(program.entry) else None
            if not callable(target):
                raise ModelNotFoundError(
                    f"the hubconf.py of {program.name!r} has no entry point {program.entry!r}"
                )
            return target(**program.arguments)
    except TorchinfError:
        raise
    except (Exception, SystemExit) as error:
        raise _failed(program, error) from error


def _server(program: Program, missing: Serve | None) -> Serve:
    checked: dict[str, tuple[Path, str]] = {}

    def serve(url: str, prefix: str | None) -> tuple[Path, str]:
        name = program.addresses.get(redact(url))
        if name is None:
            if missing is None:
                raise NotCachedError(
                    f"the code of {program.name!r} asks for {redact(url)}, which was not recorded",
                    hint=f"torchinf hub capture {program.name}",
                )
            if url not in checked:
                checked[url] = missing(url, prefix)
        elif url not in checked:
            path = Path(program.root, name)
            sha256 = hash_file(path)[0]
            if sha256 != program.files[name]:
                raise IntegrityError(
                    f"{path} is not what was downloaded: its sha256 is {sha256}, "
                    f"recorded is {program.files[name]}",
                    hint=f"torchinf verify {program.name}",
                )
            checked[url] = (path, sha256)
        return checked[url]

    return serve


def _failed(program: Program, error: BaseException) -> LoadError:
    text = f"{type(error).__name__}: {error}".rstrip(": ")
    hint = "the traceback of the cause shows where"
    tops = {path.partition("/")[0] for path in program.files if path.endswith("/__init__.py")}
    twice = [name for name in sorted(tops - set(program.installed)) if _is_elsewhere(name)]
    if twice:
        hint = (
            f"the repository and this Python both have {', '.join(twice)}; "
            f"installed={twice!r} takes what is installed here, with its compiled parts"
        )
    return LoadError(
        f"the code of {program.name!r} failed in {program.entry}: {redact(text)}", hint=hint
    )


def _is_elsewhere(name: str) -> bool:
    return not dependencies.missing([name])


def _folders(metadata: Mapping[str, Json]) -> list[str]:
    """Names of torch.hub's directory for a repository: by its ref, or by the commit."""
    owner, repo = metadata.get("owner"), metadata.get("repo")
    if not owner or not repo:
        return []
    ref = str(metadata.get("ref") or "").removeprefix("refs/heads/").removeprefix("refs/tags/")
    names = [ref.replace("/", "_"), str(metadata.get("commit"))]
    safe = [name for name in names if name and name not in (".", "..") and "\0" not in name]
    return [f"{owner}_{repo}_{name}"[:200] for name in dict.fromkeys(safe)]
