"""Pictures become the very arrays that torchvision makes of them, without torch."""

import json
import subprocess
import sys

import pytest

from torchinf_torchvision.catalogue import load
from torchinf_torchvision.preparing import prepare

np = pytest.importorskip("numpy")
pytest.importorskip("torchvision")
Image = pytest.importorskip("PIL.Image")

PRESETS = {
    json.dumps(weights["transforms"], sort_keys=True): (name, member)
    for name, model in load()["models"].items()
    for member, weights in model["weights"].items()
    if weights["transforms"]["class"] in ("ImageClassification", "SemanticSegmentation")
}
MODELS = [f"{name}@{member}" for name, member in sorted(PRESETS.values())]


def picture(width: int, height: int) -> "Image.Image":
    """Something with edges, colours and noise, as photographs have."""
    random = np.random.default_rng(width * height)
    rows, columns = np.mgrid[0:height, 0:width]
    red = 127 + 127 * np.sin(rows / 9) * np.cos(columns / 23)
    green = 255 * ((rows // 17 + columns // 29) % 2)
    blue = random.integers(0, 256, (height, width))
    return Image.fromarray(np.stack([red, green, blue], axis=-1).astype(np.uint8))


PICTURES = [picture(640, 427), picture(427, 640), picture(225, 225), picture(97, 301)]


@pytest.mark.parametrize("model", MODELS)
def test_the_array_of_every_preset_is_torchvisions_own_to_the_bit(model: str) -> None:
    from torchvision.models import get_model_weights

    name, _, member = model.partition("@")
    theirs = get_model_weights(name)[member].transforms()
    ours = load()["models"][name]["weights"][member]["transforms"]

    for image in PICTURES:
        expected = theirs(image).numpy()
        found = prepare(image, ours)
        assert found.dtype == np.float32
        assert np.array_equal(found, expected)


def test_a_picture_is_classified_by_any_runtime_without_torch() -> None:
    code = """
import sys
import numpy as np
from PIL import Image
from torchinf_torchvision.catalogue import load
from torchinf_torchvision.pipelines import classifying
transforms = load()["models"]["resnet18"]["weights"]["IMAGENET1K_V1"]["transforms"]
def run(feeds):
    assert feeds["input"].shape == (1, 3, 224, 224)
    return {"logits": np.log(np.array([[0.2, 0.7, 0.1]], np.float32))}
pipeline = classifying(run, transforms, ["a", "b", "c"])
[found] = pipeline([Image.new("RGB", (300, 200), "red")], {"top": 2})
print([(thing["label"], round(thing["score"], 5), thing["index"]) for thing in found])
assert not {"torch", "torchvision"} & sys.modules.keys()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("[('b', 0.7, 1), ('a', 0.2, 0)]\n", "")
