from collections.abc import Iterator

import pytest

from torchinf_core.testing import Hub


@pytest.fixture
def hub() -> Iterator[Hub]:
    with Hub() as hub:
        yield hub
