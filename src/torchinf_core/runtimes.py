"""The values that travel from a stored model to its predictions.

``Record`` → ``Artifact`` → (bids) → ``Claim`` → ``Predictor`` → outputs, and
``Candidate`` → (the gate) → ``Derived`` beside it.  Arrays are numpy's; nothing
here imports it, nor any framework.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from torchinf_core.errors import NotFoundError
from torchinf_core.frozen import dataclass
from torchinf_core.types import Json, ModelRef, Record, StoredFile

if TYPE_CHECKING:
    from torchinf_core.settings import Settings

Array = Any
"""A ``numpy.ndarray``."""
Feeds = Mapping[str, Array]
"""Name of an input or output → array, the batch along its first axis."""
Run = Callable[[Feeds], dict[str, Array]]
"""Computes all outputs of a model for one batch."""
Pipeline = Callable[[Sequence[Any], Mapping[str, Any]], list[Any]]
"""Turns a few items that people have into as many results; takes options such as ``top=5``."""
ItemKind = Literal["array", "image", "text", "mapping"]
"""What people give to a model: an array, a ``PIL.Image`` in RGB, a ``str`` or a ``dict``."""


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """One input or output of a model.

    Attributes:
        name: as the model calls it.
        dtype: numpy's word for it: ``float32``, ``int64``, ``bool``, …
        shape: a length for each axis, or a word for one that may have any; None
            when not even the number of axes is known.
    """

    name: str
    dtype: str
    shape: tuple[int | str, ...] | None = None

    def __str__(self) -> str:
        """``input: float32[batch, 3, 224, 224]``."""
        axes = "..." if self.shape is None else ", ".join(map(str, self.shape))
        return f"{self.name}: {self.dtype}[{axes}]"


@dataclass(frozen=True, slots=True)
class Signature:
    """What a model takes and gives; an empty tuple where that is not known."""

    inputs: tuple[TensorSpec, ...] = ()
    outputs: tuple[TensorSpec, ...] = ()

    @property
    def inputs_text(self) -> str:
        """The inputs for a sentence: ``x: float32[batch, 4]``."""
        return ", ".join(map(str, self.inputs)) if self.inputs else "arrays nobody described"

    def __str__(self) -> str:
        """``(x: float32[batch, 4]) -> (y: float32[batch])``."""
        sides = (self.inputs, self.outputs)
        return " -> ".join(f"({', '.join(map(str, s)) if s else 'unknown'})" for s in sides)


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """What a source knows of how one of its models is used.

    Attributes:
        name: for people, such as ``torchvision resnet18``.
        signature: of the module ``build`` makes.
        build: makes the ``torch.nn.Module``, in evaluation mode; None where only
            ``pipeline`` is known.  Called under ``torch.device("meta")`` unless
            ``complete``, so it must not read weights then.
        complete: True when ``build`` returns the module with its weights.
        weights: paths, relative to the artifact, of the files whose tensors are
            the module's state dict.
        kind: what ``pipeline`` takes: ``image`` (``PIL.Image``, RGB), ``text``
            (``str``), ``mapping`` (``dict``) or ``array``.
        pipeline: makes the function from items to results.  It gets a function
            that runs the model on a batch of arrays by the names of
            ``signature``, or the module itself where ``whole``.
        whole: True when the pipeline needs the module, as for generating text.
        options: names of the options that the pipeline understands.
        examples: makes inputs for a batch of so many items, always the same.
    """

    name: str
    signature: Signature = Signature()
    build: Callable[[], Any] | None = None
    complete: bool = False
    weights: tuple[str, ...] = ()
    kind: ItemKind = "array"
    pipeline: Callable[[Any], Pipeline] | None = None
    whole: bool = False
    options: tuple[str, ...] = ()
    examples: Callable[[int], dict[str, Array]] | None = None


@dataclass(frozen=True, slots=True)
class Derived:
    """Where an optimised form of a model came from, and what was found about it.

    Attributes:
        runtime: name of the plugin that made it, and that alone loads it.
        label: for people, such as ``ONNX Runtime fp32``.
        format: of its main file, or a word of the runtime where it has no files.
        device: it was made and measured on.
        precision: ``fp32``, ``bf16``, ``fp16`` or ``int8``.
        options: how the runtime is to load it.
        versions: distribution → version that it is bound to.
        hardware: fingerprint of the machine and device that it is bound to.
        parent: generation of the model it was made from.
        files: of its own; sorted by path.
        shapes: input → shape of the examples it was compared on.
        error: largest difference to the reference output, relative to the
            largest value of that.
        tolerance: that the error was held to.
        seconds, reference_seconds: median time of one call on the examples.
        created: ISO 8601, UTC.
        arch: reference that told the architecture, where the user named one.
    """

    runtime: str
    label: str
    format: str
    device: str
    precision: str
    options: Mapping[str, Json]
    versions: Mapping[str, str]
    hardware: str
    parent: str
    files: tuple[StoredFile, ...] = ()
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    error: float = 0.0
    tolerance: float = 0.0
    seconds: float = 0.0
    reference_seconds: float = 0.0
    created: str = ""
    arch: str = ""

    @property
    def speedup(self) -> float:
        """Times as fast as the reference in the same run."""
        return self.reference_seconds / self.seconds if self.seconds else 0.0


@dataclass(frozen=True, slots=True)
class Artifact:
    """A stored model whose files were checked, opened to be loaded.

    Attributes:
        record: of the model.
        directory: where the files are; they stay while the artifact is loaded.
        derived: set for an optimised form, whose files these are then.
        parent: the model as downloaded, for a derived one.
        arch: reference that says the architecture, where the user named one.
        describable: True when a source or ``arch`` can tell the architecture.
        describe: tells it; use :meth:`architecture`.
    """

    record: Record
    directory: Path
    derived: Derived | None = None
    parent: Artifact | None = None
    arch: ModelRef | None = None
    describable: bool = False
    describe: Callable[[], Architecture] | None = field(default=None, compare=False, repr=False)

    @property
    def name(self) -> str:
        """Name of the model."""
        return self.record.name

    @property
    def format(self) -> str | None:
        """Format of the main file, such as ``safetensors``, ``onnx`` or ``torch``."""
        return self.derived.format if self.derived else self.record.format

    @property
    def files(self) -> tuple[StoredFile, ...]:
        """Its files, sorted by path."""
        return self.derived.files if self.derived else self.record.files

    def path(self, file: StoredFile | str) -> Path:
        """Where one of its files is."""
        return self.directory / (file if isinstance(file, str) else file.path)

    def having(self, *formats: str) -> tuple[StoredFile, ...]:
        """Its files of these formats, the largest first."""
        found = [file for file in self.files if file.format in formats]
        return tuple(sorted(found, key=lambda file: (-file.size, file.path)))

    def architecture(self) -> Architecture:
        """What its source, or the reference the user named, knows of how it is used.

        Raises:
            NotFoundError: nobody knows; ``describable`` is False then.
            TorchinfError: the source failed.
        """
        if self.describe is None:
            raise NotFoundError(
                f"nothing tells the architecture of {self.name!r}",
                hint="name one: --arch torchvision:resnet18, or arch=... in Python",
            )
        return self.describe()


@dataclass(frozen=True, slots=True)
class Claim:
    """A runtime's bid for one artifact on one device.

    Attributes:
        score: 0 when it can't, with the reason.  Otherwise how well it fits, the
            highest wins: 100 for a format and device it is made for, 50 where it
            has to convert or do without something, 200 more on an accelerator,
            10 more for a derived form that was proven faster.
        device: that it would run on, such as ``cpu`` or ``cuda:0``.
        reason: one sentence for people, without a period.
        hint: how to make a bid of 0 possible, or ``""``.
        runtime: name of the plugin; the core fills it in.
    """

    score: int
    device: str
    reason: str
    hint: str = ""
    runtime: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """An optimised form that a runtime offers to build.

    Attributes:
        label: for people; unique among the candidates of a runtime.
        format: of the file it writes, or a word of the runtime's own.
        precision: it computes with: ``fp32``, ``bf16``, ``fp16`` or ``int8``.
        options: that ``load`` finds in ``Derived.options``.
        distributions: names on PyPI whose versions it is bound to.
        hardware: what it is bound to beyond the processor, such as the name of a
            GPU; ``claim`` compares that with what is there.
        build: writes files into an empty directory; None for a form that is only
            another way to load the model's own files.
        thorough: True when it is only tried by ``full``, for it takes long.
    """

    label: str
    format: str
    precision: str = "fp32"
    options: Mapping[str, Json] = field(default_factory=dict)
    distributions: tuple[str, ...] = ()
    hardware: str = ""
    build: Callable[[Path], None] | None = None
    thorough: bool = False


@dataclass(frozen=True, slots=True)
class LoadOptions:
    """How a runtime is to load an artifact.

    Attributes:
        precision: ``auto`` (what the files have), ``fp32``, ``bf16`` or ``fp16``.
        threads: for computing on the processor; 0 leaves it to the runtime.
        batch_size: most items in one call; 0 leaves it to the predictor.
        settings: of the user, all of them.
    """

    precision: str = "auto"
    threads: int = 0
    batch_size: int = 0
    settings: Settings | None = field(default=None, compare=False, repr=False)
