"""What a name means: in a function, in its module, behind an import, as a built-in."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Callable
from dataclasses import dataclass, field

from torchinf_hub.reading.sources import Module, Sources
from torchinf_hub.reading.values import UNKNOWN, Class, External, Frame, Function, Package, Value

MAX_STEPS = 200_000
MAX_DEPTH = 30


class ExhaustedError(Exception):
    """Reading took as many steps as it may."""


@dataclass(frozen=True, slots=True)
class Download:
    """A call that fetches a file.

    Attributes:
        url: what it fetches.
        checked: True when the code itself wants the name's digits compared.
    """

    url: str
    checked: bool = False


@dataclass(slots=True)
class Run:
    """One reading of one entry point.

    Attributes:
        sources: of the repository.
        evaluate, call: the interpreter's own functions, which need each other.
        found: downloads met on the way so far.
        repositories: that ``torch.hub.load`` would load.
        open: what only running the code would tell about downloads.
        steps: left to take.
        depth: of calls.
        known: values of module-level names.
    """

    sources: Sources
    evaluate: Callable[[Run, ast.expr | None, Frame], Value]
    call: Callable[[Run, Value, list[Value], dict[str, Value]], Value]
    found: list[Download] = field(default_factory=list)
    repositories: list[str] = field(default_factory=list)
    open: list[str] = field(default_factory=list)
    steps: int = MAX_STEPS
    depth: int = 0
    known: dict[tuple[str, str], Value] = field(default_factory=dict)

    def step(self) -> None:
        """Count a step.

        Raises:
            ExhaustedError: it was one too many.
        """
        self.steps -= 1
        if self.steps < 0:
            raise ExhaustedError


def look_up(run: Run, name: str, frame: Frame) -> Value:
    """The value of a name in a frame."""
    here: Frame | None = frame
    while here is not None:
        if name in here.names:
            return here.names[name]
        here = here.outer
    return of_module(run, frame.module, name)


def of_module(run: Run, module: Module, name: str) -> Value:
    """The value of a module's global name, or of the built-in of that name."""
    key = (module.name, name)
    if key not in run.known:
        run.known[key] = UNKNOWN  # while it is looked for: a circle has no value
        run.known[key] = _find(run, module, name)
    return run.known[key]


def attribute_of(run: Run, package: Package, name: str) -> Value:
    """``package.name``: a global of its module, or a module in it."""
    module = run.sources.module(package.name)
    if module is not None and (name in module.bindings or module.stars):
        value = of_module(run, module, name)
        if value is not UNKNOWN and not isinstance(value, External):
            return value
    inner = f"{package.name}.{name}"
    if run.sources.has(inner):
        return Package(inner)
    return UNKNOWN if module is None else of_module(run, module, name)


def imported(run: Run, statement: ast.Import | ast.ImportFrom, name: str, module: Module) -> Value:
    """What an import binds to ``name``."""
    if isinstance(statement, ast.Import):
        for alias in statement.names:
            if alias.asname == name:
                return _module_or_external(run, alias.name)
            if alias.asname is None and alias.name.partition(".")[0] == name:
                return _module_or_external(run, name)
        return UNKNOWN
    origin = source_of(statement, module)
    for alias in statement.names:
        if (alias.asname or alias.name) == name:
            if origin is None:
                return UNKNOWN
            if run.sources.has(origin):
                return attribute_of(run, Package(origin), alias.name)
            return External(f"{origin}.{alias.name}")
    return UNKNOWN


def source_of(statement: ast.ImportFrom, module: Module) -> str | None:
    """The absolute name of the module that a ``from … import`` reads; None above the root."""
    if not statement.level:
        return statement.module
    parts = module.package.split(".") if module.package else []
    up = statement.level - 1
    if up > len(parts):
        return None
    parts = parts[: len(parts) - up]
    name = ".".join([*parts, *([statement.module] if statement.module else [])])
    return name or None


def _module_or_external(run: Run, name: str) -> Value:
    return Package(name) if run.sources.has(name) else External(name)


def _find(run: Run, module: Module, name: str) -> Value:
    run.step()
    statement = module.bindings.get(name)
    if statement is None:
        return _behind_star(run, module, name)
    frame = Frame(module)
    if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef)):
        return Function(statement, frame)
    if isinstance(statement, ast.ClassDef):
        return Class(statement, frame)
    if isinstance(statement, (ast.Import, ast.ImportFrom)):
        return imported(run, statement, name, module)
    if isinstance(statement, (ast.Assign, ast.AnnAssign)):
        return _assigned(run, statement, name, frame)
    return UNKNOWN


def _assigned(run: Run, statement: ast.Assign | ast.AnnAssign, name: str, frame: Frame) -> Value:
    left = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
    before, run.found = run.found, []  # what a module does when it is imported is no entry's own
    value = run.evaluate(run, statement.value, frame)
    run.found = before
    for target in left:
        if isinstance(target, ast.Name) and target.id == name:
            return _with_additions(run, value, frame, name)
        if isinstance(target, (ast.Tuple, ast.List)) and isinstance(value, (tuple, list)):
            for item, part in zip(target.elts, value, strict=False):
                if isinstance(item, ast.Name) and item.id == name:
                    return part
    return UNKNOWN


def _with_additions(run: Run, value: Value, frame: Frame, name: str) -> Value:
    if not isinstance(value, dict):
        return value
    table = dict(value)
    for statement in frame.module.additions.get(name, ()):
        target = statement.targets[0]
        if isinstance(target, ast.Subscript):
            key = run.evaluate(run, target.slice, frame)
            if isinstance(key, str):
                table[key] = run.evaluate(run, statement.value, frame)
    return table


def _behind_star(run: Run, module: Module, name: str) -> Value:
    for statement in module.stars:
        origin = source_of(statement, module)
        other = run.sources.module(origin) if origin else None
        if other is not None and not name.startswith("_"):
            value = of_module(run, other, name)
            if value is not UNKNOWN and value != External(f"builtins.{name}"):
                return value
    return External(f"builtins.{name}") if hasattr(builtins, name) else UNKNOWN
