"""Answers to questions, as places in a given text.

Long texts are read in overlapping parts.  The score of an answer is the probability
that it starts where it does, times that it ends there, among all places of a part.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torchinf_core.errors import InputError
from torchinf_core.runtimes import Pipeline, Run
from torchinf_hf.using.folder import Folder
from torchinf_hf.using.scoring import count
from torchinf_hf.using.tokens import Tokens

MOST_TOKENS = 384
OVERLAP = 128
LONGEST = 15
"""Tokens of an answer."""
_NEVER = -10000.0


def answer_questions(run: Run, folder: Folder, tokens: Tokens, limit: int) -> Pipeline:
    """Dicts with ``question`` and ``context`` to ``[{"score", "start", "end", "answer"}, …]``.

    Args:
        run: the model.
        folder: of the model.
        tokens: of the model, not limited.
        limit: most tokens that the model takes, 0 where it does not say.
    """
    most = min(limit or MOST_TOKENS, MOST_TOKENS)
    tokens.backend.enable_truncation(most, stride=min(most // 2, OVERLAP), strategy="only_second")

    def pipeline(asked: Sequence[Any], options: Mapping[str, Any]) -> list[Any]:
        top = count(options, "top", 1)
        longest = count(options, "max_answer_length", LONGEST)
        pairs = [_pair(item, folder.name) for item in asked]
        try:
            encodings = tokens.encode(pairs)
        except Exception as error:  # noqa: BLE001 - tokenizers has no class of its own
            raise InputError(f"a question is too long for {most} tokens: {error}") from None
        parts = [[encoding, *encoding.overflowing] for encoding in encodings]
        flat = [part for several in parts for part in several]
        outputs = run(tokens.feeds(flat))
        starts = iter(tokens.rows(outputs["start_logits"], flat))
        ends = iter(tokens.rows(outputs["end_logits"], flat))
        found = []
        for (_, context), several in zip(pairs, parts, strict=True):
            answers: list[dict[str, Any]] = []
            for part in several:
                answers += _answers(part, next(starts), next(ends), context, top, longest)
            found.append(_best(answers, top))
        return found

    return pipeline


def _pair(item: Mapping[str, Any], name: str) -> tuple[str, str]:
    question, context = item.get("question"), item.get("context")
    if not isinstance(question, str) or not isinstance(context, str) or not context.strip():
        raise InputError(
            f"{name!r} takes a dict with the texts 'question' and 'context'",
            hint='{"question": "Who wrote it?", "context": "Ada wrote it."}',
        )
    return question, context


def _answers(
    part: Any, start: Any, end: Any, context: str, top: int, longest: int
) -> list[dict[str, Any]]:
    """The best answers within one part of a text."""
    import numpy as np

    inside = np.array([sequence == 1 for sequence in part.sequence_ids])
    # The first token stands for "no answer": it has its share, and is not given as one.
    allowed = inside.copy()
    allowed[0] = True
    chances = []
    for logits in (start, end):
        values = np.where(allowed, logits.astype(np.float32), np.float32(_NEVER))
        raised = np.exp(values - values.max())
        chance = raised / raised.sum()
        chance[0] = 0.0
        chances.append(chance)
    both = np.tril(np.triu(np.outer(*chances)), longest - 1)
    order = np.argsort(-both, axis=None, kind="stable")[:top]
    found = []
    for first, last in zip(*np.unravel_index(order, both.shape), strict=True):
        if not (inside[first] and inside[last]):
            continue
        begins = part.word_to_chars(part.token_to_word(int(first)), 1)
        finishes = part.word_to_chars(part.token_to_word(int(last)), 1)
        found.append(
            {
                "score": float(both[first, last]),
                "start": begins[0],
                "end": finishes[1],
                "answer": context[begins[0] : finishes[1]],
            }
        )
    return found


def _best(answers: list[dict[str, Any]], top: int) -> list[dict[str, Any]]:
    """The most likely ones; the same place, found in two parts, is one answer."""
    found: dict[tuple[int, int], dict[str, Any]] = {}
    for answer in sorted(answers, key=lambda answer: -answer["score"]):
        found.setdefault((answer["start"], answer["end"]), answer)
    return list(found.values())[:top]
