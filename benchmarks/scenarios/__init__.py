"""What is measured, by its word on the command line."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.bench import Bench
from benchmarks.report import Report
from benchmarks.scenarios import (
    connections,
    downloads,
    failures,
    huggingface,
    registry,
    startup,
)

SCENARIOS: dict[str, Callable[[Bench], Report]] = {
    "one-file": downloads.one_file,
    "tls": downloads.tls,
    "small": downloads.small,
    "small-far": downloads.small_far,
    "link": connections.link,
    "capped": connections.capped,
    "adaptive": connections.adaptive,
    "resume": failures.resume,
    "stall": failures.stall,
    "hf-weights": huggingface.weights,
    "hf-many": huggingface.many,
    "hf-resume": huggingface.resume,
    "hf-warm": huggingface.warm,
    "startup": startup.startup,
    "library": startup.library,
    "registry": registry.registry,
}
