"""Our frozen dataclasses are dataclasses, but for the time they take to make."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import pickle
import subprocess
import sys
from dataclasses import FrozenInstanceError, field
from typing import Any

import pytest

from torchinf_core.frozen import dataclass


@dataclass(frozen=True, slots=True)
class Ours:
    """Same as Theirs."""

    a: int
    b: str = "b"
    c: dict[str, int] = field(default_factory=dict)
    hidden: int = field(default=0, compare=False, repr=False)

    @property
    def twice(self) -> int:
        return 2 * self.a


@dataclasses.dataclass(frozen=True, slots=True)
class Theirs:
    """Same as Ours."""

    a: int
    b: str = "b"
    c: dict[str, int] = field(default_factory=dict)
    hidden: int = field(default=0, compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Keywords:
    """Fields that have to be named, and a check."""

    a: int
    b: int = 1

    def __post_init__(self) -> None:
        if self.a < 0:
            raise ValueError("negative")


def test_it_is_made_compared_and_shown_as_a_dataclass_is() -> None:
    assert dataclasses.is_dataclass(Ours)
    for kind in (Ours, Theirs):
        made: Any = kind(1, c={"x": 1}, hidden=3)
        assert (made.a, made.b, made.c, made.hidden) == (1, "b", {"x": 1}, 3)
        assert made == kind(1, "b", {"x": 1})
        assert made != kind(2, "b", {"x": 1})
        assert repr(made) == f"{kind.__name__}(a=1, b='b', c={{'x': 1}})"
        assert dataclasses.replace(made, a=5) == kind(5, c={"x": 1})
        assert dataclasses.asdict(made) == {"a": 1, "b": "b", "c": {"x": 1}, "hidden": 3}
        assert copy.deepcopy(made) == pickle.loads(pickle.dumps(made)) == made
        assert not hasattr(made, "__dict__")
        with pytest.raises(TypeError):
            kind()
    assert Ours(1) != Theirs(1)
    assert Ours(2).twice == 4
    assert Ours.__match_args__ == Theirs.__match_args__


def test_each_object_has_its_own_default() -> None:
    assert Ours(1).c is not Ours(1).c


def test_nothing_can_be_changed() -> None:
    made = Ours(1)
    with pytest.raises(FrozenInstanceError, match="'a'"):
        made.a = 2  # type: ignore[misc]
    with pytest.raises(FrozenInstanceError, match="'a'"):
        del made.a  # type: ignore[misc]


def test_equal_objects_have_equal_hashes() -> None:
    assert hash(Keywords(a=1)) == hash(Keywords(a=1))
    with pytest.raises(TypeError):
        hash(Ours(1))


def test_keywords_and_checks_are_kept() -> None:
    assert Keywords(a=1) == Keywords(a=1, b=1)
    with pytest.raises(TypeError):
        Keywords(1)  # type: ignore[misc]
    with pytest.raises(ValueError, match="negative"):
        Keywords(a=-1)


def test_help_shows_what_a_class_takes() -> None:
    for kind in (Ours, Theirs):
        assert str(inspect.signature(kind)).startswith("(a: 'int', b: 'str' = 'b', c: ")
    made = Keywords(a=1)
    assert list(inspect.signature(type(made)).parameters) == ["a", "b"]


def test_a_class_costs_one_compilation_when_it_is_used() -> None:
    program = (
        "import builtins, torchinf_core.frozen\n"
        "count = 0\n"
        "real = builtins.exec\n"
        "def counted(*given):\n"
        "    global count\n"
        "    count += isinstance(given[0], str)\n"
        "    real(*given)\n"
        "builtins.exec = counted\n"
        "@torchinf_core.frozen.dataclass(frozen=True, slots=True)\n"
        "class A:\n"
        "    a: int\n"
        "    b: int = 0\n"
        "print(count)\n"
        "assert A(1) == A(1, 0)\n"
        "print(count)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("0\n1\n", "")
