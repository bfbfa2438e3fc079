"""A damaged record costs its model and no other; nothing is guessed from it."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from torchinf_core import records
from torchinf_core.errors import StoreError
from torchinf_core.types import Record, StoredFile, Trust

WHOLE = json.loads(
    records.dump(
        Record(
            "m", "s", "s:m", "m", None, None,
            (StoredFile("a", 1, "0" * 64),), "1" * 64, None, Trust.DATA, None, "none", None, None,
            None, ("t",), {}, "", "", "", "0",
        )
    )
)  # fmt: skip


def changed(**fields: Any) -> bytes:
    return json.dumps({**WHOLE, **fields}).encode()


def with_file(**fields: Any) -> bytes:
    return changed(files=[{**WHOLE["files"][0], **fields}])


DAMAGE = {
    "empty": b"",
    "truncated": json.dumps(WHOLE).encode()[:-20],
    "not JSON": b"name: m\n",
    "a byte order mark": b"\xef\xbb\xbf" + json.dumps(WHOLE).encode(),
    "UTF-16": json.dumps(WHOLE).encode("utf-16"),
    "zeroes": b"\0" * 512,
    "a NUL at the end": json.dumps(WHOLE).encode() + b"\0",
    "not UTF-8": b'{"schema": 1, "name": "\xff"}',
    "a lone surrogate": json.dumps({**WHOLE, "task": "\ud800"}).encode(),
    "a list": b"[]",
    "a number": b"1",
    "nested 100 000 deep": b"[" * 100_000,
    "no schema": json.dumps({k: v for k, v in WHOLE.items() if k != "schema"}).encode(),
    "a schema that is a text": changed(schema="1"),
    "a schema that is true": changed(schema=True),
    "an unknown schema": changed(schema=99),
    "no name": json.dumps({k: v for k, v in WHOLE.items() if k != "name"}).encode(),
    "another name": changed(name="other"),
    "a name that is a number": changed(name=1),
    "no files": changed(files=None),
    "a file that is a text": changed(files=["a"]),
    "a path that climbs": with_file(path="../../etc/passwd"),
    "an absolute path": with_file(path="/etc/passwd"),
    "a path with NUL": with_file(path="a\0b"),
    "an empty path": with_file(path=""),
    "a path with a backslash": with_file(path="a\\b"),
    "a negative size": with_file(size=-1),
    "a size that is true": with_file(size=True),
    "a size that is a float": with_file(size=1.0),
    "a digest in capitals": with_file(sha256="A" * 64),
    "a digest that climbs": with_file(sha256="../" * 21 + "x"),
    "a generation that climbs": changed(generation="../../x"),
    "an unknown trust": changed(trust=7),
    "a trust that is true": changed(trust=True),
    "an unknown verdict": changed(verified="surely"),
    "tags that are a text": changed(tags="ab"),
    "a tag that is a number": changed(tags=[1]),
    "metadata that is a list": changed(metadata=[]),
    "a huge number": b'{"schema": ' + b"1" * 5000 + b"}",
    "100 MB": b"sparse",
}


def break_record(shelf: Any, kind: str) -> None:
    path = shelf.store.layout.record("m")
    with open(path, "wb") as file:
        file.write(DAMAGE[kind])
        if kind == "100 MB":
            file.truncate(100_000_000)


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_record_is_reported_and_the_others_still_list(shelf, kind):
    broken = shelf.add("m", {"a": b"1"})
    fine = shelf.add("fine", {"a": b"1"})
    break_record(shelf, kind)
    listing = shelf.registry.records()
    assert listing.records == (fine,)
    (damaged,) = listing.damaged
    assert damaged.name == "m"
    assert damaged.reason
    assert damaged.reason.isprintable()
    assert shelf.registry.names() == ["fine", "m"]
    with pytest.raises(StoreError, match="record of 'm' is damaged") as caught:
        shelf.registry.get("m")
    assert caught.value.hint
    assert shelf.registry.by_request(broken.request_key) is None
    assert shelf.registry.get("fine") == fine
    expected = "newer" if kind == "an unknown schema" else "record"
    assert [problem.kind for problem in shelf.store.fsck()] == [expected]


@pytest.mark.parametrize("kind", ["truncated", "100 MB", "another name"])
def test_a_damaged_record_can_be_replaced(shelf, kind):
    record = shelf.add("m", {"a": b"1"})
    break_record(shelf, kind)
    shelf.registry.put(record)
    assert shelf.registry.get("m") == record
    assert shelf.damage() == []


def test_what_is_no_file_is_no_record(shelf, tmp_path):
    fine = shelf.add("fine", {"a": b"1"})
    directory = shelf.store.root / "records"
    (directory / "directory-00000000.json").mkdir()
    os.mkfifo(directory / "pipe-00000000.json")
    (directory / "link-00000000.json").symlink_to(directory / os.listdir(directory)[0])
    (directory / "dangling-00000000.json").symlink_to(tmp_path / "gone")
    listing = shelf.registry.records()
    assert listing.records == (fine,)
    assert len(listing.damaged) == 4
    assert len(shelf.registry.names()) == 5
    assert len(shelf.store.fsck(repair=True)) == 4
    assert shelf.damage() == []


def test_fields_of_a_later_version_are_ignored():
    document = {**WHOLE, "colour": "green", "files": [{**WHOLE["files"][0], "colour": "red"}]}
    assert records.parse(json.dumps(document).encode()).name == "m"


@given(st.binary(max_size=300))
def test_any_bytes_are_a_record_or_a_value_error(data):
    try:
        assert isinstance(records.parse(data), Record)
    except ValueError:
        pass


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


@given(st.sampled_from(sorted(WHOLE)), json_values)
def test_a_record_with_any_value_in_any_field_is_a_record_or_a_value_error(key, value):
    try:
        record = records.parse(changed(**{key: value}))
    except ValueError:
        return
    assert records.parse(records.dump(record)) == record


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
stored_files = st.builds(
    StoredFile,
    path=st.from_regex(r"[a-z]{1,9}(/[a-z .-]{3,9}){0,3}", fullmatch=True),
    size=st.integers(0, 1 << 60),
    sha256=st.from_regex(r"[0-9a-f]{64}", fullmatch=True),
    format=st.none() | texts,
    url=st.none() | texts,
    validator=st.none() | texts,
    mtime_ns=st.integers(),
    inode=st.integers(0, 1 << 64),
)
whole_records = st.builds(
    Record,
    name=texts,
    source=texts,
    ref=texts,
    model_id=texts,
    requested_revision=st.none() | texts,
    revision=st.none() | texts,
    files=st.lists(stored_files, max_size=3).map(tuple),
    generation=st.from_regex(r"[0-9a-f]{64}", fullmatch=True),
    format=st.none() | texts,
    trust=st.sampled_from(Trust),
    trusted=st.none() | texts,
    verified=st.sampled_from(["pinned", "published", "recorded", "none"]),
    task=st.none() | texts,
    description=st.none() | texts,
    license=st.none() | texts,
    tags=st.lists(texts, max_size=3).map(tuple),
    metadata=st.dictionaries(texts, json_values, max_size=3),
    request_key=texts,
    created=texts,
    updated=texts,
    torchinf_version=texts,
)


@given(whole_records)
@settings(max_examples=200)
def test_every_record_reads_back_as_it_was_written(record):
    try:
        data = records.dump(record)
    except ValueError:  # text that is no Unicode, deep in the metadata
        return
    assert records.parse(data) == record
