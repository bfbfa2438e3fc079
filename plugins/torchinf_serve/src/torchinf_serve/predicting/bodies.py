"""From the body of a request to work for a model.

Nothing in a body is ever taken for a path or an address: a picture comes as bytes or
as a ``data:`` URL, and a text is a text.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import numpy as np
import orjson

from torchinf_core.errors import InputError, OptionError
from torchinf_core.predicting import arrays, items
from torchinf_core.runtimes import Array
from torchinf_serve.computing.item import Item
from torchinf_serve.computing.work import Arrays, Things
from torchinf_serve.predicting.exchange import BadBodyError, MediaTypeError, Scope, header
from torchinf_serve.predicting.npy import MAGIC, read_npy

if TYPE_CHECKING:
    from torchinf_serve.computing.served import Facts

ARRAYS = ("application/octet-stream", "application/x-npy", "application/npy")
MOST_PARTS = 64
RESERVED = ("batch_size", "inputs", "self")


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request asks for.

    Attributes:
        item: to be computed.
        one: True when the answer is that to a single thing: the only result, or
            arrays without the batch axis that was added.
    """

    item: Item
    one: bool


async def read_request(scope: Scope, body: bytearray, facts: Facts) -> Asked:
    """Read a body by its content type.

    Raises:
        MediaTypeError: of another type than these.
        BadBodyError: it is not what its type says.
        InputError: the model can't take it.
        OptionError: an option that nobody can give.
    """
    kind = header(scope, b"content-type").partition(b";")[0].strip().lower().decode("latin-1")
    if kind == "application/json":
        return from_json(body, facts)
    if kind == "multipart/form-data":
        inputs, options = await _from_form(scope, body, facts)
        return ask(inputs, options, facts)
    options = _options_of(scope)
    if kind in ARRAYS:
        return ask(_array_or_picture(body, facts), options, facts)
    if kind.startswith("image/"):
        return ask(bytes(body), options, facts)
    raise MediaTypeError(
        f"the body is {kind[:60]!r}" if kind else "the request has no content type",
        hint="application/json, multipart/form-data, image/… or application/octet-stream "
        "with a .npy file",
    )


def from_json(body: bytes | bytearray, facts: Facts) -> Asked:
    """Read ``{"inputs": …, "options": {…}}``.

    Raises:
        BadBodyError, InputError, OptionError: as for :func:`read_request`.
    """
    try:
        asked = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadBodyError(f"the body is no JSON: {error}") from None
    if type(asked) is not dict or "inputs" not in asked:
        raise BadBodyError('the body lacks "inputs"', hint='{"inputs": ..., "options": {...}}')
    options = asked.get("options") or {}
    if len(asked) > 1 + ("options" in asked):
        other = next(key for key in asked if key not in ("inputs", "options"))
        raise OptionError(f"nobody knows {other[:60]!r}", hint='options go into "options"')
    return ask(asked["inputs"], options, facts)


def ask(inputs: Any, options: Any, facts: Facts) -> Asked:
    """Make work of what was read: through the pipeline, or arrays as they are.

    Raises:
        InputError, OptionError: as for :func:`read_request`.
    """
    if not options and facts.kind == "array":
        feeds = facts.reader.read(inputs)
        if feeds is not None:
            return Asked(make_item(feeds, facts), one=False)
    if not isinstance(options, dict) or any(name in RESERVED for name in options):
        raise OptionError('"options" are those of the model, by name')
    if facts.kind != "array" and not _is_raw(inputs, facts):
        many = type(inputs) is list
        things = Things([_thing(item, facts) for item in (inputs if many else [inputs])], options)
        if not things.items:
            raise InputError("there are no inputs")
        return Asked(Item(things, things.key(), len(things.items)), one=not many)
    if options:
        raise OptionError(f"{facts.record.name!r} takes no options with arrays")
    return ask_arrays(inputs, facts)


def ask_arrays(inputs: Any, facts: Facts) -> Asked:
    """Make work of arrays, or of lists of numbers.

    Raises:
        InputError: the model can't take them.
    """
    if type(inputs) is dict:
        inputs = {name: _explicit(value) for name, value in inputs.items()}
    if not arrays.is_raw(inputs):
        raise InputError(f"the model takes {facts.signature.inputs_text}, as lists of numbers")
    feeds = arrays.to_feeds(inputs, facts.signature)
    for name, array in feeds.items():
        if array.dtype.kind in "OSU" and not _takes_texts(name, facts):
            raise InputError(f"the input {name!r} holds more than numbers")
    one = arrays.add_batch(feeds, inputs, facts.signature)
    arrays.check(feeds, facts.signature)
    return Asked(make_item(feeds, facts), one)


def make_item(feeds: dict[str, Array], facts: Facts) -> Item:
    """An item of checked arrays; it can be joined with others where the model allows."""
    joiner = facts.joiner
    key, rows = joiner.key(feeds) if joiner.possible else (None, 1)
    return Item(Arrays(feeds), key, rows)


# INSIDE


def _is_raw(inputs: Any, facts: Facts) -> bool:
    """True for arrays, False for what goes through the pipeline, as the predictor decides."""
    if facts.kind == "image" and (_is_encoded(inputs) or items.is_picture(inputs)):
        return False
    if facts.kind == "mapping" and type(inputs) is dict:
        names = {spec.name for spec in facts.signature.inputs}
        return bool(names) and set(inputs) == names and arrays.is_raw(inputs)
    return arrays.is_raw(inputs)


def _is_encoded(value: Any) -> bool:
    return type(value) is dict and set(value) == {"base64"}


def _thing(value: Any, facts: Facts) -> Any:
    """One thing for the pipeline.

    Raises:
        InputError: it is of another kind.
    """
    kind = facts.kind
    if kind == "image":
        if isinstance(value, bytes) or items.is_picture(value):
            return value
        text = value["base64"] if _is_encoded(value) else value
        if isinstance(text, str) and (text.startswith("data:") or text is not value):
            try:
                return base64.b64decode(text[5:].partition(",")[2] if text is value else text)
            except (binascii.Error, ValueError):
                raise InputError("the picture's base64 can't be read") from None
        raise InputError(
            "the model takes a picture",
            hint="send its bytes as image/…, as a file of multipart/form-data, or as "
            '{"inputs": {"base64": "..."}}',
        )
    if kind == "text":
        if isinstance(value, bytes):
            try:
                return value.decode()
            except UnicodeDecodeError:
                raise InputError("the text is not UTF-8") from None
        if isinstance(value, str):
            return value
        raise InputError("the model takes a text")
    if isinstance(value, Mapping):
        return dict(value)
    raise InputError('the model takes a dict: {"inputs": {...}}')


def _explicit(value: Any) -> Any:
    """The array of ``{"shape": …, "dtype": …, "data": …}``, as answers show them."""
    if type(value) is not dict:
        return value
    if set(value) != {"shape", "dtype", "data"}:
        raise InputError("an array is a list, or has shape, dtype and data")
    try:
        dtype = np.dtype(value["dtype"])
        if dtype.kind not in "biuf":
            raise InputError(f"no arrays of {str(dtype)[:30]} are taken")
        return np.array(value["data"], dtype).reshape(value["shape"])
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(f"that makes no array: {str(error)[:200]}") from None


def _takes_texts(name: str, facts: Facts) -> bool:
    return any(spec.name == name and spec.dtype == "object" for spec in facts.signature.inputs)


def _array_or_picture(body: bytearray, facts: Facts) -> Any:
    if facts.kind == "image" and body[:6] != MAGIC:
        return bytes(body)
    return read_npy(body)


def _options_of(scope: Scope) -> dict[str, Any]:
    """Options of a query: numbers as numbers."""
    pairs = parse_qsl(scope["query_string"].decode("latin-1"), max_num_fields=32)
    return {name: _option(value) for name, value in pairs}


def _option(value: str) -> Any:
    try:
        found = orjson.loads(value)
    except orjson.JSONDecodeError:
        return value
    return found if isinstance(found, (int, float, bool)) else value


async def _from_form(scope: Scope, body: bytearray, facts: Facts) -> tuple[Any, dict[str, Any]]:
    """The inputs and options of a form: files, or a field ``inputs``; a field ``options``."""
    from starlette.datastructures import Headers, UploadFile
    from starlette.formparsers import MultiPartException, MultiPartParser

    async def stream() -> AsyncIterator[bytes]:
        yield bytes(body)
        yield b""

    found: list[Any] = []
    options: dict[str, Any] = {}
    try:
        parser = MultiPartParser(
            Headers(scope=scope),
            stream(),  # type: ignore[arg-type]
            max_files=MOST_PARTS,
            max_fields=MOST_PARTS,
            max_part_size=len(body),
        )
        form = await parser.parse()
    except (MultiPartException, KeyError, ValueError) as error:
        text = getattr(error, "message", "") or "it is damaged"
        raise BadBodyError(f"the form can't be read: {text}") from None
    try:
        for name, value in form.multi_items():
            if isinstance(value, UploadFile):
                content = await value.read()
                is_array = content[:6] == MAGIC
                found.append(read_npy(bytearray(content)) if is_array else content)
            elif name == "options":
                options = _parsed(value)
            elif name == "inputs":
                found.append(value if facts.kind == "text" else _parsed(value))
            else:
                options[name] = _option(value)
    finally:
        await form.close()
    if not found:
        raise InputError("the form has no file and no field 'inputs'")
    if facts.kind == "array" and len(found) > 1:
        raise InputError("one file of arrays is taken at once")
    return (found[0] if len(found) == 1 else found), options


def _parsed(text: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise BadBodyError(f"a field of the form is no JSON: {error}") from None
