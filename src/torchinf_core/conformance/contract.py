"""The contract as sentences: each line of a hook's docstring, by the check that proves it."""

from __future__ import annotations

import inspect
import re
from functools import cache
from unittest import SkipTest

from torchinf_core.frozen import dataclass
from torchinf_core.hookspecs import Hooks, hook_names


@dataclass(frozen=True, slots=True)
class Sentence:
    """One line of the contract.

    Attributes:
        check: name of the check that proves it.
        hook: whose contract it belongs to, or ``""`` for that of every plugin.
        text: without the name of the check.
    """

    check: str
    hook: str
    text: str


class ContractBroken(AssertionError):  # noqa: N818 - shown to people as it is
    """A plugin does what its contract forbids; the message says what, and how to mend it."""

    def __init__(self, sentence: Sentence, happened: str, mend: str) -> None:
        self.sentence = sentence
        self.happened = happened
        self.mend = mend
        where = f"the contract of {sentence.hook}" if sentence.hook else "the contract of plugins"
        super().__init__(
            f"{happened}\n\n  {where} says: {sentence.text}\n  to mend it: {mend}\n"
            f"  check: {sentence.check}"
        )


class NotChecked(SkipTest):
    """A check that says nothing of this plugin, and why; test runners show it as skipped."""


class NotThere(NotChecked):
    """The plugin has no such hook, or no such wrapper."""


@cache
def sentences() -> dict[str, Sentence]:
    """Name of a check → its sentence, in the order of the hooks."""
    found = list(_read("", inspect.getdoc(Hooks) or ""))
    for hook in hook_names():
        found += _read(hook, inspect.getdoc(getattr(Hooks, hook)) or "")
    return {sentence.check: sentence for sentence in found}


def _read(hook: str, docstring: str) -> list[Sentence]:
    lines = re.findall(r"^\* (.*?)(?=\n\* |\n\n|\Z)", docstring, re.DOTALL | re.MULTILINE)
    found = []
    for line in lines:
        text = " ".join(line.split())
        match = re.fullmatch(r"(.+[.]) \[(\w+)\]", text)
        assert match is not None, f"no check is named by a line of the contract of {hook}: {text}"
        plain = re.sub(r":\w+:`~?([^`]+)`", r"\1", match[1]).replace("``", "`")
        found.append(Sentence(match[2], hook, plain))
    return found
