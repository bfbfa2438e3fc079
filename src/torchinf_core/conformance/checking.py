"""How a check is written: what it is asked, what it may use, and how it says what is wrong.

A check is a method ``test_<name>``; the sentence that it proves stands in the contract
of a hook, and its docstring says how to mend a plugin that breaks it.  Test runners
collect the methods; :mod:`torchinf_core.conformance.running` runs them without one.
"""

from __future__ import annotations

import difflib
import inspect
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from traceback import walk_tb
from types import ModuleType
from typing import Any, ClassVar
from unittest.mock import patch

from torchinf_core.conformance.answering import Respond, Wire
from torchinf_core.conformance.contract import ContractBroken, NotChecked, NotThere, sentences
from torchinf_core.conformance.watching import Watch, unconnected, watching
from torchinf_core.errors import PluginContractError, TorchinfError
from torchinf_core.host import Host
from torchinf_core.network.failures import translate
from torchinf_core.network.library import httpx
from torchinf_core.plugins.implementations import Implementation, implementations
from torchinf_core.settings import Settings, load_settings

_USER = ("TORCHINF_", "HF_", "HUGGING_FACE_", "XDG_", "NETRC")
"""Variables of whoever runs the tests, which no plugin is to see."""


class Checking:
    """What every kit is made of; it has no checks, and its questions are those of the kits."""

    __test__ = False
    plugin: ClassVar[Any]
    name: ClassVar[str] = ""
    settings: ClassVar[Mapping[str, Any]] = {}
    environ: ClassVar[Mapping[str, str]] = {}

    def __init_subclass__(cls) -> None:
        """Refuse a kit that leaves a check out without saying so."""
        super().__init_subclass__()
        if cls.__module__.partition(".")[0] == __name__.partition(".")[0]:
            return
        cls.__test__ = vars(cls).get("__test__", cls.__name__.startswith("Test"))
        above = {name for base in cls.__mro__[1:] for name in vars(base)}
        questions = [name for name in above if name[0] != "_" and not name.startswith("test_")]
        for name, value in vars(cls).items():
            near = difflib.get_close_matches(name, questions, n=1, cutoff=0.9)
            if near and name not in questions:
                raise TypeError(f"{cls.__name__}.{name} is no question; did you mean {near[0]!r}?")
            standard = name.startswith("test_") and hasattr(super(cls, cls), name)
            if standard and not _is_expected_to_fail(value):
                message = (
                    f"{cls.__name__}.{name} is a check of the contract and can't be replaced; "
                    "where the plugin can't fulfil it, call it in a method that is marked with "
                    "@pytest.mark.xfail(reason=...)"
                )
                raise TypeError(message)
        if isinstance(getattr(cls, "plugin", None), str):
            raise TypeError(f"{cls.__name__}.plugin is a text; it is the module: import it")
        for name in ("settings", "environ"):
            value = getattr(cls, name)
            if not isinstance(value, (Mapping, property)):
                raise TypeError(f"{cls.__name__}.{name} is {value!r}; it is a dict")
        if cls.__test__ and not hasattr(cls, "plugin"):
            raise TypeError(f"{cls.__name__} does not say which plugin: plugin = torchinf_...")

    # FOR CHECKS

    def setup_method(self) -> None:
        """An empty home and none of the user's variables, until :meth:`teardown_method`."""
        self._stack = ExitStack()
        self._connected = True
        self._place = ("", "")
        self.home = Path(self._stack.enter_context(tempfile.TemporaryDirectory()))
        self._stack.enter_context(patch.dict(os.environ))
        for variable in [name for name in os.environ if name.startswith(_USER)]:
            del os.environ[variable]
        os.environ.update({"HOME": str(self.home), **self.environ})

    def teardown_method(self) -> None:
        """Put everything back."""
        self._stack.close()

    def keep(self, context: Any) -> Any:
        """Enter a context that ends with the check."""
        return self._stack.enter_context(context)

    def folder(self) -> Path:
        """A new empty folder."""
        return Path(tempfile.mkdtemp(dir=self.home))

    def require(self, holds: object, happened: str, mend: str = "") -> None:
        """Fail the check that calls this, unless ``holds``.

        Args:
            holds: what is to be true.
            happened: instead.
            mend: how to mend that; default: what the check's docstring says.
        """
        __tracebackhide__ = True
        if holds:
            return
        error, place = self._place
        if place and happened.endswith(error):
            happened += f" ({place})"
        name = next(f.function for f in inspect.stack(0) if f.function.startswith("test_"))
        mend = mend or inspect.getdoc(getattr(self, name)) or ""
        sentence = sentences()[name.removeprefix("test_")]
        raise ContractBroken(sentence, happened, " ".join(mend.replace("``", "`").split()))

    def broken(self, happened: str) -> ContractBroken:
        """What :meth:`require` raises, to be raised by the caller."""
        try:
            self.require(False, happened)
        except ContractBroken as error:
            return error
        raise AssertionError("unreachable: require raises")

    @property
    def package(self) -> str:
        """Top-level package of the plugin."""
        return self.module.partition(".")[0]

    @property
    def module(self) -> str:
        """Name of the module that the plugin is or comes from."""
        plugin = self.plugin
        return plugin.__name__ if isinstance(plugin, ModuleType) else type(plugin).__module__

    @property
    def plugin_name(self) -> str:
        """The name under which settings are found."""
        return self.name or self.module.rpartition(".")[2].removeprefix("torchinf_")

    def host_settings(self, **more: Any) -> Settings:
        """Settings of a user who set what :attr:`settings` says, and ``more``."""
        settings = load_settings({}, cache_dir=str(self.home / "store"), retries=1)
        return replace(settings, **{"plugins": {self.plugin_name: dict(self.settings)}, **more})

    def hooks(self, *, wrappers: bool = False) -> dict[str, Implementation]:
        """The plugin's hooks by name, or its wrappers; no connection is made from now on."""
        if self._connected:  # not earlier: a test may have to fill a server
            self._stack.enter_context(unconnected())
            self._connected = False
        try:
            found = implementations(self.plugin)
        except PluginContractError:
            raise NotChecked("hooks_are_well_formed fails") from None
        return {item.hook: item for item in found if item.wrapper is wrappers}

    def hook(self, name: str) -> Implementation:
        """One hook, or the check is skipped."""
        found = self.hooks().get(name)
        if found is None:
            raise NotThere(f"it does not implement {name}")
        return found

    def call(
        self, hook: str, host: Host, then: Callable[[Any], Any] | None = None, **arguments: Any
    ) -> Any:
        """What a hook returns; errors of httpx become those that the core makes of them.

        Args:
            hook: its name.
            host: for the hook.
            then: is given what the hook returned, which may be a generator.
            arguments: of the hook; it gets those that it takes.
        """
        found = self.hook(hook)
        offered = {**arguments, "host": host}
        try:
            made = found.function(**{name: offered[name] for name in found.parameters})
            return then(made) if then else made
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            request = getattr(error, "_request", None)
            raise translate(error, str(request.url) if request else hook) from error

    def wire(self, respond: Respond | None = None) -> Wire:
        """Answers what a plugin asks; nobody does where there is no ``respond``."""
        return Wire(respond)

    @contextmanager
    def host(self, wire: Wire, settings: Settings | None = None) -> Iterator[Host]:
        """A host whose requests are answered by ``wire``."""
        settings = settings or self.host_settings()
        with Host(settings, self.plugin_name, wire.client(settings)) as host:
            yield host

    @contextmanager
    def watched(self) -> Iterator[Watch]:
        """Notes what the plugin does inside the block."""
        with watching(self.package) as watch:
            yield watch

    def outcome(self, call: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        """What a call returned, or the exception it raised."""
        try:
            return call(*arguments, **named)
        except NotChecked:
            raise
        except Exception as error:  # noqa: BLE001 - to be judged
            if not meant(error):
                self._place = shown(error), self._raised_at(error)
            return error

    def _raised_at(self, error: Exception) -> str:
        """The line of the plugin where it came from."""
        lines = [
            f"{frame.f_code.co_filename}, line {line}"
            for frame, line in walk_tb(error.__traceback__)
            if frame.f_globals.get("__name__", "").partition(".")[0] == self.package
        ]
        return lines[-1] if lines else ""

    def unanswered(self, question: str) -> Exception:
        """What is raised where a question has no answer: in tests that is a mistake."""
        if self.__test__:
            return TypeError(f"{type(self).__name__} has to answer: {question}")
        return NotChecked("it takes what the plugin's own tests tell")


def shown(made: object) -> str:
    """What came of a call, for a message."""
    if isinstance(made, BaseException):
        return f"{type(made).__name__}: {str(made)[:300]}"
    return "None" if made is None else f"a {type(made).__name__}"


def meant(error: object) -> bool:
    """True for an error that a user can understand: one of torchinf."""
    return isinstance(error, TorchinfError) and not isinstance(error, PluginContractError)


def _is_expected_to_fail(value: object) -> bool:
    marks = getattr(value, "pytestmark", ())
    return any(mark.name == "xfail" and mark.kwargs.get("reason") for mark in marks)
