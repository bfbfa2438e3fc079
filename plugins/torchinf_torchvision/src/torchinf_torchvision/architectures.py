"""Tells how a model of torchvision is built and used, by the catalogue alone.

For a checkpoint that came from torchvision, and for any file of which the user
says that it is one (``--arch torchvision:mobilenet_v2``).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torchinf_core.errors import LoadError
from torchinf_core.runtimes import Architecture, Artifact, Pipeline, Signature, TensorSpec
from torchinf_core.types import ModelRef, StoredFile
from torchinf_torchvision import building, pipelines
from torchinf_torchvision.catalogue import Weights, load
from torchinf_torchvision.finding import find_member, find_model

_FIXED = ("vision_transformer", "maxvit", "video.mvit")
"""Families that take pictures of one size."""
_FRAMES = {"video.mvit": 16, "video.s3d": 14, "video.swin_transformer": 32, "video.resnet": 16}
_FLOW_SIZE = 128
_SEGMENT_SIZE = 224


def make_architecture(artifact: Artifact, ref: ModelRef) -> Architecture:
    """The architecture that a reference names, for an artifact's file.

    Args:
        artifact: of this source, or with a file of tensors.
        ref: ``torchvision:MODEL`` or ``torchvision:MODEL@MEMBER``.

    Raises:
        ModelNotFoundError: the catalogue has no such model or member.
        LoadError: the artifact holds several checkpoints.
    """
    name, model = find_model(ref.locator)
    record = artifact.record
    own = record.source == "torchvision" and record.metadata.get("architecture") == name
    member = find_member(name, model, ref.revision)
    weights = model["weights"][member]
    family = model["module"].removeprefix("torchvision.models.")
    bare = own and not record.files
    builder: dict[str, Any]
    if bare:
        builder = {"build": lambda: building.build(name, model, {}), "complete": True}
    else:
        file = _checkpoint(artifact, name)
        builder = _builder(artifact, file, name, member, own=own) if file else {}
    labels = () if bare else tuple(load()["labels"].get(weights.get("labels", ""), ()))
    use = _use(weights, labels, family)
    if "build" not in builder and "pipeline" not in use:
        builder = {"build": _nothing_to_build(name, member, record.name)}
    return Architecture(
        name=f"torchvision {name}",
        signature=_signature(family, weights),
        examples=None if family.startswith("detection.") else _examples(family, weights),
        **builder,
        **use,
    )


def _builder(
    artifact: Artifact, file: StoredFile, name: str, member: str, *, own: bool
) -> dict[str, Any]:
    model = load()["models"][name]
    weights = model["weights"][member]
    found = (artifact.path(file), file.format)
    if building.has_own_way(model):
        whole = building.build_whole if own else building.build_fitting
        return {"build": lambda: whole(name, model, member, found), "complete": True}
    if own:
        arguments = building.arguments_for(name, model, weights)
        build: Callable[[], Any] = lambda: building.build(name, model, arguments)  # noqa: E731
    else:
        build = lambda: building.build_for_file(name, model, weights, found)  # noqa: E731
    return {"build": build, "weights": (file.path,)}


def _nothing_to_build(name: str, member: str, model: str) -> Callable[[], Any]:
    def build() -> Any:
        raise LoadError(
            f"{model!r} has no checkpoint of {name}@{member}",
            hint="its own runtime takes arrays",
        )

    return build


def _checkpoint(artifact: Artifact, name: str) -> StoredFile | None:
    """The file of tensors; None where there is none, as with ONNX."""
    files = artifact.having("safetensors") or artifact.having("torch")
    if len(files) > 1:
        raise LoadError(
            f"{artifact.name!r} has {len(files)} checkpoints, and {name} is made of one: "
            f"{', '.join(file.path for file in files[:4])}"
        )
    return files[0] if files else None


def _use(weights: Weights, labels: tuple[str, ...], family: str) -> dict[str, Any]:
    """Pipeline, and what belongs to it."""
    transforms = weights["transforms"]
    if not labels:
        return {}

    def pipeline(given: Any) -> Pipeline:
        if transforms["class"] == "ImageClassification":
            return pipelines.classifying(given, transforms, labels)
        if transforms["class"] == "SemanticSegmentation":
            return pipelines.segmenting(given, transforms, labels)
        return pipelines.detecting(given, labels, weights.get("keypoints", []))

    if transforms["class"] == "ImageClassification":
        return {"pipeline": pipeline, "kind": "image", "options": ("top",)}
    if transforms["class"] == "SemanticSegmentation":
        return {"pipeline": pipeline, "kind": "image"}
    if family.startswith("detection."):
        return {"pipeline": pipeline, "kind": "image", "options": ("threshold",), "whole": True}
    return {}


def _signature(family: str, weights: Weights) -> Signature:
    if family.startswith("detection."):
        # They take a list of pictures, and give a list of dicts.
        return Signature()
    inputs = tuple(
        TensorSpec(name, "float32", _words(shape, family))
        for name, shape in _shapes(family, weights)
    )
    if family.startswith("segmentation."):
        names = ("out",) if family.endswith("lraspp") else ("out", "aux")
        shape = ("batch", "class", "height", "width")
        return Signature(inputs, tuple(TensorSpec(name, "float32", shape) for name in names))
    if family.startswith("optical_flow."):
        return Signature(inputs)
    return Signature(inputs, (TensorSpec("logits", "float32", ("batch", "class")),))


def _words(shape: tuple[int, ...], family: str) -> tuple[int | str, ...]:
    """Words for the axes that may have any length."""
    if family in _FIXED:
        return ("batch", *shape)
    free: tuple[int | str, ...] = (shape[0], "height", "width")
    return ("batch", *free) if len(shape) == len(free) else ("batch", shape[0], "frames", *free[1:])


def _shapes(family: str, weights: Weights) -> list[tuple[str, tuple[int, ...]]]:
    """Inputs with the shape of one example."""
    transforms: Any = weights["transforms"]
    if family.startswith("optical_flow."):
        return [(name, (3, _FLOW_SIZE, _FLOW_SIZE)) for name in ("image1", "image2")]
    if family.startswith("segmentation."):
        return [("input", (3, _SEGMENT_SIZE, _SEGMENT_SIZE))]
    size = transforms["crop_size"]
    if family.startswith("video."):
        frames = weights.get("min_temporal_size", _FRAMES[family])
        return [("input", (3, max(frames, _FRAMES[family]), *size))]
    return [("input", (3, size, size))]


def _examples(family: str, weights: Weights) -> Callable[[int], dict[str, Any]]:
    def examples(batch: int) -> dict[str, Any]:
        import numpy as np

        random = np.random.default_rng(0)
        return {
            name: random.standard_normal((batch, *shape), dtype=np.float32)
            for name, shape in _shapes(family, weights)
        }

    return examples
