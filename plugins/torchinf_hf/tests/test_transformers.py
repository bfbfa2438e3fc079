"""What was downloaded loads with the libraries people use, offline."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from torchinf_core.manager import ModelDownloader
from torchinf_core.testing.huggingface import HuggingFace

missing = [name for name in ("torch", "transformers") if find_spec(name) is None]
pytestmark = pytest.mark.skipif(bool(missing), reason=f"not installed: {', '.join(missing)}")

MAKE = """
import sys
import torch
from transformers import BertConfig, BertModel, BertTokenizerFast
torch.manual_seed(0)
folder = sys.argv[1]
open(folder + "/vocab.txt", "w").write("[PAD]\\n[UNK]\\n[CLS]\\n[SEP]\\n[MASK]\\nhello\\nworld\\n")
config = BertConfig(vocab_size=7, hidden_size=8, num_hidden_layers=1, num_attention_heads=2,
                    intermediate_size=16, max_position_embeddings=32)
model = BertModel(config)
model.save_pretrained(folder, max_shard_size=sys.argv[2])
torch.save(model.state_dict(), folder + "/pytorch_model.bin")
BertTokenizerFast(folder + "/vocab.txt").save_pretrained(folder)
"""
LOAD = """
import sys
import torch
from transformers import AutoModel, AutoTokenizer
found = []
for folder in sys.argv[1:]:
    model = AutoModel.from_pretrained(folder)
    tokens = AutoTokenizer.from_pretrained(folder)("hello world", return_tensors="pt")
    found.append(model(**tokens).last_hidden_state.flatten()[:4].tolist())
print(found)
"""


def run(program: str, *arguments: str) -> str:
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_ENDPOINT": "http://127.0.0.1:9"}
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        env=environment, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_downloaded_model_loads_with_transformers_offline_and_gives_the_same_numbers(
    hf: HuggingFace, downloader: ModelDownloader, tmp_path: Path
) -> None:
    made = tmp_path / "made"
    made.mkdir()
    run(MAKE, str(made), "2KB")
    files = {path.name: path.read_bytes() for path in made.iterdir()}
    shards = {name for name in files if name.startswith("model-")}
    assert len(shards) > 1
    hf.add_repo("org/bert", files)

    path, info = downloader.download_huggingface_model("org/bert", task="feature-extraction")
    bare, _ = downloader.download("hf:org/bert", name="bare", format="torch")

    assert info.record.format == "safetensors"
    assert shards | {"model.safetensors.index.json"} <= {file.name for file in path.iterdir()}
    assert not (path / "pytorch_model.bin").exists()
    assert not list(bare.glob("*.safetensors*"))
    original, one, other = json.loads(run(LOAD, str(made), str(path), str(bare)))
    assert original == one == other
