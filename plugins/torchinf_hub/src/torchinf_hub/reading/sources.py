"""The modules of a repository as syntax trees; their code is parsed and never run."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from torchinf_core.errors import FormatError

MAX_SOURCE = 2 << 20
MAX_MODULES = 500
_BASES = ("", "src/")
"""Where absolute imports begin: the root, and where a root often leads by sys.path."""


@dataclass(frozen=True, slots=True, eq=False)
class Module:
    """A parsed module.

    Attributes:
        name: dotted, as the repository's own code imports it.
        is_package: True for an ``__init__.py``.
        doc: its docstring or None.
        bindings: statement that binds each module-level name; of several the
            last, but what ``try`` and ``if`` do before what they do instead.
        additions: statements that put an item into a module-level dict.
        stars: modules whose names are all imported, as written.
    """

    name: str
    is_package: bool
    doc: str | None
    bindings: dict[str, ast.stmt] = field(default_factory=dict)
    additions: dict[str, list[ast.Assign]] = field(default_factory=dict)
    stars: list[ast.ImportFrom] = field(default_factory=list)

    @property
    def package(self) -> str:
        """What relative imports are relative to."""
        return self.name if self.is_package else self.name.rpartition(".")[0]


class Sources:
    """The Python files below a directory, parsed when somebody asks for one.

    Args:
        root: the directory.
        files: paths below it that may be read.
    """

    def __init__(self, root: Path, files: Collection[str]) -> None:
        self._root = root
        self._files = frozenset(files)
        self._folders = frozenset(
            "/".join(path.split("/")[:depth])
            for path in files
            if path.endswith(".py")
            for depth in range(1, path.count("/") + 1)
        )
        self._modules: dict[str, Module | None] = {}

    def has(self, name: str) -> bool:
        """True for a module, a package or a folder with modules in it."""
        place = name.replace(".", "/")
        return self._path(name) is not None or any(base + place in self._folders for base in _BASES)

    def module(self, name: str) -> Module | None:
        """A module by its dotted name, or None if it is not here or can't be read."""
        if name not in self._modules:
            path = self._path(name)
            try:
                full = path is None or len(self._modules) >= MAX_MODULES
                self._modules[name] = None if full or path is None else self._parse(name, path)
            except FormatError:
                self._modules[name] = None
        return self._modules[name]

    def required(self, name: str) -> Module:
        """A module that must be readable.

        Raises:
            FormatError: it is not Python of this version, or too large.
        """
        path = self._path(name)
        if path is None:
            raise FormatError(f"there is no {name}.py")
        found = self._modules[name] = self._parse(name, path)
        return found

    def _path(self, name: str) -> str | None:
        place = name.replace(".", "/")
        candidates = (
            f"{base}{place}{ending}" for base in _BASES for ending in ("/__init__.py", ".py")
        )
        return next((path for path in candidates if path in self._files), None)

    def _parse(self, name: str, path: str) -> Module:
        with open(self._root / path, "rb") as file:
            code = file.read(MAX_SOURCE + 1)
        if len(code) > MAX_SOURCE:
            raise FormatError(f"{path} is larger than {MAX_SOURCE} bytes")
        return parse(code, name, path)


def parse(code: bytes, name: str, path: str) -> Module:
    """A module from its source.

    Raises:
        FormatError: it is not Python of this version.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(code)
    except SyntaxError as error:
        place = f", line {error.lineno}" if error.lineno else ""
        raise FormatError(f"{path}{place} can't be read as Python: {error.msg}") from None
    except (ValueError, RecursionError, MemoryError) as error:
        reason = str(error) or "it is nested too deeply"
        raise FormatError(f"{path} can't be read as Python: {reason}") from None
    found = Module(name, path.endswith("__init__.py"), ast.get_docstring(tree))
    for statement in _flattened(tree.body):
        _bind(found, statement)
    return found


def targets(node: ast.expr) -> Iterator[str]:
    """Names that an assignment to ``node`` binds."""
    if isinstance(node, ast.Name):
        yield node.id
    elif isinstance(node, (ast.Tuple, ast.List)):
        for item in node.elts:
            yield from targets(item)
    elif isinstance(node, ast.Starred):
        yield from targets(node.value)


def _flattened(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements of a module that bind names, nested ones before what outweighs them."""
    for statement in body:
        if isinstance(statement, ast.If):
            yield from _flattened(statement.orelse)
            yield from _flattened(statement.body)
        elif isinstance(statement, (ast.Try, ast.TryStar)):
            for handler in statement.handlers:
                yield from _flattened(handler.body)
            yield from _flattened([*statement.body, *statement.orelse, *statement.finalbody])
        elif isinstance(statement, (ast.With, ast.For, ast.While)):
            yield from _flattened(statement.body)
        else:
            yield statement


def _bind(module: Module, statement: ast.stmt) -> None:
    if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        module.bindings[statement.name] = statement
    elif isinstance(statement, ast.Import):
        for alias in statement.names:
            module.bindings[alias.asname or alias.name.partition(".")[0]] = statement
    elif isinstance(statement, ast.ImportFrom):
        for alias in statement.names:
            module.bindings[alias.asname or alias.name] = statement
        if module.bindings.pop("*", None) is not None:
            module.stars.append(statement)
    elif isinstance(statement, ast.Assign):
        for target in statement.targets:
            if isinstance(target, ast.Subscript) and isinstance(target.value, ast.Name):
                module.additions.setdefault(target.value.id, []).append(statement)
        module.bindings.update({name: statement for t in statement.targets for name in targets(t)})
    elif isinstance(statement, ast.AnnAssign) and statement.value is not None:
        module.bindings.update(dict.fromkeys(targets(statement.target), statement))
