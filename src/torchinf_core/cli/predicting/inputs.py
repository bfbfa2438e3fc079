"""Words of the command line as inputs of a model, one by one, however many there are.

A word is a file or a directory, ``-`` for stdin, ``@FILE`` for a file with one input
a line, or the input itself: a text, or JSON.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from torchinf_core.errors import InputError
from torchinf_core.predicting import arrays, items
from torchinf_core.runtimes import ItemKind, Signature

ARRAYS = (".npy", ".npz")
LINES = (".jsonl", ".txt")
_MAPPING = 'a JSON object, such as \'{"question": "…", "context": "…"}\''


class Item:
    """One input.

    Attributes:
        name: what the user calls it: a path, the text itself, ``FILE:LINE``.
        read: gives the value; raises InputError.
    """

    __slots__ = ("name", "read")

    def __init__(self, name: str, read: Callable[[], Any]) -> None:
        self.name = name
        self.read = read


class Inputs:
    """The inputs that words stand for.

    Attributes:
        count: how many there are, or None when that shows only at the end.
        several: True where results are told apart by name.
    """

    def __init__(
        self,
        words: Sequence[str],
        kind: ItemKind,
        signature: Signature,
        picture: Callable[[str], Any] | None = None,
    ) -> None:
        self._picture = picture or (lambda path: items.to_item(path, "image"))
        self._kind = kind
        self._signature = signature
        found = [self._expanded(word) for word in words]
        known = [part for part in found if isinstance(part, list)]
        self._parts: list[Iterable[Item]] = [*found]
        self.count = sum(map(len, known)) if len(known) == len(found) else None
        self.several = len(words) > 1 or self.count != 1 or os.path.isdir(words[0])

    def __iter__(self) -> Iterator[Item]:
        for part in self._parts:
            yield from part

    def _expanded(self, word: str) -> list[Item] | Iterator[Item]:
        """The inputs of one word: a list, or an iterator where they are lines."""
        if word == "-":
            return self._lines(word)
        if word[:1] == "@" and len(word) > 1:
            if os.path.isfile(word[1:]):
                return self._lines(word[1:])
            if " " not in word:
                raise InputError(f"there is no file {word[1:]!r}, which {word!r} asks for")
        if _ending(word) in LINES and os.path.isfile(word):
            return self._lines(word)
        if os.path.isdir(word):
            return self._directory(word)
        if _ending(word) == ".json" and self._kind in ("text", "mapping") and os.path.isfile(word):
            return self._json_file(word)
        return [Item(word, lambda: self._one(word))]

    def _directory(self, word: str) -> list[Item]:
        endings = {"image": items.PICTURES, "array": (".npy",)}.get(self._kind)
        if endings is None:
            raise InputError(
                f"{word!r} is a directory, and the model takes {_wanted(self._kind)}",
                hint="@FILE or - gives one input a line",
            )
        found = sorted(
            f"{folder}/{name}"
            for folder, _, names in os.walk(word.rstrip("/") or "/")
            for name in names
            if _ending(name) in endings and not name.startswith(".")
        )
        if not found:
            raise InputError(f"{word!r} holds no {' or '.join(endings)} file")
        return [self._file(path) for path in found]

    def _file(self, path: str) -> Item:
        return Item(path, lambda: self._one(path))

    def _lines(self, path: str) -> Iterator[Item]:
        as_json = _ending(path) == ".jsonl"
        for number, line in enumerate(_lines_of(path), 1):
            text = line.strip("\r\n")
            if text.strip():
                place = f"{'stdin' if path == '-' else path}:{number}"
                yield self._line(text, place, as_json=as_json)

    def _line(self, text: str, place: str, *, as_json: bool) -> Item:
        if self._kind == "mapping" or as_json or (self._kind == "array" and text[0] in "[{"):
            return Item(place, lambda: self._from_json(text, place))
        return Item(text, lambda: self._one(text))

    def _json_file(self, path: str) -> list[Item]:
        value = arrays.read(path, self._signature)
        if not isinstance(value, list):
            return [Item(path, lambda: self._fitting(value, path))]
        if not value:
            raise InputError(f"{path!r} holds an empty list")
        named = ((f"{path}:{number}", each) for number, each in enumerate(value, 1))
        return [self._valued(name, each) for name, each in named]

    def _valued(self, name: str, value: Any) -> Item:
        return Item(name, lambda: self._fitting(value, name))

    def _one(self, word: str) -> Any:
        """The value of a word that stands for one input."""
        if _ending(word) in ARRAYS:
            return arrays.read(word, self._signature)
        if self._kind == "image":
            if _ending(word) == ".json":
                return arrays.read(word, self._signature)
            return self._picture(word)
        if self._kind == "text":
            return word
        if self._kind == "array" and word.lstrip()[:1] not in ("[", "{"):
            return arrays.read(word, self._signature)
        return self._from_json(word, word)

    def _from_json(self, text: str, name: str) -> Any:
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            wanted = _MAPPING if self._kind == "mapping" else "JSON"
            raise InputError(f"{_short(name)} is not {wanted}") from None
        return self._fitting(value, name)

    def _fitting(self, value: Any, name: str) -> Any:
        """A value out of JSON, if the model takes such; arrays it takes in any case."""
        if self._kind == "mapping" and isinstance(value, dict):
            return value
        if self._kind == "text":
            if isinstance(value, dict) and isinstance(value.get("text"), str):
                return value["text"]
            if isinstance(value, str):
                return value
        if self._kind == "image" and isinstance(value, str):
            return self._picture(value)
        if arrays.is_raw(value):
            return value
        raise InputError(f"{_short(name)} is not what the model takes: {_wanted(self._kind)}")


def see_files(words: Iterable[str]) -> None:
    """Find a misspelt path before a model is loaded, or even downloaded.

    Raises:
        InputError: a word has the form of a path of a picture or of arrays, and
            nothing is there.
    """
    for word in words:
        is_path = _ending(word) in (*items.PICTURES, *ARRAYS) and len(word.split()) == 1
        if is_path and not os.path.exists(word):
            raise InputError(f"there is no file {word!r}")


def is_whole(value: Any, signature: Signature) -> bool:
    """True for arrays to be given to the model as they are, with their own batch axis."""
    if not arrays.is_raw(value):
        return False
    specs = signature.inputs
    if not specs or any(spec.shape is None for spec in specs):
        return True
    if isinstance(value, dict):
        if any(spec.name not in value for spec in specs):
            return True
        pairs = [(value[spec.name], len(spec.shape or ())) for spec in specs]
    else:
        pairs = [(value, len(specs[0].shape or ()))]
    return not all(_rank(given) == rank - 1 for given, rank in pairs)


def _rank(value: Any) -> int:
    shape = getattr(value, "shape", None)
    if shape is not None:
        return len(shape)
    rank = 0
    while isinstance(value, (list, tuple)):
        rank += 1
        value = value[0] if value else None
    return rank


def _lines_of(path: str) -> Iterator[str]:
    name = "stdin" if path == "-" else path
    try:
        if path == "-":
            yield from sys.stdin or ()
            return
        with open(path, encoding="utf-8") as file:
            yield from file
    except OSError as error:
        raise InputError(f"{name!r} can't be read: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise InputError(f"{name!r} is not text in UTF-8") from None


def _ending(path: str) -> str:
    return os.path.splitext(path)[1].lower()


def _wanted(kind: ItemKind) -> str:
    words = {"image": "pictures", "text": "texts", "array": "arrays of numbers"}
    return words.get(kind, "JSON objects")


def _short(text: str) -> str:
    return repr(text if len(text) <= 80 else f"{text[:77]}...")
