"""Results as a person likes to read them: labels with bars, arrays in short, texts as texts."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from torchinf_core.cli import output

MOST = 10
"""Rows that are shown of one result; ``--json`` has all."""
_BAR = 24
_FEW = 12
_EIGHTHS = " ▏▎▍▌▋▊▉"
_LABELS = ("label", "entity_group", "entity", "token_str", "class", "name")
_TEXTS = ("generated_text", "summary_text", "translation_text", "answer", "text")
_UNTOLD = ("score", "start", "end", "index", "token")


def show(name: str, result: Any, *, several: bool) -> None:
    """Print one result on stdout.

    Args:
        name: of the input; printed above the result where there are several.
        result: of ``Predictor.predict``.
        several: True when other inputs have results too.
    """
    if several:
        output.say(output.bold(_one_line(name, 100)))
    for line in _lines(result):
        print(_painted(output.clean(f"  {line}" if several else line)))  # noqa: T201


def show_briefly(result: Any) -> None:
    """Print the top label, the text or the value alone."""
    output.say(_brief(result))


def _brief(result: Any) -> str:
    if _is_rows(result):
        return _one_line(_label(result[0]) or _text(result[0]) or _scalar(result[0]))
    if isinstance(result, Mapping) and (text := _text(result) or _label(result)):
        return _one_line(text)
    if _size(result) == 1:
        return _number(_flat(result, 1)[0])
    from torchinf_core.predicting.exporting import to_json

    return _one_line(result) if isinstance(result, str) else to_json(result)


def _lines(result: Any) -> list[str]:
    if isinstance(result, str):
        return result.splitlines() or [""]
    if hasattr(result, "dtype") and hasattr(result, "shape"):
        return [_array("", result)]
    if isinstance(result, Mapping):
        return _mapping(result)
    if _is_rows(result):
        return _rows(result)
    if isinstance(result, (list, tuple)):
        shown = [line for each in result[:MOST] for line in _lines(each)]
        return [*shown, *_rest(len(result))] if result else ["nothing"]
    return [_scalar(result)]


def _mapping(result: Mapping[str, Any]) -> list[str]:
    if all(hasattr(value, "dtype") for value in result.values()):
        return [_array(name, value) for name, value in result.items()]
    if text := _text(result):
        score = result.get("score")
        return [f"{text}  ({_percent(score)})" if _is_share(score) else text]
    if _label(result):
        return _rows([result])
    return [f"{key}: {' '.join(_lines(value))}" for key, value in result.items()]


def _rows(found: Sequence[Mapping[str, Any]]) -> list[str]:
    """Lines for labels with scores, entities, boxes, filled gaps."""
    if all(_text(row) and not _label(row) for row in found):
        return [line for row in found[:MOST] for line in _mapping(row)]
    rows = [(_one_line(_label(row), 60), row.get("score"), _more(row)) for row in found[:MOST]]
    width = max(len(label) for label, _, _ in rows)
    bars = all(_is_share(score) for _, score, _ in rows)
    lines = []
    for label, score, more in rows:
        parts = [label.ljust(width)]
        if _is_share(score):
            parts.append(_percent(score))
        elif score is not None:
            parts.append(_scalar(score))
        if more:
            parts.append(more)
        elif bars and (drawn := _bar(float(score or 0))):
            parts.append(drawn)
        lines.append("  ".join(parts).rstrip())
    return [*lines, *_rest(len(found))]


def _more(row: Mapping[str, Any]) -> str:
    """What a row holds beside its label and score: a word, a place, a sentence."""
    label = _label(row)
    told = []
    for key, value in row.items():
        if key in _UNTOLD or value == label:
            continue
        if key == "box" and isinstance(value, Mapping):
            told.append(" ".join(f"{side} {_scalar(at)}" for side, at in value.items()))
        elif isinstance(value, (str, int, float)):
            told.append(_one_line(_scalar(value), 60))
        elif value is not None:
            told.append(_one_line(" ".join(_lines(value)), 60))
    if "start" in row and "end" in row:
        told.append(f"at {row['start']} to {row['end']}")
    return "  ".join(told)


def _rest(count: int) -> list[str]:
    return [f"… {count - MOST} more; --json has all"] if count > MOST else []


def _bar(share: float) -> str:
    """A bar with eighths of a character; on a terminal alone."""
    if not output.is_terminal(sys.stdout):
        return ""
    eighths = round(min(max(share, 0.0), 1.0) * _BAR * 8)
    return "█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()


def _painted(line: str) -> str:
    """The line with the bar at its end in colour, where that shows."""
    text = line.rstrip(f"█{_EIGHTHS}")
    bar = line[len(text) :].lstrip()
    if not bar or not output.has_color(sys.stdout):
        return line
    return f"{line[: -len(bar)]}\x1b[32m{bar}\x1b[0m"


def _array(name: str, value: Any) -> str:
    kind = f"{str(value.dtype).removeprefix('torch.')}[{', '.join(map(str, value.shape))}]"
    size = _size(value)
    title = f"{name}: {kind}" if name else kind
    if size == 0:
        return title
    numbers = [_number(number) for number in _flat(value, _FEW)]
    more = f", … {size - _FEW:,} more" if size > _FEW else ""
    return f"{title}  {', '.join(numbers)}{more}"


def _flat(value: Any, count: int) -> list[Any]:
    if not hasattr(value, "shape"):
        return [value]
    flat: Any = value.reshape(-1)[:count].tolist()
    return list(flat)


def _size(value: Any) -> int:
    """Number of values in an array; 1 for a plain number, 0 for all else."""
    shape = getattr(value, "shape", None)
    if shape is None:
        return int(isinstance(value, (int, float)))
    size = 1
    for axis in shape:
        size *= axis
    return size


def _is_rows(value: Any) -> bool:
    return (
        isinstance(value, (list, tuple))
        and bool(value)
        and all(isinstance(row, Mapping) and (_label(row) or _text(row)) for row in value)
    )


def _label(row: Mapping[str, Any]) -> str:
    return next((str(row[key]) for key in _LABELS if isinstance(row.get(key), (str, int))), "")


def _text(row: Mapping[str, Any]) -> str:
    return next((row[key] for key in _TEXTS if isinstance(row.get(key), str)), "")


def _is_share(score: Any) -> bool:
    """True for what can be told as a percentage."""
    return isinstance(score, float) and -1e-6 <= score <= 1 + 1e-6


def _percent(score: Any) -> str:
    return f"{score * 100:5.1f} %"


def _number(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _scalar(value: Any) -> str:
    return _number(value.item() if hasattr(value, "item") else value)


def _one_line(text: str, most: int = 0) -> str:
    line = " ".join(text.split())
    return line if not most or len(line) <= most else f"{line[: most - 1]}…"
