"""``torchinf torchvision labels``: what the numbers of a model's output stand for."""

from __future__ import annotations

import json

import typer

from torchinf_core.errors import ModelNotFoundError
from torchinf_torchvision.catalogue import load
from torchinf_torchvision.finding import find_member, find_model


def print_labels(
    model: str = typer.Argument(..., help="MODEL or MODEL@WEIGHTS, such as resnet18."),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON array."),
) -> None:
    """Print the labels of a model's classes, in the order of its output."""
    labels = find_labels(model.removeprefix("torchvision:"))
    if as_json:
        typer.echo(json.dumps(labels, ensure_ascii=False))
        return
    for index, label in enumerate(labels):
        typer.echo(f"{index}\t{label}")


def find_labels(text: str) -> list[str]:
    """Labels of ``MODEL`` or ``MODEL@WEIGHTS``.

    Raises:
        ModelNotFoundError: no such model or weights, or its output has no labels.
    """
    locator, _, revision = text.partition("@")
    name, model = find_model(locator)
    member = find_member(name, model, revision or None)
    key = model["weights"][member].get("labels")
    if key is None:
        raise ModelNotFoundError(
            f"torchvision states no labels for {name}@{member}",
            hint=f"torchinf search torchvision {name} lists its weights",
        )
    return load()["labels"][key]
