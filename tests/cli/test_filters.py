from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torchinf_core.cli.filters import select, sort_records
from torchinf_core.errors import OptionError
from torchinf_core.types import Record, StoredFile, Trust


def record(name, size=10, *, age_days=0, **more):
    when = (datetime.now(UTC) - timedelta(days=age_days)).strftime("%Y-%m-%dT%H:%M:%SZ")
    fields = {
        "source": "zoo",
        "ref": f"zoo:{name}",
        "model_id": name,
        "requested_revision": None,
        "revision": None,
        "files": (StoredFile("a", size, "0" * 64),),
        "generation": "0" * 64,
        "format": None,
        "trust": Trust.DATA,
        "trusted": None,
        "verified": "recorded",
        "task": None,
        "description": None,
        "license": None,
        "tags": (),
        "metadata": {},
        "request_key": "0" * 64,
        "created": when,
        "updated": when,
        "torchinf_version": "0",
    }
    return Record(name=name, **{**fields, **more})


RECORDS = [
    record("resnet18", 46_800_000, age_days=3, source="torchvision", tags=("vision", "small")),
    record("bert", 1_340_000_000, age_days=30, task="text-classification", trust=Trust.PICKLE),
    record("vad", 2_300_000, format="onnx", license="mit", tags=("audio",)),
]


@pytest.mark.parametrize(
    ("filters", "names"),
    [
        ([], "resnet18 bert vad"),
        (["size>1GB"], "bert"),
        (["size > 1 GB"], "bert"),
        (["size<=46.8MB"], "resnet18 vad"),
        (["source=torchvision"], "resnet18"),
        (["source!=torchvision"], "bert vad"),
        (["tag=small"], "resnet18"),
        (["tag!=small"], "bert vad"),
        (["name=*e*"], "resnet18 bert"),
        (["name=VAD"], "vad"),
        (["task=text-*"], "bert"),
        (["task=*"], "bert"),
        (["trust=pickle"], "bert"),
        (["format=onnx", "license=mit"], "vad"),
        (["format=onnx", "license=gpl"], ""),
        (["updated<7d"], "resnet18 vad"),
        (["updated>2w"], "bert"),
    ],
)
def test_filters_select(filters, names):
    assert [found.name for found in select(RECORDS, filters)] == names.split()


@pytest.mark.parametrize(
    "text", ["", "size", "size>", "size>many", "name>x", "updated<soon", "=x", "Size>1", "a b=c"]
)
def test_a_filter_that_makes_no_sense_says_so(text):
    with pytest.raises(OptionError):
        select(RECORDS, [text])


def test_a_misspelt_key_is_answered_with_the_nearest():
    with pytest.raises(OptionError) as caught:
        select(RECORDS, ["sorce=zoo"])
    assert caught.value.hint == "did you mean 'source'?"


@pytest.mark.parametrize(
    ("order", "names"),
    [
        ("name", "bert resnet18 vad"),
        ("name:desc", "vad resnet18 bert"),
        ("size", "bert resnet18 vad"),
        ("size:asc", "vad resnet18 bert"),
        ("updated", "vad resnet18 bert"),
        ("source", "resnet18 bert vad"),
    ],
)
def test_sorting(order, names):
    assert [found.name for found in sort_records(RECORDS, order)] == names.split()


@pytest.mark.parametrize("order", ["", "colour", "name:up", "name:asc:desc"])
def test_an_unknown_order_says_so(order):
    with pytest.raises(OptionError, match="--sort"):
        sort_records(RECORDS, order)


@given(st.text(max_size=30))
def test_any_text_is_a_filter_or_an_option_error(text):
    try:
        assert set(select(RECORDS, [text])) <= set(RECORDS)
    except OptionError:
        pass
