"""What ``object.name`` is: modules, classes with what they inherit, members of enumerations."""

from __future__ import annotations

import ast

from torchinf_hub.reading.names import Run, attribute_of
from torchinf_hub.reading.values import (
    UNKNOWN,
    Class,
    External,
    Frame,
    Function,
    Instance,
    Package,
    Value,
)

MAX_BASES = 10


def attribute(run: Run, value: Value, name: str) -> Value:
    """``value.name``."""
    if isinstance(value, External):
        return External(f"{value.name}.{name}")
    if isinstance(value, Package):
        return attribute_of(run, value, name)
    if isinstance(value, Instance):
        if name in value.attributes:
            return value.attributes[name]
        if value.member and name == "name":
            return value.member
        held = value.attributes.get("value")
        found = _method(of_class(run, value.kind, name), value.kind, value)
        if isinstance(found, Function) and _decorated(found, "property"):
            return run.call(run, found, [], {})
        if found is UNKNOWN and value.member and isinstance(held, Instance):
            # torchvision's enumerations hand such questions on to what they hold.
            return attribute(run, held, name)
        return found
    if isinstance(value, Class) and name == "__name__":
        return value.node.name
    if isinstance(value, Class):
        return _method(of_class(run, value, name), value, None)
    return UNKNOWN


def _method(found: Value, kind: Class | External, instance: Value) -> Value:
    """What a class holds under a name, as its instance or the class itself would give it."""
    if not isinstance(found, Function) or _decorated(found, "staticmethod"):
        return found
    bound = kind if _decorated(found, "classmethod") else instance
    return Function(found.node, found.frame, bound)


def _decorated(function: Function, word: str) -> bool:
    decorators = getattr(function.node, "decorator_list", ())
    return any(ast.unparse(item).rpartition(".")[2].endswith(word) for item in decorators)


def of_class(run: Run, kind: Class | External, name: str, depth: int = 0) -> Value:
    """A member, method or constant of a class or of what it inherits from."""
    run.step()
    if isinstance(kind, External) or depth > MAX_BASES:
        return UNKNOWN
    bases = [run.evaluate(run, base, kind.frame) for base in kind.node.bases]
    for statement in kind.node.body:
        if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef)):
            if statement.name == name:
                return Function(statement, kind.frame)
        elif isinstance(statement, (ast.Assign, ast.AnnAssign)):
            left = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            if statement.value and any(isinstance(t, ast.Name) and t.id == name for t in left):
                return _member(run, kind, name, statement.value, bases)
    for base in bases:
        if isinstance(base, Class):
            value = of_class(run, base, name, depth + 1)
            if value is not UNKNOWN:
                return value
    return UNKNOWN


def _member(run: Run, kind: Class, name: str, node: ast.expr, bases: list[Value]) -> Value:
    inner = Frame(kind.frame.module, {}, kind.frame)
    if isinstance(node, ast.Name) and not _is_enumeration(run, bases):
        return run.evaluate(run, node, kind.frame)
    if isinstance(node, ast.Name) and node.id != name:  # an alias: DEFAULT = IMAGENET1K_V1
        return of_class(run, kind, node.id, 1)
    value = run.evaluate(run, node, inner)
    return Instance(kind, {"value": value}, name) if _is_enumeration(run, bases) else value


def _is_enumeration(run: Run, bases: list[Value], depth: int = 0) -> bool:
    for base in bases:
        if isinstance(base, External) and base.name.rpartition(".")[2].endswith("Enum"):
            return True
        if isinstance(base, Class) and depth < MAX_BASES:
            above = [run.evaluate(run, node, base.frame) for node in base.node.bases]
            if _is_enumeration(run, above, depth + 1):
                return True
    return False
