"""Texts to token numbers and back, by the ``tokenizers`` package alone where that suffices.

It does for a model that brings a ``tokenizer.json`` which its ``tokenizer_config.json``
does not contradict; for all others transformers makes the tokenizer, which takes
seconds to import.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torchinf_core.errors import InputError, LoadError, MissingDependencyError
from torchinf_core.types import Json
from torchinf_hf.using.folder import Folder

_HUGE = 1_000_000
"""From here on a largest length means that nobody set one."""
_SHIFTED = frozenset(
    {
        *("roberta", "xlm-roberta", "xlm-roberta-xl", "camembert", "longformer", "mpnet", "xmod"),
        *("roberta-prelayernorm", "data2vec-text", "ibert", "luke"),
    }
)
"""Families whose positions begin behind the number of the padding token."""
_SPECIAL = {"pad": ("[PAD]", "<pad>"), "mask": ("[MASK]", "<mask>"), "unk": ("[UNK]", "<unk>")}
_CLEANED = (
    *((" .", "."), (" ?", "?"), (" !", "!"), (" ,", ","), (" ' ", "'"), (" n't", "n't")),
    *((" 'm", "'m"), (" 's", "'s"), (" 've", "'ve"), (" 're", "'re")),
)


class Tokens:
    """A model's tokenizer.

    Args:
        folder: of the model.
        inputs: that the model takes, of ``input_ids``, ``attention_mask`` and
            ``token_type_ids``.
        limit: most tokens of a text, 0 for as many as it has.
        trusted: True when code of the repository may run.

    Attributes:
        backend: the ``tokenizers.Tokenizer``.
        pad, mask, unk: numbers of these tokens, None where there are none.
    """

    def __init__(
        self, folder: Folder, inputs: Sequence[str], limit: int = 0, *, trusted: bool = False
    ) -> None:
        self._settings = folder.json("tokenizer_config.json")
        self._special = folder.json("special_tokens_map.json")
        self._inputs = tuple(inputs)
        self.backend = _open(folder, self._settings, trusted=trusted)
        padding = self.backend.padding or {}
        self.backend.no_padding()
        self.backend.no_truncation()
        if limit:
            side = self._settings.get("truncation_side")
            self.backend.enable_truncation(limit, direction=side if side == "left" else "right")
        self.mask = self._number("mask")
        self.unk = self._number("unk")
        found = self._number("pad")
        self.pad = found if found is not None else padding.get("pad_id")
        if self.pad is None and folder.config.get("pad_token_id") is not None:
            self.pad = folder.number("pad_token_id")
        self._left = self._settings.get("padding_side") == "left"

    def encode(self, texts: Sequence[Any]) -> list[Any]:
        """An ``Encoding`` for each text, or pair of texts."""
        return list(self.backend.encode_batch(list(texts)))

    def feeds(self, encodings: Sequence[Any]) -> dict[str, Any]:
        """Arrays for the model, all of the length of the longest.

        Raises:
            InputError: none of the texts has a token.
        """
        import numpy as np

        width = max(len(encoding.ids) for encoding in encodings)
        if not width:
            raise InputError("a text without any token says nothing to the model")
        made = {}
        for name, key, filler in (
            ("input_ids", "ids", self.pad or 0),
            ("attention_mask", "attention_mask", 0),
            ("token_type_ids", "type_ids", 0),
        ):
            if name not in self._inputs:
                continue
            array: Any = np.full((len(encodings), width), filler, np.int64)
            for row, encoding in zip(array, encodings, strict=True):
                values = getattr(encoding, key)
                start = width - len(values) if self._left else 0
                row[start : start + len(values)] = values
            made[name] = array
        return made

    def rows(self, array: Any, encodings: Sequence[Any]) -> list[Any]:
        """Of an output for :meth:`feeds`, each text's own part without the padding."""
        width = array.shape[1]
        return [
            row[width - len(e.ids) :] if self._left else row[: len(e.ids)]
            for row, e in zip(array, encodings, strict=True)
        ]

    def decode(self, numbers: Sequence[int], *, skip_special: bool = False) -> str:
        """The text of token numbers."""
        text: str = self.backend.decode(list(numbers), skip_special_tokens=skip_special)
        if (
            self._settings.get("clean_up_tokenization_spaces")
            and type(self.backend.model).__name__ != "BPE"
        ):
            for found, clean in _CLEANED:
                text = text.replace(found, clean)
        return text

    def join(self, words: Sequence[str]) -> str:
        """The text of tokens."""
        decoder = self.backend.decoder
        return decoder.decode(list(words)) if decoder is not None else " ".join(words)

    @property
    def knows_words(self) -> bool:
        """True when tokens inside a word are marked as such."""
        return bool(getattr(self.backend.model, "continuing_subword_prefix", None))

    def _number(self, kind: str) -> int | None:
        for settings in (self._settings, self._special):
            value: Json = settings.get(f"{kind}_token")
            text = value.get("content") if isinstance(value, Mapping) else value
            if isinstance(text, str):
                found: int | None = self.backend.token_to_id(text)
                return found
        numbers = (self.backend.token_to_id(text) for text in _SPECIAL[kind])
        return next((number for number in numbers if number is not None), None)


def positions(folder: Folder) -> int:
    """Most tokens that the model can take, 0 where it does not say."""
    most = folder.number("max_position_embeddings") or folder.number("n_positions")
    if most and folder.model_type in _SHIFTED:
        most -= folder.number("pad_token_id") + 1
    return most if 0 < most < _HUGE else own_limit(folder)


def own_limit(folder: Folder) -> int:
    """Most tokens by the word of the tokenizer, 0 where it does not say."""
    most = folder.json("tokenizer_config.json").get("model_max_length")
    return most if isinstance(most, int) and 0 < most < _HUGE else 0


def input_names(folder: Folder) -> tuple[str, ...]:
    """Names of what the model takes, by its tokenizer's settings or its own."""
    named = folder.json("tokenizer_config.json").get("model_input_names")
    if isinstance(named, list) and "input_ids" in named:
        order = ("input_ids", "attention_mask", "token_type_ids")
        return tuple(name for name in order if name in named)
    pairs = folder.number("type_vocab_size") > 1 and folder.model_type not in _SHIFTED
    more = ("token_type_ids",) if pairs else ()
    return ("input_ids", "attention_mask", *more)


def _open(folder: Folder, settings: Mapping[str, Json], *, trusted: bool) -> Any:
    if folder.has("tokenizer.json"):
        try:
            from tokenizers import Tokenizer
        except ImportError:
            raise MissingDependencyError(
                f"texts for {folder.name!r} need tokenizers", hint="pip install tokenizers"
            ) from None
        try:
            made = Tokenizer.from_file(str(folder.path / "tokenizer.json"))
        except Exception as error:
            raise LoadError(
                f"tokenizer.json of {folder.name!r} can't be read: {str(error)[:200]}"
            ) from error
        if not _contradicts(made, settings):
            return made
    from torchinf_hf.using.building import check_foreign_code, import_transformers, loading

    check_foreign_code(folder)
    transformers = import_transformers(f"the tokenizer of {folder.name!r}")
    with loading(folder, "have its tokenizer made"):
        made = transformers.AutoTokenizer.from_pretrained(
            str(folder.path), local_files_only=True, trust_remote_code=trusted
        )
    backend = getattr(made, "backend_tokenizer", None)
    if backend is None:
        raise LoadError(
            f"the tokenizer of {folder.name!r}, {type(made).__name__}, is in Python alone, "
            "and tells no places of its tokens"
        )
    return backend


def _contradicts(made: Any, settings: Mapping[str, Json]) -> bool:
    """True when transformers may build another tokenizer than the file has."""
    if {"add_bos_token", "add_eos_token"} & settings.keys():
        return True
    normalizer = made.normalizer
    if type(normalizer).__name__ == "BertNormalizer":
        for key, attribute in (
            ("do_lower_case", "lowercase"),
            ("strip_accents", "strip_accents"),
            ("tokenize_chinese_chars", "handle_chinese_chars"),
        ):
            if key in settings and settings[key] != getattr(normalizer, attribute):
                return True
    before = made.pre_tokenizer
    if type(before).__name__ == "ByteLevel" and "add_prefix_space" in settings:
        return bool(settings["add_prefix_space"]) != bool(before.add_prefix_space)
    return False
