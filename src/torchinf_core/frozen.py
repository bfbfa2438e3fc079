"""Frozen dataclasses with slots, made in a fifth of the time.

A command that answers in tens of milliseconds makes some forty classes of them, and
``dataclasses`` compiles six functions for each, one by one.  Here ``__init__`` alone
is compiled, when the first object is made, and what the others have in common is
shared.  The classes are dataclasses: ``fields``, ``replace``, ``asdict`` and pattern
matching work.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dataclasses import dataclass
else:
    from dataclasses import MISSING, FrozenInstanceError
    from dataclasses import dataclass as _dataclass
    from operator import attrgetter

    def dataclass(*, frozen, slots, kw_only=False):
        """Like ``dataclasses.dataclass(frozen=True, slots=True)``, for classes without parents.

        Fields may have defaults, factories, ``kw_only``, ``compare`` and ``repr``.
        """
        assert frozen
        assert slots

        def decorate(cls):
            made = _dataclass(slots=True, kw_only=kw_only, init=False, repr=False, eq=False)(cls)
            made.__dataclass_params__.frozen = True
            fields = tuple(made.__dataclass_fields__.values())
            if "__init__" not in cls.__dict__:
                made.__init__ = _init(made, fields)
                made.__signature__ = _Signature()
            compared = tuple(field.name for field in fields if field.compare)
            shown = tuple(field.name for field in fields if field.repr)
            names = tuple(field.name for field in fields)

            values = attrgetter(*compared) if compared else type

            def __eq__(self, other):  # noqa: N807
                if other.__class__ is not self.__class__:
                    return NotImplemented
                return self is other or values(self) == values(other)

            def __hash__(self):  # noqa: N807
                return hash(values(self))

            def __repr__(self):  # noqa: N807
                told = ", ".join([f"{name}={getattr(self, name)!r}" for name in shown])
                return f"{self.__class__.__qualname__}({told})"

            def __getstate__(self):  # noqa: N807
                return [getattr(self, name) for name in names]

            def __setstate__(self, state):  # noqa: N807
                for name, value in zip(names, state, strict=True):
                    object.__setattr__(self, name, value)

            for function in (__eq__, __hash__, __repr__, __getstate__, __setstate__):
                if cls.__dict__.get(function.__name__) is None:
                    setattr(made, function.__name__, function)
            made.__setattr__ = _refuse_to_set
            made.__delattr__ = _refuse_to_delete
            return made

        return decorate

    def _init(cls, fields):
        """An ``__init__`` that compiles itself when the first object is made."""

        def __init__(self, *given, **named):  # noqa: N807
            made = _compiled(cls, fields)
            cls.__init__ = made
            made(self, *given, **named)

        __init__.__qualname__ = f"{cls.__qualname__}.__init__"
        return __init__

    def _compiled(cls, fields):
        """The ``__init__`` of a class, compiled from the names of its fields."""
        space = {"_set": object.__setattr__, "_MISSING": MISSING}
        plain, keywords, body = [], [], []
        for field in fields:
            parameter = value = field.name
            if field.default is not MISSING:
                space[f"_default_{field.name}"] = field.default
                parameter = f"{field.name}=_default_{field.name}"
            elif field.default_factory is not MISSING:
                space[f"_make_{field.name}"] = field.default_factory
                parameter = f"{field.name}=_MISSING"
                value = f"_make_{field.name}() if {field.name} is _MISSING else {field.name}"
            (keywords if field.kw_only else plain).append(parameter)
            body.append(f" _set(self, {field.name!r}, {value})")
        if hasattr(cls, "__post_init__"):
            body.append(" self.__post_init__()")
        parameters = ["self", *plain, *(["*", *keywords] if keywords else [])]
        source = "\n".join([f"def __init__({', '.join(parameters)}):", *(body or [" pass"])])
        exec(source, space)  # noqa: S102 - of names that the class body gave
        function = space["__init__"]
        function.__qualname__ = f"{cls.__qualname__}.__init__"
        return function

    class _Signature:
        """What ``inspect.signature`` tells of a class."""

        def __get__(self, _instance, cls):
            from inspect import signature

            fields = cls.__dataclass_fields__
            made = signature(_compiled(cls, tuple(fields.values())))
            _, *taken = made.parameters.values()
            told = [each.replace(annotation=fields[each.name].type) for each in taken]
            return made.replace(parameters=told)

    def _refuse_to_set(*given):
        raise FrozenInstanceError(f"cannot assign to field {given[1]!r}")

    def _refuse_to_delete(*given):
        raise FrozenInstanceError(f"cannot delete field {given[1]!r}")


__all__ = ["dataclass"]
