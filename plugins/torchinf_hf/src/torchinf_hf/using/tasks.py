"""What a model is for: by its weights first, and by what the hub or the user says of it.

A head that the files do not hold would be made up, so the classes that the weights
were saved from decide; the word of the hub tells apart what they leave open.
"""

from __future__ import annotations

from dataclasses import dataclass

from torchinf_core.runtimes import ItemKind
from torchinf_hf.using.folder import Folder


@dataclass(frozen=True, slots=True)
class Task:
    """One kind of use.

    Attributes:
        name: the hub's word.
        auto: class of transformers that builds the module.
        kind: what its pipeline takes, ``array`` where there is none.
        outputs: name → axes behind the batch, of the arrays the pipeline reads.
        options: that the pipeline understands.
        whole: True when it needs the module, as for generating.
    """

    name: str
    auto: str
    kind: ItemKind = "array"
    outputs: tuple[tuple[str, tuple[str, ...]], ...] = ()
    options: tuple[str, ...] = ()
    whole: bool = False


_GENERATING = ("max_new_tokens", "do_sample", "temperature", "top_p", "num_beams")
_LOGITS = (("logits", ("class",)),)
TASKS = {
    task.name: task
    for task in (
        Task(
            "text-classification", "AutoModelForSequenceClassification", "text", _LOGITS, ("top",)
        ),
        Task(
            "token-classification",
            "AutoModelForTokenClassification",
            "text",
            (("logits", ("sequence", "class")),),
            ("aggregation", "threshold"),
        ),
        Task(
            "fill-mask",
            "AutoModelForMaskedLM",
            "text",
            (("logits", ("sequence", "token")),),
            ("top",),
        ),
        Task(
            "question-answering",
            "AutoModelForQuestionAnswering",
            "mapping",
            (("start_logits", ("sequence",)), ("end_logits", ("sequence",))),
            ("top", "max_answer_length"),
        ),
        Task(
            "feature-extraction",
            "AutoModel",
            "text",
            (("last_hidden_state", ("sequence", "hidden")),),
        ),
        Task("image-classification", "AutoModelForImageClassification", "image", _LOGITS, ("top",)),
        Task(
            "text-generation",
            "AutoModelForCausalLM",
            "text",
            options=(*_GENERATING, "return_full_text"),
            whole=True,
        ),
        *(
            Task(name, "AutoModelForSeq2SeqLM", "text", options=_GENERATING, whole=True)
            for name in ("text2text-generation", "summarization", "translation")
        ),
    )
}
_ALIASES = {
    "sentiment-analysis": "text-classification",
    "ner": "token-classification",
    "sentence-similarity": "feature-extraction",
    "text-ranking": "text-classification",
}
_ENDINGS = {
    "ForSequenceClassification": "text-classification",
    "ForTokenClassification": "token-classification",
    "ForMaskedLM": "fill-mask",
    "ForQuestionAnswering": "question-answering",
    "ForImageClassification": "image-classification",
    "ForImageClassificationWithTeacher": "image-classification",
    "ForCausalLM": "text-generation",
    "LMHeadModel": "text-generation",
    "ForConditionalGeneration": "text2text-generation",
    "MTModel": "translation",
    "Model": "feature-extraction",
}
_SEQ2SEQ = frozenset(
    {
        *(
            "bart",
            "bigbird_pegasus",
            "blenderbot",
            "blenderbot-small",
            "encoder-decoder",
            "fsmt",
            "led",
        ),
        *("longt5", "m2m_100", "marian", "mbart", "mt5", "mvp", "nllb-moe", "pegasus", "pegasus_x"),
        *("plbart", "prophetnet", "switch_transformers", "t5", "umt5", "xlm-prophetnet"),
    }
)
"""Families that read a text and write another."""
_NO_TEXT = frozenset(
    {
        *("vit", "deit", "beit", "swin", "swinv2", "convnext", "convnextv2", "resnet", "dinov2"),
        *("clip", "whisper"),
    }
)


def find_task(folder: Folder, said: str | None) -> Task | None:
    """The task of a model; None where it is none that this package knows.

    Args:
        folder: of the model.
        said: the word of the hub or of the user, if there is one.
    """
    word = _ALIASES.get(said or "", said or "")
    own = _by_classes(folder)
    if folder.has("modules.json"):
        return TASKS["feature-extraction"]
    if word in TASKS and (own is None or _fits(own, word)):
        return TASKS[word]
    return TASKS.get(own or "")


def _by_classes(folder: Folder) -> str | None:
    """What the weights were saved from, or None where that says nothing."""
    for name in folder.classes:
        for ending, task in _ENDINGS.items():
            if not name.endswith(ending):
                continue
            if task == "text2text-generation" and folder.model_type not in _SEQ2SEQ:
                return ""
            if task == "feature-extraction" and folder.model_type in _NO_TEXT:
                return ""
            return task
        return ""
    return None


def _fits(own: str, word: str) -> bool:
    """True when a model whose weights are of ``own`` can be used for ``word`` as it is."""
    seq2seq = ("text2text-generation", "summarization", "translation")
    if word == "feature-extraction":
        # Any of them has hidden states; its head is left out.
        return own not in ("", "image-classification", *seq2seq)
    return own == word or (own in seq2seq and word in seq2seq)
