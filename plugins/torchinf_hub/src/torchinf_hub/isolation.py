"""Gives a repository's modules a world of their own inside this process.

``import utils`` means another module to each repository, and none of them is
the program's own.  So a repository's modules are imported as parts of a package
with a made-up name, and their import statements go through a function of ours:
by that they find each other under the names they were written with, also when a
function imports something long after it was loaded.  Their source is compared
with the recorded digests as it is read, and no bytecode is read or written.
"""

from __future__ import annotations

import builtins
import hashlib
import importlib
import os
import sys
import threading
import types
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.machinery import (
    ExtensionFileLoader,
    ModuleSpec,
    PathFinder,
    SourceFileLoader,
    SourcelessFileLoader,
)
from pathlib import Path
from typing import Any

from torchinf_core.errors import IntegrityError

PREFIX = "torchinf_hub_code_"
_NEVER = frozenset({"torch", "torchinf_core", "torchinf_hub", *sys.builtin_module_names})
_lock = threading.RLock()
_namespaces: dict[str, Namespace] = {}


class Namespace:
    """The modules of one repository at one commit.

    Args:
        name: of the package that stands for it in ``sys.modules``.
        root: directory of the code.
        digests: sha256 of each file by its path below ``root``.
        installed: packages that are taken from this Python although the
            repository has them too.

    Attributes:
        name, root: as above.
        builtins: what its modules see as built-ins.
    """

    def __init__(
        self, name: str, root: str, digests: Mapping[str, str], installed: Sequence[str]
    ) -> None:
        self.name = name
        self.root = root
        self._digests = digests
        self._installed = _NEVER.union(installed)
        self._owned: dict[tuple[str, int], bool] = {}
        self._seen_path: list[str] = []
        self._package = types.ModuleType(name)
        self._package.__path__ = [root]
        self.builtins = {**vars(builtins), "__import__": self._import}
        sys.modules[name] = self._package

    def module(self, name: str) -> types.ModuleType:
        """Import a module of the repository by its own name."""
        return importlib.import_module(f"{self.name}.{name}")

    def owns(self, top: str) -> bool:
        """True when a top-level name means something in the repository.

        What Python's own library has loaded already stays what it is, as it does
        under torch.hub; a folder without ``__init__.py`` gives way to a package.
        """
        self._follow_sys_path()
        key = (top, len(self._package.__path__))
        if key not in self._owned:
            self._owned[key] = self._finds(top)
        return self._owned[key]

    def check(self, path: str, content: bytes) -> None:
        """Refuse source that is not as recorded.

        Raises:
            IntegrityError: it has another digest, or none was recorded.
        """
        name = Path(path).relative_to(self.root).as_posix()
        digest = hashlib.sha256(content).hexdigest()
        if self._digests.get(name) != digest:
            raise IntegrityError(
                f"{path} is not what was downloaded: its sha256 is {digest}, "
                f"recorded is {self._digests.get(name, 'none')}",
                hint="torchinf verify NAME, or torchinf download of the same reference again",
            )

    @contextmanager
    def active(self) -> Iterator[None]:
        """For the block, let this thread find the repository's modules by name alone.

        ``importlib.import_module`` and pickles need that; whatever the program
        has under such names is put aside and comes back.  One block at a time.
        """
        with _lock:
            paths = set(sys.path)
            hidden = {name: module for name, module in sys.modules.items() if self._hides(name)}
            for name in hidden:
                del sys.modules[name]
            finder = _Aliases(self, threading.get_ident())
            sys.meta_path.insert(0, finder)
            try:
                yield
            finally:
                sys.meta_path.remove(finder)
                self._follow_sys_path()
                sys.path[:] = [p for p in sys.path if p in paths or not self._contains(p)]
                for name in [name for name in sys.modules if self._hides(name)]:
                    del sys.modules[name]
                sys.modules.update(hidden)

    def _import(
        self,
        name: str,
        globals: Mapping[str, Any] | None = None,  # noqa: A002 - the names of __import__
        locals: Mapping[str, Any] | None = None,  # noqa: A002
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> types.ModuleType:
        """``__import__`` as the repository's modules see it."""
        top = name.partition(".")[0]
        if level or not self.owns(top):
            return builtins.__import__(name, globals, locals, fromlist or (), level)
        found = builtins.__import__(f"{self.name}.{name}", globals, locals, fromlist or (), 0)
        return found if fromlist else sys.modules[f"{self.name}.{top}"]

    def _hides(self, name: str) -> bool:
        return self.owns(name.partition(".")[0])

    def _finds(self, top: str) -> bool:
        if top in self._installed or (top in sys.stdlib_module_names and top in sys.modules):
            return False
        spec = PathFinder.find_spec(f"{self.name}.{top}", self._package.__path__)
        if spec is None:
            return False
        if spec.origin is not None:
            return True
        others = [path for path in sys.path if not self._contains(path)]
        return PathFinder.find_spec(top, others) is None

    def _follow_sys_path(self) -> None:
        """What the code appends to ``sys.path`` below its own root is a root of it, too."""
        if sys.path == self._seen_path:
            return
        self._seen_path = list(sys.path)
        known = self._package.__path__
        known += [path for path in sys.path if path not in known and self._contains(path)]

    def _contains(self, path: str) -> bool:
        return f"{os.path.realpath(path)}{os.sep}".startswith(f"{self.root}{os.sep}")


def namespace(root: Path, digests: Mapping[str, str], installed: Sequence[str] = ()) -> Namespace:
    """The namespace of a directory; the same one every time."""
    place = os.path.realpath(root)
    key = "\0".join([place, *sorted(installed)])
    name = PREFIX + hashlib.sha256(key.encode()).hexdigest()[:16]
    with _lock:
        if not any(isinstance(finder, _Private) for finder in sys.meta_path):
            sys.meta_path.insert(0, _Private())
        if name not in _namespaces:
            _namespaces[name] = Namespace(name, place, digests, installed)
        return _namespaces[name]


class _Source(SourceFileLoader):
    """Runs recorded source, and nothing that was compiled from it before."""

    def __init__(self, fullname: str, path: str, space: Namespace) -> None:
        super().__init__(fullname, path)
        self._space = space

    def get_code(self, fullname: str) -> types.CodeType:
        path = self.get_filename(fullname)
        content = self.get_data(path)
        self._space.check(path, content)
        code: types.CodeType = self.source_to_code(content, path)
        return code

    def exec_module(self, module: types.ModuleType) -> None:
        vars(module)["__builtins__"] = self._space.builtins
        super().exec_module(module)


class _Private:
    """Finds modules by their made-up names."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> ModuleSpec | None:
        space = _namespaces.get(fullname.partition(".")[0])
        if space is None:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is None or spec.origin is None:
            return spec
        if isinstance(spec.loader, SourcelessFileLoader):
            return None
        if isinstance(spec.loader, ExtensionFileLoader):
            space.check(spec.origin, Path(spec.origin).read_bytes())
        else:
            spec.loader = _Source(fullname, spec.origin, space)
            spec.cached = None
        return spec


class _Aliases:
    """Finds a repository's modules by their own names, for one thread."""

    def __init__(self, space: Namespace, thread: int) -> None:
        self._space = space
        self._thread = thread

    def find_spec(
        self, fullname: str, _path: Sequence[str] | None, _target: types.ModuleType | None = None
    ) -> ModuleSpec | None:
        if threading.get_ident() != self._thread or not self._space.owns(
            fullname.partition(".")[0]
        ):
            return None
        try:
            return ModuleSpec(fullname, _Alias(self._space.module(fullname)))  # type: ignore[arg-type]
        except ModuleNotFoundError as error:
            if error.name == f"{self._space.name}.{fullname}":
                return None
            raise


class _Alias:
    """Loads a module by taking the one that is there."""

    def __init__(self, module: types.ModuleType) -> None:
        self._module = module
        self._spec = module.__spec__

    def create_module(self, _spec: ModuleSpec) -> types.ModuleType:
        return self._module

    def exec_module(self, module: types.ModuleType) -> None:
        module.__spec__ = self._spec
