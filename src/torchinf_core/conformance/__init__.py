"""The conformance kit: whether a plugin keeps the contract of its hooks.

A plugin's tests subclass :class:`SourceConformance` or :class:`RuntimeConformance`
(:class:`Conformance` for what is neither) and answer a few questions; the checks are
inherited.  No check reaches a network: requests are answered by the test.

The classes are imported from :mod:`torchinf_core.testing`.
"""

from __future__ import annotations

from torchinf_core.conformance.contract import ContractBroken, NotChecked, Sentence, sentences
from torchinf_core.conformance.every import Conformance
from torchinf_core.conformance.running import Verdict, run
from torchinf_core.conformance.runtimes import RuntimeConformance
from torchinf_core.conformance.sources import SourceConformance

__all__ = [
    "Conformance",
    "ContractBroken",
    "NotChecked",
    "RuntimeConformance",
    "Sentence",
    "SourceConformance",
    "Verdict",
    "run",
    "sentences",
]
