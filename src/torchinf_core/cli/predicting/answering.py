"""Inputs through a model in batches, one bad input costing nothing but itself."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from torchinf_core.cli.predicting.inputs import Inputs, Item, is_whole
from torchinf_core.errors import InputError, LoadError, TorchinfError
from torchinf_core.predicting import arrays, items

if TYPE_CHECKING:
    from torchinf_core.predicting.predictor import Predictor

Answer = tuple[Item, Any, TorchinfError | None]
"""An input with its result, or with the error that stands in its place."""
_END = Item("the inputs", lambda: None)


class Answers:
    """The answer to each input, in their order; iterate over it once.

    No more than a batch is held.  When a batch fails, its inputs are tried one by
    one.  Errors that have nothing to do with a single input are raised.

    Args:
        predictor: that answers.
        inputs: what is asked.
        options: of the model's pipeline.
        batch_size: most inputs in one call; 0 leaves it to the predictor.
    """

    def __init__(
        self, predictor: Predictor, inputs: Inputs, options: dict[str, Any], batch_size: int
    ) -> None:
        self._predictor = predictor
        self._source = iter(inputs)
        self._options = options
        self._batch_size = batch_size
        self._ended = False
        self._waiting: deque[Answer] = deque()
        """Read and not answered, with the value in the place of the result."""
        self._whole: Answer | None = None

    def __iter__(self) -> Iterator[Answer]:
        while not self._ended:
            try:
                yield from self._batches()
            except (InputError, LoadError) as error:
                yield from self._one_by_one(error)
            yield from self._unreadable()
            if self._whole is not None:
                item, value, _ = self._whole
                self._whole = None
                try:
                    result = self._predictor.predict(value, **self._options)
                except (InputError, LoadError) as error:
                    yield item, None, error
                else:
                    yield item, result, None

    def _batches(self) -> Iterator[Answer]:
        found = self._predictor.stream(self._values(), batch_size=self._batch_size, **self._options)
        for result in found:
            yield from self._unreadable()
            yield self._waiting.popleft()[0], result, None

    def _values(self) -> Iterator[Any]:
        """Readable inputs for batches; stops at arrays that are a batch of their own."""
        while not self._ended:
            item = _END
            try:
                item = next(self._source, _END)
                value = item.read()
            except (InputError, LoadError) as error:
                self._waiting.append((item, None, error))
                self._ended = item is _END  # a file of lines that can't be read on
                continue
            if item is _END:
                self._ended = True
            elif self._is_whole(value):
                self._whole = item, value, None
                return
            else:
                self._waiting.append((item, value, None))
                yield value

    def _unreadable(self) -> Iterator[Answer]:
        while self._waiting and self._waiting[0][2] is not None:
            yield self._waiting.popleft()

    def _one_by_one(self, error: TorchinfError) -> Iterator[Answer]:
        lone = sum(each[2] is None for each in self._waiting) == 1
        while self._waiting:
            item, value, wrong = self._waiting.popleft()
            if wrong is None and lone:
                wrong = error
            if wrong is not None:
                yield item, None, wrong
                continue
            try:
                [result] = self._predictor.predict_batch([value], batch_size=1, **self._options)
            except (InputError, LoadError) as own:
                yield item, None, own
            else:
                yield item, result, None

    def _is_whole(self, value: Any) -> bool:
        if self._predictor.kind == "image" and items.is_picture(value):
            return False
        if self._options and arrays.is_raw(value):
            return True  # arrays take no options, and ``predict`` says so
        return is_whole(value, self._predictor.signature)
