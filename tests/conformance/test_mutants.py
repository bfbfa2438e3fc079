"""Every check is failed by a plugin that breaks its sentence, and by no other mutant."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.conformance.menagerie import RUNTIME, WRAPPERS
from tests.conformance.mutants import MUTANTS, Mutant

from torchinf_core.conformance import Conformance, run, sentences

Kit = Callable[..., type[Conformance]]


@pytest.mark.parametrize("mutant", MUTANTS, ids=[f"{m.check}-{n}" for n, m in enumerate(MUTANTS)])
def test_a_mutant_is_caught_by_exactly_its_check(
    mutant: Mutant, source_kit: Kit, runtime_kit: Kit, wrapper_kit: Kit
) -> None:
    assert mutant.old in mutant.base, "the mutant changes nothing"
    text = mutant.base.replace(mutant.old, mutant.new, 1)
    kit = {RUNTIME: runtime_kit, WRAPPERS: wrapper_kit}.get(mutant.base, source_kit)(text)
    failed = {v.check: v for v in run(kit) if v.outcome == "broken"}
    assert set(failed) == {mutant.check}, {k: v.happened for k, v in failed.items()}
    assert failed[mutant.check].happened
    assert failed[mutant.check].mend


def test_every_check_has_a_mutant() -> None:
    assert {mutant.check for mutant in MUTANTS} == set(sentences())
