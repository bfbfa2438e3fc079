"""The kit finds nothing in plugins that keep the contract, and checks all of it."""

from __future__ import annotations

from collections.abc import Callable

from tests.conformance.menagerie import FETCH, RUNTIME, SOURCE, WRAPPERS

from torchinf_core.conformance import Conformance, run, sentences

Kit = Callable[..., type[Conformance]]


def outcomes(kit: type[Conformance]) -> dict[str, str]:
    return {v.check: f"{v.outcome}: {v.happened}" for v in run(kit)}


def test_good_plugins_keep_every_sentence_and_all_of_them_are_checked(
    source_kit: Kit, runtime_kit: Kit, wrapper_kit: Kit
) -> None:
    verdicts = [
        *run(source_kit(SOURCE)),
        *run(source_kit(SOURCE + FETCH)),
        *run(runtime_kit(RUNTIME)),
        *run(wrapper_kit(WRAPPERS)),
    ]
    wrong = [f"{v.check}: {v.happened}" for v in verdicts if v.outcome == "broken"]
    assert not wrong
    assert {v.check for v in verdicts if v.outcome == "kept"} == set(sentences())
