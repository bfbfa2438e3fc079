"""Where torch is imported, once a model is really loaded, and which torch it may be."""

from __future__ import annotations

import re
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

from torchinf_core.errors import LoadError, MissingDependencyError

OLDEST = (2, 10)
"""Releases before it read hostile checkpoints in ways that ``weights_only`` should prevent."""
INSTALL = "pip install 'torchinf[torch]'"
_VERSION = r"(?m)^__version__ = '([^']{1,60})'"
_CUDA = r"(?m)^cuda[^=]* = '([^']{1,20})'"


def import_torch() -> Any:
    """The torch module.

    Raises:
        MissingDependencyError: it is not installed.
        LoadError: it is older than checkpoints may be trusted with.
    """
    try:
        import torch
    except ImportError as error:
        raise MissingDependencyError(f"torch can't be imported: {error}", hint=INSTALL) from None
    refuse_old(str(torch.__version__))
    return torch


def refuse_old(version: str) -> None:
    """Raise LoadError for a torch that checkpoints are not safe with."""
    if is_old(version):
        raise LoadError(
            f"torch {version} is too old to read files of strangers; "
            f"{'.'.join(map(str, OLDEST))} is the oldest that may",
            hint="pip install --upgrade torch",
        )


def is_old(version: str) -> bool:
    """True for a torch before :data:`OLDEST`, and for one that does not tell."""
    numbers = re.match(r"(\d+)\.(\d+)", version)
    return numbers is None or (int(numbers[1]), int(numbers[2])) < OLDEST


@lru_cache(maxsize=1)
def installed() -> tuple[str, bool]:
    """Version of the torch that would be imported, and whether it was built for CUDA.

    Read from its ``version.py``, without importing it; ``("", False)`` when
    there is none.
    """
    spec = find_spec("torch")
    if spec is None or not spec.origin:
        return "", False
    try:
        text = (Path(spec.origin).parent / "version.py").read_text(encoding="utf-8")
    except OSError:
        return "", False
    version = re.search(_VERSION, text)
    return (version[1] if version else "unknown"), re.search(_CUDA, text) is not None


def loaded() -> ModuleType | None:
    """The torch module if this process has imported it already."""
    import sys

    return sys.modules.get("torch")
