"""``python -m torchinf_torchvision.catalogue [FILE]``: describe the installed torchvision.

Writes the catalogue that ships with the plugin, or FILE.  The only module here
that imports torchvision; it downloads nothing.
"""

from __future__ import annotations

import inspect
import json
import math
import re
import sys
from enum import Enum
from pathlib import Path
from typing import Any

from torchinf_torchvision.catalogue import PATH, Catalogue, Model, Weights

MIB = 1 << 20
# The words are those of https://huggingface.co/tasks, where it has one.
_TASKS = (
    ("detection.mask_rcnn", "image-segmentation", "instance-segmentation"),
    ("detection.keypoint_rcnn", "keypoint-detection", ""),
    ("detection.", "object-detection", ""),
    ("segmentation.", "image-segmentation", "semantic-segmentation"),
    ("video.", "video-classification", ""),
    ("optical_flow.", "optical-flow", ""),
    ("quantization.", "image-classification", "quantized"),
    ("", "image-classification", ""),
)
# torchvision's README: "SWAG models are released under the CC-BY-NC 4.0 license."
_LICENSES = {
    "": "BSD-3-Clause",
    "https://github.com/facebookresearch/SWAG/blob/main/LICENSE": "CC-BY-NC-4.0",
}
_LABELS = {1000: "imagenet-1k", 400: "kinetics-400", 91: "coco", 21: "voc", 2: "person"}
# What torchvision says of weights that lack the layers behind the features.
_FEATURES_ONLY = "can't be used for classification"


def describe() -> Catalogue:
    """The catalogue of the installed torchvision."""
    from importlib.metadata import version

    from torchvision.models import list_models

    labels: dict[str, list[str]] = {}
    models = {name: _model(name, labels) for name in sorted(list_models())}
    return {
        "torchvision": version("torchvision").partition("+")[0],
        "labels": dict(sorted(labels.items())),
        "models": models,
    }


def to_text(catalogue: Catalogue) -> str:
    """JSON with a line for each model, so that a new release makes a readable diff."""
    sections = []
    for key, value in catalogue.items():
        if isinstance(value, dict):
            lines = ",\n".join(f"{_dumps(name)}:{_dumps(item)}" for name, item in value.items())
            sections.append(f"{_dumps(key)}:{{\n{lines}\n}}")
        else:
            sections.append(f"{_dumps(key)}:{_dumps(value)}")
    return "{" + ",\n".join(sections) + "}\n"


def main(arguments: list[str]) -> int:
    """Write the catalogue; returns the exit status."""
    catalogue = describe()
    path = Path(arguments[0]) if arguments else PATH
    path.write_text(to_text(catalogue), encoding="utf-8")
    members = sum(len(model["weights"]) for model in catalogue["models"].values())
    sys.stdout.write(
        f"{path}: torchvision {catalogue['torchvision']}, {len(catalogue['models'])} models, "
        f"{members} weights, {path.stat().st_size} bytes\n"
    )
    return 0


def _model(name: str, labels: dict[str, list[str]]) -> Model:
    from torchvision.models import get_model_builder, get_model_weights

    module = get_model_builder(name).__module__
    inner = module.removeprefix("torchvision.models.")
    task, tag = next((task, tag) for start, task, tag in _TASKS if inner.startswith(start))
    enum = get_model_weights(name)
    return {
        "module": module,
        "task": task,
        "tags": [inner.rpartition(".")[2], *([tag] if tag else [])],
        "enum": enum.__name__,
        "default": enum.DEFAULT.name,
        "weights": {member.name: _weights(member, task, labels) for member in enum},
    }


def _weights(member: Any, task: str, labels: dict[str, list[str]]) -> Weights:
    meta = dict(member.meta)
    docs = _plain(meta.pop("_docs"))
    if base := meta.get("unquantized"):
        docs = docs.replace("the unquantized weights listed below", str(base))
    entry: dict[str, Any] = {
        "url": member.url,
        "size": round(meta.pop("_file_size") * MIB),
        "task": "image-feature-extraction" if _FEATURES_ONLY in docs else task,
        "license": _LICENSES[meta.get("license", "")],
        "description": docs,
        "transforms": _transforms(member.transforms),
        "metrics": _measured(meta.pop("_metrics")),
        "gflops": meta.pop("_ops"),
    }
    if categories := meta.pop("categories", None):
        key = _LABELS[len(categories)]
        if labels.setdefault(key, categories) != categories:
            raise ValueError(f"{member} has other labels than the first with {len(categories)}")
        entry["labels"] = key
    renamed = {"license": "license_url", "keypoint_names": "keypoints"}
    for word, value in meta.items():
        entry[renamed.get(word) or word] = str(value) if isinstance(value, Enum) else value
    unknown = entry.keys() - Weights.__annotations__.keys()
    if unknown:
        raise ValueError(f"{member} has metadata that the catalogue does not know: {unknown}")
    return entry  # type: ignore[return-value]


def _measured(metrics: dict[str, dict[str, float]]) -> dict[str, dict[str, float]]:
    """The metrics that have a value: torchvision writes NaN where there is none."""
    known = {
        dataset: {name: value for name, value in values.items() if math.isfinite(value)}
        for dataset, values in metrics.items()
    }
    return {dataset: values for dataset, values in known.items() if values}


def _transforms(preset: Any) -> dict[str, Any]:
    """Class and effective parameters of a preset: a class, or a partial of one."""
    kind = getattr(preset, "func", preset)
    parameters = {
        name: parameter.default
        for name, parameter in inspect.signature(kind).parameters.items()
        if parameter.kind is parameter.KEYWORD_ONLY
    }
    parameters |= getattr(preset, "keywords", {})
    plain = {
        name: value.value if isinstance(value, Enum) else value
        for name, value in parameters.items()
    }
    return {"class": kind.__name__, **plain}


def _plain(text: str) -> str:
    """One paragraph of plain text of a piece of reStructuredText."""
    text = re.sub(r":\w+:`~?(?:[\w.]*\.)?(\w+)`", r"\1", text)
    text = re.sub(r"`([^`<]*?)\s*<[^>]*>`__?", r"\1", text)
    return " ".join(text.replace("`", "").split())


def _dumps(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
