"""From logits to labels with scores, and the options that several tasks share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torchinf_core.errors import OptionError
from torchinf_core.types import Json


def softmax(values: Any) -> Any:
    """Over the last axis."""
    import numpy as np

    raised = np.exp(values - values.max(axis=-1, keepdims=True))
    return raised / raised.sum(axis=-1, keepdims=True)


def scores_of(logits: Any, config: Mapping[str, Json], count: int) -> Any:
    """What transformers makes of a classifier's logits: softmax, sigmoid or nothing.

    Args:
        logits: float array, classes along its last axis.
        config: ``config.json``; ``problem_type`` decides, else the number of labels.
        count: of labels.
    """
    import numpy as np

    logits = logits.astype(np.float32)
    problem = config.get("problem_type")
    if problem == "regression":
        return logits
    if problem == "multi_label_classification" or (problem is None and count == 1):
        return 1.0 / (1.0 + np.exp(-logits))
    return softmax(logits)


def best(scores: Any, labels: Sequence[str], top: int) -> list[dict[str, Any]]:
    """The ``top`` labels with the highest scores, the highest first."""
    import numpy as np

    order = np.argsort(-scores, kind="stable")[:top]
    return [
        {
            "label": labels[index] if index < len(labels) else f"LABEL_{index}",
            "score": float(scores[index]),
        }
        for index in order.tolist()
    ]


def output(outputs: Mapping[str, Any], name: str) -> Any:
    """An output by its name; the first one of a graph that names it otherwise."""
    found = outputs.get(name)
    return next(iter(outputs.values())) if found is None else found


def count(options: Mapping[str, Any], name: str, default: int) -> int:
    """A whole number above 0.

    Raises:
        OptionError: it is something else.
    """
    value = options.get(name)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise OptionError(f"{name} is {value!r}, expected a number from 1 up")
    return value


def fraction(options: Mapping[str, Any], name: str, default: float) -> float:
    """A number from 0 to 1.

    Raises:
        OptionError: it is something else.
    """
    value = options.get(name)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1:
        raise OptionError(f"{name} is {value!r}, expected a number from 0 to 1")
    return float(value)
