"""What a search finds, and in which order."""

import pytest

from torchinf_core.plugins import load_plugins
from torchinf_core.refs import parse_ref
from torchinf_core.settings import Settings
from torchinf_torchvision.searching import find


def refs(pattern: str, limit: int = 1000) -> list[str]:
    return [hit.ref.removeprefix("torchvision:") for hit in find(pattern, limit)]


def test_the_very_name_comes_first_and_its_default_before_the_rest() -> None:
    found = refs("resnet50")

    assert found[:2] == ["resnet50@IMAGENET1K_V2", "resnet50@IMAGENET1K_V1"]
    assert "wide_resnet50_2@IMAGENET1K_V1" in found


def test_a_hit_tells_size_accuracy_and_task() -> None:
    hit = find("resnet50", 1)[0]

    assert hit.description == "default, ImageNet-1K acc@1 80.858, 25.6 M parameters"
    assert hit.size == pytest.approx(102_540_417, abs=1024)
    assert hit.task == "image-classification"


def test_patterns_stand_for_whole_names() -> None:
    assert {ref.partition("@")[0] for ref in refs("resnet1?")} == {"resnet18"}
    assert {ref.partition("@")[0] for ref in refs("ResNet*_32x?d")} == set()
    assert refs("vit_*@*swag_e2e*") == [
        f"vit_{size}@IMAGENET1K_SWAG_E2E_V1" for size in ("b_16", "h_14", "l_16")
    ]


def test_all_words_have_to_match() -> None:
    assert set(refs("quantized resnet18")) == {"quantized_resnet18@IMAGENET1K_FBGEMM_V1"}
    assert refs("resnet18 object-detection") == []


@pytest.mark.parametrize("word", ["object-detection", "optical-flow", "quantized", "swag"])
def test_tasks_tags_and_members_are_searched(word: str) -> None:
    assert refs(word)


@pytest.mark.parametrize("pattern", ["", "*"])
def test_everything_is_found_by_nothing(pattern: str) -> None:
    assert len(refs(pattern)) == 166


def test_no_more_is_found_than_asked_for() -> None:
    assert len(refs("*", 7)) == 7


def test_every_hit_can_be_downloaded_as_it_is_written(settings: Settings) -> None:
    plugins = load_plugins(settings)
    hits = plugins.search("torchvision", "resnet", 10, settings)

    assert len(hits) == 10
    for hit in hits:
        assert plugins.resolve(parse_ref(hit.ref), {}, settings).task == hit.task
