"""Ranges of shapes, as people write them."""

from __future__ import annotations

import pytest

from torchinf_core.errors import UsageError
from torchinf_tensorrt.shapes import Shapes, parse_range


def test_a_range_has_a_name_and_three_shapes():
    assert parse_range("input_ids=1x8,4x128,8x512") == ("input_ids", ((1, 8), (4, 128), (8, 512)))
    assert parse_range(" x=1,1,1 ") == ("x", ((1,), (1,), (1,)))


@pytest.mark.parametrize("text", ["", "x", "x=1", "x=1,2", "x=2,1,3", "x=1x2,1,1x3", "=1,2,3"])
def test_what_is_no_range_is_refused(text):
    with pytest.raises(UsageError, match="no range of shapes"):
        parse_range(text)


@pytest.mark.parametrize("batch", [(0, 1, 2), (2, 1, 2), (1, 4, 2)])
def test_batches_rise(batch):
    with pytest.raises(UsageError, match="must rise from 1"):
        Shapes(batch)
