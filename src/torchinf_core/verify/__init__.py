"""Everything that judges names and bytes before they may enter the store.

Nothing here opens a connection, imports a framework, unpickles or runs what it
looks at.  Names are imported when they are first used: who needs a safe file
name does not pay for the readers of model formats.
:mod:`~torchinf_core.verify.archives` is imported as a module.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torchinf_core.verify.content import sniff
    from torchinf_core.verify.digests import check_digests, hash_file, hash_git_blob
    from torchinf_core.verify.paths import check_path, fold_path, safe_filename
    from torchinf_core.verify.plan import check_plan
    from torchinf_core.verify.sniffed import Sniffed

__all__ = [
    "Sniffed",
    "check_digests",
    "check_path",
    "check_plan",
    "fold_path",
    "hash_file",
    "hash_git_blob",
    "safe_filename",
    "sniff",
]

_HOMES = {
    "content": ("sniff",),
    "digests": ("check_digests", "hash_file", "hash_git_blob"),
    "paths": ("check_path", "fold_path", "safe_filename"),
    "plan": ("check_plan",),
    "sniffed": ("Sniffed",),
}
_MODULE_OF = {name: module for module, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> object:
    """Import a public name from its module on first use."""
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
    globals()[name] = value
    return value
