"""Puts the parts of the interpreter together; they need each other and import none upwards."""

from __future__ import annotations

from torchinf_hub.reading.calls import call
from torchinf_hub.reading.expressions import evaluate
from torchinf_hub.reading.names import Run
from torchinf_hub.reading.sources import Sources


def make_run(sources: Sources) -> Run:
    """A reading that has not begun."""
    return Run(sources, evaluate, call)
