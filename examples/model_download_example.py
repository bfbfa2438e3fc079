"""Everything torchinf does with models, from download to prediction, in one program.

::

    python examples/model_download_example.py             # offline, everything on loopback
    python examples/model_download_example.py --online    # the real torchvision and Hugging Face

Offline, a small server plays the model hubs, and the models are tiny.  What needs a
package that is not installed is left out, and says so.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from torchinf_core import (
    IntegrityError,
    ModelDownloader,
    ModelManager,
    ModelNotFoundError,
    TorchinfError,
    UntrustedError,
    download_model,
    get_model_downloader,
    get_model_manager,
    list_available_models,
    load,
)

# A softmax over a matrix product: (measures: float32[batch, 4]) -> (scores: float32[batch, 3]).
ONNX = base64.b64decode(
    "CAg6vQEKGAoIbWVhc3VyZXMKAXcSAXoiBk1hdE11bAohCgF6EgZzY29yZXMiB1NvZnRtYXgqCwoEYXhpcxgBoAECEgFn"
    "KjsIBAgDEAFCAXdKMGZmZj/NzMy+zczMPc3MTL7NzEw/mpmZPs3MzD3NzMw9MzMzv5qZmb7NzEw+mpkZP1ofCghtZWFz"
    "dXJlcxITChEIARINCgcSBWJhdGNoCgIIBGIdCgZzY29yZXMSEwoRCAESDQoHEgViYXRjaAoCCANCBAoAEA0="
)
HUBCONF = b'''
dependencies = ["torch"]


def scale(pretrained=False, factor=2.0):
    """Multiplies by a number."""
    import torch

    class Scale(torch.nn.Module):
        def forward(self, x):
            return x * factor

    return Scale()
'''


@contextmanager
def offline_demo(folder: Path) -> Iterator[str]:
    """Play the hubs on loopback; gives the address of a web server with a model."""
    from torchinf_core.testing import Hub
    from torchinf_core.testing.github import GitHub
    from torchinf_core.testing.huggingface import HuggingFace

    header = json.dumps({"w": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}).encode()
    safetensors = len(header).to_bytes(8, "little") + header + bytes(8)
    with Hub() as hub:
        github, hugging_face = GitHub(hub), HuggingFace(hub)
        github.add_repo("ada/nets", {"hubconf.py": HUBCONF})
        hugging_face.add_repo("ada/tiny", {"config.json": b"{}", "model.safetensors": safetensors})
        os.environ["TORCHINF_HUB_GITHUB"] = github.web
        os.environ["HF_ENDPOINT"] = hugging_face.endpoint
        os.environ["HF_HOME"] = str(folder / "hf")
        yield hub.add("/model.onnx", ONNX)


def title(text: str) -> None:
    print(f"\n=== {text}")


def have(*packages: str) -> bool:
    missing = [package for package in packages if find_spec(package) is None]
    if missing:
        print(f"left out: it needs {', '.join(missing)}")
    return not missing


def sources(url: str) -> None:
    title("Download from every source")
    digest = hashlib.sha256(ONNX).hexdigest()
    path, info = download_model("url", url, model_name="measures", sha256=digest)
    print(f"{info.name}: {info.size_mb:.4f} MB at {path.name}, verified by its pin")
    downloader = get_model_downloader()
    _, info = downloader.download_torchvision_model(model_name="resnet18", pretrained=False)
    print(f"{info.name} of {info.source}: the architecture alone, {info.license}")
    _, info = downloader.download_pytorch_hub_model("ada/nets", "scale")
    print(f"{info.name} of {info.source}: read, and none of its code run")
    path, info = downloader.download_huggingface_model("ada/tiny", task="feature-extraction")
    print(f"{info.name} of {info.source}: {sorted(file.name for file in path.iterdir())}")


def real_sources() -> None:
    title("Download from torchvision and Hugging Face")
    for source, model in (
        ("torchvision", "resnet18"),
        ("huggingface", "distilbert/distilbert-base-uncased-finetuned-sst-2-english"),
    ):
        path, info = download_model(source, model)
        print(f"{info.name}: {info.size_mb:.1f} MB at {path}")


def registry() -> None:
    title("What is there")
    for name, info in list_available_models().items():
        print(f"{name}: {info.source} - {info.size_mb:.1f} MB")
    downloader = get_model_downloader()
    name = next(iter(list_available_models()))
    downloader.tag(name, add=["demo"])
    info = downloader.get_model_info(name)
    print(f"{name} came from {info.record.ref}, tags {', '.join(info.tags)}")
    print(f"cached: {downloader.is_model_cached(name)}, damaged: {downloader.verify(name)}")


def again(url: str) -> None:
    title("The same again makes no connection")
    outcome = get_model_downloader().obtain("url", url, name="measures")
    print(f"already here: {outcome.hit}, {outcome.fetched} bytes fetched")


def predictions(url: str) -> None:
    title("Load and predict")
    if not have("onnxruntime"):
        return
    with load("measures") as model:
        print(f"{model!r}: {model.signature}")
        scores = model.predict([5.1, 3.5, 1.4, 0.2])
        print(f"one item: {[round(float(score), 4) for score in scores]}")
        many = model.predict_batch([[5.1, 3.5, 1.4, 0.2], [6.7, 3.0, 5.2, 2.3]])
        print(f"a batch: {[int(scores.argmax()) for scores in many]}")
    manager = get_model_manager()
    manager.download_and_load_model(source="url", model_id=url, name="measures", optimize="auto")
    manager.load_model("measures", name="on two threads", threads=2)
    for held in manager.list_models():
        form = held.form or "as downloaded"
        print(f"loaded {held.name!r}: {held.runtime} on {held.device}, {form}")
    manager.get_model("measures").warm_up()
    manager.close()


def pictures(folder: Path, model: str = "") -> None:
    title("A picture" if model else "A checkpoint of one's own, a picture, and what they are")
    if not have("torch", "torchvision", "PIL"):
        return
    from PIL import Image

    Image.new("RGB", (320, 240), "orange").save(folder / "orange.png")
    arch = ""
    if not model:
        import torch
        import torchvision

        torch.manual_seed(0)
        model, arch = str(folder / "own.pt"), "torchvision:squeezenet1_1"
        torch.save(torchvision.models.squeezenet1_1().state_dict(), model)
    with load(model, arch=arch) as loaded:
        top = loaded.predict(str(folder / "orange.png"), top=3)
    known = ", by weights nobody trained" if arch else ""
    print(f"three labels{known}: {', '.join(row['label'] for row in top)}")


def texts() -> None:
    title("Texts")
    if have("torch", "transformers"):
        with load("distilbert-base-uncased-finetuned-sst-2-english") as model:
            for text, labels in zip(TEXTS, model.predict_batch(TEXTS), strict=True):
                print(f"{text}: {labels[0]['label']} ({labels[0]['score']:.3f})")


TEXTS = ["What a day!", "I want my money back."]


def code() -> None:
    title("Code runs only when somebody trusts it")
    if not have("torch"):
        return
    downloader = get_model_downloader()
    try:
        load("scale")
    except UntrustedError as error:
        print(f"refused: {error}")
    downloader.trust("scale")
    with ModelManager(downloader).load_model("scale") as model:
        import numpy as np

        print(f"trusted: 21 becomes {model.predict(np.full(1, 21, np.float32))[0]:g}")


def optimisation() -> None:
    title("Optimise: built, compared, measured, and kept only when it is faster")
    if not have("onnxruntime"):
        return
    from torchinf_core.optimize import optimize

    report = optimize(get_model_downloader(), "measures")
    for row in report.rows:
        speed = f"{row.speedup:.2f} times as fast, " if row.speedup else ""
        print(f"{row.runtime}, {row.label}: {speed}{row.verdict}")


def errors(url: str) -> None:
    title("Errors say what happened, and what to do")
    attempts = (
        ("other bytes than the pinned ones", {"source": f"{url}#sha256={'0' * 64}"}),
        ("a model that is not there", {"source": "torchvision", "model_id": "resnet19"}),
        ("a source that is not installed", {"source": "nosuch:model"}),
    )
    for what, asked in attempts:
        try:
            get_model_downloader().download(**asked)
        except (IntegrityError, ModelNotFoundError) as error:
            print(f"{what}: {type(error).__name__}, exit status {error.exit_code}")
        except TorchinfError as error:
            print(f"{what}: {error}" + (f" ({error.hint})" if error.hint else ""))
    try:
        ModelDownloader(offline=True).download(url, name="other", update=True)
    except TorchinfError as error:
        print(f"offline: {error}")


def cache() -> None:
    title("The cache")
    downloader = get_model_downloader()
    print(f"{downloader.cache_dir}: {downloader.get_cache_size() / 1e6:.1f} MB")
    name = next(iter(list_available_models()))
    print(f"removed: {downloader.remove_model(name).name}")
    print(f"removed: {', '.join(downloader.clear_cache())}")
    print(f"files deleted at once: {downloader.store.gc(dry_run=False).removed}")


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Everything torchinf does with models.")
    choice = parser.add_mutually_exclusive_group()
    choice.add_argument("--offline-demo", action="store_true", help="on loopback (the default)")
    choice.add_argument("--online", action="store_true", help="with the real model hubs")
    online = parser.parse_args(argv).online
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["TORCHINF_CACHE_DIR"] = str(folder / "models")
        if online:
            real_sources()
            registry()
            pictures(folder, "resnet18")
            texts()
        else:
            with offline_demo(folder) as url:
                sources(url)
                registry()
                again(url)
                predictions(url)
                pictures(folder)
                code()
                optimisation()
                errors(url)
        cache()
    return 0


if __name__ == "__main__":
    sys.exit(main())
