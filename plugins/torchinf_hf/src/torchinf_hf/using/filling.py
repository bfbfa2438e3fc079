"""Words for the gaps of a text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torchinf_core.errors import InputError, LoadError
from torchinf_core.runtimes import Pipeline, Run
from torchinf_hf.using.folder import Folder
from torchinf_hf.using.scoring import count, output, softmax
from torchinf_hf.using.tokens import Tokens

TOP = 5


def fill_gaps(run: Run, folder: Folder, tokens: Tokens) -> Pipeline:
    """Texts to ``[{"score", "token", "token_str", "sequence"}, …]``; of several gaps, lists.

    Raises:
        LoadError: the tokenizer has no token for a gap.
    """
    if tokens.mask is None:
        raise LoadError(f"the tokenizer of {folder.name!r} has no token for a gap")
    gap = tokens.backend.id_to_token(tokens.mask)

    def pipeline(texts: Sequence[Any], options: Mapping[str, Any]) -> list[Any]:
        top = count(options, "top", TOP)
        encodings = tokens.encode(texts)
        for text, encoding in zip(texts, encodings, strict=True):
            if tokens.mask not in encoding.ids:
                raise InputError(
                    f"the text {text[:60]!r} has no gap",
                    hint=f"write {gap} where a word is missing",
                )
        logits = output(run(tokens.feeds(encodings)), "logits")
        rows = tokens.rows(logits, encodings)
        return [
            _filled(encoding.ids, row, tokens, top)
            for encoding, row in zip(encodings, rows, strict=True)
        ]

    return pipeline


def _filled(numbers: list[int], logits: Any, tokens: Tokens, top: int) -> Any:
    import numpy as np

    places = [place for place, number in enumerate(numbers) if number == tokens.mask]
    found = []
    for place in places:
        scores = softmax(logits[place].astype(np.float32))
        order = np.argsort(-scores, kind="stable")[:top].tolist()
        gap = []
        for number in order:
            written = [*numbers[:place], number, *numbers[place + 1 :]]
            written = [other for other in written if other != tokens.pad]
            gap.append(
                {
                    "score": float(scores[number]),
                    "token": number,
                    "token_str": tokens.decode([number]),
                    # Where others are left, the text has to show them.
                    "sequence": tokens.decode(written, skip_special=len(places) == 1),
                }
            )
        found.append(gap)
    return found[0] if len(found) == 1 else found
