"""Writes the pages that are made from docstrings: ``python docs/generate.py``.

A test compares them with what is in the repository, so they can't fall behind.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from pathlib import Path

from rendering import MADE, markdown, members, signature, value, words
from tools_page import tools_page

from torchinf_core import hookspecs, runtimes, types
from torchinf_core.conformance import (
    Conformance,
    RuntimeConformance,
    SourceConformance,
    sentences,
)
from torchinf_core.host import Host
from torchinf_core.predicting.predictor import Predictor

HERE = Path(__file__).parent
KITS = (Conformance, SourceConformance, RuntimeConformance)
ERRORS = """\
What goes wrong for a reason is a `TorchinfError` of the kind that says so; all are imported from
`torchinf_core`, and [Errors](../reference/errors.md) lists them with their exit codes. The message
says what happened and on what, in one sentence without a period; `hint` says what to do:

```python
raise FormatError(f"{artifact.name!r} has no header", hint="download it again: --update")
```"""


def hooks_page() -> str:
    """docs/plugins/hooks.md: the hooks, the host and the values they exchange."""
    hooks = [
        f"## {name}\n\n```python\n{signature(name, getattr(hookspecs.Hooks, name))}\n```\n\n"
        + markdown(getattr(hookspecs.Hooks, name).__doc__)
        for name in hookspecs.hook_names()
    ]
    exchanged = (
        *(types.SourceInfo, types.ModelRef, types.Plan, types.RemoteFile, types.SearchHit),
        *(runtimes.Architecture, runtimes.Signature, runtimes.TensorSpec, runtimes.Artifact),
        *(runtimes.Derived, runtimes.Claim, runtimes.LoadOptions, runtimes.Candidate),
        *(types.Record, types.StoredFile, types.Trust),
    )
    aliases = {**words(types), **words(runtimes)}
    names = [f"- **`{alias}`**: {said}" for alias, said in aliases.items()]
    return "\n\n".join(
        [
            "# Hooks",
            MADE,
            markdown(hookspecs.__doc__ or ""),
            "## Every plugin",
            markdown(inspect.getdoc(hookspecs.Hooks) or "").partition("\n\n")[2],
            *hooks,
            "## Errors",
            ERRORS,
            "## Host",
            markdown(Host.__doc__ or ""),
            members("host", Host),
            "## Predictor",
            markdown(Predictor.__doc__ or ""),
            members("predictor", Predictor, brief=True),
            "## Values",
            "All are frozen dataclasses of `torchinf_core`; `dataclasses.replace` changes a copy.",
            *map(value, exchanged),
            "## Words in the signatures",
            "\n".join(names),
            "",
        ]
    )


def checks_page() -> str:
    """docs/plugins/checks.md: the checks of the kit, by hook."""
    parts = ["# Checks", MADE]
    parts.append(
        "What the [conformance kit](testing.md) proves, sentence by sentence, and how to mend a "
        "plugin that breaks one. A check is the method `test_<name>` of a kit."
    )
    hook = None
    for sentence in sentences().values():
        if sentence.hook != hook:
            hook = sentence.hook
            parts.append(f"## {hook or 'Every plugin'}")
        kit = next(kit for kit in KITS if hasattr(kit, f"test_{sentence.check}"))
        mend = " ".join(markdown(getattr(kit, f"test_{sentence.check}").__doc__).split())
        parts.append(f"### {sentence.check}\n\n{sentence.text}\n\n*To mend it:* {mend}")
    return "\n\n".join([*parts, ""])


def decisions_page() -> str:
    """docs/decisions/index.md: each decision in a line."""
    rows = ["| | |", "|---:|---|"]
    for path in sorted((HERE / "decisions").glob("0*.md")):
        number, _, title = path.read_text().splitlines()[0].removeprefix("# ").partition(". ")
        rows.append(f"| {number} | [{title}]({path.name}) |")
    return "\n\n".join(
        [
            "# Decisions",
            "<!-- made by docs/generate.py from the headings; change those -->",
            "What a reader of the code would question, why it is so, and what it costs.",
            "\n".join(rows),
            "",
        ]
    )


PAGES: dict[str, Callable[[], str]] = {
    "plugins/hooks.md": hooks_page,
    "plugins/checks.md": checks_page,
    "plugins/tools.md": tools_page,
    "decisions/index.md": decisions_page,
}
"""Page below this folder → what makes it."""


def main() -> int:
    """Write every page; returns how many were out of date."""
    stale = 0
    for name, make in PAGES.items():
        path = HERE / name
        text = make()
        if not path.exists() or path.read_text() != text:
            path.write_text(text)
            stale += 1
            sys.stdout.write(f"wrote {path}\n")
    return stale


if __name__ == "__main__":
    main()
