"""Labels for the tokens of a text, and for the words and names that they make up."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torchinf_core.errors import OptionError
from torchinf_core.runtimes import Pipeline, Run
from torchinf_hf.using.folder import Folder
from torchinf_hf.using.scoring import fraction, output, softmax
from torchinf_hf.using.tokens import Tokens

OUTSIDE = "O"
"""The label of a token that belongs to nothing."""
AGGREGATIONS = ("none", "simple", "first", "average", "max")
Entity = dict[str, Any]


def label_tokens(run: Run, folder: Folder, tokens: Tokens) -> Pipeline:
    """Texts to their tokens that have a label, or with ``aggregation`` to whole names.

    Each is ``{"entity", "score", "index", "word", "start", "end"}``, or with
    ``entity_group`` in place of ``entity`` and ``index``.
    """
    labels = folder.labels

    def pipeline(texts: Sequence[Any], options: Mapping[str, Any]) -> list[Any]:
        how = options.get("aggregation") or "none"
        if how not in AGGREGATIONS:
            raise OptionError(f"aggregation is {how!r}, expected {', '.join(AGGREGATIONS)}")
        threshold = fraction(options, "threshold", 0.0)
        encodings = tokens.encode(texts)
        logits = output(run(tokens.feeds(encodings)), "logits").astype("float32")
        rows = tokens.rows(softmax(logits), encodings)
        return [
            [
                entity
                for entity in _entities(_pieces(text, encoding, row, tokens), labels, how, tokens)
                if OUTSIDE not in (entity.get("entity"), entity.get("entity_group"))
                and entity["score"] >= threshold
            ]
            for text, encoding, row in zip(texts, encodings, rows, strict=True)
        ]

    return pipeline


def _pieces(text: str, encoding: Any, scores: Any, tokens: Tokens) -> list[Entity]:
    """The tokens that stand for text, with their scores and places."""
    found = []
    for index, number in enumerate(encoding.ids):
        if encoding.special_tokens_mask[index]:
            continue
        start, end = encoding.offsets[index]
        word, written = encoding.tokens[index], text[start:end]
        if tokens.knows_words:
            inside = len(word) != len(written)
        else:
            inside = start > 0 and " " not in text[start - 1 : start + 1]
        if number == tokens.unk:
            word, inside = written, False
        found.append(
            {
                "scores": scores[index],
                "index": index,
                "word": word,
                "start": start,
                "end": end,
                "inside": inside,
            }
        )
    return found


def _entities(
    pieces: list[Entity], labels: Sequence[str], how: str, tokens: Tokens
) -> list[Entity]:
    if how in ("none", "simple"):
        found = [_labelled(piece, piece["scores"], labels) for piece in pieces]
        if how == "none":
            return found
    else:
        found = [_word(word, labels, how, tokens) for word in _words(pieces)]
    return [_group(group, tokens) for group in _groups(found)]


def _labelled(piece: Entity, scores: Any, labels: Sequence[str]) -> Entity:
    number = int(scores.argmax())
    return {
        "entity": labels[number] if number < len(labels) else f"LABEL_{number}",
        "score": float(scores[number]),
        "index": piece["index"],
        "word": piece["word"],
        "start": piece["start"],
        "end": piece["end"],
    }


def _words(pieces: list[Entity]) -> list[list[Entity]]:
    words: list[list[Entity]] = []
    for piece in pieces:
        if words and piece["inside"]:
            words[-1].append(piece)
        else:
            words.append([piece])
    return words


def _word(pieces: list[Entity], labels: Sequence[str], how: str, tokens: Tokens) -> Entity:
    """One label for all tokens of a word."""
    choose: dict[str, Callable[[], Any]] = {
        "first": lambda: pieces[0]["scores"],
        "max": lambda: max((piece["scores"] for piece in pieces), key=lambda row: row.max()),
        "average": lambda: sum(piece["scores"] for piece in pieces) / len(pieces),
    }
    whole = {
        **pieces[0],
        "word": tokens.join([piece["word"] for piece in pieces]),
        "end": pieces[-1]["end"],
    }
    return _labelled(whole, choose[how](), labels)


def _groups(entities: list[Entity]) -> list[list[Entity]]:
    """Neighbours of one kind; a ``B-`` label begins a new group."""
    groups: list[list[Entity]] = []
    for entity in entities:
        begins, kind = _kind(entity["entity"])
        if groups and not begins and kind == _kind(groups[-1][-1]["entity"])[1]:
            groups[-1].append(entity)
        else:
            groups.append([entity])
    return groups


def _kind(label: str) -> tuple[bool, str]:
    return (label.startswith("B-"), label[2:] if label.startswith(("B-", "I-")) else label)


def _group(entities: list[Entity], tokens: Tokens) -> Entity:
    return {
        "entity_group": entities[0]["entity"].partition("-")[2] or entities[0]["entity"],
        "score": sum(entity["score"] for entity in entities) / len(entities),
        "word": tokens.join([entity["word"] for entity in entities]),
        "start": entities[0]["start"],
        "end": entities[-1]["end"],
    }
