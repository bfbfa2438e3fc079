"""How models are loaded and run: one frozen value, for all models and for each by name.

``[run]`` of the settings file holds the defaults, ``[models.NAME]`` what differs for
one model, ``TORCHINF_DEVICE`` and so on stand between the file and the arguments.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from torchinf_core.frozen import dataclass

_DEVICE = r"auto|cpu|mps|cuda(:\d{1,2})?"


@dataclass(frozen=True, slots=True)
class RunSettings:
    """Every setting of loading and running, with its default.

    Attributes:
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``; one that is named
            and not there is an error.
        runtime: name of the plugin to load with, or ``""`` for the best bid.
        precision: ``auto`` (as the files are), ``fp32``, ``bf16`` or ``fp16``.
        threads: for computing on the processor; 0 leaves it to the runtime.
        batch_size: most items in one call; 0 leaves it to the model.
        optimize: ``off`` loads the model as it was downloaded, ``auto`` takes the
            form that was proven faster, and ``full`` tries more when optimising.
        optimize_time: seconds after which optimising starts no further candidate.
        tolerance: largest difference to the reference output that an optimised
            form may have, relative to the largest value of that.
        arch: reference that tells the architecture of a bare checkpoint.
        check: when files are hashed before they are loaded: ``boot`` (once after
            each start of the machine), ``always`` or ``never``; size and time are
            compared in any case.
    """

    device: str = "auto"
    runtime: str = ""
    precision: str = "auto"
    threads: int = 0
    batch_size: int = 0
    optimize: str = "auto"
    optimize_time: float = 120.0
    tolerance: float = 1e-3
    arch: str = ""
    check: str = "boot"


def _one_of(*words: str) -> Callable[[Any], str]:
    def parse(value: Any) -> str:
        word = str(value).lower()
        if word not in words:
            raise ValueError(f"one of {', '.join(words)}")
        return word

    return parse


def _device(value: Any) -> str:
    word = str(value).lower()
    if not re.fullmatch(_DEVICE, word):
        raise ValueError("auto, cpu, cuda, cuda:N or mps")
    return word


def _number(value: Any) -> int:
    if isinstance(value, bool) or not re.fullmatch(r"\d{1,5}", str(value)):
        raise ValueError("a number from 0 to 99999")
    return int(value)


def _positive(value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = -1.0
    if isinstance(value, bool) or not 0 < number < float("inf"):
        raise ValueError("a number above 0")
    return number


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value.isprintable():
        raise ValueError("a text")
    return value


RUN_PARSERS: dict[str, Callable[[Any], Any]] = {
    "device": _device,
    "runtime": _text,
    "precision": _one_of("auto", "fp32", "bf16", "fp16"),
    "threads": _number,
    "batch_size": _number,
    "optimize": _one_of("off", "auto", "full"),
    "optimize_time": _positive,
    "tolerance": _positive,
    "arch": _text,
    "check": _one_of("boot", "always", "never"),
}
"""Name → what turns a text or a TOML value into the setting, or raises ValueError."""
