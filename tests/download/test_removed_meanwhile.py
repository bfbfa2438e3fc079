"""Somebody else removes or replaces the model while a download looks at it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from torchinf_core.download import publish
from torchinf_core.manager import ModelDownloader
from torchinf_core.registry import Registry
from torchinf_core.store import Store


@pytest.fixture
def registry(settings):
    return Registry(Store(settings.cache_dir))


def test_a_model_that_another_process_published_and_a_third_removed_is_fetched(
    zoo, get, registry, monkeypatch
):
    zoo.add("tiny", {"a.bin": b"1" * 100})
    real = publish.fetch_and_publish
    calls = []

    def raced(job, found, **more):
        calls.append(1)
        if len(calls) == 1:
            real(job, found, **more)
            registry.remove("tiny")
            return None
        return real(job, found, **more)

    monkeypatch.setattr(publish, "fetch_and_publish", raced)
    outcome = get("zoo:tiny")
    assert outcome.path.read_bytes() == b"1" * 100
    assert len(calls) == 2


def test_a_label_does_not_bring_back_a_model_that_is_removed_meanwhile(
    zoo, get, registry, monkeypatch
):
    zoo.add("tiny", {"a.bin": b"1" * 100})
    get("zoo:tiny")
    real = Registry.amend

    def raced(self, record, change):
        monkeypatch.setattr(Registry, "amend", real)
        registry.remove("tiny")
        return self.amend(record, change)

    monkeypatch.setattr(Registry, "amend", raced)
    outcome = get("zoo:tiny", tags=("mine",))
    assert outcome.record.tags == ("mine",)
    assert outcome.path.read_bytes() == b"1" * 100
    assert registry.store.fsck() == []


def test_a_tag_does_not_give_back_the_trust_that_is_taken_away_meanwhile(
    zoo, get, settings, registry, monkeypatch
):
    zoo.add("tiny", {"a.bin": b"1"}, trust=2)
    get("zoo:tiny", trust=True)
    downloader = ModelDownloader(settings.cache_dir)
    stale = downloader.get_record("tiny")
    downloader.trust("tiny", revoke=True)
    monkeypatch.setattr(downloader, "get_record", lambda name: stale)
    downloader.tag("tiny", add=["mine"])
    assert registry.get("tiny").trusted is None
    assert registry.get("tiny").tags == ("mine",)


def test_trust_is_not_given_to_content_that_came_meanwhile(
    zoo, get, settings, registry, monkeypatch
):
    zoo.add("tiny", {"a.bin": b"1"}, trust=2)
    get("zoo:tiny")
    downloader = ModelDownloader(settings.cache_dir)
    stale = replace(downloader.get_record("tiny"))
    zoo.add("tiny", {"a.bin": b"2"}, revision="2", trust=2)
    get("zoo:tiny", update=True)
    monkeypatch.setattr(downloader, "get_record", lambda name: stale)
    with pytest.raises(LookupError, match="replaced"):
        downloader.trust("tiny")
    assert registry.get("tiny").trusted is None
