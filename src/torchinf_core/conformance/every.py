"""What is asked of every plugin: how it is imported, its commands and its wrappers."""

from __future__ import annotations

import inspect
import io
import json
import os
import subprocess
import sys
import warnings
from contextlib import redirect_stdout
from functools import cache
from importlib.util import find_spec
from types import ModuleType
from typing import Any

from torchinf_core.conformance.checking import shown
from torchinf_core.conformance.contract import NotChecked
from torchinf_core.conformance.watching import Watch
from torchinf_core.conformance.wrapping import Wrapping
from torchinf_core.errors import PluginContractError
from torchinf_core.plugins.implementations import implementations

_PLAIN = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH", "VIRTUAL_ENV")

_MENDS = {
    "does not yield": "Write `result = yield` once in a wrapper, and return the result.",
    "can't be wrapped": "Take `wrapper=True` away: this hook is asked of each plugin.",
    "is async": "Write `def`, and no `async def`: hooks are plain functions.",
    "without": "Write `@hookimpl` above both functions.",
    "no hook;": "Write `@hookimpl` above the functions, and name the module as the plugin.",
}
"""Part of what is wrong with hooks → how to mend that."""


class Conformance(Wrapping):
    """The checks of every plugin; a subclass answers the questions.

    Attributes:
        plugin: the module (or object) that the entry point names.
        name: of the plugin; default: that of its module without ``torchinf_``.
        settings: the plugin's own, as ``[plugins.<name>]`` of the settings file has them.
        environ: variables that are set while a check runs.
    """

    def test_hooks_are_well_formed(self) -> None:
        """Write ``@hookimpl`` above ``def <hook>(<some of its arguments>):``, no defaults."""
        try:
            implementations(self.plugin)
        except PluginContractError as error:
            mend = next((mend for part, mend in _MENDS.items() if part in str(error)), "")
            self.require(False, str(error), mend)
        for found in implementations(self.plugin):
            inner = f"{self.module}.{found.attribute}"
            package = isinstance(self.plugin, ModuleType) and hasattr(self.plugin, "__path__")
            hides = package and find_spec(inner) is not None
            taken = f"importing {inner} puts that module in the place of the hook"
            self.require(not hides, taken, "Give the module another name than the hook's.")

    def test_importing_is_light(self) -> None:
        """Move the import into the function that needs it."""
        foreign = self._imported()["foreign"]
        self.require(not foreign, f"importing {self.module} also imports {', '.join(foreign)}")

    def test_importing_does_nothing(self) -> None:
        """Do that in the hook that needs it, when it is called."""
        facts = self._imported()
        for key in ("connections", "processes", "written", "environ"):
            self.require(not facts[key], f"importing {self.module}: {key}: {facts[key]}")
        self.require(not facts["printed"], f"importing {self.module} prints {facts['printed']!r}")

    def test_commands_are_only_added(self) -> None:
        """Leave to the command's function what takes a connection, a process or a print."""
        self._only_adds("commands")

    def test_commands_explain_themselves(self) -> None:
        """Give the command's function a docstring."""
        self._explains("commands")

    def test_remote_waits_for_a_command(self) -> None:
        """Connect in the command's function."""
        self._only_adds("remote")

    def test_remote_explains_itself(self) -> None:
        """Give the command's function a docstring."""
        self._explains("remote")

    # INSIDE

    def _imported(self) -> dict[str, Any]:
        """What importing the plugin does, found out in a fresh process."""
        self.hooks()
        facts = _import_elsewhere(self.module, tuple(filter(None, sys.path)))
        if facts is None:
            raise NotChecked(f"{self.module} can't be imported by that name")
        return facts

    def _added(self, hook: str) -> tuple[Any, Watch, str, object]:
        """The app that a hook filled, what it did, what it printed, and what it raised."""
        found = self.hook(hook)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of Typer's own imports
            import typer
        app, printed = typer.Typer(), io.StringIO()
        arguments = {"app": app, "server": "https://server.invalid"}
        wanted = {name: arguments[name] for name in found.parameters}
        with redirect_stdout(printed), self.watched() as watch:
            raised = self.outcome(found.function, **wanted)
        return app, watch, printed.getvalue(), raised

    def _only_adds(self, hook: str) -> None:
        _, watch, printed, raised = self._added(hook)
        self.require(not watch.connections, f"{hook} connects to {watch.connections}")
        self.require(not watch.processes, f"{hook} starts {watch.processes}")
        self.require(not printed, f"{hook} prints {printed!r}")
        self.require(raised is None, f"{hook} ends with {shown(raised)}")

    def _explains(self, hook: str) -> None:
        app, _, _, raised = self._added(hook)
        if raised is not None:
            raise NotChecked(f"{hook} ends with {shown(raised)}")
        for command in app.registered_commands:
            name = command.name or command.callback.__name__
            told = command.help or inspect.getdoc(command.callback)
            self.require(told, f"the command {name!r} of {hook} has no help text")


@cache
def _import_elsewhere(module: str, path: tuple[str, ...]) -> dict[str, Any] | None:
    """What :mod:`torchinf_core.conformance.importing` says, or None when it fails."""
    done = subprocess.run(  # noqa: S603 - this Python
        [sys.executable, "-m", f"{__package__}.importing", module],
        check=False,
        capture_output=True,
        # Not what this process has: it may have imported the plugin, which may have set something.
        env={
            **{name: os.environ[name] for name in _PLAIN if name in os.environ},
            "PYTHONPATH": os.pathsep.join(path),
            "PYTHONDONTWRITEBYTECODE": "1",
        },
        text=True,
    )
    return json.loads(done.stdout) if done.returncode == 0 else None
