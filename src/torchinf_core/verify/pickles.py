"""What a pickle refers to, read off its opcodes without running any of them.

A scanner, not an unpickler: it keeps two strings and a small memo, so that a
pickle of any size costs neither memory nor trust.  Wherever it can't be sure it
says ``unknown``, which callers treat like the worst.  Opcodes: ``pickletools``
of the standard library, against which a test compares the table.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import BinaryIO

MAX_OPCODES = 2_000_000
MAX_LINE = 4096
MAX_BYTES = 1 << 28
MAX_MEMO = 50_000
MAX_TEXT = 256

FIXED = {
    **dict.fromkeys(b"(.012NQRabd}el]ost)u", 0),
    **dict.fromkeys(b"\x81\x85\x86\x87\x88\x89\x8f\x90\x91\x92\x93\x94\x97\x98", 0),
    **dict.fromkeys(b"Khq\x80\x82", 1),
    **dict.fromkeys(b"M\x83", 2),
    **dict.fromkeys(b"Jjr\x84", 4),
    **dict.fromkeys(b"G\x95", 8),
}
COUNTED = {
    **dict.fromkeys(b"UC\x8c\x8a", 1),
    **dict.fromkeys(b"TBX\x8b", 4),
    **dict.fromkeys(b"\x8d\x8e\x96", 8),
}
LINES = dict.fromkeys(b"FILPSVgp", 1) | dict.fromkeys(b"ci", 2)

_UNKNOWN = "unknown"
_STOP, _MEMOIZE, _STACK_GLOBAL = b".\x94\x93"
_TEXTS = frozenset(b"X\x8c\x8dUTSV")
_PUTS = frozenset(b"\x94qrp")
_GETS = frozenset(b"hjg")
_NAMED = frozenset(b"ci")
_GLOBALS = _NAMED | frozenset(b"\x93\x82\x83\x84")
_HEADERS = frozenset(b"\x80\x95")
_SIGNED = frozenset(b"T\x8b")
_SAFE = re.compile(
    r"collections\.(?:OrderedDict|Counter)|_codecs\.encode"
    r"|(?:builtins|__builtin__)\.(?:bytearray|set|complex)"
    r"|torch\.(?:Size|Tensor|device|Generator)"
    r"|torch\.nn\.parameter\.(?:Parameter|Buffer)|torch\.serialization\._get_layout"
    r"|torch\.(?:cuda\.)?(?:sparse\.)?[A-Z][A-Za-z0-9]*(?:Tensor|Storage)"
    r"|torch\.storage\.(?:Typed|Untyped)Storage"
    r"|torch\.(?:u?int|bits|b?float|b?complex)\d\w*|torch\.(?:bool|q\w*int\d\w*|per_\w+affine\w*"
    r"|per_tensor_symmetric|per_channel_symmetric)"
    r"|torch\._utils\._rebuild_(?:parameter|parameter_with_state|qtensor|tensor|tensor_v[23]"
    r"|sparse_tensor|meta_tensor_no_storage|nested_tensor|wrapper_subclass"
    r"|device_tensor_from_numpy|device_tensor_from_cpu_tensor)"
    r"|torch\._tensor\._rebuild_from_type_v2"
    r"|numpy\.(?:ndarray|dtype|dtypes\.\w+DType)"
    r"|numpy\.(?:core|_core)\.(?:multiarray\.(?:_reconstruct|scalar)|numeric\._frombuffer)"
)


@dataclass(frozen=True, slots=True)
class Scan:
    """What one pickle holds.

    Attributes:
        complete: the pickle was read up to its STOP.
        calls: it refers to any global at all.
        foreign: the first global that ``weights_only`` loading would not know
            as harmless, ``"unknown"`` where the scanner could not tell, or None.
    """

    complete: bool
    calls: bool
    foreign: str | None


def scan(stream: BinaryIO) -> Scan:
    """Scan one pickle from where the stream stands; it is left behind the STOP.

    Never raises for any content; what can't be read is not ``complete``.
    """
    source = _Source(stream)
    memo = _Memo()
    below: str | None = None
    top: str | None = None
    calls = False
    foreign: str | None = None
    for _ in range(MAX_OPCODES):
        op = source.opcode()
        argument = None if op is None else source.argument(op)
        if op is None or argument is None:
            break
        if op == _STOP:
            return Scan(complete=True, calls=calls, foreign=foreign)
        if op in _PUTS:
            memo.put(op, argument, top)
        elif op in _GLOBALS:
            calls = True
            name = _global_name(op, argument, below, top)
            foreign = foreign or (None if _SAFE.fullmatch(name) else name)
            below = top = None
        elif op in _TEXTS:
            below, top = top, _short_text(argument)
        elif op in _GETS:
            below, top = top, memo.get(op, argument)
        elif op not in _HEADERS:
            below = top = None
    else:
        foreign = foreign or _UNKNOWN
    foreign = foreign or (_UNKNOWN if source.exhausted else None)
    return Scan(complete=False, calls=calls, foreign=foreign)


class _Memo:
    """The texts a pickle stored, as far as they matter for naming a global."""

    __slots__ = ("_count", "_put", "_texts")

    def __init__(self) -> None:
        self._texts: dict[int, str] = {}
        self._count = 0
        self._put = False

    def put(self, op: int, argument: bytes, text: str | None) -> None:
        if op == _MEMOIZE:
            index = self._count
            self._count += 1
        else:
            index = _index(op, argument)
            self._put = True
        if text is None:
            self._texts.pop(index, None)
        elif index in self._texts or len(self._texts) < MAX_MEMO:
            self._texts[index] = text

    def get(self, op: int, argument: bytes) -> str | None:
        # MEMOIZE counts what PUT stored too; no pickler mixes them, so nobody is believed who does.
        mixed = self._count and self._put
        return None if mixed else self._texts.get(_index(op, argument))


class _Source:
    """The arguments of opcodes, read within a budget of bytes that can't be jumped over."""

    __slots__ = ("_budget", "_stream")

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._budget = MAX_BYTES

    @property
    def exhausted(self) -> bool:
        return self._budget <= 0

    def opcode(self) -> int | None:
        code = self._stream.read(1)
        return code[0] if code and not self.exhausted else None

    def argument(self, op: int) -> bytes | None:
        """Of a long text the first bytes only; None when it is cut or ``op`` is no opcode."""
        if op in FIXED:
            size = FIXED[op]
            argument = self._stream.read(size) if size else b""
            return argument if len(argument) == size else None
        if op in COUNTED:
            width = COUNTED[op]
            count = self._stream.read(width)
            size = int.from_bytes(count, "little")
            if len(count) < width or size >= 1 << (31 if op in _SIGNED else 50):
                return None
            argument = self._stream.read(min(size, MAX_TEXT + 1))
            return argument if self._skip(size - len(argument)) else None
        lines = [self._line() for _ in range(LINES.get(op, 0))]
        texts = [line for line in lines if line is not None]
        return b".".join(texts) if lines and len(texts) == len(lines) else None

    def _skip(self, count: int) -> bool:
        if count and self._stream.seekable():
            self._stream.seek(count - 1, 1)
            return len(self._stream.read(1)) == 1
        while count:
            piece = len(self._stream.read(min(count, 1 << 16)))
            self._budget -= piece
            if not piece or self.exhausted:
                return False
            count -= piece
        return True

    def _line(self) -> bytes | None:
        line = piece = self._stream.readline(MAX_LINE)
        while piece and not piece.endswith(b"\n") and not self.exhausted:
            piece = self._stream.readline(1 << 16)
            self._budget -= len(piece)
        return line.removesuffix(b"\n") if piece.endswith(b"\n") else None


def _global_name(op: int, argument: bytes, below: str | None, top: str | None) -> str:
    if op in _NAMED:
        return argument.decode("utf-8", "replace")
    if op == _STACK_GLOBAL and below is not None and top is not None:
        return f"{below}.{top}"
    return _UNKNOWN


def _short_text(argument: bytes) -> str | None:
    return argument.decode("utf-8", "replace") if len(argument) <= MAX_TEXT else None


def _index(op: int, argument: bytes) -> int:
    if op not in LINES:
        return int.from_bytes(argument, "little")
    return int(argument) if argument.isdigit() and len(argument) < 20 else -1
