"""The contract of a plan."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torchinf_core.errors import PluginContractError, SizeLimitError
from torchinf_core.settings import Settings
from torchinf_core.types import ModelRef, Plan, RemoteFile, Trust
from torchinf_core.verify import check_plan

FILE = RemoteFile("model.onnx", "https://host/model.onnx", 10, "ab" * 32)
PLAN = Plan(ModelRef("zoo", "tiny"), "tiny", (FILE,))
SETTINGS = Settings(max_bytes=1000)


def with_files(*files: RemoteFile) -> Plan:
    return replace(PLAN, files=files)


def with_paths(*paths: str) -> Plan:
    return with_files(*(replace(FILE, path=path) for path in paths))


@pytest.mark.parametrize(
    "plan",
    [
        PLAN,
        with_files(),
        with_paths("a/x", "a/y", "b"),
        with_files(replace(FILE, size=None, sha256=None)),
        with_files(replace(FILE, sha256_prefix="abababab", git_sha1="0" * 40)),
        with_files(replace(FILE, unpack=True, strip=1)),
        with_files(replace(FILE, mirrors=("http://mirror:8080/x",))),
        replace(
            PLAN,
            ref=ModelRef("file", "/m.pt"),
            files=(replace(FILE, url="file:///m.pt"),),
        ),
        replace(PLAN, name="org/name", metadata={"a": [1, 2.5, None, True, {"b": "é\n"}]}),
    ],
)
def test_a_plan_within_its_contract_passes(plan: Plan) -> None:
    check_plan(plan, SETTINGS)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"path": "../x"}, "path"),
        ({"path": 7}, "path"),
        ({"url": "ftp://host/x"}, "https nor http"),
        ({"url": "file:///etc/passwd"}, "local"),
        ({"url": "data:,x"}, "https nor http"),
        ({"url": "https:///x"}, "no host"),
        ({"url": "https://host:0/x"}, "no host"),
        ({"url": "https://host:99999/x"}, "URL"),
        ({"url": "https://host/a b"}, "spaces"),
        ({"url": "https://host/a\r\nX: y"}, "control"),
        ({"url": "https://[::1/x"}, "URL"),
        ({"url": None}, "URL"),
        ({"mirrors": ("gopher://host/x",)}, "https nor http"),
        ({"mirrors": ["https://host/x"]}, "mirrors"),
        ({"sha256": "AB" * 32}, "sha256"),
        ({"sha256": "ab" * 31}, "sha256"),
        ({"sha256": "ab" * 32 + "\n"}, "sha256"),
        ({"sha256": "../" + "a" * 61}, "sha256"),
        ({"sha256_prefix": "xyz"}, "sha256_prefix"),
        ({"sha256_prefix": "deadbeef"}, "contradict"),
        ({"git_sha1": "0" * 39}, "git_sha1"),
        ({"size": -1}, "size"),
        ({"size": 1.5}, "size"),
        ({"size": True}, "size"),
        ({"size": ""}, "size"),
        ({"size": 1 << 63}, "size"),
        ({"approximate_size": -1}, "approximate_size"),
        ({"strip": 1}, "strip"),
        ({"strip": -1, "unpack": True}, "strip"),
    ],
)
def test_a_file_that_breaks_the_contract_is_named_with_its_fault(
    change: dict[str, Any], word: str
) -> None:
    with pytest.raises(PluginContractError, match=word) as caught:
        check_plan(with_files(replace(FILE, **change)), SETTINGS)
    assert "zoo:tiny" in str(caught.value)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"ref": "zoo:tiny"}, "ref"),
        ({"name": ""}, "name"),
        ({"name": "///"}, "name"),
        ({"name": None}, "name"),
        ({"name": "a\x1b[31m"}, "control"),
        ({"files": [FILE]}, "files"),
        ({"files": ("x",)}, "files"),
        ({"files": (FILE,) * 100_001}, "100001 files"),
        ({"trust": 0}, "trust"),
        ({"revision": 3}, "revision"),
        ({"license": ["mit"]}, "license"),
        ({"tags": ["a"]}, "tags"),
        ({"notes": (1,)}, "notes"),
        ({"metadata": []}, "metadata"),
        ({"metadata": {"a": {1, 2}}}, r"metadata\.a is a set"),
        ({"metadata": {"a": (1,)}}, "tuple"),
        ({"metadata": {"a": [b"x"]}}, r"metadata\.a\[0\] is a bytes"),
        ({"metadata": {"a": math.nan}}, "nan"),
        ({"metadata": {"a": math.inf}}, "inf"),
        ({"metadata": {1: 2}}, "key"),
        ({"metadata": {"a": "\ud800"}}, "Unicode"),
        ({"metadata": {"a": Trust.DATA, "b": 1 << 20_000}}, "large"),
        ({"metadata": {"a": [0] * 300_000}}, "large"),
        ({"metadata": {"a": "x" * (9 << 20)}}, "large"),
    ],
)
def test_a_plan_that_breaks_the_contract_is_refused_by_field(
    change: dict[str, Any], word: str
) -> None:
    with pytest.raises(PluginContractError, match=word):
        check_plan(replace(PLAN, **change), SETTINGS)


def test_metadata_nested_100_000_deep_is_refused_without_recursion() -> None:
    value: Any = 1
    for _ in range(100_000):
        value = [value]
    with pytest.raises(PluginContractError, match="deeper"):
        check_plan(replace(PLAN, metadata={"a": value}), SETTINGS)
    while isinstance(value, list):  # taken apart, so that freeing it does not recurse either
        value = value.pop()


@pytest.mark.parametrize(
    "paths",
    [
        ("a", "a"),
        ("a", "A"),
        ("d/é", "d/e\u0301"),
        ("a", "a/b"),
        ("A/b/c", "a"),
        ("x/y/z", "x", "w"),
    ],
)
def test_paths_that_would_overwrite_each_other_are_refused(paths: tuple[str, ...]) -> None:
    with pytest.raises(PluginContractError, match="path"):
        check_plan(with_paths(*paths), SETTINGS)


def test_a_plan_over_the_limit_says_both_figures() -> None:
    plan = with_files(replace(FILE, size=600), replace(FILE, path="b", size=401))
    with pytest.raises(SizeLimitError, match=r"1001 bytes.*1000"):
        check_plan(plan, SETTINGS)
    check_plan(plan, replace(SETTINGS, max_bytes=1001))


def test_secrets_of_a_refused_url_stay_out_of_the_message() -> None:
    file = replace(FILE, url="https://me:hunter2@host/x y?token=s3cret")
    with pytest.raises(PluginContractError) as caught:
        check_plan(with_files(file), SETTINGS)
    assert "hunter2" not in str(caught.value)
    assert "s3cret" not in str(caught.value)


_ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner),
    max_leaves=8,
)


@given(
    st.sampled_from(["path", "url", "size", "sha256", "mirrors", "strip", "git_sha1"]), _ANYTHING
)
def test_no_field_value_of_a_file_escapes_as_another_exception(field: str, value: Any) -> None:
    try:
        check_plan(with_files(replace(FILE, **{field: value})), SETTINGS)
    except (PluginContractError, SizeLimitError):
        pass


@given(_ANYTHING)
def test_accepted_metadata_survives_a_round_trip_through_json(value: Any) -> None:
    import json

    metadata = {"k": value}
    try:
        check_plan(replace(PLAN, metadata=metadata), SETTINGS)
    except PluginContractError:
        return
    assert json.loads(json.dumps(metadata, allow_nan=False)) == metadata
