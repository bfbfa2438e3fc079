"""Puts together what a runtime has to know of a model from the Hugging Face hub."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torchinf_core.errors import LoadError, UsageError
from torchinf_core.runtimes import Architecture, Artifact, Pipeline, Signature, TensorSpec
from torchinf_core.types import ModelRef
from torchinf_hf.using import building
from torchinf_hf.using.folder import Folder
from torchinf_hf.using.graphs import input_names as graph_inputs
from torchinf_hf.using.tasks import Task, find_task
from torchinf_hf.using.tokens import Tokens, input_names, own_limit, positions

_LENGTH = 16
_SIDE = 224
_FIXED = ("vit", "deit", "beit", "dinov2", "swin", "swinv2")
"""Families that take pictures of one size."""


def make_architecture(artifact: Artifact, ref: ModelRef) -> Architecture:
    """The architecture of a downloaded model.

    What can't be built or has no pipeline is described all the same; building it then
    says why not.

    Args:
        artifact: of this source.
        ref: its own reference.

    Raises:
        UsageError: the reference is that of another model, which is not among the files.
        FormatError: ``config.json`` is not what it should be.
    """
    record = artifact.record
    if record.source != "hf":
        raise UsageError(
            f"{ref} can't tell the architecture of {record.name!r}: it is not among the files",
            hint=f"download {ref} itself",
        )
    folder = Folder(artifact)
    trusted = record.trusted is not None
    task = find_task(folder, record.task)
    name = f"transformers {task.name if task else folder.model_type or record.model_id}"
    has_weights = bool(artifact.having("safetensors", "torch"))
    if task is None:
        return Architecture(name=name, build=_bare(folder, trusted, has_weights), complete=True)
    inputs = _inputs(artifact, folder, task)
    outputs = tuple(
        TensorSpec(output, "float32", ("batch", *axes)) for output, axes in task.outputs
    )
    build: Callable[[], Any] | None = None
    if has_weights:
        build = _builder(folder, task, [spec.name for spec in inputs], trusted=trusted)
    elif artifact.format != "onnx" or task.whole:
        build = building.failing(_no_weights(folder, artifact.format))
    return Architecture(
        name=name,
        signature=Signature() if task.whole else Signature(inputs, outputs),
        build=build,
        complete=True,
        kind=task.kind,
        pipeline=_pipeline(folder, task, [spec.name for spec in inputs], trusted=trusted),
        whole=task.whole,
        options=task.options,
        examples=None if task.whole else _examples(folder, task, inputs),
    )


def _builder(folder: Folder, task: Task, inputs: list[str], *, trusted: bool) -> Callable[[], Any]:
    def build() -> Any:
        model = building.build_module(folder, task.auto, trusted=trusted, whole=task.whole)
        if task.whole:
            return model
        return building.plain(model, inputs, [name for name, _ in task.outputs])

    return build


def _bare(folder: Folder, trusted: bool, has_weights: bool) -> Callable[[], Any]:
    """The module of a task that has no pipeline here: arrays in, arrays out."""
    if not folder.config:
        return building.failing(
            LoadError(f"{folder.name!r} has no config.json, so transformers can't build its module")
        )
    if not has_weights:
        return building.failing(_no_weights(folder, None))

    def build() -> Any:
        transformers = building.import_transformers(f"building {folder.name!r}")
        name = next((name for name in folder.classes if hasattr(transformers, name)), "AutoModel")
        return building.build_module(folder, name, trusted=trusted, whole=False)

    return build


def _no_weights(folder: Folder, form: str | None) -> LoadError:
    return LoadError(
        f"{folder.name!r} holds no weights that transformers reads"
        + (f", but {form}" if form else ""),
        hint="download it with -o format=safetensors",
    )


def _pipeline(
    folder: Folder, task: Task, inputs: list[str], *, trusted: bool
) -> Callable[[Any], Pipeline]:
    def tokens(limit: int) -> Tokens:
        return Tokens(folder, inputs, limit, trusted=trusted)

    def make(given: Any) -> Pipeline:
        if task.name == "image-classification":
            from torchinf_hf.using.classifying import classify_pictures

            return classify_pictures(given, folder, trusted=trusted)
        if task.name == "text-classification":
            from torchinf_hf.using.classifying import classify_texts

            return classify_texts(given, folder, tokens(positions(folder)))
        if task.name == "token-classification":
            from torchinf_hf.using.labelling import label_tokens

            return label_tokens(
                given, folder, tokens(_smaller(own_limit(folder), positions(folder)))
            )
        if task.name == "fill-mask":
            from torchinf_hf.using.filling import fill_gaps

            return fill_gaps(given, folder, tokens(positions(folder)))
        if task.name == "question-answering":
            from torchinf_hf.using.answering import answer_questions

            return answer_questions(given, folder, tokens(0), positions(folder))
        if task.name == "feature-extraction":
            return _embedding(given, folder, tokens)
        from torchinf_hf.using import generating

        if task.name == "text-generation":
            return generating.continue_texts(given, folder, trusted=trusted)
        return generating.rewrite_texts(given, folder, task.name, trusted=trusted)

    return make


def _embedding(run: Any, folder: Folder, tokens: Callable[[int], Tokens]) -> Pipeline:
    from torchinf_hf.using.embedding import hidden_states, sentence_limit, sentence_vectors

    if folder.has("modules.json"):
        limit = _smaller(sentence_limit(folder) or own_limit(folder), positions(folder))
        return sentence_vectors(run, folder, tokens(limit))
    return hidden_states(run, tokens(positions(folder)))


def _smaller(one: int, other: int) -> int:
    """The smaller of two limits, of which 0 is none."""
    return min(one or other, other or one)


def _inputs(artifact: Artifact, folder: Folder, task: Task) -> tuple[TensorSpec, ...]:
    if task.kind == "image":
        size = folder.number("image_size") or _SIDE
        free: tuple[int | str, ...] = ("height", "width")
        sides = (size, size) if folder.model_type in _FIXED else free
        shape = ("batch", folder.number("num_channels") or 3, *sides)
        return (TensorSpec("pixel_values", "float32", shape),)
    names = input_names(folder)
    if artifact.format == "onnx":
        # A graph takes exactly what it was exported with.
        wanted = graph_inputs(artifact.path(artifact.having("onnx")[0]))
        every = ("input_ids", "attention_mask", "token_type_ids")
        names = tuple(name for name in every if name in wanted) or names
    return tuple(TensorSpec(name, "int64", ("batch", "sequence")) for name in names)


def _examples(
    folder: Folder, task: Task, inputs: tuple[TensorSpec, ...]
) -> Callable[[int], dict[str, Any]]:
    def examples(batch: int) -> dict[str, Any]:
        import numpy as np

        random = np.random.default_rng(0)
        if task.kind == "image":
            shape = inputs[0].shape or ()
            sides = [side if isinstance(side, int) else _SIDE for side in shape[1:]]
            made = random.standard_normal((batch, *sides), dtype=np.float32)
            return {"pixel_values": made}
        most = min(_LENGTH, positions(folder) or _LENGTH)
        numbers = random.integers(0, folder.number("vocab_size") or 1, (batch, most), np.int64)
        values = {
            "input_ids": numbers,
            "attention_mask": np.ones_like(numbers),
            "token_type_ids": np.zeros_like(numbers),
        }
        return {spec.name: values[spec.name] for spec in inputs}

    return examples
