"""From pictures to labels: what goes around a model of torchvision."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torchinf_core.errors import OptionError
from torchinf_core.runtimes import Pipeline, Run
from torchinf_core.types import Json
from torchinf_torchvision.preparing import prepare

TOP = 5
THRESHOLD = 0.5
_FULL = 255


def classifying(run: Run, transforms: Mapping[str, Json], labels: Sequence[str]) -> Pipeline:
    """Pictures to their most likely labels: ``[{"label", "score", "index"}, …]`` for each.

    Args:
        run: the model, from ``input`` to its only output.
        transforms: of the preset.
        labels: by index; where the model gives another number of classes, the
            index stands for the label.
    """

    def pipeline(pictures: Sequence[Any], options: Mapping[str, Any]) -> list[Any]:
        import numpy as np

        top = count(options, "top", TOP)
        batch = np.stack([prepare(picture, transforms) for picture in pictures])
        logits = next(iter(run({"input": batch}).values()))
        names = (
            labels if len(labels) == logits.shape[1] else [str(n) for n in range(logits.shape[1])]
        )
        scores = _softmax(logits.astype(np.float32), 1)
        order = np.argsort(-scores, axis=1, kind="stable")[:, :top]
        return [
            [
                {"label": names[index], "score": float(row[index]), "index": int(index)}
                for index in best
            ]
            for row, best in zip(scores, order, strict=True)
        ]

    return pipeline


def segmenting(run: Run, transforms: Mapping[str, Json], labels: Sequence[str]) -> Pipeline:
    """Pictures to what is where: ``[{"label", "score", "index", "mask"}, …]`` for each.

    Every pixel belongs to one class.  ``mask`` is a bool array of the picture's
    height and width, ``score`` the mean probability within it; the largest come first.
    """

    def pipeline(pictures: Sequence[Any], options: Mapping[str, Any]) -> list[Any]:  # noqa: ARG001
        # Pictures of several sizes make no batch.
        return [_segments(run, picture, transforms, labels) for picture in pictures]

    return pipeline


def detecting(module: Any, labels: Sequence[str], keypoints: Sequence[str]) -> Pipeline:
    """Pictures to the things in them: ``[{"label", "score", "index", "box"}, …]`` for each.

    ``box`` has xmin, ymin, xmax and ymax in pixels.  Where the model gives them,
    ``mask`` is a bool array of the picture's size, and ``keypoints`` a dict from name
    to x, y and score.

    Args:
        module: of torchvision, which takes a list of pictures of any sizes.
        labels: by index.
        keypoints: names of those, if the model finds any.
    """

    def pipeline(pictures: Sequence[Any], options: Mapping[str, Any]) -> list[Any]:
        import numpy as np
        import torch

        threshold = fraction(options, "threshold", THRESHOLD)
        first = next(module.parameters())
        inputs = [
            torch.from_numpy(np.array(picture)).permute(2, 0, 1).to(first.device, first.dtype)
            / _FULL
            for picture in pictures
        ]
        with torch.inference_mode():
            outputs = module(inputs)
        return [_things(output, threshold, labels, keypoints) for output in outputs]

    return pipeline


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


def _softmax(values: Any, axis: int) -> Any:
    import numpy as np

    raised = np.exp(values - values.max(axis=axis, keepdims=True))
    return raised / raised.sum(axis=axis, keepdims=True)


def _segments(
    run: Run, picture: Any, transforms: Mapping[str, Json], labels: Sequence[str]
) -> list[dict[str, Any]]:
    import numpy as np
    from PIL import Image

    outputs = run({"input": prepare(picture, transforms)[None]})
    logits = outputs.get("out", next(iter(outputs.values())))[0]
    scores = _softmax(logits.astype(np.float32), 0)
    classes = scores.argmax(axis=0)
    names = labels if len(labels) == len(scores) else [str(n) for n in range(len(scores))]
    shown = np.asarray(
        Image.fromarray(classes.astype(np.uint8)).resize(picture.size, Image.Resampling.NEAREST)
    )
    found = []
    for index in np.unique(classes):
        inside = classes == index
        segment = {
            "label": names[index],
            "score": float(scores[index][inside].mean()),
            "index": int(index),
            "mask": shown == index,
        }
        found.append((-int(inside.sum()), int(index), segment))
    return [segment for _, _, segment in sorted(found, key=lambda item: item[:2])]


def _things(
    output: Mapping[str, Any], threshold: float, labels: Sequence[str], keypoints: Sequence[str]
) -> list[dict[str, Any]]:
    arrays = {name: tensor.float().cpu().numpy() for name, tensor in output.items()}
    found = []
    for place, score in enumerate(arrays["scores"].tolist()):
        if score < threshold:
            continue
        index = int(arrays["labels"][place])
        corners = arrays["boxes"][place].tolist()
        thing: dict[str, Any] = {
            "label": labels[index] if index < len(labels) else str(index),
            "score": score,
            "index": index,
            "box": dict(zip(("xmin", "ymin", "xmax", "ymax"), corners, strict=True)),
        }
        if "masks" in arrays:
            thing["mask"] = arrays["masks"][place, 0] >= THRESHOLD
        if "keypoints" in arrays:
            points = arrays["keypoints"][place][:, :2].tolist()
            scores = arrays["keypoints_scores"][place].tolist()
            named = keypoints or [str(number) for number in range(len(points))]
            thing["keypoints"] = {
                name: {"x": x, "y": y, "score": sure}
                for name, (x, y), sure in zip(named, points, scores, strict=True)
            }
        found.append(thing)
    return found
