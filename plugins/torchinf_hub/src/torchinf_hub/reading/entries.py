"""The entry points and dependencies of a hubconf.py."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from torchinf_hub.naming import is_entry
from torchinf_hub.reading.names import ExhaustedError, Run, of_module, source_of
from torchinf_hub.reading.running import make_run
from torchinf_hub.reading.sources import Module, Sources
from torchinf_hub.reading.values import UNKNOWN, Class, External, Function, Partial, Value

NAME = "hubconf"
MAX_DOC = 8000


@dataclass(frozen=True, slots=True)
class Entry:
    """A public callable of a hubconf.py.

    Attributes:
        name: of the entry point.
        doc: its docstring, or ``""``.
        parameters: names it takes; None when nobody can tell without running it.
        takes_any: True when it takes keywords of any name.
    """

    name: str
    doc: str = ""
    parameters: tuple[str, ...] | None = None
    takes_any: bool = False

    @property
    def summary(self) -> str:
        """The first line of the docstring that says something."""
        return next((line.strip() for line in self.doc.splitlines() if line.strip()), "")

    def takes(self, name: str) -> bool:
        """True when a keyword of that name is one of its own."""
        return self.parameters is not None and name in self.parameters


@dataclass(frozen=True, slots=True)
class Hubconf:
    """What a hubconf.py says of itself.

    Attributes:
        entries: by name, sorted.
        dependencies: names of modules that it says it needs; None when its list
            is computed.
        computed: names that only running it would tell about.
    """

    entries: Mapping[str, Entry]
    dependencies: tuple[str, ...] | None
    computed: frozenset[str]


def read_hubconf(sources: Sources) -> Hubconf:
    """Read the hubconf.py at the root of some sources.

    Raises:
        FormatError: there is none, or it is no Python of this version.
    """
    module = sources.required(NAME)
    run = make_run(sources)
    entries: dict[str, Entry] = {}
    computed = set()
    for name in sorted(set(_public_names(run, module))):
        value = value_of(run, module, name)
        entry = _entry(name, value)
        if entry is not None:
            entries[name] = entry
        elif value is UNKNOWN or (isinstance(value, External) and _may_be_entry(value)):
            computed.add(name)
    return Hubconf(entries, _dependencies(run, module), frozenset(computed))


def value_of(run: Run, module: Module, name: str) -> Value:
    """The value of a module's name, None where reading it leads too far."""
    try:
        return of_module(run, module, name)
    except (ExhaustedError, RecursionError):
        return None


def _may_be_entry(value: External) -> bool:
    """False for what hubconf files import to work with, not to offer."""
    top = value.name.partition(".")[0]
    return "." in value.name and top not in ("torch", "builtins", *sys.stdlib_module_names)


def _public_names(run: Run, module: Module, depth: int = 0) -> Iterable[str]:
    yield from (name for name in module.bindings if is_entry(name))
    for statement in module.stars:
        origin = source_of(statement, module)
        other = run.sources.module(origin) if origin else None
        if other is None or depth > 5:
            continue
        listed = value_of(run, other, "__all__") if "__all__" in other.bindings else None
        names = set(_public_names(run, other, depth + 1))
        if isinstance(listed, (list, tuple)):
            names &= {name for name in listed if isinstance(name, str)}
        yield from names


def _entry(name: str, value: Value) -> Entry | None:
    while isinstance(value, Partial):
        value = value.target
    if isinstance(value, Class):
        node: ast.AST = next(
            (
                item
                for item in value.node.body
                if isinstance(item, ast.FunctionDef) and item.name == "__init__"
            ),
            value.node,
        )
        doc = ast.get_docstring(value.node)
    elif isinstance(value, Function):
        node = value.node
        doc = None if isinstance(node, ast.Lambda) else ast.get_docstring(node)
    else:
        return None
    arguments = getattr(node, "args", None)
    if not isinstance(arguments, ast.arguments):
        return Entry(name, (doc or "")[:MAX_DOC])
    parameters = [item.arg for item in (*arguments.posonlyargs, *arguments.args)]
    parameters += [item.arg for item in arguments.kwonlyargs]
    parameters += _legacy_parameters(node)
    return Entry(name, (doc or "")[:MAX_DOC], tuple(parameters), arguments.kwarg is not None)


def _legacy_parameters(node: ast.AST) -> list[str]:
    """Names of parameters that a decorator of torchvision still takes."""
    from torchinf_hub.reading.calls import LEGACY

    names = []
    for decorator in getattr(node, "decorator_list", ()):
        if not (isinstance(decorator, ast.Call) and ast.unparse(decorator.func).endswith(LEGACY)):
            continue
        for keyword in decorator.keywords:
            pair = keyword.value
            if isinstance(pair, ast.Tuple) and isinstance(pair.elts[0], ast.Constant):
                names.append(str(pair.elts[0].value))
    return names


def _dependencies(run: Run, module: Module) -> tuple[str, ...] | None:
    if "dependencies" not in module.bindings:
        return ()
    value = value_of(run, module, "dependencies")
    if not isinstance(value, (list, tuple)) or not all(isinstance(item, str) for item in value):
        return None
    return tuple(dict.fromkeys(item[:100] for item in value if item.strip()))
