"""What may be written behind ``torchvision:``, and the plan it means."""

from collections.abc import Callable

import pytest

from torchinf_core.errors import ModelNotFoundError, OptionError, UsageError
from torchinf_core.refs import check_name, parse_ref
from torchinf_core.settings import Settings
from torchinf_core.types import Plan, Trust
from torchinf_core.verify import check_plan
from torchinf_torchvision import sources
from torchinf_torchvision.catalogue import load

Resolve = Callable[..., Plan]


def test_a_model_alone_means_the_concrete_member_behind_default(resolve: Resolve) -> None:
    plan = resolve("torchvision:resnet18")

    (file,) = plan.files
    assert (plan.name, plan.revision) == ("resnet18", "IMAGENET1K_V1")
    assert file.path == "resnet18-f37072fd.pth"
    assert file.url == "https://download.pytorch.org/models/resnet18-f37072fd.pth"
    assert file.sha256_prefix == "f37072fd"
    assert file.size is None
    assert file.approximate_size == pytest.approx(46_830_571, abs=1024)
    assert (plan.trust, plan.format) == (Trust.PICKLE, "torch")


@pytest.mark.parametrize(
    ("written", "member"),
    [
        ("resnet50", "IMAGENET1K_V2"),
        ("ResNet50", "IMAGENET1K_V2"),
        ("resnet50@DEFAULT", "IMAGENET1K_V2"),
        ("resnet50@ResNet50_Weights.DEFAULT", "IMAGENET1K_V2"),
        ("resnet50@IMAGENET1K_V1", "IMAGENET1K_V1"),
        ("resnet50@imagenet1k_v1", "IMAGENET1K_V1"),
        ("resnet50@ResNet50_Weights.IMAGENET1K_V1", "IMAGENET1K_V1"),
        ("quantized_resnet50", "IMAGENET1K_FBGEMM_V2"),
    ],
)
def test_members_are_named_in_many_ways(resolve: Resolve, written: str, member: str) -> None:
    plan = resolve(f"torchvision:{written}")

    assert plan.revision == member
    assert plan.ref.locator == written.partition("@")[0].lower()
    assert plan.metadata["weights"].endswith(f"Weights.{member}")


@pytest.mark.parametrize(
    ("written", "hint"),
    [
        ("resnet1", "torchvision:resnet18"),
        ("mobilenet-v2", "torchvision:mobilenet_v2"),
        ("no such thing", "torchinf search torchvision"),
        ("resnet50@IMAGENET1K_V3", "torchvision:resnet50@IMAGENET1K_V"),
        ("resnet50@latest", "torchvision:resnet50@IMAGENET1K_V1 or"),
        ("resnet50@ResNet18_Weights.IMAGENET1K_V1", "torchvision:resnet50@IMAGENET1K_V1"),
    ],
)
def test_what_is_not_there_brings_what_could_be_meant(
    resolve: Resolve, written: str, hint: str
) -> None:
    with pytest.raises(ModelNotFoundError) as caught:
        resolve(f"torchvision:{written}")

    assert hint in caught.value.hint


def test_labels_preprocessing_metrics_and_license_are_in_the_plan(resolve: Resolve) -> None:
    plan = resolve("torchvision:vit_b_16@IMAGENET1K_SWAG_E2E_V1")

    metadata = plan.metadata
    assert metadata["architecture"] == "vit_b_16"
    assert len(metadata["labels"]) == 1000
    assert metadata["labels"][0] == "tench"
    assert metadata["transforms"]["class"] == "ImageClassification"
    assert metadata["transforms"]["crop_size"] == 384
    assert metadata["transforms"]["interpolation"] == "bicubic"
    assert metadata["transforms"]["mean"] == [0.485, 0.456, 0.406]
    assert metadata["metrics"]["ImageNet-1K"]["acc@1"] == 85.304
    assert metadata["min_size"] == [384, 384]
    assert (plan.task, plan.license) == ("image-classification", "CC-BY-NC-4.0")
    assert "SWAG" in (plan.description or "")


@pytest.mark.parametrize(
    ("model", "task"),
    [
        ("resnet18", "image-classification"),
        ("fasterrcnn_resnet50_fpn", "object-detection"),
        ("maskrcnn_resnet50_fpn", "image-segmentation"),
        ("fcn_resnet50", "image-segmentation"),
        ("keypointrcnn_resnet50_fpn", "keypoint-detection"),
        ("r3d_18", "video-classification"),
        ("raft_large", "optical-flow"),
        ("vgg16@IMAGENET1K_FEATURES", "image-feature-extraction"),
    ],
)
def test_each_kind_of_model_has_its_task(resolve: Resolve, model: str, task: str) -> None:
    assert resolve(f"torchvision:{model}").task == task


def test_every_member_of_the_catalogue_makes_a_sound_plan(
    resolve: Resolve, settings: Settings
) -> None:
    names = set()
    for name, model in load()["models"].items():
        for member in model["weights"]:
            plan = resolve(f"torchvision:{name}@{member}")
            check_plan(plan, settings)
            assert (check_name(plan.name), plan.revision) == (name, member)
            names.add(plan.files[0].path)
    assert len(names) == 166


def test_only_what_torch_hub_would_check_is_taken_as_a_digest(resolve: Resolve) -> None:
    without = {
        plan.name
        for name, model in load()["models"].items()
        for member in model["weights"]
        if (plan := resolve(f"torchvision:{name}@{member}")).files[0].sha256_prefix is None
    }

    assert without == {
        "quantized_mobilenet_v2",
        "quantized_resnet18",
        "quantized_resnet50",
        "quantized_resnext101_32x8d",
    }
    assert resolve("torchvision:mnasnet0_5").files[0].sha256_prefix == "3ffadce67e"


def test_without_weights_there_is_no_file(resolve: Resolve, settings: Settings) -> None:
    plan = resolve("torchvision:resnet18", pretrained=False)

    check_plan(plan, settings)
    assert (plan.files, plan.name, plan.revision) == ((), "resnet18", None)
    assert plan.metadata["pretrained"] is False
    assert plan.task == "image-classification"


def test_weights_and_no_weights_contradict_each_other(resolve: Resolve) -> None:
    with pytest.raises(OptionError, match="asks for none"):
        resolve("torchvision:resnet18@IMAGENET1K_V1", pretrained=False)


def test_pretrained_is_a_yes_or_no(resolve: Resolve) -> None:
    with pytest.raises(OptionError, match="expected yes or no"):
        resolve("torchvision:resnet18", pretrained="maybe")


def test_a_mirror_takes_the_place_of_the_host(
    resolve: Resolve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCHINF_TORCHVISION_MIRROR", "http://127.0.0.1:8080/tv/")

    (file,) = resolve("torchvision:resnet18").files

    assert file.url == "http://127.0.0.1:8080/tv/models/resnet18-f37072fd.pth"
    assert file.mirrors == ()
    assert file.sha256_prefix == "f37072fd"


@pytest.mark.parametrize(
    "mirror",
    ["mirror.example", "file:///srv", "https://", "http://[", "https://m/?a=b", "http://m/ x"],
)
def test_a_mirror_is_a_url(resolve: Resolve, monkeypatch: pytest.MonkeyPatch, mirror: str) -> None:
    monkeypatch.setenv("TORCHINF_TORCHVISION_MIRROR", mirror)

    with pytest.raises(UsageError, match="mirror setting") as caught:
        resolve("torchvision:resnet18")

    assert "TORCHINF_TORCHVISION_MIRROR" in caught.value.hint


def test_the_examples_resolve(resolve: Resolve) -> None:
    (info,) = sources()
    for example in info.examples:
        assert parse_ref(example).scheme in info.schemes
        assert resolve(example).files
