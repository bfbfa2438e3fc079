"""Texts that a model writes: continued, summed up, translated.

These need the module itself, for it is called once for each word.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torchinf_core.runtimes import Pipeline
from torchinf_hf.using.building import (
    check_foreign_code,
    import_transformers,
    loading,
    running,
)
from torchinf_hf.using.folder import Folder

_KEYS = {"summarization": "summary_text", "translation": "translation_text"}
_SETTINGS = ("max_length", "min_length", "num_beams", "length_penalty", "no_repeat_ngram_size",
             "early_stopping")  # fmt: skip


def continue_texts(module: Any, folder: Folder, *, trusted: bool) -> Pipeline:
    """Texts to ``[{"generated_text"}]`` each, by transformers' own pipeline."""
    transformers = import_transformers(f"writing with {folder.name!r}")
    tokenizer = _tokenizer(folder, trusted=trusted)
    with loading(folder, "be used to write"):
        own = transformers.pipeline(
            "text-generation", model=module, tokenizer=tokenizer, device=module.device
        )

    def pipeline(texts: Sequence[Any], options: Mapping[str, Any]) -> list[Any]:
        given = {key: value for key, value in options.items() if value is not None}
        with running(folder, "write"):
            return [own(text, **given) for text in texts]

    return pipeline


def rewrite_texts(module: Any, folder: Folder, task: str, *, trusted: bool) -> Pipeline:
    """Texts to ``[{"summary_text"}]``, ``translation_text`` or ``generated_text``, one each.

    What the model's configuration says for the task (a prefix, lengths, beams) holds
    where the user says nothing.
    """
    tokenizer = _tokenizer(folder, trusted=trusted)
    every = folder.config.get("task_specific_params")
    own = every.get(task) if isinstance(every, Mapping) else None
    own = own if isinstance(own, Mapping) else {}
    prefix = own.get("prefix")
    settings = {key: own[key] for key in _SETTINGS if key in own}
    key = _KEYS.get(task, "generated_text")

    def pipeline(texts: Sequence[Any], options: Mapping[str, Any]) -> list[Any]:
        import torch

        given = {**settings, **{k: v for k, v in options.items() if v is not None}}
        if "max_new_tokens" in given:
            given.pop("max_length", None)
        written = [f"{prefix}{text}" if isinstance(prefix, str) else text for text in texts]
        with running(folder, "write"), torch.inference_mode():
            inputs = tokenizer(written, return_tensors="pt", padding=True, truncation=True)
            inputs.pop("token_type_ids", None)
            made = module.generate(**inputs.to(module.device), **given)
            read = tokenizer.batch_decode(made, skip_special_tokens=True)
        return [[{key: text}] for text in read]

    return pipeline


def _tokenizer(folder: Folder, *, trusted: bool) -> Any:
    check_foreign_code(folder)
    transformers = import_transformers(f"the tokenizer of {folder.name!r}")
    with loading(folder, "have its tokenizer made"):
        return transformers.AutoTokenizer.from_pretrained(
            str(folder.path), local_files_only=True, trust_remote_code=trusted
        )
