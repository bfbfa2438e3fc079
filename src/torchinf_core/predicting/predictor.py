"""What a loaded model is to whoever uses it, whatever runtime holds it.

A runtime's subclass says how to :meth:`Predictor.run` a batch of arrays; this
class turns what people have into such a batch and the answer into what they want.
One rule decides which: **arrays in, arrays out** (also lists of numbers and files
of arrays), and anything else goes through the pipeline that the model's source
brings, and comes back as results.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Self

from torchinf_core.errors import DeviceError, InputError, LoadError, OptionError, TorchinfError
from torchinf_core.predicting import arrays, items
from torchinf_core.runtimes import (
    Array,
    Artifact,
    Claim,
    Feeds,
    ItemKind,
    LoadOptions,
    Pipeline,
    Signature,
)

BATCH = 8
"""Items in one call where neither the user nor the model's own shape says."""


class Predictor(ABC):
    """A model that is loaded and predicts; made by a runtime's ``load``.

    Several threads may call it at once.  Closing it while it computes is safe;
    what is called afterwards raises.

    Args:
        artifact: that was loaded.
        claim: that won.
        signature: what it takes and gives, as far as is known.
        options: it was loaded with.
        precision: that it computes with.
        module: the ``torch.nn.Module``, for pipelines that need it.

    Attributes:
        artifact, signature, precision: as above.
        runtime: name of the plugin that loaded it.
        device: it runs on.
    """

    def __init__(
        self,
        artifact: Artifact,
        claim: Claim,
        signature: Signature,
        options: LoadOptions | None = None,
        *,
        precision: str = "fp32",
        module: Any = None,
    ) -> None:
        self.artifact = artifact
        self.signature = signature
        self.precision = precision
        self.runtime = claim.runtime
        self.device = claim.device
        self.closed = False
        self._batch_size = options.batch_size if options else 0
        self._module = module
        self._lock = threading.Lock()
        self._pipeline: Pipeline | None = None
        self._option_names: tuple[str, ...] = ()

    # FOR RUNTIMES

    @abstractmethod
    def run(self, feeds: Feeds) -> dict[str, Array]:
        """Compute all outputs for one batch.

        Args:
            feeds: arrays by the names of the signature's inputs (``input``, or
                ``input_0``, ``input_1``, … where it has none), already of the right
                types and shapes.

        Raises:
            Exception: whatever the framework raises; :meth:`failure` translates it.
        """

    def release(self) -> None:  # noqa: B027 - most have nothing to give back
        """Give back memory and files; called once."""

    def failure(self, error: Exception, inputs: object) -> TorchinfError:
        """What to raise for an error of the framework while it computed.

        Args:
            error: of the framework.
            inputs: what was given to :meth:`predict`, to see whether that is the
                cause; None for what no caller gave.
        """
        if isinstance(error, TorchinfError):
            return error
        if self.closed:
            return LoadError(f"{self.name!r} was closed", hint="load it again")
        if wrong := self._wrong_input(inputs):
            return wrong
        if self.is_memory_error(error):
            return DeviceError(
                f"{self.name!r} needs more memory than {self.device} has left for these inputs",
                hint="a smaller batch, another --device, or close other models",
            )
        return LoadError(f"{self.name!r} failed on {self.device}: {_first_line(error)}")

    def is_memory_error(self, error: Exception) -> bool:
        """True when the framework ran out of memory."""
        return isinstance(error, MemoryError)

    # FOR EVERYONE

    @property
    def name(self) -> str:
        """Name of the model."""
        return self.artifact.name

    @property
    def has_module(self) -> bool:
        """True when it can run a pipeline that needs the ``torch.nn.Module`` itself."""
        return self._module is not None

    @property
    def kind(self) -> ItemKind:
        """What its pipeline takes; ``array`` where there is none."""
        if not self.artifact.describable:
            return "array"
        architecture = self.artifact.architecture()
        return architecture.kind if architecture.pipeline else "array"

    def predict(self, inputs: Any, **options: Any) -> Any:
        """Predict for one input.

        Args:
            inputs: a numpy array or torch tensor as the model takes it (with its
                batch axis), a tuple of them, or a dict by the names of the
                signature; the same as lists of numbers, where a missing batch
                axis is added; a path of a ``.npy``, ``.npz`` or ``.json`` file with
                them.  Or, for a model whose source brings a pipeline, what that
                takes: a path of an image, a ``PIL.Image``, a text, a dict.  A
                list of those is answered with a list.
            options: of the pipeline, such as ``top=5``.

        Returns:
            Arrays for arrays: one, or a dict by name if the model gives several;
            torch tensors for torch tensors.  Else what the pipeline makes of it.

        Raises:
            InputError: the model can't take that; the message says what it wants.
            OptionError: an option that the pipeline does not have.
            LoadError: the model failed, or was closed.
        """
        if self._is_item(inputs):
            if isinstance(inputs, list):
                return self.predict_batch(inputs, **options)
            return self._predict_items([inputs], options)[0]
        if options:
            raise self._no_option(next(iter(options)), ())
        raw = inputs if arrays.is_raw(inputs) else arrays.read(inputs, self.signature)
        return self._predict_raw(raw)

    def predict_batch(
        self, inputs: Iterable[Any], *, batch_size: int = 0, **options: Any
    ) -> list[Any]:
        """Predict for many inputs, several in one call of the model.

        Args:
            inputs: one item each, as for :meth:`predict`; arrays without the batch
                axis.
            batch_size: most items in one call; a model whose shape fixes the batch
                keeps to that, the last one filled up.
            options: as for :meth:`predict`.

        Returns:
            One result for each input, in their order.
        """
        return list(self.stream(inputs, batch_size=batch_size, **options))

    def stream(
        self, inputs: Iterable[Any], *, batch_size: int = 0, **options: Any
    ) -> Iterator[Any]:
        """Like :meth:`predict_batch` for inputs without end: results come as they are made."""
        pending = iter(inputs)
        size = self._own_batch() or batch_size or self._batch_size or BATCH
        while batch := list(islice(pending, size)):
            if self._is_item(batch[0]):
                yield from self._predict_items(batch, options)
            else:
                yield from self._predict_stack(batch)

    def warm_up(self, times: int = 1) -> None:
        """Run on example inputs, so that the first real call is as fast as the others.

        Does nothing for a model of which nobody knows what it takes.
        """
        feeds = self.examples(1)
        for _ in range(times if feeds else 0):
            self._run(feeds)

    def examples(self, batch: int = 1) -> dict[str, Array]:
        """Inputs to try the model with, always the same; empty where nobody knows any."""
        if self.artifact.describable:
            made = self.artifact.architecture().examples
            if made is not None:
                return made(batch)
        return arrays.examples(self.signature, batch)

    def close(self) -> None:
        """Give back what the model holds; the second time nothing happens."""
        with self._lock:
            if self.closed:
                return
            self.closed = True
            self._pipeline = None
            self._module = None
        self.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    def __repr__(self) -> str:
        state = ", closed" if self.closed else ""
        return f"<{self.name} on {self.device} by {self.runtime}, {self.precision}{state}>"

    # INSIDE

    def _is_item(self, value: Any) -> bool:
        """True for what goes through the pipeline."""
        if self.kind == "array":
            return False
        first = value[0] if isinstance(value, list) and value else value
        return not arrays.is_raw(value) or (self.kind == "image" and items.is_picture(first))

    def _wrong_input(self, inputs: object) -> InputError | None:
        if inputs is None:
            return None
        try:
            arrays.check(arrays.to_feeds(inputs, self.signature), self.signature)
        except InputError as wrong:
            return wrong
        except Exception:  # noqa: BLE001 - the framework's error is the one to tell
            return None
        return None

    def _run(self, feeds: Feeds) -> dict[str, Array]:
        if self.closed:
            raise LoadError(f"{self.name!r} was closed", hint="load it again")
        try:
            return self.run(feeds)
        except Exception as error:
            translated = self.failure(error, dict(feeds))
            if translated is error:
                raise
            raise translated from error

    def _run_some(self, feeds: Feeds) -> dict[str, Array]:
        """Run a batch that may be smaller than the one the model's shape fixes."""
        fixed = self._own_batch()
        if not fixed or not feeds:
            return self._run(feeds)
        count = len(next(iter(feeds.values())))
        return arrays.cut(self._run(arrays.fill(feeds, fixed)), count, fixed)

    def _predict_raw(self, inputs: Any) -> Any:
        feeds = arrays.to_feeds(inputs, self.signature)
        added = arrays.add_batch(feeds, inputs, self.signature)
        arrays.check(feeds, self.signature)
        return arrays.give(self._run(feeds), inputs, one=added)

    def _predict_stack(self, batch: Sequence[Any]) -> list[Any]:
        read = [x if arrays.is_raw(x) else arrays.read(x, self.signature) for x in batch]
        rows = [arrays.to_feeds(item, self.signature) for item in read]
        feeds = arrays.fill(arrays.stack(rows), self._own_batch())
        arrays.check(feeds, self.signature)
        outputs = arrays.cut(self._run(feeds), len(rows), self._own_batch())
        return arrays.unstack(outputs, read)

    def _predict_items(self, batch: Sequence[Any], options: dict[str, Any]) -> list[Any]:
        pipeline = self._made_pipeline()
        for name in options:
            if name not in self._option_names:
                raise self._no_option(name, self._option_names)
        kind = self.kind
        prepared = [items.to_item(item, kind) for item in batch]
        try:
            results = pipeline(prepared, options)
        except Exception as error:
            if isinstance(error, TorchinfError):
                raise
            raise self.failure(error, None) from error
        if len(results) != len(batch):
            raise LoadError(
                f"the pipeline of {self.name!r} gave {len(results)} results for {len(batch)} inputs"
            )
        return results

    def _made_pipeline(self) -> Pipeline:
        pipeline = self._pipeline
        if pipeline is None:
            if self.closed:
                raise LoadError(f"{self.name!r} was closed", hint="load it again")
            architecture = self.artifact.architecture()
            if architecture.pipeline is None:
                raise InputError(f"{self.name!r} takes arrays alone: {self.signature}")
            if architecture.whole and self._module is None:
                raise LoadError(
                    f"the runtime {self.runtime!r} can't run the pipeline of {self.name!r}",
                    hint="load it with the torch runtime: --runtime torch",
                )
            with self._lock:
                if self._pipeline is None:
                    given = self._module if architecture.whole else self._run_some
                    self._pipeline = architecture.pipeline(given)
                    self._option_names = architecture.options
                pipeline = self._pipeline
        return pipeline

    def _own_batch(self) -> int:
        """The batch that the model's shape fixes, or 0."""
        first = self.signature.inputs[0].shape if self.signature.inputs else None
        return first[0] if first and isinstance(first[0], int) else 0

    def _no_option(self, name: str, known: tuple[str, ...]) -> OptionError:
        there = f"; it knows {', '.join(known)}" if known else "; arrays take none"
        return OptionError(f"predicting with {self.name!r} has no option {name!r}{there}")


def _first_line(error: Exception) -> str:
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0][:300]}" if text else type(error).__name__
