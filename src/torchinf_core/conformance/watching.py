"""Sees what code does to the world while it runs: connections, processes, files, imports.

Python tells such things to audit hooks, which can't be taken away again; so there is
one for the process, and it is deaf while nobody watches.
"""

from __future__ import annotations

import builtins
import importlib
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

FRAMEWORKS = frozenset(
    {"torch", "torchvision", "torchaudio", "torchtext", "tensorflow", "keras", "jax", "flax"}
    | {"onnx", "onnxruntime", "tensorrt", "tensorrt_rtx", "transformers", "diffusers", "timm"}
    | {"safetensors", "numpy", "scipy", "pandas", "sklearn", "PIL", "cv2", "mxnet", "openvino"}
)
"""Packages that take long to import, and are of no use before something is loaded."""

_CONNECTIONS = ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto")
_PROCESSES = ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork", "os.forkpty")
_CHANGES = ("os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.link", "os.symlink")
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class Watch:
    """What happened while it was on.

    Attributes:
        connections, processes: what was tried, in words.
        written: paths that were opened for writing, made, renamed or removed.
        opened: paths that were opened for reading; modules are left out.
        imported: names of modules that an import statement asked for, also of those
            that were there already.
    """

    def __init__(self) -> None:
        self.connections: list[str] = []
        self.processes: list[str] = []
        self.written: list[str] = []
        self.opened: list[str] = []
        self.imported: list[str] = []

    @property
    def frameworks(self) -> list[str]:
        """The frameworks among what was imported, sorted."""
        return sorted({name.partition(".")[0] for name in self.imported} & FRAMEWORKS)

    def note(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Write down an audit event; those that matter come with a path or an address."""
        if event == "open":
            self._note_open(*arguments)
        elif event in _CHANGES:
            # A link's first path is what it leads to, which stays as it is.
            first = 1 if event in ("os.link", "os.symlink") else 0
            last = 2 if event in ("os.link", "os.symlink", "os.rename") else 1
            self.written += map(_text, arguments[first:last])
        elif event in _CONNECTIONS:
            where = arguments[1] if event in ("socket.connect", "socket.sendto") else arguments[0]
            if _is_address(event, arguments):
                self.connections.append(_text(where))
        elif event in _PROCESSES:
            self.processes.append(_text(arguments[0]) if arguments else event)

    def _note_open(self, path: Any, mode: Any, flags: Any) -> None:
        if isinstance(path, int):
            return
        text = _text(path)
        # O_CLOEXEC and the like are no matter; a mode of None comes from os.open.
        writing = any(letter in (mode or "") for letter in "wax+") or bool(
            isinstance(flags, int) and flags & _WRITING
        )
        if "__pycache__" in text or text.endswith((".pyc", ".py", ".so")) or text == os.devnull:
            return
        (self.written if writing else self.opened).append(text)


_watches: list[Watch] = []
_installed = False
_refusing = 0
_lock = threading.Lock()
_paused = threading.local()


@contextmanager
def watching(own: str = "") -> Iterator[Watch]:
    """Notes what any thread does until the end of the block.

    Args:
        own: top-level package whose modules are imported anew inside the block, so
            that what they import is seen although they were imported before.
    """
    _install()
    watch = Watch()
    before = dict(vars(sys.modules[own])) if own in sys.modules else {}
    hidden = _hide(own)
    statement, function = builtins.__import__, importlib.import_module
    builtins.__import__ = _noting(statement, watch)
    importlib.import_module = _noting(function, watch)
    _watches.append(watch)
    try:
        yield watch
    finally:
        _watches.remove(watch)
        builtins.__import__, importlib.import_module = statement, function
        _put_back(own, hidden, before)


@contextmanager
def unconnected() -> Iterator[None]:
    """No connection is made inside the block: one that is tried is refused."""
    global _refusing
    _install()
    _refusing += 1
    try:
        yield
    finally:
        _refusing -= 1


@contextmanager
def not_watching() -> Iterator[None]:
    """What this thread does inside the block is nobody's business."""
    before = getattr(_paused, "on", False)
    _paused.on = True
    try:
        yield
    finally:
        _paused.on = before


def _install() -> None:
    global _installed
    with _lock:
        if not _installed:
            sys.addaudithook(_hear)
            _installed = True


def _hear(event: str, arguments: tuple[Any, ...]) -> None:
    if not (_watches or _refusing) or getattr(_paused, "on", False):
        return
    if event == "open" or event in _CONNECTIONS or event in _PROCESSES or event in _CHANGES:
        with not_watching():
            for watch in _watches:
                watch.note(event, arguments)
    if _refusing and event in _CONNECTIONS and _is_address(event, arguments):
        raise ConnectionRefusedError(
            "checks of the conformance kit reach no network: ask by host.http"
        )


def _is_address(event: str, arguments: tuple[Any, ...]) -> bool:
    """True for a name or an address of a network; a path is a socket of this machine."""
    return event.startswith("socket.get") or isinstance(arguments[1], tuple)


def _noting(function: Callable[..., Any], watch: Watch) -> Callable[..., Any]:
    def noting(name: str, *arguments: Any, **named: Any) -> Any:
        if not getattr(_paused, "on", False):
            watch.imported.append(name)
        return function(name, *arguments, **named)

    return noting


def _hide(own: str) -> dict[str, ModuleType]:
    """Take a package's inner modules out of ``sys.modules``; the package itself stays."""
    names = [name for name in sys.modules if own and name.startswith(f"{own}.")]
    return {name: sys.modules.pop(name) for name in names}


def _put_back(own: str, hidden: dict[str, ModuleType], before: dict[str, Any]) -> None:
    """The inner modules as they were, and what leads to them: an import also sets an attribute.

    Such an attribute may have taken the place of a function of the same name.
    """
    anew = _hide(own)
    sys.modules.update(hidden)
    for name in anew.keys() | hidden.keys():
        parent, _, leaf = name.rpartition(".")
        if name in hidden:
            setattr(sys.modules[parent], leaf, hidden[name])
        elif parent in sys.modules:
            vars(sys.modules[parent]).pop(leaf, None)
        if parent == own and leaf in before:
            setattr(sys.modules[own], leaf, before[leaf])


def _text(value: Any) -> str:
    return os.fsdecode(value) if isinstance(value, (bytes, os.PathLike)) else str(value)
