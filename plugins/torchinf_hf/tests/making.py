"""Small real models in the form that the hub has them, made on the spot."""

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

WORDS = [
    *("the", "a", "cat", "dog", "sat", "on", "mat", "ran", "to", "house", "big", "small", "red"),
    *("who", "where", "is", "what", "it", "and", "in", "with", "ada", "bob", "paris", "wrote"),
    *("book", "code", "lives", "here", ",", ".", "?", "!", "'", "s", "##s", "##ed", "##ing"),
    *("un", "##like", "walk", "talk"),
]
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
TEXTS = [
    "the cat sat on the mat .",
    "Ada wrote a book in Paris , and Bob walked to the big house .",
    "who is it ?",
    "unlike zebras the dogs talking",
]
Model = Any


def save_tokenizer(folder: Path, **more: Any) -> None:
    """A WordPiece tokenizer as BERT's."""
    from transformers import BertTokenizerFast

    (folder / "vocab.txt").write_text("\n".join([*SPECIAL, *WORDS]) + "\n")
    made = BertTokenizerFast(str(folder / "vocab.txt"), model_max_length=64, **more)
    made.save_pretrained(folder)


def bert(folder: Path, kind: str, **more: Any) -> Model:
    """A BERT of the class ``Bert<kind>``, with its tokenizer."""
    import transformers

    config = transformers.BertConfig(
        vocab_size=len(SPECIAL) + len(WORDS), hidden_size=32, num_hidden_layers=2,
        num_attention_heads=4, intermediate_size=48, max_position_embeddings=64,
        initializer_range=0.3, **more,
    )  # fmt: skip
    model = getattr(transformers, f"Bert{kind}")(config)
    model.save_pretrained(folder)
    save_tokenizer(folder)
    return model


def roberta(folder: Path, kind: str, **more: Any) -> Model:
    """A RoBERTa with a tokenizer of bytes."""
    import transformers
    from tokenizers import ByteLevelBPETokenizer

    trained = ByteLevelBPETokenizer()
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    trained.train_from_iterator(TEXTS * 3, vocab_size=320, special_tokens=special)
    trained.save_model(str(folder))
    tokenizer = transformers.RobertaTokenizerFast(
        str(folder / "vocab.json"), str(folder / "merges.txt"), model_max_length=64
    )
    tokenizer.save_pretrained(folder)
    config = transformers.RobertaConfig(
        vocab_size=len(tokenizer), hidden_size=32, num_hidden_layers=2, num_attention_heads=4,
        intermediate_size=48, max_position_embeddings=66, type_vocab_size=1, pad_token_id=1,
        bos_token_id=0, eos_token_id=2, initializer_range=0.3, **more,
    )  # fmt: skip
    model = getattr(transformers, f"Roberta{kind}")(config)
    model.save_pretrained(folder)
    return model


def xlm_roberta(folder: Path, kind: str, **more: Any) -> Model:
    """An XLM-RoBERTa with a tokenizer of likely pieces."""
    import transformers
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    made = Tokenizer(models.Unigram())
    made.pre_tokenizer = pre_tokenizers.Metaspace()
    made.decoder = decoders.Metaspace()
    trainer = trainers.UnigramTrainer(vocab_size=120, special_tokens=special, unk_token="<unk>")
    made.train_from_iterator(TEXTS * 5, trainer)
    made.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>",
        pair="<s> $A </s> </s> $B </s>",
        special_tokens=[("<s>", 0), ("</s>", 2)],
    )
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=made, bos_token="<s>", cls_token="<s>", eos_token="</s>",
        sep_token="</s>", pad_token="<pad>", unk_token="<unk>", mask_token="<mask>",
        model_max_length=128, model_input_names=["input_ids", "attention_mask"],
    )  # fmt: skip
    tokenizer.save_pretrained(folder)
    config = transformers.XLMRobertaConfig(
        vocab_size=len(tokenizer), hidden_size=32, num_hidden_layers=2, num_attention_heads=4,
        intermediate_size=48, max_position_embeddings=130, type_vocab_size=1, pad_token_id=1,
        bos_token_id=0, eos_token_id=2, initializer_range=0.3, **more,
    )  # fmt: skip
    model = getattr(transformers, f"XLMRoberta{kind}")(config)
    model.save_pretrained(folder)
    return model


def distilbert(folder: Path, kind: str, **more: Any) -> Model:
    """A DistilBERT: it takes no token types."""
    import transformers

    config = transformers.DistilBertConfig(
        vocab_size=len(SPECIAL) + len(WORDS), dim=32, n_layers=2, n_heads=4, hidden_dim=48,
        max_position_embeddings=64, initializer_range=0.3, **more,
    )  # fmt: skip
    model = getattr(transformers, f"DistilBert{kind}")(config)
    model.save_pretrained(folder)
    (folder / "vocab.txt").write_text("\n".join([*SPECIAL, *WORDS]) + "\n")
    transformers.DistilBertTokenizerFast(str(folder / "vocab.txt")).save_pretrained(folder)
    return model


def gpt2(folder: Path, kind: str = "LMHeadModel", **more: Any) -> Model:
    """A GPT-2 over the same words."""
    import transformers

    save_tokenizer(folder, model_input_names=["input_ids", "attention_mask"])
    config = transformers.GPT2Config(
        vocab_size=len(SPECIAL) + len(WORDS), n_embd=32, n_layer=2, n_head=4, n_positions=64,
        bos_token_id=2, eos_token_id=3, initializer_range=0.3, **more,
    )  # fmt: skip
    model = getattr(transformers, f"GPT2{kind}")(config)
    model.save_pretrained(folder)
    return model


def bart(folder: Path, **more: Any) -> Model:
    """A BART over the same words."""
    import transformers

    save_tokenizer(folder)
    config = transformers.BartConfig(
        vocab_size=len(SPECIAL) + len(WORDS), d_model=32, encoder_layers=2, decoder_layers=2,
        encoder_attention_heads=4, decoder_attention_heads=4, encoder_ffn_dim=48,
        decoder_ffn_dim=48, max_position_embeddings=64, pad_token_id=0, bos_token_id=2,
        eos_token_id=3, decoder_start_token_id=2, forced_eos_token_id=3, init_std=0.3, **more,
    )  # fmt: skip
    model = transformers.BartForConditionalGeneration(config)
    model.save_pretrained(folder)
    return model


def vit(folder: Path, **more: Any) -> Model:
    """A ViT for pictures of 32 by 32."""
    import transformers

    size = {"height": 32, "width": 32}
    processor = {
        "image_processor_type": "ViTImageProcessor", "do_resize": True, "size": size,
        "do_rescale": True, "rescale_factor": 1 / 255, "do_normalize": True, "resample": 2,
        "image_mean": [0.5, 0.5, 0.5], "image_std": [0.25, 0.25, 0.25],
    }  # fmt: skip
    (folder / "preprocessor_config.json").write_text(json.dumps(processor))
    config = transformers.ViTConfig(
        image_size=32, patch_size=8, hidden_size=32, num_hidden_layers=2, num_attention_heads=4,
        intermediate_size=48, initializer_range=0.4, **more,
    )  # fmt: skip
    model = transformers.ViTForImageClassification(config)
    model.save_pretrained(folder)
    return model


def sentences(folder: Path, pooling: str = "pooling_mode_mean_tokens", **more: Any) -> Model:
    """A sentence-transformers model: BERT, pooling, a dense layer, normalisation."""
    import torch
    from safetensors.torch import save_file

    model = bert(folder, "Model")
    steps = ["Transformer", "Pooling", *(["Dense"] if more.get("dense") else []), "Normalize"]
    modules = [
        {"idx": n, "name": str(n), "path": "" if n == 0 else f"{n}_{step}",
         "type": f"sentence_transformers.models.{step}"}
        for n, step in enumerate(steps)
    ]  # fmt: skip
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "sentence_bert_config.json").write_text('{"max_seq_length": 12}')
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling/config.json").write_text(
        json.dumps({"word_embedding_dimension": 32, pooling: True})
    )
    if more.get("dense"):
        (folder / "2_Dense").mkdir()
        activation = {"activation_function": "torch.nn.modules.activation.Tanh"}
        (folder / "2_Dense/config.json").write_text(json.dumps(activation))
        weights = {"linear.weight": torch.randn(8, 32), "linear.bias": torch.randn(8)}
        save_file(weights, folder / "2_Dense/model.safetensors")
    return model


def make(folder: Path, maker: Callable[..., Model], *given: Any, **more: Any) -> dict[str, bytes]:
    """The files of a model."""
    import torch

    folder.mkdir(exist_ok=True)
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        maker(folder, *given, **more)
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }
