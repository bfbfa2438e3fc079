"""Runs the checks without a test runner: one verdict for each sentence of the contract."""

from __future__ import annotations

from collections.abc import Iterator

from torchinf_core.conformance.answering import RespondFailed
from torchinf_core.conformance.contract import ContractBroken, NotChecked, NotThere, sentences
from torchinf_core.conformance.every import Conformance
from torchinf_core.frozen import dataclass


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one check found.

    Attributes:
        check: name of the check.
        hook: whose contract it is about, or ``""`` for that of every plugin.
        sentence: of the contract.
        outcome: ``kept``, ``broken``, ``not checked`` or, where the plugin has no such
            hook or wrapper, ``not there``.
        happened: what broke it, or why it was not checked.
        mend: what to do about that, or ``""``.
    """

    check: str
    hook: str
    sentence: str
    outcome: str
    happened: str = ""
    mend: str = ""


def run(kit: type[Conformance]) -> Iterator[Verdict]:
    """Verdicts of all checks of a kit, in the order of the contract."""
    for name, sentence in sentences().items():
        method = f"test_{name}"
        if not hasattr(kit, method):
            continue
        outcome, happened, mend = _outcome(kit, method)
        yield Verdict(name, sentence.hook, sentence.text, outcome, happened, mend)


def _outcome(kit: type[Conformance], method: str) -> tuple[str, str, str]:
    checks = kit()
    checks.setup_method()
    try:
        getattr(checks, method)()
    except NotThere as reason:
        return "not there", str(reason), ""
    except NotChecked as reason:
        return "not checked", str(reason), ""
    except ContractBroken as broken:
        return "broken", broken.happened, broken.mend
    except RespondFailed as failed:
        return "broken", str(failed), "mend the test"
    except Exception as error:  # noqa: BLE001 - a plugin may raise anything
        return "broken", f"{type(error).__name__}: {error}", "see the error"
    finally:
        checks.teardown_method()
    return "kept", "", ""
