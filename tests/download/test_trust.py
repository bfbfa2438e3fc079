"""Who may run a model's code: decided for one content, and for no other."""

from __future__ import annotations

from torchinf_core import ModelDownloader


def test_nobody_is_trusted_by_a_download(zoo, get) -> None:
    zoo.add("tiny", {"a.bin": b"1"}, trust=2)
    assert get("zoo:tiny").record.trusted is None


def test_a_decision_is_recorded_with_its_way_and_time(zoo, get) -> None:
    zoo.add("tiny", {"a.bin": b"1"}, trust=2)
    assert get("zoo:tiny", trust=True).record.trusted.startswith("--trust on 20")


def test_a_known_model_can_be_trusted_by_asking_again(zoo, get) -> None:
    zoo.add("tiny", {"a.bin": b"1"}, trust=2)
    get("zoo:tiny")
    outcome = get("zoo:tiny", trust=True)
    assert outcome.hit
    assert outcome.record.trusted is not None


def test_new_content_has_to_be_trusted_anew(zoo, get) -> None:
    zoo.add("tiny", {"a.bin": b"1"}, trust=2)
    get("zoo:tiny", trust=True)
    zoo.add("tiny", {"a.bin": b"2"}, revision="2", trust=2)
    assert get("zoo:tiny", update=True).record.trusted is None


def test_the_same_content_again_keeps_the_decision(zoo, get, settings) -> None:
    zoo.add("tiny", {"a.bin": b"1"}, trust=2)
    before = get("zoo:tiny", trust=True).record
    (ModelDownloader(settings.cache_dir).get_model_path("tiny")).unlink()
    assert get("zoo:tiny").record.trusted == before.trusted


def test_the_decision_can_be_made_and_taken_back_later(zoo, get, settings) -> None:
    zoo.add("tiny", {"a.bin": b"1"}, trust=2)
    get("zoo:tiny")
    downloader = ModelDownloader(settings.cache_dir)
    assert downloader.trust("tiny").record.trusted.startswith("torchinf trust on 20")
    assert downloader.trust("tiny", revoke=True).record.trusted is None
