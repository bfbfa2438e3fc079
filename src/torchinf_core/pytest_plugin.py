"""What pytest gets from ``torchinf[testing]``: a fixture for tests that really download.

Loaded by every run of pytest in an environment with torchinf, so it imports nothing.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

_USER = ("TORCHINF_", "HF_", "HUGGING_FACE_", "XDG_", "NETRC")
"""Variables of whoever runs the tests, which no test is to see."""


@pytest.fixture
def torchinf_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty store, and a user who set nothing: no settings file, no token, no cache.

    Returns:
        The directory of the store, which ``ModelDownloader()`` and the command line use.
    """
    for name in [name for name in os.environ if name.startswith(_USER)]:
        monkeypatch.delenv(name)
    home = tmp_path / "torchinf-home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("TORCHINF_CACHE_DIR", str(home / "store"))
    return home / "store"
