"""Where a setting comes from, and what a wrong one says."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torchinf_core.errors import UsageError
from torchinf_core.settings import host_token, load_settings, plugin_setting
from torchinf_core.settings.parsing import parse_seconds, parse_size


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "config.toml"


def test_the_nearest_place_wins_and_is_named(file: Path) -> None:
    file.write_text('cache_dir = "/from/file"\nretries = 2\nlimit_rate = "10M"\n')
    environment = {"TORCHINF_CONFIG": str(file), "TORCHINF_RETRIES": "3", "TORCHINF_OFFLINE": "1"}
    settings = load_settings(environment, retries=4)
    assert settings.cache_dir == "/from/file"
    assert settings.limit_rate == 10_000_000
    assert settings.retries == 4
    assert settings.offline is True
    assert settings.origins["cache_dir"] == str(file)
    assert settings.origins["retries"] == "argument"
    assert settings.origins["offline"] == "$TORCHINF_OFFLINE"
    assert settings.origins["connections"] == "default"


def test_the_default_store_is_where_the_feature_document_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    assert load_settings({}).cache_dir == "/home/me/.torch_inference/models"


def test_an_argument_that_was_not_given_counts_as_absent() -> None:
    assert load_settings({"TORCHINF_RETRIES": "3"}, retries=None).retries == 3


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("offlin = true", ("offlin", "did you mean 'offline'")),
        ("limit_rate = 'fast'", ("limit_rate", "10M")),
        ("connections = 0", ("connections",)),
        ("offline = 'perhaps'", ("offline",)),
        ("tokens = 3", ("tokens",)),
        ("a = ", ("not TOML",)),
    ],
)
def test_a_wrong_file_is_named_with_what_is_wrong(
    file: Path, content: str, words: tuple[str, ...]
) -> None:
    file.write_text(content)
    with pytest.raises(UsageError) as caught:
        load_settings({"TORCHINF_CONFIG": str(file)})
    assert str(file) in str(caught.value)
    assert all(word in str(caught.value) for word in words)


def test_a_file_that_was_named_must_exist(file: Path) -> None:
    with pytest.raises(UsageError, match="does not exist"):
        load_settings({"TORCHINF_CONFIG": str(file)})


def test_an_unknown_argument_names_the_nearest() -> None:
    with pytest.raises(UsageError, match="cache_dir"):
        load_settings({}, cache_dirs="/x")


def test_a_token_belongs_to_one_host(file: Path) -> None:
    file.write_text('[tokens]\n"models.example" = "from-file"\n')
    settings = load_settings({"TORCHINF_CONFIG": str(file)})
    environment = {"TORCHINF_TOKEN_OTHER_EXAMPLE": "from-env"}
    assert host_token(settings, "models.example", environment) == "from-file"
    assert host_token(settings, "OTHER.example", environment) == "from-env"
    assert host_token(settings, "evil.example", environment) == ""
    assert "from-file" not in repr(settings)


def test_a_plugin_has_settings_of_its_own(file: Path) -> None:
    file.write_text('[plugins.zoo]\nmirror = "https://a"\n')
    settings = load_settings({"TORCHINF_CONFIG": str(file)})
    assert plugin_setting(settings, "zoo", "mirror", {}) == "https://a"
    assert plugin_setting(settings, "zoo", "mirror", {"TORCHINF_ZOO_MIRROR": "b"}) == "b"
    assert plugin_setting(settings, "other", "mirror", {}) is None


@pytest.mark.parametrize(
    ("text", "size"),
    [("4096", 4096), (7, 7), ("10M", 10**7), ("1.5 GiB", 3 << 29), ("2kb", 2000), ("1Ti", 1 << 40)],
)
def test_sizes_are_written_as_people_do(text: object, size: int) -> None:
    assert parse_size(text) == size


@given(st.text())
def test_any_text_is_a_size_or_a_value_error(text: str) -> None:
    try:
        assert parse_size(text) >= 0
    except ValueError:
        pass
    try:
        assert parse_seconds(text) >= 0
    except ValueError:
        pass
