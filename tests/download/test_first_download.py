import hashlib
import json

import pytest

from torchinf_core.errors import (
    IntegrityError,
    ModelNotFoundError,
    OptionError,
    RefError,
    SizeLimitError,
    UnknownSourceError,
)
from torchinf_core.registry import Registry
from torchinf_core.store import Store
from torchinf_core.testing import faults
from torchinf_core.types import Trust

ONE = {"weights.bin": b"w" * 5000}
THREE = {"config.json": b'{"a": 1}', "sub/weights.bin": b"v" * 3000, "vocab.txt": b"a\nb\n"}


def test_a_model_of_one_file_arrives_verified_and_recorded(zoo, get):
    zoo.add(
        "tiny",
        ONE,
        task="testing",
        license="mit",
        description="A model",
        tags=["a"],
        metadata={"classes": 3},
    )
    outcome = get("zoo:tiny")
    record = outcome.record
    assert not outcome.hit
    assert outcome.fetched == 5000
    assert outcome.path.read_bytes() == ONE["weights.bin"]
    assert outcome.path.name == "weights.bin"
    assert (record.name, record.source, record.model_id, record.ref) == (
        "tiny",
        "zoo",
        "tiny",
        "zoo:tiny",
    )
    assert (record.requested_revision, record.revision) == (None, "1")
    assert (record.task, record.license, record.description) == ("testing", "mit", "A model")
    assert (record.tags, record.metadata) == (("a",), {"classes": 3})
    assert record.verified == "published"
    assert record.trust == Trust.DATA
    assert record.files[0].sha256 == hashlib.sha256(ONE["weights.bin"]).hexdigest()
    assert record.files[0].url.endswith("/files/tiny/1/weights.bin")
    assert record.created == record.updated


def test_a_model_of_several_files_is_a_directory(zoo, get):
    zoo.add("tiny", THREE)
    path = get("zoo:tiny").path
    assert path.is_dir()
    found = {p.relative_to(path).as_posix(): p.read_bytes() for p in path.rglob("*") if p.is_file()}
    assert found == THREE


def test_a_model_without_weights_is_a_record_and_an_empty_directory(zoo, get):
    zoo.add("bare", {})
    outcome = get("zoo:bare")
    assert outcome.path.is_dir()
    assert list(outcome.path.iterdir()) == []
    assert get("zoo:bare").hit


def test_without_published_digests_the_content_is_recorded(zoo, get):
    zoo.add("tiny", ONE, digests=False)
    assert get("zoo:tiny").record.verified == "recorded"


def test_a_pin_is_enforced_and_noted(zoo, get):
    zoo.add("tiny", ONE, digests=False)
    with pytest.raises(IntegrityError):
        get("zoo:tiny", sha256="00" * 32)
    digest = hashlib.sha256(ONE["weights.bin"]).hexdigest()
    assert get("zoo:tiny", sha256=digest).record.verified == "pinned"


def test_a_pin_that_contradicts_the_source_moves_no_byte(zoo, get):
    zoo.add("tiny", ONE)
    with pytest.raises(IntegrityError, match="pinned"):
        get("zoo:tiny", sha256="00" * 32)
    assert zoo.fetched == []


def test_a_pin_for_several_files_is_refused(zoo, get):
    zoo.add("tiny", THREE)
    with pytest.raises(IntegrityError, match="3 files"):
        get("zoo:tiny", sha256="00" * 32)


def test_a_pickle_raises_the_trust_level_and_is_not_run(zoo, get, tmp_path):
    import pickle

    marker = tmp_path / "owned"

    class Evil:
        def __reduce__(self):
            return (open, (str(marker), "w"))

    zoo.add("evil", {"model.bin": pickle.dumps(Evil())})
    assert get("zoo:evil").record.trust == Trust.CODE
    assert not marker.exists()


def test_the_source_can_ask_for_more_trust_than_the_content_shows(zoo, get):
    zoo.add("tiny", ONE, trust=2)
    assert get("zoo:tiny").record.trust == Trust.CODE


def test_wrong_bytes_publish_nothing(zoo, get, settings):
    zoo.add("tiny", THREE)
    zoo.hub.fail(zoo.file_of("tiny", "vocab.txt"), faults.flip().repeat(9))
    with pytest.raises(IntegrityError):
        get("zoo:tiny")
    registry = Registry(Store(settings.cache_dir))
    assert registry.names() == []
    assert not list((Store(settings.cache_dir).root / "models").iterdir())


def test_what_does_not_exist_says_so(zoo, get):
    with pytest.raises(ModelNotFoundError) as caught:
        get("zoo:nothing")
    assert caught.value.hint == "torchinf search zoo"


def test_a_source_that_is_not_installed_says_how_to_get_one(zoo, get):
    with pytest.raises(UnknownSourceError):
        get("nosuchsource:thing")


def test_a_bare_word_lists_candidates_and_asks_nobody(zoo, get):
    zoo.add("tiny", ONE)
    with pytest.raises(RefError) as caught:
        get("tiny")
    assert "torchinf download zoo:tiny" in caught.value.hint
    assert zoo.asked == []


def test_too_large_a_model_is_refused_before_it_moves(zoo, settings):
    import dataclasses

    from torchinf_core.download import download, make_request

    zoo.add("tiny", ONE)
    small = dataclasses.replace(settings, max_bytes=4999)
    with pytest.raises(SizeLimitError):
        download(make_request("zoo:tiny", settings=small), small)
    assert zoo.fetched == []


def test_options_reach_the_source_and_unknown_ones_do_not_pass(zoo, get):
    zoo.add("tiny", ONE)
    outcome = get("zoo:tiny", options={"width": 2, "pretrained": False}, task="detect")
    assert outcome.record.metadata == {"options": {"width": 2, "task": "detect"}}
    assert outcome.record.task == "detect"
    assert any("'pretrained'" in note for note in outcome.notes)
    with pytest.raises(OptionError, match="'colour'"):
        get("zoo:tiny", options={"colour": "red"}, name="other")


def test_secrets_in_a_reference_are_not_stored(zoo, get, settings):
    secret = "s3cr3t-value"
    zoo.add("tiny", ONE)
    page = zoo.pages["tiny"]["revisions"]["1"]
    page["files"][0]["url"] += f"?token={secret}"
    zoo.publish("tiny")
    record = get("zoo:tiny").record
    stored = [path.read_bytes() for path in Store(settings.cache_dir).root.rglob("*.json")]
    assert secret not in repr(record)
    assert not any(secret.encode() in data for data in stored)


def test_events_tell_what_happens(zoo, get):
    zoo.add("tiny", ONE)
    events = []
    get("zoo:tiny", on_event=events.append)
    kinds = [event.kind for event in events]
    assert kinds[0] == "resolved"
    assert kinds[-1] == "done"
    assert "progress" in kinds
    assert events[0].total == events[-1].total == 5000


def test_a_callback_that_raises_stops_the_download_cleanly(zoo, get, settings):
    zoo.add("tiny", ONE)

    def stop(_event):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        get("zoo:tiny", on_event=stop)
    assert Registry(Store(settings.cache_dir)).names() == []
    assert get("zoo:tiny").path.read_bytes() == ONE["weights.bin"]


def test_the_record_on_disk_is_json_that_says_the_same(zoo, get, settings):
    zoo.add("tiny", ONE)
    record = get("zoo:tiny").record
    (path,) = (Store(settings.cache_dir).root / "records").iterdir()
    stored = json.loads(path.read_bytes())
    assert stored["name"] == record.name
    assert stored["files"][0]["sha256"] == record.files[0].sha256


def test_there_must_be_room_for_what_is_missing_and_for_no_more(zoo, get, settings, monkeypatch):
    import os

    from torchinf_core.errors import DiskSpaceError
    from torchinf_core.transfer.partial import partial_key
    from torchinf_core.types import RemoteFile

    zoo.add("tiny", ONE, digests=False)
    real = os.statvfs

    def nearly_full(path):
        values = list(real(path))
        values[1], values[3], values[4] = 1, 4000, 4000
        return os.statvfs_result(values)

    monkeypatch.setattr(os, "statvfs", nearly_full)
    with pytest.raises(DiskSpaceError, match="5,000 bytes"):
        get("zoo:tiny")
    assert zoo.fetched == []
    entry = zoo.pages["tiny"]["revisions"]["1"]["files"][0]
    partial = Store(settings.cache_dir).partial(partial_key(RemoteFile(**entry)))
    partial.write_bytes(b"w" * 4096)  # what an earlier process has allocated
    assert get("zoo:tiny").path.read_bytes() == ONE["weights.bin"]
