"""Labels for texts and for pictures, as transformers' pipelines of these tasks give them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torchinf_core.errors import MissingDependencyError
from torchinf_core.runtimes import Pipeline, Run
from torchinf_hf.using.folder import Folder
from torchinf_hf.using.scoring import best, count, output, scores_of
from torchinf_hf.using.tokens import Tokens

TOP_OF_TEXT = 1
TOP_OF_PICTURE = 5


def classify_texts(run: Run, folder: Folder, tokens: Tokens) -> Pipeline:
    """Texts to ``[{"label", "score"}, …]`` each."""
    labels, config = folder.labels, folder.config
    # Of several texts a model that reads from left to right looks at the last token, which
    # it can only find where a number is known that stands for padding.
    together = folder.config.get("pad_token_id") is not None

    def pipeline(texts: Sequence[Any], options: Mapping[str, Any]) -> list[Any]:
        top = count(options, "top", TOP_OF_TEXT)
        encodings = tokens.encode(texts)
        batches = [encodings] if together else [[encoding] for encoding in encodings]
        found = []
        for batch in batches:
            logits = output(run(tokens.feeds(batch)), "logits")
            found += [best(row, labels, top) for row in scores_of(logits, config, len(labels))]
        return found

    return pipeline


def classify_pictures(run: Run, folder: Folder, *, trusted: bool) -> Pipeline:
    """Pictures to ``[{"label", "score"}, …]`` each; prepared by transformers' own processor."""
    from torchinf_hf.using.building import check_foreign_code, import_transformers, loading

    check_foreign_code(folder)
    transformers = import_transformers(f"preparing pictures for {folder.name!r}")
    with loading(folder, "have its pictures prepared"):
        processor = transformers.AutoImageProcessor.from_pretrained(
            str(folder.path), local_files_only=True, trust_remote_code=trusted
        )
    labels, config = folder.labels, folder.config

    def pipeline(pictures: Sequence[Any], options: Mapping[str, Any]) -> list[Any]:
        top = count(options, "top", TOP_OF_PICTURE)
        logits = output(run({"pixel_values": _prepared(processor, pictures)}), "logits")
        return [best(row, labels, top) for row in scores_of(logits, config, len(labels))]

    return pipeline


def _prepared(processor: Any, pictures: Sequence[Any]) -> Any:
    import numpy as np

    try:
        made = processor(images=list(pictures), return_tensors="np")["pixel_values"]
    except ImportError as error:
        raise MissingDependencyError(
            f"preparing pictures needs more than is installed: {error}",
            hint="pip install torchvision",
        ) from None
    return np.ascontiguousarray(made, np.float32)
