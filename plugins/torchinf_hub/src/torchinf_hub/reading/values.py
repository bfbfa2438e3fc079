"""What an expression can be known to be without running it.

Constants, tuples, lists and dicts of known values stand for themselves; the
rest are the types below, and :data:`UNKNOWN`.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from torchinf_hub.reading.sources import Module

Value = Any


class Unknown:
    """The value of what only running the code would tell."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN: Final = Unknown()
UNNAMED: Final = "*"
"""Among the keywords of a call: there may be more arguments than are listed."""


@dataclass(frozen=True, slots=True)
class External:
    """Something of another distribution, or a built-in, by its dotted name."""

    name: str


@dataclass(frozen=True, slots=True)
class Package:
    """A module of the repository by its dotted name."""

    name: str


@dataclass(slots=True, eq=False)
class Frame:
    """The names of a running function.

    Attributes:
        module: whose globals it sees.
        names: its locals.
        outer: the frame it was defined in, or None.
        returns: values it may return.
    """

    module: Module
    names: dict[str, Value] = field(default_factory=dict)
    outer: Frame | None = None
    returns: list[Value] = field(default_factory=list)

    def fork(self) -> Frame:
        """The same frame on one of two ways."""
        return Frame(self.module, dict(self.names), self.outer, self.returns)


@dataclass(frozen=True, slots=True, eq=False)
class Function:
    """A function of the repository.

    Attributes:
        node: its definition.
        frame: where it was defined.
        bound: the instance it is a method of, or None.
    """

    node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
    frame: Frame
    bound: Value = None


@dataclass(frozen=True, slots=True, eq=False)
class Class:
    """A class of the repository."""

    node: ast.ClassDef
    frame: Frame


@dataclass(frozen=True, slots=True, eq=False)
class Instance:
    """An object of a class whose attributes are known in part.

    Attributes:
        kind: its class.
        attributes: those that are known.
        member: its name, when it is a member of an enumeration.
    """

    kind: Class | External
    attributes: dict[str, Value]
    member: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Partial:
    """``functools.partial`` of something."""

    target: Value
    arguments: tuple[Value, ...]
    keywords: Mapping[str, Value]


def is_plain(value: Value) -> bool:
    """True for a constant, which may be computed with."""
    return value is None or isinstance(value, (str, int, float, bool))


def truth(value: Value) -> bool | None:
    """Whether a condition holds; None if nobody can tell."""
    if is_plain(value) or isinstance(value, (tuple, list, dict)):
        return bool(value)
    if isinstance(value, (Function, Class, Instance, Partial, Package)):
        return True
    return None


def same(left: Value, right: Value) -> bool | None:
    """Whether two values are equal; None if nobody can tell."""
    if left is right and left is not UNKNOWN:
        return True
    if is_plain(left) and is_plain(right):
        return bool(left == right)
    kinds = [value for value in (left, right) if _is_type(value)]
    if len(kinds) == 2:
        return bool(left == right)
    if left is None or right is None:
        other = right if left is None else left
        return None if isinstance(other, (Unknown, External)) else False
    if isinstance(left, Instance) and isinstance(right, Instance) and left.member and right.member:
        return left.member == right.member
    return None


def _is_type(value: Value) -> bool:
    return isinstance(value, Class) or (
        isinstance(value, External) and value.name.startswith("builtins.")
    )


def joined(values: list[Value]) -> Value:
    """The value of something that may be any of ``values``."""
    if not values:
        return UNKNOWN
    first = values[0]
    for value in values[1:]:
        if value is first:
            continue
        if type(value) is not type(first) or not _equal(value, first):
            return UNKNOWN
    return first


def _equal(left: Value, right: Value) -> bool:
    return bool(left == right)
