"""Tells how a model of PyTorch Hub is used: run its entry point, and take the module it returns.

A repository does not say what its modules take or what their outputs mean, so
there is neither a signature nor a pipeline: arrays go in as they are.
"""

from __future__ import annotations

from typing import Any

from torchinf_core.errors import LoadError, UsageError
from torchinf_core.runtimes import Architecture, Artifact
from torchinf_core.settings import Settings, plugin_setting
from torchinf_core.types import ModelRef
from torchinf_hub.plans import FORMAT
from torchinf_hub.trusting import PLUGIN, require_trust


def make_architecture(artifact: Artifact, ref: ModelRef, settings: Settings) -> Architecture:
    """The architecture of a stored model of this source.

    ``build`` runs code of the repository, and looks once more whether it may.

    Args:
        artifact: a model of this source.
        ref: its own reference.
        settings: of the user: who is trusted, and which packages are taken from
            this Python.

    Raises:
        UsageError: the reference is not the artifact's own: the code that it names
            is not among the files.
    """
    record = artifact.record
    entry = record.metadata.get("entry")
    if record.format != FORMAT or not entry:
        raise UsageError(
            f"{ref} can't tell the architecture of {record.name!r}: the files lack its code",
            hint=f"download {ref} as a model of its own, with its weights",
        )

    def build() -> Any:
        from torchinf_hub.executing import execute, program_of

        require_trust(record, settings)
        made = execute(program_of(record, artifact.directory, None, {}, _installed(settings)))
        return _module(made, record.name, str(entry))

    return Architecture(name=f"PyTorch Hub {record.model_id}", build=build, complete=True)


def _module(made: Any, name: str, entry: str) -> Any:
    import torch

    if not isinstance(made, torch.nn.Module):
        raise LoadError(
            f"the entry point {entry!r} of {name!r} returns {_kind(made)}, not a torch module",
            hint=f"torchinf_hub.running.load({name!r}) returns it as it is",
        )
    return made.eval()


def _kind(made: Any) -> str:
    if isinstance(made, (tuple, list)):
        inside = ", ".join(type(item).__name__ for item in made[:4])
        return f"a {type(made).__name__} of {len(made)} ({inside})"
    if made is None:
        return "None"
    if callable(made) and hasattr(made, "__qualname__"):
        return f"a function or class, {made.__qualname__}"
    return f"a value of type {type(made).__name__}"


def _installed(settings: Settings) -> list[str]:
    value: Any = plugin_setting(settings, PLUGIN, "installed")
    names = value.replace(",", " ").split() if isinstance(value, str) else value or []
    if not isinstance(names, (list, tuple)) or not all(isinstance(name, str) for name in names):
        raise UsageError(
            f"the installed setting of the hub plugin is {value!r}, expected a list of packages"
        )
    return list(names)
