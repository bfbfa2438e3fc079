"""Whether the code of a model may run: a recorded decision, or an owner on the user's list."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torchinf_core.errors import UntrustedError, UsageError
from torchinf_core.settings import Settings, plugin_setting
from torchinf_core.settings.parsing import parse_bool
from torchinf_core.types import Record
from torchinf_hub.naming import is_commit

PLUGIN = "hub"
TORCH_HUB = "torch.hub"
OWNERS = ("facebookresearch", "facebookincubator", "pytorch", "fairinternal")
"""Owners that torch.hub itself trusts; the word ``torch.hub`` in the list means these."""


def require_trust(record: Record, settings: Settings) -> None:
    """Return when the code may run.

    Raises:
        UntrustedError: nobody decided so for these files.
    """
    if record.trusted is not None or trusts_owner(record, settings):
        return
    owner, repo = record.metadata.get("owner"), record.metadata.get("repo")
    where = f"{owner}/{repo} at {record.revision}" if owner else record.model_id
    raise UntrustedError(
        f"loading {record.name!r} would run the code of {where}, which nobody has trusted yet",
        hint=f"read it in the directory that torchinf path {record.name} prints, then: "
        f"torchinf trust {record.name}",
    )


def trusts_owner(record: Record, settings: Settings) -> bool:
    """True when the user's settings trust the owner of a repository.

    That counts for a commit that was named; a branch may lead to a changed one.

    Raises:
        UsageError: a setting is not what it should be.
    """
    owner = record.metadata.get("owner")
    if not isinstance(owner, str) or owner.lower() not in _owners(settings):
        return False
    return _is_pinned(record) or _setting(settings, "trust_changed_commits")


def _is_pinned(record: Record) -> bool:
    asked = record.requested_revision or record.model_id.partition(":")[2].rpartition("/")[0]
    return is_commit(asked)


def _owners(settings: Settings) -> set[str]:
    value: Any = plugin_setting(settings, PLUGIN, "trusted_owners")
    names: Sequence[Any] = (
        value.replace(",", " ").split() if isinstance(value, str) else value or ()
    )
    if not isinstance(names, (list, tuple)) or not all(isinstance(name, str) for name in names):
        raise UsageError(
            f"the trusted_owners setting of the hub plugin is {value!r}, expected a list of names"
        )
    listed = {name.lower() for name in names}
    return listed | set(OWNERS) if TORCH_HUB in listed else listed


def _setting(settings: Settings, key: str) -> bool:
    value = plugin_setting(settings, PLUGIN, key)
    try:
        return value is not None and parse_bool(value)
    except ValueError:
        raise UsageError(
            f"the {key} setting of the hub plugin is {value!r}, expected yes or no"
        ) from None
