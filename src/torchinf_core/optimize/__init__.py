"""Optimisation with a gate: faster forms of a model, kept only when they compute the same.

Runtimes offer candidates; each is built, compared with the model as downloaded on
example inputs, and timed beside it.  The fastest that passes becomes the model's
derived artifact, bound to this machine, the versions and the content it was made of.
"""

from __future__ import annotations

from torchinf_core.optimize.bench import BenchRow, bench
from torchinf_core.optimize.optimizing import optimize, optimize_once
from torchinf_core.optimize.report import Report, Row

__all__ = ["BenchRow", "Report", "Row", "bench", "optimize", "optimize_once"]
