"""Follows the statements of a function on every way that it may take."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from enum import IntEnum

from torchinf_hub.reading.names import Download, Run, imported
from torchinf_hub.reading.sources import targets
from torchinf_hub.reading.texts import MAX_ITEMS
from torchinf_hub.reading.values import (
    UNKNOWN,
    Class,
    Frame,
    Function,
    Instance,
    Value,
    joined,
    truth,
)

MAX_ROUNDS = 64
ALTERNATIVES = "which of several files it takes is decided when the code runs"


class Flow(IntEnum):
    """How a statement ends."""

    NEXT = 0
    CONTINUE = 1
    BREAK = 2
    STOP = 3


def follow(run: Run, body: Sequence[ast.stmt], frame: Frame) -> Flow:
    """Follow statements; what they return is added to ``frame.returns``."""
    for index, statement in enumerate(body):
        run.step()
        if isinstance(statement, ast.If):
            holds = truth(run.evaluate(run, statement.test, frame))
            if holds is None:
                return _both(run, statement, body[index + 1 :], frame)
            flow = follow(run, statement.body if holds else statement.orelse, frame)
        else:
            flow = _one(run, statement, frame)
        if flow is not Flow.NEXT:
            return flow
    return Flow.NEXT


def _one(run: Run, statement: ast.stmt, frame: Frame) -> Flow:
    flow = Flow.NEXT
    if isinstance(statement, ast.Return):
        frame.returns.append(
            None if statement.value is None else run.evaluate(run, statement.value, frame)
        )
        flow = Flow.STOP
    elif isinstance(statement, ast.Raise):
        flow = Flow.STOP
    elif isinstance(statement, ast.Break):
        flow = Flow.BREAK
    elif isinstance(statement, ast.Continue):
        flow = Flow.CONTINUE
    elif isinstance(statement, (ast.For, ast.AsyncFor, ast.While)):
        flow = _loop(run, statement, frame)
    elif isinstance(statement, (ast.With, ast.AsyncWith)):
        for item in statement.items:
            run.evaluate(run, item.context_expr, frame)
            _forget(item.optional_vars, frame)
        flow = follow(run, statement.body, frame)
    elif isinstance(statement, (ast.Try, ast.TryStar)):
        # What is done after a failure is not what the entry means to do.
        flow = follow(run, [*statement.body, *statement.orelse, *statement.finalbody], frame)
    elif isinstance(statement, ast.Match):
        run.evaluate(run, statement.subject, frame)
        flow = _cases(run, statement, frame)
    else:
        _bind(run, statement, frame)
    return flow


def _bind(run: Run, statement: ast.stmt, frame: Frame) -> None:
    if isinstance(statement, ast.Expr):
        run.evaluate(run, statement.value, frame)
    elif isinstance(statement, (ast.Assign, ast.AnnAssign)) and statement.value is not None:
        value = run.evaluate(run, statement.value, frame)
        left = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        for target in left:
            assign(run, target, value, frame)
    elif isinstance(statement, ast.AugAssign):
        whole = ast.BinOp(statement.target, statement.op, statement.value)
        assign(run, statement.target, run.evaluate(run, whole, frame), frame)
    elif isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef)):
        frame.names[statement.name] = Function(statement, frame)
    elif isinstance(statement, ast.ClassDef):
        frame.names[statement.name] = Class(statement, frame)
    elif isinstance(statement, (ast.Import, ast.ImportFrom)):
        for alias in statement.names:
            name = alias.asname or (
                alias.name.partition(".")[0] if isinstance(statement, ast.Import) else alias.name
            )
            frame.names[name] = imported(run, statement, name, frame.module)


def assign(run: Run, target: ast.expr, value: Value, frame: Frame) -> None:
    """Give a value to what stands on the left of an assignment."""
    if isinstance(target, ast.Name):
        frame.names[target.id] = value
    elif isinstance(target, (ast.Tuple, ast.List)):
        parts = value if isinstance(value, (tuple, list)) else ()
        starred = any(isinstance(item, ast.Starred) for item in target.elts)
        if starred or len(parts) != len(target.elts):
            parts = (UNKNOWN,) * len(target.elts)
        for item, part in zip(target.elts, parts, strict=True):
            assign(run, item.value if isinstance(item, ast.Starred) else item, part, frame)
    elif isinstance(target, ast.Attribute):
        owner = run.evaluate(run, target.value, frame)
        if isinstance(owner, Instance) and owner.member is None:
            owner.attributes[target.attr] = value
    elif isinstance(target, ast.Subscript):
        table = run.evaluate(run, target.value, frame)
        key = run.evaluate(run, target.slice, frame)
        if isinstance(table, dict) and isinstance(key, (str, int)) and len(table) < MAX_ITEMS:
            table[key] = value


def _both(run: Run, statement: ast.If, rest: Sequence[ast.stmt], frame: Frame) -> Flow:
    """An ``if`` that nobody can decide: follow both ways, and then what they share."""
    then, other = frame.fork(), frame.fork()
    found_then, flow_then = _collected(run, statement.body, then)
    found_other, flow_other = _collected(run, statement.orelse, other)
    if flow_then is Flow.NEXT and flow_other is Flow.NEXT:
        _settle(run, found_then, found_other)
        _merge(frame, then, other)
        return follow(run, rest, frame)
    if flow_then is not Flow.NEXT and flow_other is not Flow.NEXT:
        _settle(run, found_then, found_other)
        return max(flow_then, flow_other)
    alive, ended = (other, found_then) if flow_then is not Flow.NEXT else (then, found_other)
    so_far = found_other if flow_then is not Flow.NEXT else found_then
    more, flow = _collected(run, rest, alive)
    frame.names.update(alive.names)
    _settle(run, ended, so_far + more)
    return flow


def _collected(run: Run, body: Sequence[ast.stmt], frame: Frame) -> tuple[list[Download], Flow]:
    outside, run.found = run.found, []
    try:
        flow = follow(run, body, frame)
        return run.found, flow
    finally:
        run.found = outside


def _settle(run: Run, one: list[Download], other: list[Download]) -> None:
    """Keep what one way fetches; where both fetch, only what both do."""
    if one and other and set(one) != set(other):
        run.open.append(ALTERNATIVES)
        run.found += [item for item in one if item in other]
    else:
        run.found += one or other


def _merge(frame: Frame, one: Frame, other: Frame) -> None:
    for name in one.names.keys() | other.names.keys():
        values = [way.names.get(name, UNKNOWN) for way in (one, other)]
        frame.names[name] = joined(values)


def _loop(run: Run, statement: ast.For | ast.AsyncFor | ast.While, frame: Frame) -> Flow:
    if isinstance(statement, ast.While):
        if truth(run.evaluate(run, statement.test, frame)) is False:
            return Flow.NEXT
        rounds: Sequence[Value] = (UNKNOWN,)
    else:
        value = run.evaluate(run, statement.iter, frame)
        known = isinstance(value, (tuple, list, dict)) and len(value) <= MAX_ROUNDS
        rounds = tuple(value) if known else (UNKNOWN,)
    for item in rounds:
        if not isinstance(statement, ast.While):
            assign(run, statement.target, item, frame)
        flow = follow(run, statement.body, frame)
        if flow is Flow.STOP and item is not UNKNOWN:
            return flow
        if flow in (Flow.BREAK, Flow.STOP):
            break
    if rounds == (UNKNOWN,):
        _forget_all(statement.body, frame)
    return Flow.NEXT


def _cases(run: Run, statement: ast.Match, frame: Frame) -> Flow:
    """Every case may be the one."""
    ways = []
    for case in statement.cases:
        way = frame.fork()
        ways.append(_collected(run, case.body, way)[0])
    for found in ways[1:]:
        ways[0] = [item for item in ways[0] if item in found]
    if ways:
        run.found += ways[0]
    if len({tuple(found) for found in ways}) > 1:
        run.open.append(ALTERNATIVES)
    for case in statement.cases:
        _forget_all(case.body, frame)
    return Flow.NEXT


def _forget_all(body: Sequence[ast.stmt], frame: Frame) -> None:
    """Names that some rounds of a loop change have no one value behind it."""
    for statement in body:
        for node in ast.walk(statement):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                frame.names[node.id] = UNKNOWN


def _forget(target: ast.expr | None, frame: Frame) -> None:
    for name in targets(target) if target is not None else ():
        frame.names[name] = UNKNOWN
