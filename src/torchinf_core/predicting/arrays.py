"""Arrays on their way into a model and out of it.

One of the two modules of the core that use numpy, inside functions only: it comes
with every runtime, and a core without one never needs it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from numbers import Number
from typing import Any

from torchinf_core.errors import InputError
from torchinf_core.runtimes import Array, Feeds, Signature, TensorSpec

MOST_BYTES = 4 << 30
"""Of a file of arrays; more is a mistake rather than an input."""
_FILES = (".npy", ".npz", ".json")


def is_array(value: object) -> bool:
    """True for a numpy array, a torch tensor and whatever else has a dtype and a shape."""
    return hasattr(value, "dtype") and hasattr(value, "shape")


def is_raw(value: object) -> bool:
    """True for what a model takes as it is: arrays, numbers, and lists and dicts of them."""
    if isinstance(value, Mapping):
        return bool(value) and all(is_raw(item) for item in value.values())
    if isinstance(value, (list, tuple)):
        return bool(value) and is_raw(value[0])
    return is_array(value) or isinstance(value, Number)


def read(value: object, signature: Signature) -> Any:
    """The arrays in a ``.npy``, ``.npz`` or ``.json`` file; nothing is unpickled.

    Raises:
        InputError: it is no path of such a file, or the file holds something else.
    """
    if not isinstance(value, (str, os.PathLike)):
        raise InputError(
            f"{_kind(value)} is nothing the model can take, which is {signature.inputs_text}"
        )
    path = os.fspath(value)
    ending = os.path.splitext(path)[1].lower()
    if ending not in _FILES:
        raise InputError(
            f"{path!r} is not a file of arrays ({', '.join(_FILES)}), and this model "
            f"takes {signature.inputs_text}",
            hint="a model from torchvision or Hugging Face also takes pictures or text",
        )
    try:
        if os.path.getsize(path) > MOST_BYTES:
            raise InputError(f"{path!r} has more than {MOST_BYTES >> 30} GiB")
        if ending == ".json":
            with open(path, encoding="utf-8") as file:
                return json.load(file)
        import numpy as np

        loaded = np.load(path, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return loaded
        with loaded:
            return dict(loaded)
    except OSError as error:
        raise InputError(f"{path!r} can't be read: {error.strerror or error}") from None
    except (ValueError, RecursionError, EOFError) as error:
        raise InputError(f"{path!r} holds no arrays: {str(error)[:200]}") from None


def to_feeds(inputs: Any, signature: Signature) -> dict[str, Array]:
    """Arrays by the names of a signature's inputs.

    Lists of numbers get the dtype that the model wants; arrays keep theirs.

    Raises:
        InputError: there are more or fewer than the model takes, or other names.
    """
    names = [spec.name for spec in signature.inputs]
    if isinstance(inputs, Mapping):
        given = dict(inputs)
    elif isinstance(inputs, tuple):
        given = dict(zip(names or _positional(len(inputs)), inputs, strict=False))
        if len(given) != len(inputs):
            raise InputError(f"{len(inputs)} inputs were given; it takes {signature.inputs_text}")
    else:
        given = {names[0] if names else "input": inputs}
    if names and set(given) != set(names):
        wrong = sorted(set(given) - set(names)) or sorted(set(names) - set(given))
        what = "there is no input" if set(given) - set(names) else "it lacks the input"
        raise InputError(f"{what} {wrong[0]!r}; the model takes {signature.inputs_text}")
    specs = {spec.name: spec for spec in signature.inputs}
    return {name: _to_array(name, given[name], specs.get(name)) for name in names or given}


def add_batch(feeds: dict[str, Array], inputs: Any, signature: Signature) -> bool:
    """Give lists of numbers that lack it the batch axis; True when that was done.

    Only where each input lacks exactly its first axis, and that takes one item.
    """
    if is_array(inputs) or not signature.inputs:
        return False
    values = inputs.values() if isinstance(inputs, Mapping) else inputs
    if isinstance(inputs, (tuple, Mapping)) and any(is_array(value) for value in values):
        return False
    for spec in signature.inputs:
        if not spec.shape or feeds[spec.name].ndim != len(spec.shape) - 1:
            return False
        if spec.shape[0] != 1 and isinstance(spec.shape[0], int):
            return False
    for name in feeds:
        feeds[name] = feeds[name][None]
    return True


def check(feeds: Feeds, signature: Signature) -> None:
    """See that arrays are what the model takes.

    Raises:
        InputError: a dtype or a shape is another; says which, and what is wanted.
    """
    sizes: dict[str, int] = {}
    for spec in signature.inputs:
        array = feeds[spec.name]
        found = TensorSpec(spec.name, str(array.dtype), tuple(array.shape))
        if found.dtype != spec.dtype:
            raise InputError(
                f"the model takes {spec}, and got {found}", hint=f"array.astype({spec.dtype!r})"
            )
        if spec.shape is None:
            continue
        fits = len(spec.shape) == array.ndim and all(
            sizes.setdefault(wanted, have) == have if isinstance(wanted, str) else wanted == have
            for wanted, have in zip(spec.shape, array.shape, strict=True)
        )
        if not fits:
            raise InputError(f"the model takes {spec}, and got {found}", hint=_hint(spec, array))


def _hint(spec: TensorSpec, array: Array) -> str:
    if spec.shape and array.ndim == len(spec.shape) - 1:
        return "array[None] adds the batch axis"
    return ""


def give(outputs: Mapping[str, Array], inputs: Any, *, one: bool) -> Any:
    """Outputs as the caller wants them: a single array as such, tensors for tensors.

    Args:
        outputs: by name.
        inputs: what was given.
        one: True when the batch axis was added, and is to be taken off again.
    """
    made: dict[str, Any] = dict(outputs)
    if one:
        made = {name: array[0] for name, array in made.items()}
    if _holds_tensor(inputs):
        import importlib

        torch = importlib.import_module("torch")  # it is there: the caller has a tensor
        made = {name: torch.from_numpy(array) for name, array in made.items()}
    return next(iter(made.values())) if len(made) == 1 else made


def stack(rows: Sequence[Mapping[str, Array]]) -> dict[str, Array]:
    """One batch of several items' arrays.

    Raises:
        InputError: they differ in shape or name.
    """
    import numpy as np

    try:
        return {name: np.stack([row[name] for row in rows]) for name in rows[0]}
    except (ValueError, KeyError):
        shapes = sorted({str({name: a.shape for name, a in row.items()}) for row in rows})
        raise InputError(
            f"arrays of one batch must have one shape; these have {'; '.join(shapes[:3])}",
            hint="--batch-size 1, or batch_size=1",
        ) from None


def fill(feeds: Feeds, batch: int) -> dict[str, Array]:
    """A batch made as large as a model's shape fixes it, with copies of its last item."""
    import numpy as np

    return {
        name: np.concatenate([array, np.repeat(array[-1:], batch - len(array), axis=0)])
        if array.ndim and 0 < len(array) < batch
        else array
        for name, array in feeds.items()
    }


def cut(outputs: Mapping[str, Array], count: int, batch: int) -> dict[str, Array]:
    """The outputs of the first ``count`` items of a batch that was filled up to ``batch``."""
    return {
        name: array[:count] if count < batch and array.ndim and len(array) == batch else array
        for name, array in outputs.items()
    }


def unstack(outputs: Mapping[str, Array], inputs: Sequence[Any]) -> list[Any]:
    """What :func:`give` makes of each item of a batch."""
    for name, array in outputs.items():
        if array.ndim == 0 or array.shape[0] != len(inputs):
            raise InputError(
                f"the output {name!r} has the shape {tuple(array.shape)}: not one row for "
                f"each of {len(inputs)} inputs",
                hint="give the model one array with all of them",
            )
    rows = ({name: array[i] for name, array in outputs.items()} for i in range(len(inputs)))
    return [give(row, item, one=False) for row, item in zip(rows, inputs, strict=True)]


def examples(signature: Signature, batch: int) -> dict[str, Array]:
    """Inputs of the right types and shapes, always the same; empty where no shape is known.

    Axes of any length get the batch if they are the first, else 1.  Numbers are
    drawn from a normal distribution; integers are 0, which every table has.
    """
    import numpy as np

    made = {}
    random = np.random.default_rng(0)
    for spec in signature.inputs:
        if spec.shape is None:
            return {}
        shape = [
            (batch if place == 0 else 1) if isinstance(axis, str) else axis
            for place, axis in enumerate(spec.shape)
        ]
        if spec.dtype.startswith("float"):
            made[spec.name] = random.standard_normal(shape, dtype=np.float32).astype(spec.dtype)
        elif spec.dtype.startswith(("int", "uint", "bool")):
            made[spec.name] = np.zeros(shape, spec.dtype)
        else:
            return {}
    return made


def _positional(count: int) -> list[str]:
    return ["input"] if count == 1 else [f"input_{number}" for number in range(count)]


def _to_array(name: str, value: Any, spec: TensorSpec | None) -> Array:
    import numpy as np

    if isinstance(value, np.ndarray):
        return value
    if hasattr(value, "detach"):
        return value.detach().cpu().numpy()
    dtype = spec.dtype if spec is not None else None
    try:
        if is_array(value):
            return np.asarray(value)
        if dtype is not None and dtype.startswith(("int", "uint")):
            # numpy would cut fractions off without a word.
            whole = np.asarray(value)
            if whole.dtype.kind == "f" and not (whole == np.trunc(whole)).all():
                raise ValueError("it has fractions")
        with np.errstate(over="raise"):  # 1e300 is no float32, and not infinite either
            made = np.asarray(value, dtype=dtype)
            if dtype is None and made.dtype == np.float64:
                made = made.astype(np.float32)
    except (ValueError, TypeError, ArithmeticError) as error:
        wanted = f", and the model takes {spec}" if spec else ""
        raise InputError(f"the input {name!r} makes no array: {str(error)[:200]}{wanted}") from None
    if made.dtype == object:
        raise InputError(f"the input {name!r} holds more than numbers")
    return made


def _holds_tensor(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(_holds_tensor(item) for item in value.values())
    if isinstance(value, tuple):
        return any(_holds_tensor(item) for item in value)
    return hasattr(value, "detach")


def _kind(value: object) -> str:
    return "None" if value is None else f"a value of type {type(value).__name__}"
