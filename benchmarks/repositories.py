"""Two repositories as people publish them: few large weights, and many small files."""

from __future__ import annotations

import json
import random
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

from benchmarks import hub
from benchmarks.content import Item, make, make_text
from benchmarks.measure import PeerError
from benchmarks.peers import script

SHARDS = 2
SMALL = 64 << 10
TEXT = 8 << 10


def weights(files: Path, size: int) -> list[Item]:
    """Two shards of ``size`` bytes together, with their index and a configuration."""
    repo = f"weights-{size}"
    large = [make(files, f"{repo}/{name}", size // SHARDS) for name in _shards(SHARDS)]
    return _complete(files, repo, large)


def many(files: Path, count: int) -> list[Item]:
    """``count`` files: a third shards of 64 KiB, which are large files to git; the rest JSON."""
    repo = f"many-{count}"
    large = [make(files, f"{repo}/{name}", SMALL) for name in _shards(max(1, count // 3))]
    items = _complete(files, repo, large)
    texts = range(count - len(items))
    return [*items, *(make_text(files, f"{repo}/config/{n:03}.json", _text(n)) for n in texts)]


def _shards(count: int) -> list[str]:
    return [f"model-{n + 1:05}-of-{count:05}.safetensors" for n in range(count)]


def _complete(files: Path, repo: str, large: Sequence[Item]) -> list[Item]:
    """The shards, in Xet storage too where that can be had, and what belongs to them."""
    index = json.dumps({"weight_map": {f"weights.{item.name}": item.name for item in large}})
    texts = {"model.safetensors.index.json": index, "config.json": '{"model_type": "bench"}'}
    plain = [make_text(files, f"{repo}/{name}", text) for name, text in texts.items()]
    return [*_in_xet(files, large), *plain]


def _in_xet(files: Path, items: Sequence[Item]) -> list[Item]:
    if find_spec("hf_xet") is None:
        return list(items)
    folder = hub.storage(files)
    folder.mkdir(exist_ok=True)
    command = script("xet_put", str(folder), *(str(files / item.path) for item in items))
    done = subprocess.run(command.argv, capture_output=True, text=True)
    if done.returncode:
        raise PeerError(f"hf_xet stored nothing: {done.stderr[-300:]}")
    hashes: list[str] = json.loads(done.stdout)
    return [replace(item, xet=xet) for item, xet in zip(items, hashes, strict=True)]


def _text(seed: int) -> str:
    words = random.Random(seed)
    return json.dumps({"words": [f"{words.getrandbits(32):08x}" for _ in range(TEXT // 12)]})
