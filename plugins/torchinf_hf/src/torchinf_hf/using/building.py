"""Builds the module of a model with transformers, from its own files and nothing else.

No connection is made, whatever the configuration names.  Classes that a repository
brings are imported only where somebody has trusted exactly these files.
"""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from torchinf_core.errors import (
    LoadError,
    MissingDependencyError,
    TorchinfError,
    UntrustedError,
)
from torchinf_hf.using.folder import Folder

_HINT = "pip install 'transformers>=4.56'"
_UNUSED = ("pooler", "position_ids", "num_batches_tracked")
"""Parts that may be absent: what is computed does not depend on them."""
_quiet = threading.RLock()


class _Offline:
    """True for the threads that load a model; else what the user's environment said."""

    def __init__(self, before: Any) -> None:
        self.before = before
        self.local = threading.local()

    def __bool__(self) -> bool:
        return bool(getattr(self.local, "on", False) or self.before)


def build_module(folder: Folder, auto: str, *, trusted: bool, whole: bool) -> Any:
    """The module with its weights, in evaluation mode.

    Args:
        folder: of the model.
        auto: class of transformers that knows which class it is.
        trusted: True when code of the repository may run.
        whole: keep the numbers as the files have them; else float32.

    Raises:
        MissingDependencyError: transformers or a package that it needs is missing.
        UntrustedError: it would need code of its own, or another repository's.
        LoadError: there are no weights, they lack parts, or transformers fails.
    """
    check_foreign_code(folder)
    transformers = import_transformers(f"building {folder.name!r}")
    with loading(folder, "be built"):
        import torch

        model, report = getattr(transformers, auto).from_pretrained(
            str(folder.path),
            local_files_only=True,
            trust_remote_code=trusted,
            dtype="auto" if whole else torch.float32,
            output_loading_info=True,
        )
    absent = sorted(
        key for key in report["missing_keys"] if not any(part in _UNUSED for part in key.split("."))
    )
    if absent:
        raise LoadError(
            f"the files of {folder.name!r} have no weights for {absent[0]} and "
            f"{len(absent) - 1} more: {type(model).__name__} would have to make them up",
            hint="download it with another --task, or a model that was trained for this one",
        )
    return model.eval()


def plain(model: Any, inputs: Sequence[str], outputs: Sequence[str]) -> Any:
    """A module of arrays alone: inputs by place, outputs a tensor or a tuple of them.

    Args:
        model: of transformers, which takes keywords and returns a mapping.
        inputs: names in order.
        outputs: names in order.
    """
    import inspect

    import torch

    fixed: dict[str, Any] = {"return_dict": True}
    if "use_cache" in inspect.signature(model.forward).parameters:
        fixed["use_cache"] = False

    class Plain(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, *arrays: Any) -> Any:
            found = self.model(**dict(zip(inputs, arrays, strict=True)), **fixed)
            picked = tuple(found[name] for name in outputs)
            return picked[0] if len(picked) == 1 else picked

    return Plain().eval()


def check_foreign_code(folder: Folder) -> None:
    """Refuse a configuration that names code which is not among the files.

    Raises:
        UntrustedError: it names another repository's classes or kernels.
    """
    for path in ("config.json", "tokenizer_config.json", "preprocessor_config.json"):
        settings = folder.json(path)
        named = [str(value) for value in _values(settings.get("auto_map")) if "--" in str(value)]
        named += [
            str(value)
            for key, value in settings.items()
            if "attn_implementation" in key
            for value in _values(value)
            if "/" in str(value)
        ]
        if named:
            raise UntrustedError(
                f"{path} of {folder.name!r} names code of another repository: {named[0][:120]}",
                hint="trust is for a model's own files; this code is not among them",
            )


def import_transformers(what: str) -> Any:
    """The package.

    Raises:
        MissingDependencyError: it is not installed.
    """
    try:
        import transformers
    except ImportError as error:
        raise MissingDependencyError(f"{what} needs transformers: {error}", hint=_HINT) from None
    return transformers


@contextmanager
def loading(folder: Folder, what: str) -> Iterator[None]:
    """For the block, no connections and no progress bars; errors say what they are about.

    One block at a time: what transformers says and shows is set for the whole process.
    """
    with running(folder, what), _silence():
        yield


@contextmanager
def running(folder: Folder, what: str) -> Iterator[None]:
    """For the block, no connections of this thread; errors say what they are about."""
    try:
        with _no_connections():
            yield
    except TorchinfError:
        raise
    except ImportError as error:
        raise MissingDependencyError(
            f"{folder.name!r} can't {what}: {_first_line(error)}", hint=_HINT
        ) from error
    except Exception as error:
        if "trust_remote_code" in str(error):
            raise UntrustedError(
                f"{folder.name!r} brings Python code of its own, which nobody has trusted yet",
                hint=f"look at it in the directory that torchinf path {folder.name} prints, then: "
                f"torchinf trust {folder.name}",
            ) from error
        raise LoadError(
            f"{folder.name!r} can't {what}: {type(error).__name__}: {_first_line(error)}"
        ) from error


@contextmanager
def _no_connections() -> Iterator[None]:
    from huggingface_hub import constants

    with _quiet:
        if not isinstance(constants.HF_HUB_OFFLINE, _Offline):
            # It is asked for its truth before each request; threads that download are left alone.
            constants.HF_HUB_OFFLINE = _Offline(constants.HF_HUB_OFFLINE)
        switch = constants.HF_HUB_OFFLINE
    before = getattr(switch.local, "on", False)
    switch.local.on = True
    try:
        yield
    finally:
        switch.local.on = before


@contextmanager
def _silence() -> Iterator[None]:
    from transformers.utils import logging

    with _quiet, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
        logging.set_verbosity_error()
        logging.disable_progress_bar()
        try:
            yield
        finally:
            logging.set_verbosity(level)
            if bars and not os.environ.get("HF_HUB_DISABLE_PROGRESS_BARS"):
                logging.enable_progress_bar()


def failing(error: TorchinfError) -> Callable[[], Any]:
    """A ``build`` that raises: for a model that is described, and can't be built."""

    def build() -> Any:
        raise error

    return build


def _values(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        for item in value.values():
            yield from _values(item)
    elif isinstance(value, list):
        for item in value:
            yield from _values(item)
    elif value is not None:
        yield value


def _first_line(error: Exception) -> str:
    text = str(error).strip().splitlines()
    return text[0][:300] if text else type(error).__name__
