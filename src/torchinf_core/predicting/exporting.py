"""Results for others: as JSON, and in files that are whole or not there.

JSON has neither arrays nor numbers without end: arrays become lists, and what is
not finite becomes null.  A file is written beside its place and moved there at the
end, row by row, so that neither memory nor an interrupt limits what goes into it.
"""

from __future__ import annotations

import json
import math
import os
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import suppress
from io import BytesIO
from types import TracebackType
from typing import Any, BinaryIO, Self

from torchinf_core.errors import MissingDependencyError, OptionError, UsageError, from_os_error

_ROWS = 256
"""Results in one group of a Parquet file."""


def to_json(value: Any) -> str:
    """A result as one line of JSON."""
    try:
        return json.dumps(value, default=_known, allow_nan=False)
    except ValueError:
        return json.dumps(_finite(value), default=lambda item: _finite(_known(item)))


def _known(value: Any) -> Any:
    """Arrays, tensors, and single numbers of them, as Python has them; all else as text."""
    if hasattr(value, "detach"):
        value = value.detach().cpu()
    if hasattr(value, "tolist"):
        return value.tolist()
    return dict(value) if isinstance(value, Mapping) else str(value)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return value


def _python(value: Any) -> Any:
    """A result as lists, dicts, texts and numbers, finite or not."""
    if isinstance(value, Mapping):
        return {str(key): _python(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_python(item) for item in value]
    return value if value is None or isinstance(value, (str, int, float)) else _known(value)


class Export(ABC):
    """A file that takes one result after the other; use it in a ``with``.

    Args:
        path: where it will be; its ending says the format.
        force: replace what is there.

    Raises:
        UsageError: something is there, and ``force`` is False.
        OptionError: no format has that ending.
        MissingDependencyError: Parquet needs pyarrow.
    """

    def __init__(self, path: str, *, force: bool = False) -> None:
        self.path = os.path.abspath(path)
        if os.path.isdir(self.path) or (os.path.lexists(self.path) and not force):
            raise UsageError(f"{path!r} is there already", hint="--force replaces it")
        folder, name = os.path.split(self.path)
        self._part = f"{folder}/.{name[:100]}.{os.urandom(4).hex()}.part"
        self._file: BinaryIO = BytesIO()

    def open(self) -> None:
        """Begin the file; whoever calls this sees to it that ``__exit__`` is called.

        Raises:
            StoreError: the directory can't be written.
        """
        try:
            self._file = open(self._part, "xb")  # noqa: SIM115 - closed by __exit__
        except OSError as error:
            raise from_os_error(error, os.path.dirname(self.path)) from None

    @abstractmethod
    def add(self, name: str, result: Any) -> None:
        """Write the result of one input.

        Raises:
            OptionError: this format can't hold such a result.
            StoreError: the disk is full.
        """

    def finish(self) -> None:  # noqa: B027 - most formats need none
        """Write what belongs at the end."""

    def abandon(self) -> None:  # noqa: B027
        """Let go of what was opened; the file is deleted next."""

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None
    ) -> None:
        """Put the file in its place, or delete it after an error."""
        try:
            if kind is None:
                try:
                    self.finish()
                    self._file.close()
                    os.replace(self._part, self.path)
                except OSError as error:
                    raise from_os_error(error, self.path) from None
            else:
                self.abandon()
        finally:
            with suppress(OSError, ValueError):
                self._file.close()
            with suppress(OSError):
                os.unlink(self._part)


class JsonLines(Export):
    """One JSON object a line: ``{"input": …, "result": …}``."""

    def add(self, name: str, result: Any) -> None:
        """Write a line."""
        try:
            self._file.write(to_json({"input": name, "result": result}).encode() + b"\n")
        except OSError as error:
            raise from_os_error(error, self.path) from None


class Archive(Export):
    """A ``.npz`` of arrays: ``np.load(path)[input]``, or ``[input/output]`` for several outputs."""

    def __init__(self, path: str, *, force: bool = False) -> None:
        super().__init__(path, force=force)
        self._zip: Any = None
        self._names: set[str] = set()

    def open(self) -> None:
        """Begin the archive."""
        import zipfile

        super().open()
        self._zip = zipfile.ZipFile(self._file, "w", allowZip64=True)

    def add(self, name: str, result: Any) -> None:
        """Add the arrays of one result."""
        outputs = result if isinstance(result, Mapping) else {"": result}
        if not outputs or not all(hasattr(value, "dtype") for value in outputs.values()):
            raise OptionError(
                f"a .npz file holds arrays, and the result for {name[:80]!r} is none",
                hint="--out FILE.jsonl or FILE.parquet",
            )
        import numpy as np

        for output, value in outputs.items():
            with self._zip.open(f"{self._member(name, output)}.npy", "w", force_zip64=True) as file:
                np.lib.format.write_array(file, np.asarray(value), allow_pickle=False)

    def _member(self, name: str, output: str) -> str:
        """A name that is new, and leads nowhere if somebody unpacks the file."""
        parts = [part for part in name.split("/") if part not in ("", ".", "..")]
        stem = wanted = "/".join([*parts, *([output] if output else [])]) or "result"
        number = 1
        while wanted in self._names:
            number += 1
            wanted = f"{stem}#{number}"
        self._names.add(wanted)
        return wanted

    def finish(self) -> None:
        """Write the directory of the archive."""
        self._zip.close()

    def abandon(self) -> None:
        """Close it."""
        if self._zip is not None:
            with suppress(OSError, ValueError):
                self._zip.close()


class Table(Export):
    """A Parquet file: a column ``input``, and one for each output, or ``result``.

    The first results say which columns there are and of what type.
    """

    def __init__(self, path: str, *, force: bool = False) -> None:
        try:
            import pyarrow.parquet  # noqa: F401 - found missing before anything is computed
        except ImportError:
            raise MissingDependencyError(
                "Parquet files need pyarrow, which is not installed", hint="pip install pyarrow"
            ) from None
        super().__init__(path, force=force)
        self._rows: list[dict[str, Any]] = []
        self._schema: Any = None
        self._writer: Any = None

    def add(self, name: str, result: Any) -> None:
        """Take a row; several are written at once."""
        columns = dict(result) if isinstance(result, Mapping) else {"result": result}
        columns.pop("input", None)
        self._rows.append({"input": name, **columns})
        if len(self._rows) >= _ROWS:
            self._write()

    def finish(self) -> None:
        """Write the last rows and the footer; a file without rows has a column all the same."""
        self._write()
        self._writer.close()

    def abandon(self) -> None:
        """Close it."""
        if self._writer is not None:
            with suppress(Exception):
                self._writer.close()

    def _write(self) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        if self._writer is None:
            self._schema = _schema(self._rows)
            self._writer = pq.ParquetWriter(self._file, self._schema)
        if not self._rows:
            return
        try:
            plain = [_python(row) for row in self._rows]
            table = pa.Table.from_pylist(plain, schema=self._schema)
        except (pa.ArrowException, TypeError) as error:
            raise OptionError(
                f"the results do not fit into one table: {str(error)[:200]}",
                hint="--out FILE.jsonl takes any result",
            ) from None
        self._writer.write_table(table)
        self._rows = []


def _schema(rows: list[dict[str, Any]]) -> Any:
    import pyarrow as pa

    inferred = pa.Table.from_pylist([_python(row) for row in rows])
    fields = [pa.field("input", pa.string())]
    for name in rows[0] if rows else ():
        if name == "input":
            continue
        value = rows[0][name]
        kind = inferred.schema.field(name).type
        dtype = str(getattr(value, "dtype", ""))
        if dtype.removeprefix("torch.") in ("float32", "int64", "int32", "uint8", "bool"):
            # JSON knows no float32; the file keeps what the model gave.
            kind = pa.from_numpy_dtype(dtype.removeprefix("torch."))
            for _ in value.shape:
                kind = pa.list_(kind)
        fields.append(pa.field(name, kind))
    return pa.schema(fields)


_KINDS: dict[str, type[Export]] = {".jsonl": JsonLines, ".npz": Archive, ".parquet": Table}


def export(path: str, *, force: bool = False) -> Export:
    """A file for results, in the format that its ending says; see :class:`Export`."""
    kind = _KINDS.get(os.path.splitext(path)[1].lower())
    if kind is None:
        raise OptionError(f"{path!r} ends in none of {', '.join(sorted(_KINDS))}")
    return kind(path, force=force)
