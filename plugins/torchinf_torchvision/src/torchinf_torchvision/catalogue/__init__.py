"""What torchvision offers, as data: the reader of ``catalogue.json``.

``python -m torchinf_torchvision.catalogue`` writes that file from the installed
torchvision.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import NotRequired, TypedDict, cast

from torchinf_core.types import Json

PATH = Path(__file__).with_name("catalogue.json")


class Weights(TypedDict):
    """One weights member of a model.

    Attributes:
        url: of the checkpoint at its own host.
        size: bytes, right to about half a KiB (torchvision says MiB, rounded).
        task: of the model with these weights.
        license: SPDX identifier.
        labels: key into the catalogue's label lists.
        transforms: class name and all parameters of the preprocessing.
        metrics: dataset → metric → value.
        gflops: thousand million operations for one input.
        min_size: smallest height and width.
        description: a sentence or two.
    """

    url: str
    size: int
    task: str
    license: str
    description: str
    transforms: dict[str, Json]
    metrics: dict[str, dict[str, float]]
    num_params: int
    gflops: float
    min_size: list[int]
    labels: NotRequired[str]
    min_temporal_size: NotRequired[int]
    keypoints: NotRequired[list[str]]
    recipe: NotRequired[str]
    license_url: NotRequired[str]
    backend: NotRequired[str]
    unquantized: NotRequired[str]


class Model(TypedDict):
    """One architecture.

    Attributes:
        module: of torchvision that builds it.
        task: of the architecture.
        tags: its family, and what sets it apart.
        enum: name of the class whose members the weights are.
        default: member that torchvision calls DEFAULT.
        weights: member → what it is, in torchvision's order.
    """

    module: str
    task: str
    tags: list[str]
    enum: str
    default: str
    weights: dict[str, Weights]


class Catalogue(TypedDict):
    """Everything.

    Attributes:
        torchvision: version it was made from.
        labels: lists of class names by key.
        models: by torchvision's lower-case name.
    """

    torchvision: str
    labels: dict[str, list[str]]
    models: dict[str, Model]


@cache
def load() -> Catalogue:
    """The catalogue; read once, not to be changed."""
    return cast("Catalogue", json.loads(PATH.read_bytes()))
