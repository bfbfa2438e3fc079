"""What candidates are compared on: inputs made for it, and those of the user."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torchinf_core.errors import InputError
from torchinf_core.predicting import arrays, comparing, items
from torchinf_core.predicting.predictor import Predictor
from torchinf_core.runtimes import Array, Feeds, ItemKind

LARGER = 4
"""Items of the second example; a form that only knows one is no form of the model."""
_ARRAY_FILES = (".npy", ".npz", ".json")


@dataclass(frozen=True, slots=True)
class Example:
    """Inputs of one call.

    Attributes:
        name: for people.
        feeds: as the predictor's ``run`` takes them.
        needed: False when the model as downloaded may fail on it.
    """

    name: str
    feeds: Mapping[str, Array]
    needed: bool = True


def gather(predictor: Predictor, given: Sequence[Any]) -> list[Example]:
    """The user's own inputs first, then those that are made; empty where there are none.

    Args:
        predictor: the model as downloaded.
        given: anything that ``predict`` takes, also paths of files with arrays.

    Raises:
        InputError: one of ``given`` is nothing the model takes.
    """
    own = [
        Example(_name(value) if len(feeds) == 1 else f"{_name(value)}, call {number}", each)
        for value in given
        for feeds in [feeds_of(predictor, value)]
        for number, each in enumerate(feeds, 1)
    ]
    return [*own, *_made(predictor)]


def _made(predictor: Predictor) -> list[Example]:
    one = predictor.examples(1)
    if not one:
        return []
    made = [Example("an example", one)]
    larger = predictor.examples(LARGER)
    # Where the model fixes the batch, what is made for four items is the same again.
    if comparing.shapes(larger) != comparing.shapes(one):
        made.append(Example(f"an example of {LARGER}", larger, needed=False))
    return made


def feeds_of(predictor: Predictor, value: Any) -> list[Feeds]:
    """What the model itself gets to compute when ``value`` is predicted: once or more.

    Raises:
        InputError: the model can't take it, or its pipeline hides what it gets.
    """
    kind = predictor.kind
    if not arrays.is_raw(value) and (kind == "array" or _is_array_file(value)):
        value = arrays.read(value, predictor.signature)
    if arrays.is_raw(value) and not (kind == "image" and items.is_picture(value)):
        feeds = arrays.to_feeds(value, predictor.signature)
        arrays.add_batch(feeds, value, predictor.signature)
        arrays.check(feeds, predictor.signature)
        return [feeds]
    return _through_pipeline(predictor, value, kind)


def _through_pipeline(predictor: Predictor, value: Any, kind: ItemKind) -> list[Feeds]:
    architecture = predictor.artifact.architecture()
    if architecture.pipeline is None or architecture.whole:
        raise InputError(
            f"what {predictor.name!r} computes for {_name(value)} can't be seen from outside",
            hint="give --inputs as arrays: a .npy, .npz or .json file",
        )
    seen: list[Feeds] = []

    def run(feeds: Feeds) -> dict[str, Array]:
        seen.append(comparing.copied(feeds))
        return predictor.run(feeds)

    items_ = [items.to_item(each, kind) for each in (value if isinstance(value, list) else [value])]
    architecture.pipeline(run)(items_, {})
    return seen


def _is_array_file(value: Any) -> bool:
    if not isinstance(value, (str, os.PathLike)):
        return False
    path = os.fspath(value)
    return os.path.splitext(path)[1].lower() in _ARRAY_FILES and os.path.isfile(path)


def _name(value: Any) -> str:
    if isinstance(value, (str, os.PathLike)):
        text = os.fspath(value)
        return repr(text if len(text) <= 60 else f"{text[:57]}...")
    return f"a {type(value).__name__}"
