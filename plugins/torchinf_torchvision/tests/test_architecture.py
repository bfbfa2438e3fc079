"""What the plugin tells of a model builds and computes what torchvision itself does."""

import hashlib
import io
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from torchinf_core.errors import FormatError, LoadError, ModelNotFoundError, OptionError
from torchinf_core.manager import ModelDownloader
from torchinf_core.plugins import load_plugins
from torchinf_core.refs import parse_ref
from torchinf_core.runtimes import Architecture, Artifact
from torchinf_core.testing import Hub
from torchinf_torchvision import building
from torchinf_torchvision.catalogue import load

np = pytest.importorskip("numpy")
torch = pytest.importorskip("torch")
models = pytest.importorskip("torchvision.models")
Image = pytest.importorskip("PIL.Image")


def plain_families() -> dict[str, list[tuple[str, str]]]:
    """Families to members whose modules differ, without those that have a way of their own."""
    found: dict[str, dict[str, tuple[str, str]]] = {}
    for name, model in load()["models"].items():
        if not building.has_own_way(model):
            family = found.setdefault(model["module"].removeprefix("torchvision.models."), {})
            for member, weights in model["weights"].items():
                arguments = building.arguments_for(name, model, weights)
                family.setdefault(f"{name} {arguments}", (name, member))
    return {family: list(members.values()) for family, members in found.items()}


FAMILIES = plain_families()
Store = Callable[..., Artifact]


@contextmanager
def fresh_weights(state: object = None) -> Iterator[None]:
    """Lets torchvision's builders believe they got their download."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(models.WeightsEnum, "get_state_dict", lambda *_, **__: state)
        if state is None:
            patch.setattr(torch.nn.Module, "load_state_dict", lambda *_, **__: None)
        yield


def theirs(name: str, member: str, state: object = None, **more: object) -> Any:
    with fresh_weights(state), building._counting(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return models.get_model(name, weights=models.get_model_weights(name)[member], **more).eval()


def saved(state: Any, **options: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(state, buffer, **options)
    return buffer.getvalue()


def picture(width: int = 300, height: int = 200) -> Any:
    rows, columns = np.mgrid[0:height, 0:width]
    colours = [rows % 256, columns % 256, (rows * columns) % 256]
    return Image.fromarray(np.stack(colours, axis=-1).astype(np.uint8))


@pytest.fixture
def downloader(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModelDownloader:
    monkeypatch.setenv("TORCHINF_TORCHVISION_MIRROR", hub.url("/mirror/"))
    return ModelDownloader(cache_dir=tmp_path / "store", retries=2)


@pytest.fixture
def artifact(downloader: ModelDownloader) -> Callable[[str], Artifact]:
    def artifact(name: str) -> Artifact:
        record = downloader.get_record(name)
        return Artifact(record, Path(downloader.store.model_dir(record)))

    return artifact


@pytest.fixture
def store(
    hub: Hub,
    downloader: ModelDownloader,
    artifact: Callable[[str], Artifact],
    monkeypatch: pytest.MonkeyPatch,
) -> Store:
    """Publishes a checkpoint as the one of a member, and downloads it."""

    def store(name: str, member: str, state: Any) -> Artifact:
        content = saved(state)
        file = f"{name}-{hashlib.sha256(content).hexdigest()[:8]}.pth"
        weights = load()["models"][name]["weights"][member]
        monkeypatch.setitem(weights, "url", f"https://download.pytorch.org/models/{file}")
        hub.add(f"/mirror/models/{file}", content)
        downloader.download(f"torchvision:{name}@{member}")
        return artifact(name)

    return store


@pytest.fixture
def describe(downloader: ModelDownloader) -> Callable[..., Architecture]:
    def describe(artifact: Artifact, ref: str = "") -> Architecture:
        record = artifact.record
        asked = parse_ref(ref or f"{record.source}:{record.model_id}@{record.revision}")
        return load_plugins(downloader.settings).architecture(artifact, asked, downloader.settings)

    return describe


def module_of(architecture: Architecture, artifact: Artifact) -> Any:
    """What the torch runtime does, in a few lines."""
    assert architecture.build is not None
    if architecture.complete:
        return architecture.build()
    with torch.device("meta"):
        module = architecture.build()
    state = {}
    for path in architecture.weights:
        if path.endswith(".safetensors"):
            from safetensors.torch import load_file

            state |= load_file(artifact.path(path))
        else:
            state |= torch.load(artifact.path(path), weights_only=True)
    module.load_state_dict(state, assign=True)
    return module


def runner(architecture: Architecture, artifact: Artifact) -> Any:
    """The pipeline over the module."""
    module = module_of(architecture, artifact)
    names = [spec.name for spec in architecture.signature.outputs]

    def run(feeds: Mapping[str, Any]) -> dict[str, Any]:
        with torch.inference_mode():
            given = [torch.from_numpy(feeds[spec.name]) for spec in architecture.signature.inputs]
            made = module(*given)
        values = made.values() if isinstance(made, dict) else [made]
        return {name: value.numpy() for name, value in zip(names, values, strict=True)}

    assert architecture.pipeline is not None
    return architecture.pipeline(module if architecture.whole else run)


def inside(module: Any) -> dict[str, Any]:
    """Everything of a module that has to be the same: shapes, kinds and plain attributes."""
    found: dict[str, Any] = {}
    for path, part in module.named_modules():
        plain = {
            key: value
            for key, value in vars(part).items()
            if isinstance(value, (bool, int, float, str, tuple, type(None))) and key != "training"
        }
        found[path] = (type(part).__name__, plain)
    return found


# BUILDING


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_an_empty_module_is_the_one_that_torchvision_loads_its_weights_into(family: str) -> None:
    for name, member in FAMILIES[family]:
        model = load()["models"][name]
        weights = model["weights"][member]
        with torch.device("meta"):
            ours = building.build(name, model, building.arguments_for(name, model, weights))
            expected = theirs(name, member)
        own, other = ours.state_dict(), expected.state_dict()
        assert not ours.training
        assert all(tensor.is_meta for tensor in ours.parameters())
        if model["module"] == "torchvision.models.googlenet":
            # Their auxiliary heads are loaded, and then taken off.
            own = {key: value for key, value in own.items() if not key.startswith("aux")}
            ours.aux1 = ours.aux2 = None
            ours.aux_logits = False
        assert {k: v.shape for k, v in own.items()} == {k: v.shape for k, v in other.items()}, name
        assert inside(ours) == inside(expected), (name, member)
        assert [v for m in ours.modules() for v in vars(m).values() if torch.is_tensor(v)] == []


OWN_WAY = [
    ("mnasnet0_5", "IMAGENET1K_V1", {}),
    ("densenet121", "IMAGENET1K_V1", {}),
    ("quantized_mobilenet_v2", "IMAGENET1K_QNNPACK_V1", {"quantize": True}),
    ("quantized_googlenet", "IMAGENET1K_FBGEMM_V1", {"quantize": True}),
    ("ssdlite320_mobilenet_v3_large", "COCO_V1", {"weights_backbone": None}),
]


def own_state(name: str, more: Mapping[str, Any]) -> Any:
    """A state dict such as the member's file has."""
    torch.manual_seed(0)
    arguments = dict(more)
    if "googlenet" in name:
        arguments |= {"aux_logits": True, "init_weights": False}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch, that quantising moved elsewhere
        return models.get_model(name, weights=None, **arguments).state_dict()


@pytest.mark.parametrize(("name", "member", "more"), OWN_WAY)
@pytest.mark.filterwarnings("ignore:.*:DeprecationWarning", "ignore:.*quantiz:UserWarning")
def test_where_torchvision_has_its_own_way_to_load_that_is_taken(
    name: str, member: str, more: dict[str, Any], store: Store, describe: Any
) -> None:
    state = own_state(name, more)
    if name == "densenet121":
        # As the published files have them.
        state = type(state)(
            (key.replace(".norm1.", ".norm.1.").replace(".conv2.", ".conv.2."), value)
            for key, value in state.items()
            if "num_batches" not in key
        )
    artifact = store(name, member, state)
    architecture = describe(artifact)

    module = architecture.build()

    assert architecture.complete
    expected = theirs(name, member, state, **({} if "ssd" in name else more))
    inputs = [torch.rand(3, 224, 224)] if "ssd" in name else torch.rand(2, 3, 224, 224)
    with torch.inference_mode():
        ours, other = module(inputs), expected(inputs)
    if "ssd" in name:
        ours, other = ours[0]["scores"], other[0]["scores"]
    assert torch.equal(ours, other)


@pytest.mark.slow
def test_a_vision_transformer_is_loaded_without_being_initialised_before(
    store: Store, describe: Any
) -> None:
    with torch.device("meta"):
        shapes = models.vit_b_32().state_dict()
    state = {key: torch.full(tensor.shape, 0.01) for key, tensor in shapes.items()}
    # As files of the time before the layers were renamed have them.
    old = {key.replace("mlp.0.", "mlp.linear_1.").replace("mlp.3.", "mlp.linear_2."): value
           for key, value in state.items()}  # fmt: skip
    artifact = store("vit_b_32", "IMAGENET1K_V1", old)

    architecture = describe(artifact)
    module = architecture.build()

    assert str(architecture.signature.inputs[0]) == "input: float32[batch, 3, 224, 224]"
    assert all(torch.equal(value, state[key]) for key, value in module.state_dict().items())


def test_an_architecture_without_weights_is_built_as_torchvision_initialises_it(
    downloader: ModelDownloader, artifact: Any, describe: Any
) -> None:
    downloader.download("torchvision:googlenet", pretrained=False)

    architecture = describe(artifact("googlenet"), "torchvision:googlenet")
    module = architecture.build()

    assert (architecture.complete, architecture.pipeline) == (True, None)
    assert module(architecture_input(architecture)).shape == (1, 1000)


def architecture_input(architecture: Architecture) -> Any:
    assert architecture.examples is not None
    [array] = architecture.examples(1).values()
    return torch.from_numpy(array)


# SIGNATURES AND EXAMPLES


FREE = "float32[batch, 3, height, width]"
LOGITS = "logits: float32[batch, class]"
CLASSES = "float32[batch, class, height, width]"


@pytest.mark.parametrize(
    ("ref", "inputs", "outputs"),
    [
        ("resnet18", f"input: {FREE}", LOGITS),
        ("vit_b_16@IMAGENET1K_SWAG_E2E_V1", "input: float32[batch, 3, 384, 384]", LOGITS),
        ("mvit_v1_b", "input: float32[batch, 3, 16, 224, 224]", LOGITS),
        ("r3d_18", "input: float32[batch, 3, frames, height, width]", LOGITS),
        ("fcn_resnet50", f"input: {FREE}", f"out: {CLASSES}, aux: {CLASSES}"),
        ("raft_small", f"image1: {FREE}, image2: {FREE}", ""),
        ("ssd300_vgg16", "", ""),
    ],
)
def test_the_signature_has_words_for_what_is_free(
    ref: str, inputs: str, outputs: str, artifact: Any, downloader: ModelDownloader,
    describe: Any, tmp_path: Path,
) -> None:  # fmt: skip
    (tmp_path / "any.pth").write_bytes(saved({"x": torch.ones(1)}))
    downloader.download(str(tmp_path / "any.pth"))

    signature = describe(artifact("any"), f"torchvision:{ref}").signature

    assert ", ".join(map(str, signature.inputs)) == inputs
    assert ", ".join(map(str, signature.outputs)) == outputs


@pytest.mark.slow
@pytest.mark.parametrize("name", ["resnet18", "s3d", "raft_small", "lraspp_mobilenet_v3_large"])
def test_examples_are_always_the_same_and_the_module_takes_them(name: str) -> None:
    from torchinf_torchvision.architectures import _examples

    model = load()["models"][name]
    weights = model["weights"][model["default"]]
    examples = _examples(model["module"].removeprefix("torchvision.models."), weights)
    module = building.build(name, model, building.arguments_for(name, model, weights))

    first, again = examples(2), examples(2)

    assert all(np.array_equal(first[key], again[key]) for key in first)
    with torch.inference_mode():
        assert module(*map(torch.from_numpy, first.values())) is not None


# PICTURES TO RESULTS


@pytest.fixture
def resnet(store: Store) -> tuple[Artifact, Any]:
    torch.manual_seed(1)
    module = models.resnet18(weights=None).eval()
    return store("resnet18", "IMAGENET1K_V1", module.state_dict()), module


def test_pictures_get_the_labels_that_torchvisions_transforms_and_module_give(
    resnet: tuple[Artifact, Any], describe: Any
) -> None:
    artifact, module = resnet
    weights = models.ResNet18_Weights.IMAGENET1K_V1
    pictures = [picture(), picture(200, 333), picture(224, 224)]
    architecture = describe(artifact)

    found = runner(architecture, artifact)(pictures, {"top": 3})

    assert (architecture.name, architecture.kind) == ("torchvision resnet18", "image")
    assert architecture.options == ("top",)
    with torch.inference_mode():
        batch = torch.stack([weights.transforms()(image) for image in pictures])
        scores = module(batch).softmax(dim=1)
    for row, best in zip(scores, found, strict=True):
        values, indices = row.topk(3)
        assert [thing["index"] for thing in best] == indices.tolist()
        assert [thing["label"] for thing in best] == [
            weights.meta["categories"][index] for index in indices
        ]
        assert [thing["score"] for thing in best] == pytest.approx(values.tolist(), abs=1e-6)


def test_five_labels_are_given_unless_another_number_is_asked_for(
    resnet: tuple[Artifact, Any], describe: Any
) -> None:
    pipeline = runner(describe(resnet[0]), resnet[0])

    assert len(pipeline([picture()], {})[0]) == 5
    assert len(pipeline([picture()], {"top": 2000})[0]) == 1000
    with pytest.raises(OptionError, match="top is 0"):
        pipeline([picture()], {"top": 0})


def test_a_picture_of_a_photograph_is_classified_like_torchvision_does(
    resnet: tuple[Artifact, Any], describe: Any
) -> None:
    datasets = pytest.importorskip("sklearn.datasets")
    artifact, module = resnet
    photograph = Image.fromarray(datasets.load_sample_image("china.jpg"))

    [found] = runner(describe(artifact), artifact)([photograph], {"top": 1})

    weights = models.ResNet18_Weights.IMAGENET1K_V1
    with torch.inference_mode():
        score, index = module(weights.transforms()(photograph)[None]).softmax(1)[0].max(0)
    assert found[0]["index"] == index.item()
    assert found[0]["score"] == pytest.approx(score.item(), abs=1e-6)


def test_every_pixel_gets_the_class_that_torchvision_gives_it(store: Store, describe: Any) -> None:
    torch.manual_seed(2)
    module = models.segmentation.lraspp_mobilenet_v3_large(
        weights=None, weights_backbone=None
    ).eval()
    artifact = store("lraspp_mobilenet_v3_large", "COCO_WITH_VOC_LABELS_V1", module.state_dict())
    image = picture(520, 520)

    [found] = runner(describe(artifact), artifact)([image], {})

    weights = models.segmentation.LRASPP_MobileNet_V3_Large_Weights.COCO_WITH_VOC_LABELS_V1
    with torch.inference_mode():
        scores = module(weights.transforms()(image)[None])["out"][0].softmax(0)
    classes = scores.argmax(0).numpy()
    assert {thing["index"] for thing in found} == set(np.unique(classes).tolist())
    for thing in found:
        assert np.array_equal(thing["mask"], classes == thing["index"])
        assert thing["label"] == weights.meta["categories"][thing["index"]]
        mean = scores[thing["index"]].numpy()[classes == thing["index"]].mean()
        assert thing["score"] == pytest.approx(mean, abs=1e-5)
    other = runner(describe(artifact), artifact)([picture(300, 200), image], {})
    assert other[0][0]["mask"].shape == (200, 300)
    assert sum(int(thing["mask"].sum()) for thing in other[0]) == 300 * 200


class Detector(torch.nn.Module):
    """Stands for a detector: it finds three things in every picture."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(1))

    def forward(self, pictures: list[Any]) -> list[dict[str, Any]]:
        return [
            {
                "boxes": torch.tensor([[0.0, 1.0, 2.0, 3.0]] * 3) * image.shape[1],
                "labels": torch.tensor([1, 18, 2]),
                "scores": torch.tensor([0.9, 0.6, float(image.max())]),
                "masks": torch.full((3, 1, *image.shape[1:]), 0.7),
                "keypoints": torch.ones(3, 2, 3),
                "keypoints_scores": torch.full((3, 2), 4.0),
            }
            for image in pictures
        ]


def test_things_are_told_by_label_score_and_box_from_a_threshold_on() -> None:
    from torchinf_torchvision.pipelines import detecting

    labels = load()["labels"]["coco"]
    pipeline = detecting(Detector(), labels, ["nose", "left_eye"])
    black = Image.new("RGB", (4, 2))

    [dark, light] = pipeline([black, Image.new("RGB", (3, 5), "white")], {})

    assert [thing["label"] for thing in dark] == ["person", "dog"]
    assert [thing["label"] for thing in light] == ["person", "dog", "bicycle"]
    assert dark[0]["box"] == {"xmin": 0.0, "ymin": 2.0, "xmax": 4.0, "ymax": 6.0}
    assert dark[0]["mask"].shape == (2, 4)
    assert dark[0]["keypoints"]["nose"] == {"x": 1.0, "y": 1.0, "score": 4.0}
    assert len(pipeline([black], {"threshold": 0.7})[0]) == 1
    with pytest.raises(OptionError, match="threshold is 2"):
        pipeline([black], {"threshold": 2})


def test_a_detector_finds_what_torchvisions_own_call_finds(store: Store, describe: Any) -> None:
    name, member = "ssdlite320_mobilenet_v3_large", "COCO_V1"
    state = own_state(name, {"weights_backbone": None})
    artifact = store(name, member, state)
    architecture = describe(artifact)
    image = picture()

    [found] = runner(architecture, artifact)([image], {"threshold": 0.0})

    assert (architecture.whole, architecture.options) == (True, ("threshold",))
    weights = models.get_model_weights(name)[member]
    with torch.inference_mode():
        [expected] = theirs(name, member, state)([weights.transforms()(image)])
    assert [thing["score"] for thing in found] == expected["scores"].tolist()
    assert [thing["index"] for thing in found] == expected["labels"].tolist()
    assert [list(thing["box"].values()) for thing in found] == expected["boxes"].tolist()


def test_what_has_no_labels_takes_arrays_alone(store: Store, describe: Any) -> None:
    module = models.optical_flow.raft_small(weights=None)
    artifact = store("raft_small", "C_T_V2", module.state_dict())

    architecture = describe(artifact)

    assert (architecture.kind, architecture.pipeline) == ("array", None)
    assert len(module_of(architecture, artifact).state_dict()) == len(module.state_dict())


# FILES OF OTHERS


@pytest.mark.parametrize("form", ["zip", "legacy", "safetensors"])
@pytest.mark.parametrize("classes", [1000, 7])
def test_a_bare_checkpoint_gets_the_classes_that_it_has(
    form: str, classes: int, downloader: ModelDownloader, artifact: Any, describe: Any,
    tmp_path: Path,
) -> None:  # fmt: skip
    torch.manual_seed(3)
    module = models.mobilenet_v2(num_classes=classes).eval()
    if form == "safetensors":
        from safetensors.torch import save

        content = save(module.state_dict())
    else:
        zipped = form == "zip"
        content = saved(module.state_dict(), _use_new_zipfile_serialization=zipped)
    path = tmp_path / ("own.safetensors" if form == "safetensors" else "own.pth")
    path.write_bytes(content)
    downloader.download(str(path))
    own = artifact("own")
    architecture = describe(own, "torchvision:mobilenet_v2")

    [found] = runner(architecture, own)([picture()], {"top": 1})

    transforms = models.MobileNet_V2_Weights.DEFAULT.transforms()
    with torch.inference_mode():
        score, index = module(transforms(picture())[None]).softmax(1)[0].max(0)
    labels = load()["labels"]["imagenet-1k"]
    expected = labels[index] if classes == 1000 else str(index.item())
    assert (found[0]["index"], found[0]["label"]) == (index.item(), expected)
    assert found[0]["score"] == pytest.approx(score.item(), abs=1e-6)


def test_a_checkpoint_with_other_classes_of_a_family_with_its_own_way_fits_as_well(
    downloader: ModelDownloader, artifact: Any, describe: Any, tmp_path: Path
) -> None:
    module = models.densenet121(num_classes=3).eval()
    (tmp_path / "own.pth").write_bytes(saved({"state_dict": module.state_dict()}))
    downloader.download(str(tmp_path / "own.pth"))

    built = describe(artifact("own"), "torchvision:densenet121").build()

    with torch.inference_mode():
        inputs = torch.rand(1, 3, 64, 64)
        assert torch.equal(built(inputs), module(inputs))


def test_a_checkpoint_of_something_else_is_refused_by_what_differs(
    downloader: ModelDownloader, artifact: Any, describe: Any, tmp_path: Path
) -> None:
    (tmp_path / "own.pth").write_bytes(saved(models.resnet18(weights=None).state_dict()))
    downloader.download(str(tmp_path / "own.pth"))
    own = artifact("own")

    for ref in ("mobilenet_v2", "resnet50", "ssdlite320_mobilenet_v3_large"):
        with pytest.raises(
            LoadError, match=ref if "ssd" in ref else r"own\.pth is not a checkpoint"
        ):
            module_of(describe(own, f"torchvision:{ref}"), own)
    with pytest.raises(ModelNotFoundError, match="resnet19"):
        describe(own, "torchvision:resnet19")


def test_a_pickle_with_more_than_tensors_is_refused_and_not_read_in_another_way(
    downloader: ModelDownloader, artifact: Any, describe: Any, tmp_path: Path
) -> None:
    (tmp_path / "own.pth").write_bytes(saved({"weight": torch.ones(1), "what": Path("x")}))
    downloader.download(str(tmp_path / "own.pth"), trust=True)
    own = artifact("own")

    with pytest.raises(FormatError, match=r"own\.pth can't be read as tensors alone"):
        module_of(describe(own, "torchvision:resnet18"), own)


def test_several_checkpoints_are_too_many(
    downloader: ModelDownloader, artifact: Any, describe: Any, tmp_path: Path
) -> None:
    (tmp_path / "a.pth").write_bytes(saved({"x": torch.ones(1)}))
    downloader.download(str(tmp_path / "a.pth"))
    one = artifact("a")
    [file] = one.record.files
    record = replace(one.record, files=(file, replace(file, path="b.pth")))
    both = replace(one, record=record)

    with pytest.raises(LoadError, match=r"2 checkpoints.*a\.pth, b\.pth"):
        describe(both, "torchvision:resnet18")


# FROM A REFERENCE TO LABELS


def test_a_downloaded_model_labels_the_picture_at_a_path(
    resnet: tuple[Artifact, Any], downloader: ModelDownloader, tmp_path: Path
) -> None:
    from torchinf_core.models import ModelManager

    picture().save(tmp_path / "photo.png")
    weights = models.ResNet18_Weights.IMAGENET1K_V1
    with torch.inference_mode():
        score, index = resnet[1](weights.transforms()(picture())[None]).softmax(1)[0].max(0)

    with ModelManager(downloader).load_model("resnet18", device="cpu", runtime="torch") as model:
        [found] = model.predict(str(tmp_path / "photo.png"), top=1)
        batch = model.predict([picture(), picture(200, 333)])

    assert found["label"] == weights.meta["categories"][index]
    assert found["score"] == pytest.approx(score.item(), abs=1e-5)
    assert [len(best) for best in batch] == [5, 5]


def test_a_bare_checkpoint_is_used_as_the_architecture_that_was_named(
    downloader: ModelDownloader, tmp_path: Path
) -> None:
    from torchinf_core.models import ModelManager

    torch.manual_seed(3)
    module = models.mobilenet_v2(num_classes=7).eval()
    (tmp_path / "own.pth").write_bytes(saved(module.state_dict()))
    downloader.download(str(tmp_path / "own.pth"))
    manager = ModelManager(downloader)
    inputs = torch.rand(2, 3, 64, 64)

    model = manager.load_model(
        "own", arch="torchvision:mobilenet_v2", device="cpu", runtime="torch"
    )

    with torch.inference_mode():
        expected = module(inputs)
    torch.testing.assert_close(model.predict(inputs), expected, atol=1e-5, rtol=1e-5)
    assert len(model.predict(picture())) == 5
    with pytest.raises(LoadError, match="not a checkpoint of torchvision's resnet18"):
        manager.load_model("own", arch="torchvision:resnet18", device="cpu", runtime="torch")
    manager.close()
