"""What a call does: functions of the repository are followed, downloads are noted."""

from __future__ import annotations

import ast
import posixpath
from collections.abc import Callable
from urllib.parse import urljoin

from torchinf_hub.reading import texts
from torchinf_hub.reading.attributes import attribute, of_class
from torchinf_hub.reading.names import MAX_DEPTH, Download, Run
from torchinf_hub.reading.statements import Flow, follow
from torchinf_hub.reading.values import (
    UNKNOWN,
    UNNAMED,
    Class,
    External,
    Frame,
    Function,
    Instance,
    Partial,
    Value,
    is_plain,
    joined,
)

DOWNLOADS = ("load_state_dict_from_url", "download_url_to_file", "model_zoo.load_url")
"""Ends of the names by which torch.hub's two functions go."""
COMPUTED = "the address of a file is computed when the code runs"
LEGACY = "handle_legacy_interface"
"""torchvision's decorator that turns ``pretrained=True`` into a member of an enumeration."""


def call(run: Run, target: Value, arguments: list[Value], keywords: dict[str, Value]) -> Value:
    """The value of a call."""
    run.step()
    if isinstance(target, Partial):
        return call(
            run, target.target, [*target.arguments, *arguments], {**target.keywords, **keywords}
        )
    if isinstance(target, Function):
        return _followed(run, target, arguments, keywords)
    if isinstance(target, Class):
        return _made(run, target, arguments, keywords)
    if isinstance(target, External):
        return _external(run, target.name, arguments, keywords)
    return UNKNOWN


def _followed(
    run: Run, function: Function, arguments: list[Value], keywords: dict[str, Value]
) -> Value:
    if run.depth >= MAX_DEPTH:
        return UNKNOWN
    frame = Frame(function.frame.module, {}, function.frame)
    node = function.node
    if function.bound is not None:
        arguments = [function.bound, *arguments]
    _bind(run, node, arguments, _modern(run, function, keywords), frame)
    run.depth += 1
    try:
        if isinstance(node, ast.Lambda):
            return run.evaluate(run, node.body, frame)
        if follow(run, node.body, frame) is not Flow.STOP:
            frame.returns.append(None)
    finally:
        run.depth -= 1
    return joined(frame.returns)


def _bind(
    run: Run,
    node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda,
    arguments: list[Value],
    keywords: dict[str, Value],
    frame: Frame,
) -> None:
    """Give the parameters of a function their values."""
    spec = node.args
    more = UNNAMED in keywords
    keywords = {name: value for name, value in keywords.items() if name != UNNAMED}
    positional = [*spec.posonlyargs, *spec.args]
    defaults: list[ast.expr | None] = [None] * (len(positional) - len(spec.defaults))
    parameters = [
        *zip(positional, [*defaults, *spec.defaults], strict=True),
        *zip(spec.kwonlyargs, spec.kw_defaults, strict=True),
    ]
    outer = frame.outer or frame
    for index, (parameter, default) in enumerate(parameters):
        name = parameter.arg
        if index < min(len(arguments), len(positional)):
            frame.names[name] = arguments[index]
        elif name in keywords:
            frame.names[name] = keywords.pop(name)
        elif more or default is None:
            frame.names[name] = UNKNOWN
        else:
            frame.names[name] = run.evaluate(run, default, outer)
    if spec.vararg:
        rest = tuple(arguments[len(positional) :])
        frame.names[spec.vararg.arg] = UNKNOWN if more else rest
    if spec.kwarg:
        frame.names[spec.kwarg.arg] = UNKNOWN if more else keywords


def _modern(run: Run, function: Function, keywords: dict[str, Value]) -> dict[str, Value]:
    """The keywords after :data:`LEGACY`, if the function is decorated by it."""
    changed = dict(keywords)
    for decorator in getattr(function.node, "decorator_list", ()):
        name = ast.unparse(decorator.func) if isinstance(decorator, ast.Call) else ""
        if name.rpartition(".")[2] != LEGACY:
            continue
        for keyword in decorator.keywords:
            pair = run.evaluate(run, keyword.value, function.frame)
            if not (keyword.arg and isinstance(pair, tuple) and len(pair) == 2):
                continue
            old, default = pair
            if isinstance(default, Function):
                default = call(run, default, [changed], {})
            if old in changed:
                wanted = changed.pop(old)
                changed.setdefault(keyword.arg, default if wanted is True else wanted or None)
    return changed


def _made(run: Run, kind: Class, arguments: list[Value], keywords: dict[str, Value]) -> Value:
    """An instance; what its ``__init__`` fetches counts."""
    instance = Instance(kind, {})
    initialiser = of_class(run, kind, "__init__")
    if isinstance(initialiser, Function):
        bound = Function(initialiser.node, initialiser.frame, instance)
        _followed(run, bound, arguments, keywords)
        return instance
    fields = [
        statement.target.id
        for statement in kind.node.body
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name)
    ]
    instance.attributes.update(zip(fields, arguments, strict=False))
    instance.attributes.update({key: keywords[key] for key in keywords if key in fields})
    return instance


def _external(run: Run, name: str, arguments: list[Value], keywords: dict[str, Value]) -> Value:
    if name.endswith(DOWNLOADS):
        _note_download(run, arguments, keywords)
        return UNKNOWN
    if name == "torch.hub.load":
        where = arguments[0] if arguments else keywords.get("repo_or_dir", UNKNOWN)
        run.repositories.append(where if isinstance(where, str) else "")
        return UNKNOWN
    if name.endswith(".Weights"):  # of torchvision, where it is not in the repository itself
        return Instance(External(name), dict(keywords))
    known = _KNOWN.get(name)
    return UNKNOWN if known is None else known(run, arguments, keywords)


def _note_download(run: Run, arguments: list[Value], keywords: dict[str, Value]) -> None:
    url = arguments[0] if arguments else keywords.get("url", UNKNOWN)
    if isinstance(url, str) and url.startswith(("https://", "http://")):
        checked = keywords.get("check_hash") is True or isinstance(keywords.get("hash_prefix"), str)
        run.found.append(Download(url, checked))
    else:
        run.open.append(COMPUTED)


Known = Callable[[Run, list[Value], dict[str, Value]], Value]


def _dict(_run: Run, arguments: list[Value], keywords: dict[str, Value]) -> Value:
    if UNNAMED in keywords or not all(isinstance(table, dict) for table in arguments):
        return UNKNOWN
    return {key: value for table in (*arguments, keywords) for key, value in table.items()}


def _text(_run: Run, arguments: list[Value], _keywords: dict[str, Value]) -> Value:
    return str(arguments[0]) if len(arguments) == 1 and is_plain(arguments[0]) else UNKNOWN


def _length(_run: Run, arguments: list[Value], _keywords: dict[str, Value]) -> Value:
    sized = len(arguments) == 1 and isinstance(arguments[0], (str, tuple, list, dict))
    return len(arguments[0]) if sized else UNKNOWN


def _attribute(run: Run, arguments: list[Value], _keywords: dict[str, Value]) -> Value:
    if len(arguments) < 2 or not isinstance(arguments[1], str):
        return UNKNOWN
    return attribute(run, arguments[0], arguments[1])


def _partial(_run: Run, arguments: list[Value], keywords: dict[str, Value]) -> Value:
    return Partial(arguments[0], tuple(arguments[1:]), keywords) if arguments else UNKNOWN


def _isinstance(_run: Run, arguments: list[Value], _keywords: dict[str, Value]) -> Value:
    if len(arguments) != 2:
        return UNKNOWN
    value, kind = arguments
    if isinstance(kind, Class):
        if isinstance(value, Instance):
            return True if value.kind is kind else UNKNOWN
        return False if is_plain(value) else UNKNOWN
    known = _TYPES.get(kind.name) if isinstance(kind, External) else None
    if known is None or value is UNKNOWN or isinstance(value, External):
        return UNKNOWN
    return isinstance(value, known)


def _type(_run: Run, arguments: list[Value], _keywords: dict[str, Value]) -> Value:
    if len(arguments) != 1:
        return UNKNOWN
    if isinstance(arguments[0], Instance):
        return arguments[0].kind
    names = (name for name, kind in _TYPES.items() if type(arguments[0]) is kind)
    return next((External(name) for name in names), UNKNOWN)


def _path(_run: Run, arguments: list[Value], _keywords: dict[str, Value]) -> Value:
    if not arguments or not all(isinstance(part, str) for part in arguments):
        return UNKNOWN
    return texts.bounded(posixpath.join(*arguments))


def _join(_run: Run, arguments: list[Value], _keywords: dict[str, Value]) -> Value:
    if len(arguments) != 2 or not all(isinstance(part, str) for part in arguments):
        return UNKNOWN
    try:
        return texts.bounded(urljoin(*arguments))
    except ValueError:
        return UNKNOWN


_TYPES: dict[str, type] = {
    f"builtins.{kind.__name__}": kind for kind in (str, bool, int, float, dict, list, tuple)
}
_KNOWN: dict[str, Known] = {
    "builtins.type": _type,
    "builtins.dict": _dict,
    "builtins.str": _text,
    "builtins.len": _length,
    "builtins.getattr": _attribute,
    "builtins.isinstance": _isinstance,
    "functools.partial": _partial,
    "os.path.join": _path,
    "posixpath.join": _path,
    "urllib.parse.urljoin": _join,
}
