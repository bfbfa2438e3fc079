"""``python -m benchmarks.optimize_models``: what optimising gains over eager PyTorch in fp32.

Three models with random weights, always the same ones: speed does not depend on
what they were trained for, and whether a form computes the same does not either.
Each is stored, optimised, loaded again, and timed beside the model as it was
downloaded; the times of one run are comparable with each other and with nothing else.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from torchinf_core import ModelDownloader, Predictor
from torchinf_core.loading import load_record
from torchinf_core.optimize import measure, optimize
from torchinf_core.predicting import comparing
from torchinf_core.testing import Hub
from torchinf_core.testing.huggingface import HuggingFace
from torchinf_core.types import Event

TEXT = "the quick brown fox jumps over the lazy dog " * 4
GOALS = {"resnet18": 1.5, "mobilenet_v2": 1.5}


def torchvision(name: str, folder: Path, downloader: ModelDownloader) -> dict[str, str]:
    """Store a checkpoint of torchvision's own making; how it is to be loaded."""
    import torch
    import torchvision.models

    torch.manual_seed(0)
    path = folder / f"{name}.pth"
    torch.save(getattr(torchvision.models, name)().state_dict(), path)
    downloader.download(path.as_uri(), name=name)
    return {"arch": f"torchvision:{name}"}


def bert(name: str, folder: Path, downloader: ModelDownloader) -> dict[str, str]:
    """Store a BERT of 4 layers and 256 wide, for text classification."""
    import torch
    from transformers import BertConfig, BertForSequenceClassification, BertTokenizerFast

    torch.manual_seed(0)
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *sorted(set(TEXT.split()))]
    vocabulary = folder / "vocab.txt"
    vocabulary.write_text("\n".join(words) + "\n")
    config = BertConfig(
        vocab_size=len(words),
        hidden_size=256,
        num_hidden_layers=4,
        num_attention_heads=4,
        intermediate_size=1024,
        max_position_embeddings=512,
    )
    made = folder / "made"
    BertForSequenceClassification(config).save_pretrained(made)
    BertTokenizerFast(str(vocabulary)).save_pretrained(made)
    with Hub() as hub:
        hf = HuggingFace(hub)
        hf.add_repo(f"benchmarks/{name}", {p.name: p.read_bytes() for p in made.iterdir()})
        os.environ["HF_ENDPOINT"] = hf.endpoint
        downloader.download(f"hf:benchmarks/{name}", name=name)
    return {}


MODELS: dict[str, Callable[[str, Path, ModelDownloader], dict[str, str]]] = {
    "resnet18": torchvision,
    "mobilenet_v2": torchvision,
    "bert-small": bert,
}


def run(name: str, how: str, folder: Path, note: Callable[[str], None]) -> dict[str, Any]:
    """Figures of one model."""
    downloader = ModelDownloader(cache_dir=folder / "store")
    asked = MODELS[name](name, folder, downloader)
    settings, record = downloader.settings, downloader.get_record(name)
    wanted = settings.run_for(name, optimize=how, **asked)
    inputs = [TEXT] if name.startswith("bert") else []

    def told(event: Event) -> None:
        note(event.message)

    report = optimize(downloader, name, wanted, inputs=inputs, on_event=told)
    found: dict[str, Any] = {
        "model": name,
        "rows": [row.to_json() for row in report.rows],
        "form": report.derived.label if report.derived else "",
        "error": report.derived.error if report.derived else 0.0,
        "tolerance": wanted.tolerance,
        "goal": GOALS.get(name),
    }
    with ExitStack() as stack:
        plain, fast = (
            stack.enter_context(
                load_record(
                    record, downloader.store, settings, settings.run_for(name, optimize=o, **asked)
                )
            )
            for o in ("off", how)
        )
        batches = [beside(plain, fast, batch, note) for batch in (1, 8)]
    return {**found, "batches": batches}


def beside(
    plain: Predictor, fast: Predictor, batch: int, note: Callable[[str], None]
) -> dict[str, Any]:
    """Times of both, in turns: medians, and the best of each, which other work disturbs least."""
    feeds = plain.examples(batch)
    race = measure.race([lambda: plain.run(feeds), lambda: fast.run(feeds)], seconds=8.0)
    before, after = measure.medians(race)
    best = min(race[0]) / min(race[1])
    error = comparing.compare(plain.run(feeds), fast.run(feeds)).error
    note(f"batch of {batch}: {before * 1e3:.1f} ms -> {after * 1e3:.1f} ms")
    return {
        "batch": batch,
        "eager_ms": before * 1e3,
        "form_ms": after * 1e3,
        "speedup": before / after,
        "speedup_of_the_best": best,
        "error": error,
    }


@contextmanager
def quiet_hub() -> Iterator[None]:
    """No settings and no token of whoever runs this."""
    kept = dict(os.environ)
    for name in kept:
        if name.startswith(("HF_", "TORCHINF_")):
            del os.environ[name]
    os.environ["TORCHINF_CONFIG"] = os.devnull
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(kept)


def main() -> int:
    """Print a table; the exit code says whether the goals were reached."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.optimize_models")
    parser.add_argument("--only", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--full", action="store_true", help="try what takes long, too")
    parser.add_argument("--threads", type=int, default=0, help="of each runtime (its own choice)")
    parser.add_argument("--json", type=Path, help="write the figures to this file, too")
    asked = parser.parse_args()
    found = []
    with quiet_hub():
        os.environ["TORCHINF_THREADS"] = str(asked.threads)
        for name in asked.only:
            with tempfile.TemporaryDirectory() as folder:
                found.append(
                    run(
                        name,
                        "full" if asked.full else "auto",
                        Path(folder),
                        lambda message: print(f"  {message}", file=sys.stderr, flush=True),
                    )
                )
    if asked.json:
        asked.json.write_text(json.dumps(found, indent=1) + "\n")
    print(f"{'model':14}{'batch':>6}{'eager ms':>10}{'form ms':>9}{'median':>8}{'best':>7}"
          f"{'error':>10}  form")  # fmt: skip
    missed = False
    for each in found:
        for row in each["batches"]:
            print(f"{each['model']:14}{row['batch']:>6}{row['eager_ms']:>10.2f}"
                  f"{row['form_ms']:>9.2f}{row['speedup']:>7.2f}x{row['speedup_of_the_best']:>6.2f}x"
                  f"{row['error']:>10.1e}  {each['form'] or 'as downloaded'}")  # fmt: skip
        first = each["batches"][0]
        missed |= bool(each["goal"]) and first["speedup"] < each["goal"]
        missed |= first["error"] > each["tolerance"]
    print("goals missed" if missed else "goals reached: "
          + ", ".join(f"{name} >= {goal}x" for name, goal in GOALS.items()))  # fmt: skip
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
