import os

import pytest

from torchinf_core.errors import IntegrityError, NameTakenError, OfflineError
from torchinf_core.registry import Registry
from torchinf_core.store import Store

OLD = {"a.bin": b"a" * 4000, "b.bin": b"b" * 2000}
NEW = {"a.bin": b"a" * 4000, "b.bin": b"B" * 2000}


@pytest.fixture
def registry(settings):
    return Registry(Store(settings.cache_dir))


def test_the_same_request_again_makes_no_connection(zoo, get):
    zoo.add("tiny", OLD)
    first = get("zoo:tiny")
    seen = len(zoo.asked)
    again = get("zoo", "tiny")
    assert again.hit
    assert (again.path, again.record, again.fetched) == (first.path, first.record, 0)
    assert len(zoo.asked) == seen


def test_a_hit_loads_no_plugin_and_no_http(zoo, get, settings):
    import subprocess
    import sys

    zoo.add("tiny", OLD)
    get("zoo:tiny")
    program = (
        "import sys\n"
        "from torchinf_core.manager import ModelDownloader\n"
        f"d = ModelDownloader({settings.cache_dir!r})\n"
        "assert d.obtain('zoo:tiny').hit\n"
        "bad = {'httpx', 'pluggy', 'torchinf_core.plugins', 'torchinf_core.transfer', 'rich',\n"
        "       'typer', 'ssl', 'zoo_of_the_tests', 'torch', 'numpy'} & sys.modules.keys()\n"
        "assert not bad, bad\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_hits_work_offline_and_nothing_else_does(zoo, get):
    zoo.add("tiny", OLD)
    get("zoo:tiny")
    assert get("zoo:tiny", offline=True).hit
    with pytest.raises(OfflineError):
        get("zoo:other", offline=True)
    with pytest.raises(OfflineError):
        get("zoo:tiny", offline=True, update=True)


def test_the_revision_that_a_request_led_to_is_known_from_then_on(zoo, get):
    zoo.add("tiny", OLD, revision="1")
    first = get("menagerie:tiny")
    zoo.add("tiny", NEW, revision="2")
    seen = len(zoo.asked)

    assert get("menagerie:tiny@1", offline=True).record == first.record
    assert get("zoo:tiny@1", offline=True).record == first.record
    assert len(zoo.asked) == seen
    get("zoo:tiny", update=True)
    assert get("zoo:tiny@2", offline=True).record.revision == "2"
    with pytest.raises(OfflineError):
        get("zoo:tiny@1", offline=True)


def test_an_alias_of_the_source_finds_the_same_model(zoo, get):
    zoo.add("tiny", OLD)
    first = get("zoo:tiny")
    alias = get("menagerie:tiny")
    assert alias.hit
    assert alias.path == first.path
    seen = len(zoo.asked)
    assert get("menagerie:tiny").hit
    assert get("zoo:tiny").hit
    assert len(zoo.asked) == seen


def test_another_name_for_the_same_content_moves_no_byte(zoo, get, registry):
    zoo.add("tiny", OLD)
    get("zoo:tiny")
    seen = len(zoo.fetched)
    other = get("zoo:tiny", name="copy")
    assert other.record.name == "copy"
    assert other.fetched == 0
    assert len(zoo.fetched) == seen
    assert registry.names() == ["copy", "tiny"]


def test_labels_are_added_on_a_hit_and_kept(zoo, get):
    zoo.add("tiny", OLD, task="testing", tags=["a"])
    get("zoo:tiny", tags=["b"])
    seen = len(zoo.asked)
    outcome = get("zoo:tiny", task="other", description="Mine", tags=["c"])
    assert outcome.hit
    assert (outcome.record.task, outcome.record.description) == ("other", "Mine")
    assert outcome.record.tags == ("a", "b", "c")
    assert get("zoo:tiny").record == outcome.record
    assert len(zoo.asked) == seen


def test_a_name_with_other_content_is_an_error_that_offers_both_ways_out(zoo, get, registry):
    zoo.add("tiny", OLD)
    zoo.add("huge", NEW)
    get("zoo:tiny")
    seen = len(zoo.fetched)
    with pytest.raises(NameTakenError) as caught:
        get("zoo:huge", name="tiny")
    assert "--name" in caught.value.hint
    assert "--replace" in caught.value.hint
    assert len(zoo.fetched) == seen
    assert registry.get("tiny").model_id == "tiny"


def test_update_does_not_swap_in_another_revision_that_was_asked_for(zoo, get, registry):
    zoo.add("tiny", OLD)
    zoo.add("tiny", NEW, revision="2")
    get("zoo:tiny@1")
    with pytest.raises(NameTakenError) as caught:
        get("zoo:tiny@2", update=True)
    assert "--replace" in caught.value.hint
    assert "changed at its source" not in str(caught.value)
    assert registry.get("tiny").revision == "1"


def test_replace_changes_the_content_of_a_name(zoo, get, registry):
    zoo.add("tiny", OLD)
    zoo.add("huge", NEW)
    get("zoo:tiny")
    outcome = get("zoo:huge", name="tiny", replace=True)
    assert outcome.fetched == 2000
    assert registry.get("tiny").model_id == "huge"
    assert (outcome.path / "b.bin").read_bytes() == NEW["b.bin"]


def test_after_replace_the_old_request_is_not_answered_by_the_new_content(zoo, get):
    zoo.add("tiny", OLD)
    zoo.add("huge", NEW)
    get("zoo:tiny")
    get("zoo:huge", name="tiny", replace=True)
    with pytest.raises(NameTakenError):
        get("zoo:tiny")


def test_a_source_that_moved_on_is_noticed_only_when_asked(zoo, get):
    zoo.add("tiny", OLD)
    get("zoo:tiny")
    zoo.add("tiny", NEW, revision="2")
    assert get("zoo:tiny").hit
    outcome = get("zoo:tiny", update=True)
    assert not outcome.hit
    assert outcome.record.revision == "2"
    assert (outcome.path / "b.bin").read_bytes() == NEW["b.bin"]


def test_update_fetches_only_what_changed_and_keeps_labels(zoo, get):
    zoo.add("tiny", OLD)
    before = get("zoo:tiny", tags=["mine"], task="own").record
    zoo.add("tiny", NEW, revision="2")
    seen = len(zoo.fetched)
    outcome = get("zoo:tiny", update=True)
    assert zoo.fetched[seen:] == [zoo.file_of("tiny", "b.bin", "2")]
    assert outcome.fetched == 2000
    assert outcome.record.tags == ("mine",)
    assert outcome.record.task == "own"
    assert outcome.record.created == before.created
    assert get("zoo:tiny").record == outcome.record


def test_update_without_a_change_moves_no_byte(zoo, get):
    zoo.add("tiny", OLD)
    get("zoo:tiny")
    seen = len(zoo.fetched)
    outcome = get("zoo:tiny", update=True)
    assert outcome.hit
    assert any("up to date" in note for note in outcome.notes)
    assert len(zoo.fetched) == seen


def test_update_without_digests_goes_by_the_validators(zoo, get):
    tags = {"a.bin": '"a1"', "b.bin": '"b1"'}
    zoo.add("tiny", OLD, digests=False, validators=tags)
    page = zoo.pages["tiny"]["revisions"]["1"]
    page["revision"] = None
    zoo.publish("tiny")
    for entry in page["files"]:
        zoo.hub.add(
            "/" + entry["url"].split("/", 3)[3], OLD[entry["path"]], etag=entry["validator"]
        )
    get("zoo:tiny")
    seen = len(zoo.fetched)
    assert get("zoo:tiny", update=True).hit
    assert len(zoo.fetched) == seen
    page["files"][1]["validator"] = '"b2"'
    zoo.publish("tiny")
    zoo.hub.add(zoo.file_of("tiny", "b.bin"), NEW["b.bin"], etag='"b2"')
    outcome = get("zoo:tiny", update=True)
    assert set(zoo.fetched[seen:]) == {zoo.file_of("tiny", "b.bin")}
    assert outcome.record.verified == "recorded"
    assert (outcome.path / "b.bin").read_bytes() == NEW["b.bin"]


def test_an_immutable_revision_with_another_digest_is_refused(zoo, get, registry):
    zoo.add("tiny", OLD)
    get("zoo:tiny")
    zoo.add("tiny", NEW)
    with pytest.raises(IntegrityError, match=r"b\.bin") as caught:
        get("zoo:tiny", update=True)
    assert "--replace" in caught.value.hint
    outcome = get("zoo:tiny", update=True, replace=True)
    assert (outcome.path / "b.bin").read_bytes() == NEW["b.bin"]


def test_unpublished_content_of_an_immutable_revision_is_held_to_what_was_recorded(zoo, get):
    zoo.add("tiny", OLD, digests=False)
    path = get("zoo:tiny").path
    zoo.add("tiny", NEW, digests=False)
    os.unlink(path / "b.bin")
    for blob in path.parents[2].joinpath("blobs").rglob("*"):
        if blob.is_file():
            blob.unlink()
    with pytest.raises(IntegrityError):
        get("zoo:tiny")


def test_a_pinned_revision_is_another_request(zoo, get, registry):
    zoo.add("tiny", OLD, revision="1")
    zoo.add("tiny", NEW, revision="2")
    get("zoo:tiny")
    with pytest.raises(NameTakenError) as caught:
        get("zoo:tiny@1")
    assert "--name" in caught.value.hint
    one = get("zoo:tiny@1", name="one")
    assert (one.path / "b.bin").read_bytes() == OLD["b.bin"]
    assert one.record.requested_revision == "1"
    assert registry.names() == ["one", "tiny"]


def test_a_renamed_model_is_the_one_that_is_updated(zoo, get, registry):
    zoo.add("tiny", OLD)
    get("zoo:tiny")
    registry.rename("tiny", "mine")
    zoo.add("tiny", NEW, revision="2")
    assert get("zoo:tiny", update=True).record.name == "mine"
    assert registry.names() == ["mine"]


def test_another_name_for_an_unpublished_digest_goes_by_the_validator(zoo, get):
    zoo.add("tiny", OLD, digests=False, validators={"a.bin": '"a1"', "b.bin": '"b1"'})
    for entry in zoo.pages["tiny"]["revisions"]["1"]["files"]:
        path = "/" + entry["url"].split("/", 3)[3]
        zoo.hub.add(path, OLD[entry["path"]], etag=entry["validator"])
    get("zoo:tiny")
    seen = len(zoo.fetched)
    copy = get("zoo:tiny", name="copy")
    assert (copy.fetched, copy.record.verified) == (0, "recorded")
    assert len(zoo.fetched) == seen
