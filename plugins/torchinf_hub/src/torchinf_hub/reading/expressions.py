"""The value of an expression, as far as it can be known without running it."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable

from torchinf_hub.reading import texts
from torchinf_hub.reading.attributes import attribute, of_class
from torchinf_hub.reading.containers import of_container
from torchinf_hub.reading.names import Run, look_up
from torchinf_hub.reading.values import (
    UNKNOWN,
    UNNAMED,
    Class,
    Frame,
    Function,
    Instance,
    Value,
    is_plain,
    joined,
    same,
    truth,
)

_ORDER: dict[type[ast.cmpop], Callable[[Value, Value], bool]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
_NUMBERS: dict[type[ast.operator], Callable[[Value, Value], Value]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}


def evaluate(run: Run, node: ast.expr | None, frame: Frame) -> Value:
    """The value of an expression; what it calls on the way is read as well."""
    run.step()
    known = _KINDS.get(type(node))
    if known is not None:
        return known(run, node, frame)
    # What is not understood may still hold calls.
    if node is not None and not isinstance(node, (ast.Lambda, *_COMPREHENSIONS)):
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.expr):
                evaluate(run, child, frame)
    return UNKNOWN


_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


def _constant(_run: Run, node: ast.Constant, _frame: Frame) -> Value:
    return texts.bounded(node.value) if is_plain(node.value) else UNKNOWN


def _name(run: Run, node: ast.Name, frame: Frame) -> Value:
    return look_up(run, node.id, frame)


def _sequence(run: Run, node: ast.Tuple | ast.List, frame: Frame) -> Value:
    items: list[Value] = []
    for item in node.elts:
        if isinstance(item, ast.Starred):
            inner = evaluate(run, item.value, frame)
            if not isinstance(inner, (tuple, list)):
                return UNKNOWN
            items += inner
        else:
            items.append(evaluate(run, item, frame))
    return texts.bounded(tuple(items) if isinstance(node, ast.Tuple) else items)


def _dict(run: Run, node: ast.Dict, frame: Frame) -> Value:
    table: dict[Value, Value] = {}
    for key_node, value_node in zip(node.keys, node.values, strict=True):
        value = evaluate(run, value_node, frame)
        if key_node is None:
            if not isinstance(value, dict):
                return UNKNOWN
            table.update(value)
            continue
        key = evaluate(run, key_node, frame)
        if is_plain(key):
            table[key] = value
        elif isinstance(key, Instance) and key.member:
            table[key.member] = value
    return table


def _attribute(run: Run, node: ast.Attribute, frame: Frame) -> Value:
    return attribute(run, evaluate(run, node.value, frame), node.attr)


def _subscript(run: Run, node: ast.Subscript, frame: Frame) -> Value:
    value = evaluate(run, node.value, frame)
    if isinstance(node.slice, ast.Slice):
        bounds = [
            None if part is None else evaluate(run, part, frame)
            for part in (node.slice.lower, node.slice.upper, node.slice.step)
        ]
        usable = all(part is None or type(part) is int for part in bounds) and bounds[2] != 0
        return (
            value[slice(*bounds)] if usable and isinstance(value, (str, tuple, list)) else UNKNOWN
        )
    key = evaluate(run, node.slice, frame)
    if isinstance(key, Instance) and key.member:
        key = key.member
    if isinstance(value, Class):
        return of_class(run, value, key) if isinstance(key, str) else UNKNOWN
    if isinstance(value, dict) and is_plain(key):
        return value.get(key, UNKNOWN)
    if (
        isinstance(value, (str, tuple, list))
        and type(key) is int
        and -len(value) <= key < len(value)
    ):
        return value[key]
    return UNKNOWN


def _operation(run: Run, node: ast.BinOp, frame: Frame) -> Value:
    left, right = evaluate(run, node.left, frame), evaluate(run, node.right, frame)
    if isinstance(left, str) and isinstance(node.op, ast.Mod):
        return texts.percent(left, right)
    alike = type(left) is type(right) and isinstance(left, (str, tuple, list))
    if isinstance(node.op, ast.Add) and alike:
        return texts.bounded(left + right)
    numbers = type(left) in (int, float) and type(right) in (int, float)
    known = _NUMBERS.get(type(node.op))
    if not numbers or known is None or abs(left) > 1e9 or abs(right) > 1e9:
        return UNKNOWN
    return (
        UNKNOWN if not right and known in (operator.floordiv, operator.mod) else known(left, right)
    )


def _text(run: Run, node: ast.JoinedStr, frame: Frame) -> Value:
    parts = []
    for item in node.values:
        if isinstance(item, ast.FormattedValue):
            spec = "" if item.format_spec is None else evaluate(run, item.format_spec, frame)
            part = texts.formatted(evaluate(run, item.value, frame), item.conversion, spec)
        else:
            part = evaluate(run, item, frame)
        parts.append(part)
    return texts.bounded("".join(parts)) if all(isinstance(p, str) for p in parts) else UNKNOWN


def _unary(run: Run, node: ast.UnaryOp, frame: Frame) -> Value:
    value = evaluate(run, node.operand, frame)
    if isinstance(node.op, ast.Not):
        holds = truth(value)
        return UNKNOWN if holds is None else not holds
    if isinstance(node.op, ast.USub) and type(value) in (int, float):
        return -value
    return UNKNOWN


def _bool(run: Run, node: ast.BoolOp, frame: Frame) -> Value:
    decisive = isinstance(node.op, ast.Or)
    value: Value = UNKNOWN
    certain = True
    for item in node.values:
        value = evaluate(run, item, frame)
        if truth(value) is decisive:
            return value if certain or isinstance(value, bool) else UNKNOWN
        certain = certain and truth(value) is not None
    return value if certain else UNKNOWN


def _choice(run: Run, node: ast.IfExp, frame: Frame) -> Value:
    holds = truth(evaluate(run, node.test, frame))
    if holds is not None:
        return evaluate(run, node.body if holds else node.orelse, frame)
    return joined([evaluate(run, node.body, frame), evaluate(run, node.orelse, frame)])


def _comparison(run: Run, node: ast.Compare, frame: Frame) -> Value:
    left = evaluate(run, node.left, frame)
    answer: bool | None = True
    for sign, right_node in zip(node.ops, node.comparators, strict=True):
        right = evaluate(run, right_node, frame)
        holds = _holds(sign, left, right)
        answer = False if holds is False or answer is False else (None if holds is None else answer)
        left = right
    return UNKNOWN if answer is None else answer


def _holds(sign: ast.cmpop, left: Value, right: Value) -> bool | None:
    if isinstance(sign, (ast.Eq, ast.Is)):
        return same(left, right)
    if isinstance(sign, (ast.NotEq, ast.IsNot)):
        equal = same(left, right)
        return None if equal is None else not equal
    if isinstance(sign, (ast.In, ast.NotIn)):
        inside = _contains(right, left)
        return inside if inside is None or isinstance(sign, ast.In) else not inside
    if type(left) in (int, float) and type(right) in (int, float):
        return _ORDER[type(sign)](left, right)
    return None


def _contains(whole: Value, part: Value) -> bool | None:
    if isinstance(whole, str):
        return part in whole if isinstance(part, str) else None
    if not isinstance(whole, (tuple, list, dict)):
        return None
    answers = [same(item, part) for item in whole]
    return True if True in answers else (None if None in answers else False)


def _lambda(_run: Run, node: ast.Lambda, frame: Frame) -> Value:
    return Function(node, frame)


def _walrus(run: Run, node: ast.NamedExpr, frame: Frame) -> Value:
    value = evaluate(run, node.value, frame)
    frame.names[node.target.id] = value
    return value


def _call(run: Run, node: ast.Call, frame: Frame) -> Value:
    arguments: list[Value] = []
    keywords: dict[str, Value] = {}
    for item in node.args:
        value = evaluate(run, item.value if isinstance(item, ast.Starred) else item, frame)
        if not isinstance(item, ast.Starred):
            arguments.append(value)
        elif isinstance(value, (tuple, list)):
            arguments += value
        else:
            keywords[UNNAMED] = UNKNOWN
    for keyword in node.keywords:
        value = evaluate(run, keyword.value, frame)
        if keyword.arg is not None:
            keywords[keyword.arg] = value
        elif isinstance(value, dict):
            keywords.update({key: item for key, item in value.items() if isinstance(key, str)})
        else:
            keywords[UNNAMED] = UNKNOWN
    if isinstance(node.func, ast.Attribute):
        owner = evaluate(run, node.func.value, frame)
        if isinstance(owner, str):
            return texts.method(owner, node.func.attr, arguments, keywords)
        if isinstance(owner, (dict, list)):
            return of_container(owner, node.func.attr, arguments, keywords)
        return run.call(run, attribute(run, owner, node.func.attr), arguments, keywords)
    return run.call(run, evaluate(run, node.func, frame), arguments, keywords)


_KINDS: dict[type[ast.expr | None], Callable[[Run, Value, Frame], Value]] = {
    ast.Constant: _constant,
    ast.Name: _name,
    ast.Tuple: _sequence,
    ast.List: _sequence,
    ast.Dict: _dict,
    ast.Attribute: _attribute,
    ast.Subscript: _subscript,
    ast.BinOp: _operation,
    ast.JoinedStr: _text,
    ast.UnaryOp: _unary,
    ast.BoolOp: _bool,
    ast.IfExp: _choice,
    ast.Compare: _comparison,
    ast.Lambda: _lambda,
    ast.NamedExpr: _walrus,
    ast.Call: _call,
}
