"""Builds the modules of torchvision, as its own builders make them for given weights.

What a builder does for pre-trained weights (sizes, frozen normalisation, an
epsilon of 0, inputs transformed once more) is part of the model.  For most
families that is a few arguments, so that a runtime can put the tensors into an
empty module by itself; for the others the builder does it, and is handed the
file when it asks for its download.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torchinf_core.errors import FormatError, LoadError, MissingDependencyError
from torchinf_torchvision.catalogue import Model, Weights, load
from torchinf_torchvision.checkpoints import read_shapes, read_state

_OWN_WAY = (
    *("torchvision.models.detection", "torchvision.models.quantization"),
    *("torchvision.models.densenet", "torchvision.models.mnasnet"),
    "torchvision.models.vision_transformer",
)
"""Families whose checkpoints are not simply the state dict of what their builder makes."""
_EMPTY_FIRST = ("torchvision.models.vision_transformer",)
"""Of those, the ones that hold nothing but parameters and take long to initialise."""
_lock = threading.RLock()

File = tuple[Path, str | None]
"""A checkpoint and its format, ``safetensors`` or ``torch``."""


def has_own_way(model: Model) -> bool:
    """True where :func:`build_whole` is needed for torchvision's own checkpoint."""
    return model["module"].startswith(_OWN_WAY)


def arguments_for(name: str, model: Model, weights: Weights) -> dict[str, Any]:
    """What the builder has to be called with for pre-trained weights.

    Args:
        name: of the model.
        model: its entry.
        weights: their entry.
    """
    family = model["module"].removeprefix("torchvision.models.")
    made: dict[str, Any] = {}
    if labels := weights.get("labels"):
        made["num_classes"] = len(load()["labels"][labels])
    if family == "vision_transformer":
        made["image_size"] = weights["min_size"][0]
    elif family == "maxvit":
        made["input_size"] = tuple(weights["min_size"])
    elif family in ("googlenet", "inception"):
        # The checkpoint holds the auxiliary heads; an evaluating model leaves them out.
        made |= {"transform_input": True, "aux_logits": True, "init_weights": False}
    elif family == "vgg":
        made["init_weights"] = False
    elif family.startswith("segmentation.") and not name.startswith("lraspp"):
        made["aux_loss"] = True
    return made


def build(name: str, model: Model, arguments: Mapping[str, Any]) -> Any:
    """The module without its weights, in evaluation mode.

    Raises:
        MissingDependencyError: torchvision is not installed.
        LoadError: the installed torchvision can't build it.
    """
    family = model["module"].removeprefix("torchvision.models.")
    more = dict(arguments)
    if family.startswith(("detection.", "segmentation.")):
        more["weights_backbone"] = None
    if family.endswith(("googlenet", "inception")):
        # Left to itself the builder warns, and then computes for half a minute.
        more.setdefault("init_weights", False)
    return _built(name, lambda models: models.get_model(name, weights=None, **more))


def build_whole(name: str, model: Model, member: str, file: File) -> Any:
    """The module with the weights of torchvision's own checkpoint, in evaluation mode.

    Args:
        name: of the model.
        model: its entry.
        member: the weights that the file has.
        file: with them.

    Raises:
        MissingDependencyError: torchvision is not installed, or torch is too old.
        FormatError: the file can't be read as tensors alone.
        LoadError: the file is not of these weights.
    """
    state = read_state(*file)

    def make(models: Any) -> Any:
        weights = models.get_model_weights(name)[member]
        if not model["module"].startswith(_EMPTY_FIRST):
            return models.get_model(name, weights=weights, **_quantized(model))
        import torch

        with torch.device("meta"):
            made = models.get_model(name, weights=weights)
        made.load_state_dict(state, assign=True)
        return made

    with _served(state):
        return _built(name, make)


def build_fitting(name: str, model: Model, member: str, file: File) -> Any:
    """Like :func:`build_whole`, for a file of somebody else's: its number of classes counts.

    Raises:
        LoadError: the file is not of this architecture; detectors and quantised
            models can't have other classes than those of the weights.
    """
    try:
        return build_whole(name, model, member, file)
    except FormatError:
        raise
    except LoadError:
        if model["module"].startswith(_OWN_WAY[:2]):
            raise
    import torch

    with torch.device("meta"):
        module = build_for_file(name, model, model["weights"][member], file)
    state = read_state(*file)
    module.load_state_dict(
        {key.removeprefix("module."): value for key, value in state.items()}, assign=True
    )
    return module


def build_for_file(name: str, model: Model, weights: Weights, file: File) -> Any:
    """The module without weights, with as many classes as a file has.

    Args:
        name: of the model.
        model: its entry.
        weights: whose entry tells the rest.
        file: with a state dict of it.

    Raises:
        LoadError: the file is not of this architecture.
    """
    shapes = read_shapes(*file)
    arguments = arguments_for(name, model, weights)
    for key in ("aux_logits", "aux_loss"):
        # Heads that are of use in training alone are often not kept.
        if arguments.get(key):
            arguments[key] = any(part.lower().startswith("aux") for part in shapes)
    module = build(name, model, arguments)
    classes = arguments.get("num_classes")
    own = {key: tuple(tensor.shape) for key, tensor in module.state_dict().items()}
    other = {
        shapes[key][0]
        for key, shape in own.items()
        if key in shapes and shape != shapes[key] and shape[:1] == (classes,) and shapes[key]
    }
    if classes and len(other) == 1:
        module = build(name, model, {**arguments, "num_classes": other.pop()})
        own = {key: tuple(tensor.shape) for key, tensor in module.state_dict().items()}
    wrong = [key for key, shape in own.items() if shapes.get(key, shape) != shape]
    absent = [key for key in own if key not in shapes and not key.endswith("num_batches_tracked")]
    if wrong or absent:
        key = (wrong or absent)[0]
        has = f"{list(shapes[key])}" if key in shapes else "nothing"
        raise LoadError(
            f"{file[0].name} is not a checkpoint of torchvision's {name}: "
            f"{key} is {list(own[key])} there, and {has} in the file",
            hint="name another architecture, or its weights: --arch torchvision:MODEL@WEIGHTS",
        )
    return module


def _built(name: str, make: Callable[[Any], Any]) -> Any:
    try:
        from torchvision import models
    except ImportError as error:
        raise MissingDependencyError(
            f"building {name} needs torchvision: {error}", hint="pip install torchvision"
        ) from None
    try:
        with warnings.catch_warnings():
            # Parameters without content are assigned afterwards.
            warnings.filterwarnings("ignore", "for .*: copying from a non-meta parameter")
            if name.startswith("quantized_"):
                # torch means to move what torchvision quantises with, at every layer.
                warnings.simplefilter("ignore")
            with _counting():
                return make(models).eval()
    except (ValueError, RuntimeError, KeyError, TypeError, AttributeError) as error:
        first = str(error).strip().partition("\n")[0][:200]
        raise LoadError(
            f"torchvision can't build {name}: {type(error).__name__}: {first}",
            hint=f"the catalogue is of torchvision {load()['torchvision']}",
        ) from error


def _counting() -> Any:
    """Lets builders compute with numbers of their own while tensors are made without content."""
    import torch
    from torch.overrides import TorchFunctionMode

    class Counting(TorchFunctionMode):  # type: ignore[misc]
        def __torch_function__(
            self, func: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            if func in (torch.arange, torch.linspace, torch.tensor):
                kwargs = {"device": "cpu", **(kwargs or {})}
            return func(*args, **(kwargs or {}))

    return Counting()


def _quantized(model: Model) -> dict[str, bool]:
    return {"quantize": True} if ".quantization." in model["module"] else {}


@contextmanager
def _served(state: Any) -> Iterator[None]:
    """For the block and this thread, let torchvision have a state dict in place of a download."""
    try:
        from torchvision.models import WeightsEnum
    except ImportError:  # which :func:`_built` reports
        yield
        return

    thread = threading.get_ident()

    def given(self: Any, *arguments: Any, **options: Any) -> Any:
        mine = threading.get_ident() == thread
        return state if mine else original(self, *arguments, **options)

    with _lock:
        original = WeightsEnum.get_state_dict
        WeightsEnum.get_state_dict = given
        try:
            yield
        finally:
            WeightsEnum.get_state_dict = original
