from pathlib import Path

import pytest

from torchinf_core.download import Outcome, download, make_request
from torchinf_core.settings import Settings, load_settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings(cache_dir=str(tmp_path / "store"), retries=2)


@pytest.fixture
def get(settings):
    """Downloads as a library would: words, then options."""

    def get(*words, on_event=None, replace=False, offline=False, **more) -> Outcome:
        import dataclasses

        used = dataclasses.replace(settings, offline=offline)
        request = make_request(*words, settings=used, replace_content=replace, **more)
        return download(request, used, on_event)

    return get
