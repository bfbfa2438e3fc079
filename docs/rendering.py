"""Docstrings and signatures as Markdown, for the pages that are made from them."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Callable
from itertools import pairwise
from textwrap import dedent
from types import ModuleType

from torchinf_core import types

WIDEST = 90
"""Characters of a call that a line of a page has room for."""
MADE = "<!-- made by docs/generate.py from the docstrings; change those -->"


def value(kind: type, heading: str = "### ") -> str:
    """A dataclass or enumeration: its fields, what they mean, and its members."""
    word = re.findall(r"[A-Z][a-z]+", kind.__name__)[-1].lower()
    enumeration = issubclass(kind, types.Trust)
    said = words(types, kind.__name__) if enumeration else {}
    parts = [
        f"{heading}{kind.__name__}" if heading else "",
        "" if enumeration else f"```python\n{fields(kind)}\n```",
        markdown(kind.__doc__ or ""),
        "\n".join(
            f"- **`{kind.__name__}.{member.partition(' ')[0]}`**: {text}"
            for member, text in said.items()
        ),
        "" if enumeration else members(word, kind),
    ]
    return "\n\n".join(filter(None, parts))


def words(module: ModuleType, within: str = "") -> dict[str, str]:
    """``name = value`` → its docstring, of what is assigned in a module, or in a class of it."""
    tree = ast.parse(inspect.getsource(module))
    body = tree.body
    if within:
        [body] = [one.body for one in body if isinstance(one, ast.ClassDef) and one.name == within]
    found = {}
    for before, line in pairwise(body):
        if isinstance(before, ast.Assign) and isinstance(line, ast.Expr):
            said = ast.literal_eval(line.value)
            found[ast.unparse(before)] = " ".join(markdown(said).split())
    return found


def members(word: str, kind: type, *, brief: bool = False, only: tuple[str, ...] = ()) -> str:
    """A line for each public member that has a docstring."""
    lines = "\n".join(
        f"- **`{word}.{name}{call(made)}`**: {one_paragraph(made, brief=brief)}"
        for name, made in vars(kind).items()
        if name[0] != "_" and inspect.getdoc(made) and name != "notes"
        if inspect.isfunction(made) or isinstance(made, property)
        if name in only or not only
    )
    return f"**Members**\n\n{lines}" if lines else ""


def call(made: object) -> str:
    """The parameters of a call with short defaults, without types; nothing for a property."""
    if not callable(made):
        return ""
    taken = inspect.signature(made).parameters.values()
    bare = [one.replace(annotation=inspect.Parameter.empty) for one in taken if one.name != "self"]
    text = str(inspect.Signature(bare))
    return text if len(text) < WIDEST else re.sub(r"=('[^']*'|\w+)", "=...", text)


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
        elif line == "Returns:":
            section = "Returns"
            lines += ["**Returns**", ""]
        elif line == "Example::":
            section = "Example"
            lines += ["**Example**", "", "```python"]
        elif section == "Example":
            if line or lines[-1] != "```python":
                lines.append(line[4:])
        elif section and (match := re.fullmatch(r"    (\w[\w., ]*): (.*)", line)):
            names = ", ".join(f"`{name}`" for name in match[1].split(", "))
            lines.append(f"- {names}: {match[2]}")
        elif section:
            indent = "" if section == "Returns" else "  "
            lines.append(indent + line.strip() if line.strip() else "")
        else:
            lines.append(line)
    while lines and not lines[-1]:
        lines.pop()
    return "\n".join(lines) + ("\n```" if section == "Example" else "")


def signature(name: str, function: Callable[..., object]) -> str:
    """The first line of a function, with types."""
    annotations = dict(function.__annotations__)
    result = annotations.pop("return")
    parameters = ", ".join(f"{key}: {kind}" for key, kind in annotations.items())
    return f"def {name}({parameters}) -> {result}"


def one_paragraph(value: object, *, brief: bool) -> str:
    """A docstring, or the first part of one, in one line."""
    text = markdown(inspect.getdoc(value) or "")
    text = re.sub(r"\*\*(\w+)\*\*\n", r"*\1:*", text).replace("\n- ", " ")
    return " ".join((text.partition("\n\n")[0] if brief else text).split())


def fields(kind: type) -> str:
    """The fields of a dataclass with their types and defaults, as they are written."""
    source = dedent(inspect.getsource(kind))
    header = f"class {kind.__name__}:"
    return "\n".join([header, *re.findall(r"^    \w+: [^\n]*$", source, re.MULTILINE)])
