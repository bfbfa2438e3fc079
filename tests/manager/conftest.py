import pytest

from torchinf_core import ModelDownloader


@pytest.fixture
def downloader(zoo, tmp_path):
    zoo.add("tiny", {"weights.bin": b"w" * 5000}, task="testing", license="mit", tags=["a"])
    zoo.add("pair", {"a.bin": b"a" * 300, "b.bin": b"b" * 400})
    return ModelDownloader(cache_dir=tmp_path / "store", retries=2)
