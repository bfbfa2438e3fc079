"""Writes the pages that are made from docstrings: ``python docs/generate.py``.

A test compares them with what is in the repository, so they can't fall behind.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

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


def hooks_page() -> str:
    """docs/plugins/hooks.md: the hooks, the host and the values they exchange."""
    hooks = [
        f"## {name}\n\n```python\n{_signature(name, getattr(hookspecs.Hooks, name))}\n```\n\n"
        + markdown(getattr(hookspecs.Hooks, name).__doc__)
        for name in hookspecs.hook_names()
    ]
    exchanged = (
        *(types.SourceInfo, types.ModelRef, types.Plan, types.RemoteFile, types.SearchHit),
        *(runtimes.Architecture, runtimes.Signature, runtimes.TensorSpec, runtimes.Artifact),
        *(runtimes.Derived, runtimes.Claim, runtimes.LoadOptions, runtimes.Candidate),
    )
    values = [
        f"### {kind.__name__}\n\n```python\n{_fields(kind)}\n```\n\n{markdown(kind.__doc__ or '')}"
        for kind in exchanged
    ]
    return "\n\n".join(
        [
            "# Hooks",
            "<!-- made by docs/generate.py from the docstrings; change those -->",
            markdown(hookspecs.__doc__ or ""),
            "## Every plugin",
            markdown(inspect.getdoc(hookspecs.Hooks) or "").partition("\n\n")[2],
            *hooks,
            "## Host",
            markdown(Host.__doc__ or ""),
            _members("host", Host),
            "## Predictor",
            markdown(Predictor.__doc__ or ""),
            _members("predictor", Predictor, brief=True),
            "## Values",
            "All are frozen dataclasses of `torchinf_core`; `dataclasses.replace` changes a copy.",
            *values,
            "",
        ]
    )


def checks_page() -> str:
    """docs/plugins/checks.md: the checks of the kit, by hook."""
    parts = ["# Checks", "<!-- made by docs/generate.py from the docstrings; change those -->"]
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


def _members(word: str, kind: type, *, brief: bool = False) -> str:
    """A line for each public member that has a docstring."""
    return "\n".join(
        f"- **`{word}.{name}{_call(value)}`**: {_one_paragraph(value, brief=brief)}"
        for name, value in vars(kind).items()
        if name[0] != "_" and inspect.getdoc(value) and name != "notes"
    )


def markdown(docstring: str) -> str:
    """A Google-style docstring as Markdown."""
    text = inspect.cleandoc(docstring)
    text = re.sub(r":\w+:`~?([^`]+)`", r"`\1`", text)
    text = text.replace("``", "`")
    text = re.sub(r"\s+\[(\w+)\](?=\n|\Z)", r" ([`\1`](checks.md#\1))", text)
    lines: list[str] = []
    section = ""
    for line in text.splitlines():
        if match := re.fullmatch(r"(Args|Attributes|Raises):", line):
            section = match[1]
            lines += [f"**{section}**", ""]
        elif line == "Example::":
            section = "Example"
            lines += ["**Example**", "", "```python"]
        elif section == "Example":
            if line or lines[-1] != "```python":
                lines.append(line[4:])
        elif section and (match := re.fullmatch(r"    (\w[\w, ]*): (.*)", line)):
            names = ", ".join(f"`{name}`" for name in match[1].split(", "))
            lines.append(f"- {names}: {match[2]}")
        elif section:
            lines.append("  " + line.strip() if line.strip() else "")
        else:
            lines.append(line)
    while lines and not lines[-1]:
        lines.pop()
    return "\n".join(lines) + ("\n```" if section == "Example" else "")


def _signature(name: str, function: Callable[..., object]) -> str:
    annotations = dict(function.__annotations__)
    result = annotations.pop("return")
    parameters = ", ".join(f"{key}: {kind}" for key, kind in annotations.items())
    return f"def {name}({parameters}) -> {result}"


def _call(value: object) -> str:
    if not inspect.isfunction(value):
        return ""
    return f"({', '.join(list(inspect.signature(value).parameters)[1:])})"


def _one_paragraph(value: object, *, brief: bool) -> str:
    text = markdown(inspect.getdoc(value) or "")
    return " ".join((text.partition("\n\n")[0] if brief else text).split())


def _fields(kind: type) -> str:
    source = dedent(inspect.getsource(kind))
    header = f"class {kind.__name__}:"
    return "\n".join([header, *re.findall(r"^    \w+: [^\n]*$", source, re.MULTILINE)])


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
