"""Which files of realistic repositories are taken, without a hub."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torchinf_core.errors import ModelNotFoundError, OptionError
from torchinf_hf.choosing import Choice, choose, read_wish
from torchinf_hf.listing import Entry

BERT = """
    .gitattributes LICENSE README.md config.json
    coreml/fill-mask/float32_model.mlpackage/Manifest.json
    coreml/fill-mask/float32_model.mlpackage/Data/com.apple.CoreML/weights/weight.bin
    flax_model.msgpack model.onnx model.safetensors pytorch_model.bin rust_model.ot tf_model.h5
    tokenizer.json tokenizer_config.json vocab.txt
"""
SENTENCES = """
    .gitattributes 1_Pooling/config.json 2_Dense/config.json 2_Dense/model.safetensors
    2_Dense/pytorch_model.bin README.md config.json config_sentence_transformers.json
    model.safetensors modules.json onnx/config.json onnx/model.onnx onnx/model_O1.onnx
    onnx/model_O4.onnx onnx/model_qint8_avx512_vnni.onnx openvino/openvino_model.bin
    openvino/openvino_model.xml openvino/openvino_model_qint8_quantized.bin
    openvino/openvino_model_qint8_quantized.xml pytorch_model.bin rust_model.ot
    sentence_bert_config.json tf_model.h5 tokenizer.json train_script.py vocab.txt
"""
MISTRAL = """
    README.md config.json consolidated.safetensors model-00001-of-00003.safetensors
    model-00002-of-00003.safetensors model-00003-of-00003.safetensors model.safetensors.index.json
    params.json tokenizer.json tokenizer.model tokenizer.model.v3
"""
LLAMA = """
    LICENSE.txt USE_POLICY.md config.json generation_config.json model-00001-of-00002.safetensors
    model-00002-of-00002.safetensors model.safetensors.index.json original/consolidated.00.pth
    original/params.json original/tokenizer.model tokenizer.json
"""
BLOOM = """
    config.json pytorch_model.bin.index.json pytorch_model_00001-of-00002.bin
    pytorch_model_00002-of-00002.bin model_00001-of-00002.safetensors
    model_00002-of-00002.safetensors model.safetensors.index.json tokenizer.json
"""
SDXL = """
    .gitattributes 01.png LICENSE.md README.md model_index.json scheduler/scheduler_config.json
    sd_xl_base_1.0.safetensors sd_xl_base_1.0_0.9vae.safetensors
    sd_xl_offset_example-lora_1.0.safetensors text_encoder/config.json
    text_encoder/flax_model.msgpack text_encoder/model.fp16.safetensors text_encoder/model.onnx
    text_encoder/model.safetensors text_encoder/openvino_model.bin text_encoder/openvino_model.xml
    tokenizer/merges.txt tokenizer/vocab.json unet/config.json unet/diffusion_flax_model.msgpack
    unet/diffusion_pytorch_model.fp16.safetensors unet/diffusion_pytorch_model.safetensors
    unet/model.onnx unet/model.onnx_data vae/config.json vae/diffusion_pytorch_model.safetensors
    vae_decoder/config.json vae_decoder/model.onnx
"""
SDXL_REST = """
    LICENSE.md README.md model_index.json scheduler/scheduler_config.json text_encoder/config.json
    tokenizer/merges.txt tokenizer/vocab.json unet/config.json vae/config.json
    vae_decoder/config.json
"""
OLD_DIFFUSERS = """
    model_index.json safety_checker/config.json safety_checker/pytorch_model.bin
    safety_checker/pytorch_model.fp16.bin unet/config.json
    unet/diffusion_pytorch_model-00001-of-00002.fp16.safetensors
    unet/diffusion_pytorch_model-00002-of-00002.fp16.safetensors
    unet/diffusion_pytorch_model.safetensors.index.fp16.json
    unet/diffusion_pytorch_model-00001-of-00002.safetensors
    unet/diffusion_pytorch_model-00002-of-00002.safetensors
    unet/diffusion_pytorch_model.safetensors.index.json v1-5-pruned.ckpt v1-5-pruned.safetensors
"""
GGUF = """
    .gitattributes README.md config.json imatrix.dat Llama-3-8B-IQ4_XS.gguf Llama-3-8B-Q2_K.gguf
    Llama-3-8B-Q4_K_M.gguf Llama-3-8B-Q8_0.gguf
    Llama-3-8B-f16/Llama-3-8B-f16-00001-of-00002.gguf
    Llama-3-8B-f16/Llama-3-8B-f16-00002-of-00002.gguf mmproj-BF16.gguf mmproj-F16.gguf
"""
GGUF_FOLDERS = """
    README.md Q4_K_M/big-Q4_K_M-00001-of-00002.gguf Q4_K_M/big-Q4_K_M-00002-of-00002.gguf
    UD-Q2_K_XL/big-UD-Q2_K_XL.gguf
"""
WHISPER_JS = """
    config.json onnx/decoder_model.onnx onnx/decoder_model_fp16.onnx
    onnx/decoder_model_merged.onnx onnx/decoder_model_merged_quantized.onnx
    onnx/decoder_with_past_model.onnx onnx/encoder_model.onnx onnx/encoder_model.onnx_data
    onnx/encoder_model_quantized.onnx preprocessor_config.json tokenizer.json
"""
BGE = """
    1_Pooling/config.json README.md colbert_linear.pt config.json imgs/mkqa.jpg long.jpg
    onnx/Constant_7_attr__value onnx/config.json onnx/model.onnx onnx/model.onnx_data
    onnx/tokenizer.json pytorch_model.bin sentencepiece.bpe.model sparse_linear.pt tokenizer.json
"""
PHI = """
    README.md config.json configuration_phi.py model.safetensors modeling_phi.py tokenizer.json
"""
TRAINED = """
    README.md adapter_config.json adapter_model.safetensors checkpoint-500/adapter_model.safetensors
    checkpoint-500/optimizer.pt optimizer.pt rng_state_0.pth runs/Nov/events.out.tfevents.12.host.0
    scheduler.pt tokenizer.json trainer_state.json training_args.bin
"""
KOKORO_ONNX = """
    README.md config.json onnx/model.onnx onnx/model_fp16.onnx onnx/model_q4f16.onnx
    onnx/model_quantized.onnx tokenizer.json voices/af.bin voices/bf.bin
"""
COSYVOICE = """
    README.md campplus.onnx cosyvoice.yaml flow.pt hift.pt llm.pt speech_tokenizer_v1.onnx
"""
YOLO = "README.md yolov8n.onnx yolov8n.pt yolov8s.pt"
CONSOLIDATED = "consolidated.00.pth consolidated.01.pth params.json tokenizer.model"
OPEN_CLIP = """
    README.md config.json merges.txt model.safetensors open_clip_config.json
    open_clip_model.safetensors open_clip_pytorch_model.bin pytorch_model.bin
"""
NEMO = "README.md model.safetensors parakeet.nemo"
TEXT_ONLY = "README.md data.csv model.pkl"
TINY = "config.json model.safetensors tokenizer.json"


def take(listing: str, *, custom_code: bool = False, **options: Any) -> Choice:
    entries = [Entry(path, 1000) for path in listing.split()]
    return choose(entries, read_wish(options), custom_code=custom_code, where="org/name")


def taken(listing: str, **options: Any) -> list[str]:
    return [entry.path for entry in take(listing, **options).entries]


def without(listing: str, *parts: str) -> list[str]:
    return [path for path in listing.split() if not any(part in path for part in parts)]


def only(listing: str, paths: str) -> list[str]:
    wanted = paths.split()
    assert set(wanted) <= set(listing.split())
    return [path for path in listing.split() if path in wanted]


BERT_REST = "LICENSE README.md config.json tokenizer.json tokenizer_config.json vocab.txt"
NEVER = (".git", "rust", "tf_", ".py")
CASES: list[tuple[str, str, dict[str, Any], Sequence[str]]] = [
    ("bert", BERT, {}, only(BERT, f"{BERT_REST} model.safetensors")),
    ("bert-onnx", BERT, {"format": "onnx"}, only(BERT, f"{BERT_REST} model.onnx")),
    ("bert-torch", BERT, {"format": "pytorch"}, only(BERT, f"{BERT_REST} pytorch_model.bin")),
    ("bert-tf", BERT, {"format": "tf"}, only(BERT, f"{BERT_REST} tf_model.h5")),
    ("bert-without", BERT, {"exclude": ["*.safetensors"]},
     only(BERT, f"{BERT_REST} pytorch_model.bin")),
    ("bert-coreml", BERT, {"format": "coreml"},
     without(BERT, ".git", "flax", "onnx", "safetensors", "pytorch", "rust", "tf_")),
    ("sentences", SENTENCES, {}, without(SENTENCES, *NEVER, "onnx", "openvino", ".bin")),
    ("sentences-onnx", SENTENCES, {"format": "onnx"},
     without(SENTENCES, *NEVER, "_O", "_q", "openvino", ".bin", ".safetensors")),
    ("sentences-onnx-o4", SENTENCES, {"format": "onnx", "variant": "o4"},
     without(SENTENCES, *NEVER, "_O1", "_q", "openvino", ".bin", ".safetensors", "model.onnx")),
    ("sentences-openvino", SENTENCES, {"format": "openvino"},
     without(SENTENCES, *NEVER, "onnx", "_q", "pytorch", ".safetensors")),
    ("mistral", MISTRAL, {}, without(MISTRAL, "consolidated")),
    ("llama", LLAMA, {}, without(LLAMA, "original")),
    ("bloom", BLOOM, {}, without(BLOOM, "pytorch")),
    ("bloom-torch", BLOOM, {"format": "bin"}, without(BLOOM, "safetensors")),
    ("sdxl", SDXL, {}, only(SDXL, f"""{SDXL_REST} text_encoder/model.safetensors
     unet/diffusion_pytorch_model.safetensors vae/diffusion_pytorch_model.safetensors""")),
    ("sdxl-fp16", SDXL, {"variant": "fp16"}, only(SDXL, f"""{SDXL_REST}
     text_encoder/model.fp16.safetensors unet/diffusion_pytorch_model.fp16.safetensors
     vae/diffusion_pytorch_model.safetensors""")),
    ("sdxl-onnx", SDXL, {"format": "onnx"}, only(SDXL, f"""{SDXL_REST} text_encoder/model.onnx
     unet/model.onnx unet/model.onnx_data vae_decoder/model.onnx""")),
    ("sdxl-folder", "config.json diffusion_pytorch_model.fp16.safetensors", {},
     ["config.json", "diffusion_pytorch_model.fp16.safetensors"]),
    ("old-diffusers", OLD_DIFFUSERS, {}, without(OLD_DIFFUSERS, "fp16", "v1-5")),
    ("old-diffusers-fp16", OLD_DIFFUSERS, {"variant": "fp16"},
     only(OLD_DIFFUSERS, """model_index.json safety_checker/config.json unet/config.json
     safety_checker/pytorch_model.fp16.bin unet/diffusion_pytorch_model.safetensors.index.fp16.json
     unet/diffusion_pytorch_model-00001-of-00002.fp16.safetensors
     unet/diffusion_pytorch_model-00002-of-00002.fp16.safetensors""")),
    ("gguf", GGUF, {}, only(GGUF, "README.md config.json Llama-3-8B-Q4_K_M.gguf mmproj-F16.gguf")),
    ("gguf-q8", GGUF, {"variant": "Q8_0"},
     only(GGUF, "README.md config.json Llama-3-8B-Q8_0.gguf mmproj-F16.gguf")),
    ("gguf-f16", GGUF, {"variant": "F16"}, only(GGUF, """README.md config.json mmproj-F16.gguf
     Llama-3-8B-f16/Llama-3-8B-f16-00001-of-00002.gguf
     Llama-3-8B-f16/Llama-3-8B-f16-00002-of-00002.gguf""")),
    ("gguf-folders", GGUF_FOLDERS, {}, without(GGUF_FOLDERS, "UD-")),
    ("whisper", WHISPER_JS, {}, only(WHISPER_JS, """config.json preprocessor_config.json
     tokenizer.json onnx/decoder_model_merged.onnx onnx/encoder_model.onnx
     onnx/encoder_model.onnx_data""")),
    ("whisper-quantized", WHISPER_JS, {"variant": "quantized"}, only(WHISPER_JS, """config.json
     preprocessor_config.json tokenizer.json onnx/decoder_model_merged_quantized.onnx
     onnx/encoder_model_quantized.onnx""")),
    ("bge", BGE, {}, without(BGE, "onnx", ".jpg")),
    ("bge-onnx", BGE, {"format": "onnx"}, without(BGE, ".pt", ".bin", ".jpg")),
    ("phi", PHI, {}, without(PHI, ".py")),
    ("phi-code", PHI, {"custom_code": True}, PHI.split()),
    ("trained", TRAINED, {},
     without(TRAINED, "checkpoint", "optim", "rng_", "runs", "scheduler", "train")),
    ("kokoro-onnx", KOKORO_ONNX, {}, without(KOKORO_ONNX, "_fp16", "_q")),
    ("cosyvoice", COSYVOICE, {}, COSYVOICE.split()),
    ("yolo", YOLO, {}, without(YOLO, ".onnx")),
    ("consolidated", CONSOLIDATED, {}, CONSOLIDATED.split()),
    ("only-the-original", "README.md original/consolidated.00.pth original/params.json", {},
     ["README.md", "original/consolidated.00.pth", "original/params.json"]),
    ("open-clip", OPEN_CLIP, {}, without(OPEN_CLIP, "open_clip_model", ".bin")),
    ("open-clip-alone", "open_clip_model.safetensors open_clip_pytorch_model.bin", {},
     ["open_clip_model.safetensors"]),
    ("nemo", NEMO, {}, without(NEMO, ".nemo")),
    ("nemo-alone", "README.md parakeet.nemo", {}, ["README.md", "parakeet.nemo"]),
    ("text-only", TEXT_ONLY, {}, TEXT_ONLY.split()),
    ("all", SDXL, {"all_files": True}, SDXL.split()),
    ("all-but", SDXL, {"all_files": True, "exclude": ["*.onnx*", "unet/"]},
     without(SDXL, ".onnx", "unet/")),
    ("some", SDXL, {"include": ["unet/"]},
     [path for path in SDXL.split() if path.startswith("unet/")]),
    ("some-but", SDXL, {"include": ["*.json"], "exclude": ["vae*"]},
     [path for path in SDXL.split() if path.endswith(".json") and not path.startswith("vae")]),
    ("torch-endings", "a.json model.pt model.pth model.ckpt", {}, ["a.json", "model.ckpt"]),
    ("one-file-and-its-shards", f"""{TINY} model-00001-of-00002.safetensors
     model-00002-of-00002.safetensors model.safetensors.index.json""", {}, TINY.split()),
]  # fmt: skip


@pytest.mark.parametrize(
    ("listing", "options", "expected"),
    [pytest.param(*case[1:], id=case[0]) for case in CASES],
)
def test_a_person_gets_one_copy_of_the_weights_and_what_belongs_to_them(
    listing: str, options: dict[str, Any], expected: Sequence[str]
) -> None:
    assert taken(listing, **options) == list(expected)


def test_a_note_says_what_was_left_out_and_why() -> None:
    (note,) = take("config.json flax_model.msgpack model.safetensors tf_model.h5").notes

    assert note == (
        "left out 2 of 4 files, 2.0 kB: flax_model.msgpack, tf_model.h5 "
        "(other formats of the same weights); --all-files takes everything"
    )


def test_nothing_is_said_where_everything_is_taken() -> None:
    assert take(f".gitattributes {TINY}").notes == ()
    assert take(BERT, all_files=True).notes == ()


def test_a_note_names_the_quantisations_there_are() -> None:
    left, choice = take(GGUF).notes

    assert "left out 7 of 11 files" in left
    assert choice == "took the Q4_K_M weights; --variant NAME takes IQ4_XS, Q2_K, Q8_0, f16"


@pytest.mark.parametrize(
    ("present", "expected"),
    [
        ("Q2_K Q8_0 Q5_K_M", "Q5_K_M"),
        ("Q2_K F16", "F16"),
        ("IQ1_S IQ2_XXS", "IQ1_S"),
        ("BF16 UD-Q4_K_XL Q8_0", "UD-Q4_K_XL"),
        ("MXFP4 F16", "MXFP4"),
        ("q4_0 q4_k_m", "q4_k_m"),
    ],
)
def test_without_the_usual_quantisation_the_nearest_is_taken(present: str, expected: str) -> None:
    listing = " ".join(f"some.model-1.5b-{quant}.gguf" for quant in present.split())

    assert taken(listing) == [f"some.model-1.5b-{expected}.gguf"]


def test_two_models_in_one_repository_are_chosen_each() -> None:
    listing = "small-Q4_K_M.gguf small-Q8_0.gguf large-Q4_K_M.gguf large-Q8_0.gguf"

    assert taken(listing) == ["small-Q4_K_M.gguf", "large-Q4_K_M.gguf"]


def test_a_collection_is_called_one() -> None:
    choice = take("a.safetensors b.safetensors c.safetensors d.safetensors e.safetensors")

    assert len(choice.entries) == 5
    assert "5 separate files of weights" in choice.notes[0]


def test_a_set_of_shards_that_lacks_some_is_said_to() -> None:
    choice = take("model-00001-of-00003.safetensors model-00003-of-00003.safetensors")

    assert choice.notes == ("the repository has 2 of the 3 shards of model",)


def test_paths_that_are_one_on_some_file_systems_are_taken_once() -> None:
    choice = take("README.md Readme.md model.safetensors")

    assert [entry.path for entry in choice.entries] == ["README.md", "model.safetensors"]
    assert "Readme.md" in choice.notes[0]


def test_a_format_or_variant_that_is_not_there_is_answered_with_those_that_are() -> None:
    with pytest.raises(
        ModelNotFoundError, match="no gguf weights; it has safetensors, torch, onnx"
    ):
        taken(BERT, format="gguf")
    with pytest.raises(ModelNotFoundError, match="it has IQ4_XS, Q2_K, Q4_K_M, Q8_0"):
        taken(GGUF, variant="Q3_K_M")
    with pytest.raises(ModelNotFoundError, match="it has no variants"):
        taken(TINY, variant="fp16")


def test_patterns_that_fit_nothing_are_answered_with_files() -> None:
    with pytest.raises(ModelNotFoundError, match="--include") as caught:
        taken(TINY, include=["*.onnx"])
    assert "model.safetensors" in caught.value.hint
    with pytest.raises(ModelNotFoundError, match="no files"):
        taken("")
    with pytest.raises(ModelNotFoundError, match="looks like"):
        taken(".gitattributes a.png")


@pytest.mark.parametrize(
    "options",
    [
        {"format": "word"},
        {"format": 3},
        {"variant": ["fp16"]},
        {"all_files": "yes"},
        {"include": {"a": 1}},
        {"exclude": [1]},
        {"include": [""]},
    ],
)
def test_an_option_of_another_type_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(OptionError):
        taken(TINY, **options)


WORDS = """a b / . - _ model pytorch_model onnx original fp16 Q4_K_M consolidated -00001-of-00002
    .safetensors .bin .onnx .gguf .index.json .json .xml .mlpackage decoder_model_merged mmproj
    checkpoint-1 .py .onnx_data runs"""
PATHS = st.lists(st.sampled_from(WORDS.split()), min_size=1, max_size=6).map("".join)


@given(st.sets(PATHS, min_size=1, max_size=12))
def test_any_listing_gives_a_part_of_it_or_a_reason(paths: set[str]) -> None:
    entries = [Entry(path, 10) for path in sorted(paths)]
    try:
        choice = choose(entries, read_wish({}), custom_code=False, where="org/name")
    except ModelNotFoundError:
        return
    left = len(entries) - len(choice.entries)
    hidden = sum(any(part.startswith(".") for part in path.split("/")) for path in paths)
    assert choice.entries
    assert set(choice.entries) <= set(entries)
    assert left <= hidden or f"left out {left - hidden} of" in choice.notes[0]
