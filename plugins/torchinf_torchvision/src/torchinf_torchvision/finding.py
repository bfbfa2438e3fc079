"""Finds what a reference names in the catalogue, or says what it could have meant."""

from __future__ import annotations

import difflib

from torchinf_core.errors import ModelNotFoundError
from torchinf_torchvision.catalogue import Model, load


def find_model(text: str) -> tuple[str, Model]:
    """Name and entry of a model; case does not count.

    Raises:
        ModelNotFoundError: with the nearest names.
    """
    catalogue = load()
    name = text.lower()
    if name in catalogue["models"]:
        return name, catalogue["models"][name]
    near = difflib.get_close_matches(name.replace("-", "_"), catalogue["models"], n=3, cutoff=0.7)
    raise ModelNotFoundError(
        f"torchvision {catalogue['torchvision']} has no model {text[:80]!r}",
        hint=_did_you_mean([f"torchvision:{other}" for other in near])
        or "torchinf search torchvision PATTERN lists its models",
    )


def find_member(name: str, model: Model, revision: str | None) -> str:
    """The concrete weights member a revision means; never DEFAULT, which moves.

    Args:
        name: of the model.
        model: its entry.
        revision: ``MEMBER``, ``ENUM.MEMBER``, ``DEFAULT`` or None for the default.

    Raises:
        ModelNotFoundError: with the model's members.
    """
    if revision is None:
        return model["default"]
    enum, dot, word = revision.rpartition(".")
    if not dot or enum.lower() == model["enum"].lower():
        for member in model["weights"]:
            if member.lower() == word.lower():
                return member
        if word.lower() == "default":
            return model["default"]
    near = difflib.get_close_matches(word.upper(), model["weights"], n=1)
    offered = near or list(model["weights"])
    raise ModelNotFoundError(
        f"torchvision {load()['torchvision']} has no weights {revision[:80]!r} for {name}",
        hint=_did_you_mean([f"torchvision:{name}@{member}" for member in offered]),
    )


def _did_you_mean(refs: list[str]) -> str:
    return f"did you mean {' or '.join(refs)}?" if refs else ""
