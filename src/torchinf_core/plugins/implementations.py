"""Collects a plugin's hook implementations and refuses those that can't be called right.

pluggy alone accepts a misspelt hook, passes nothing to keyword-only parameters
and treats defaults differently from release to release, so all are refused
here, where the message can say what to write instead.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from types import FunctionType, ModuleType
from typing import Any, TypeGuard

from torchinf_core.errors import PluginContractError
from torchinf_core.frozen import dataclass
from torchinf_core.hookspecs import Hooks, hook_names, hookimpl

ROUTED = ("resolve", "fetch", "token", "search", "trusts", "architecture")
"""Hooks that go to the owner of a scheme; other plugins may wrap these."""
PAIRED = (("claim", "load"), ("load", "claim"), ("optimize", "load"))
"""A hook of a runtime, and another without which it is of no use."""

_MARK = f"{hookimpl.project_name}_impl"


def _names(function: Callable[..., Any]) -> tuple[str, ...]:
    """Names of the parameters; of a simple function without the cost of ``signature``."""
    if _is_simple(function):
        code = function.__code__
        return code.co_varnames[: code.co_argcount]
    return tuple(inspect.signature(function).parameters)


def _is_simple(function: Callable[..., Any]) -> TypeGuard[FunctionType]:
    """True for a function that is not wrapped, without defaults, keyword-only and catch-all."""
    if not isinstance(function, FunctionType) or function.__dict__.keys() & _DISGUISES:
        return False
    code = function.__code__
    simple = not (function.__defaults__ or code.co_kwonlyargcount)
    return simple and not code.co_flags & (inspect.CO_VARARGS | inspect.CO_VARKEYWORDS)


_DISGUISES = {"__wrapped__", "__signature__"}
_PARAMETERS = {hook: _names(getattr(Hooks, hook))[1:] for hook in hook_names()}


@dataclass(frozen=True, slots=True)
class Implementation:
    """One function of a plugin that is marked with ``@hookimpl``.

    Attributes:
        attribute: name of the function in the plugin.
        hook: name of the hook it implements.
        function: what to call.
        wrapper: True when it runs around the implementation of other plugins.
    """

    attribute: str
    hook: str
    function: Callable[..., Any]
    wrapper: bool

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of the arguments it takes."""
        return _names(self.function)


def implementations(plugin: object) -> list[Implementation]:
    """The hook implementations of a plugin, in the order of their names.

    Raises:
        PluginContractError: one of them could not be called as meant.
    """
    found = []
    for attribute in dir(plugin):
        options = _options(plugin, attribute)
        if options is None:
            continue
        hook = options.get("specname") or attribute
        if hook not in _PARAMETERS:
            if options.get("optionalhook"):
                continue
            raise PluginContractError(f"there is no hook {hook!r}{_near(hook, _PARAMETERS)}")
        wrapper = bool(options.get("wrapper") or options.get("hookwrapper"))
        if wrapper and hook not in ROUTED:
            raise PluginContractError(f"the hook {hook!r} can't be wrapped")
        function = getattr(plugin, attribute)
        _check_signature(hook, function)
        if wrapper and not inspect.isgeneratorfunction(function):
            raise PluginContractError(f"the wrapper of {hook!r} does not yield")
        found.append(Implementation(attribute, hook, function, wrapper))
    if not found:
        raise PluginContractError("it implements no hook; functions that do carry @hookimpl")
    _check_together(found)
    return found


def _check_together(found: list[Implementation]) -> None:
    """Hooks that are of no use without another, or that are there twice."""
    plain = {item.hook for item in found if not item.wrapper}
    if len(plain) < sum(not item.wrapper for item in found):
        raise PluginContractError("it implements a hook twice")
    for hook in ROUTED:
        if hook in plain and "sources" not in plain:
            raise PluginContractError(f"it implements {hook!r} without 'sources'")
    for hook, other in PAIRED:
        if hook in plain and other not in plain:
            raise PluginContractError(f"it implements {hook!r} without {other!r}")
    if "sources" in plain and "resolve" not in plain:
        raise PluginContractError("it implements 'sources' without 'resolve'")


def _options(plugin: object, attribute: str) -> dict[str, Any] | None:
    """What ``@hookimpl`` noted on a function; properties are not run to find out."""
    if isinstance(plugin, ModuleType):
        found = vars(plugin).get(attribute)
    else:
        found = inspect.getattr_static(plugin, attribute, None)
    if isinstance(found, (staticmethod, classmethod)):
        found = found.__func__
    options = getattr(found, _MARK, None) if inspect.isroutine(found) else None
    return options if isinstance(options, dict) else None


def _check_signature(hook: str, function: Callable[..., Any]) -> None:
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        raise PluginContractError(f"{hook!r} is async; hooks are plain functions")
    offered = _PARAMETERS[hook]
    if _is_simple(function) and set(_names(function)) <= set(offered):
        return
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.kind is parameter.KEYWORD_ONLY:
            raise PluginContractError(f"{hook!r} has the keyword-only parameter {name!r}")
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise PluginContractError(f"{hook!r} has the catch-all parameter {str(parameter)!r}")
        if parameter.default is not parameter.empty:
            raise PluginContractError(f"{hook!r} has a default for its parameter {name!r}")
        if name not in offered:
            choice = f"only {', '.join(offered)}" if offered else "nor any other"
            raise PluginContractError(f"{hook!r} has no parameter {name!r}, {choice}")


def _near(word: str, words: dict[str, Any]) -> str:
    import difflib

    near = difflib.get_close_matches(word, words, n=1)
    return f"; did you mean {near[0]!r}?" if near else f", only {', '.join(words)}"
