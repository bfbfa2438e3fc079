"""By how much outputs differ."""

from __future__ import annotations

from math import inf

import numpy as np
import pytest

from torchinf_core.predicting import comparing
from torchinf_core.predicting.comparing import compare

A = np.array([1.0, -4.0, 2.0], np.float32)


def error(reference, other):
    return compare({"y": reference}, {"y": other}).error


def test_equal_outputs_do_not_differ():
    assert compare({"y": A, "n": np.arange(3)}, {"n": np.arange(3), "y": A.copy()}).error == 0
    assert compare({}, {}).error == 0
    assert error(np.zeros((0, 3)), np.zeros((0, 3))) == 0


def test_the_error_is_relative_to_the_largest_value():
    assert error(A, A + np.float32(0.004)) == pytest.approx(0.001, rel=1e-4)
    assert error(A * 1e30, A * np.float32(1.001e30)) == pytest.approx(0.001, rel=1e-3)


def test_each_output_is_measured_by_its_own_values_and_the_worst_counts():
    reference = {"large": A * 1000, "small": A / 1000}
    found = compare(reference, {"large": A * 1000, "small": A / 1000 + 0.004})
    assert found.error == pytest.approx(1.0, rel=1e-3)
    assert found.reason == "the output 'small' differs"


def test_differences_in_large_outputs_are_found_wherever_they_are():
    large = np.ones(3 * (1 << 20) + 7, np.float32)
    other = large.copy()
    other[-1] = 1.5
    assert error(large, other) == 0.5


def test_float64_is_used_where_float32_would_overflow():
    top = np.array([3e38, -3e38], np.float32)
    assert error(top, -top) == pytest.approx(2.0)
    assert error(np.array([6e4], np.float16), np.array([-6e4], np.float16)) == pytest.approx(2.0)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_no_finite_number_must_be_so_on_both_sides(value):
    other = A.copy()
    other[1] = value
    assert error(A, other) == inf
    assert error(other, A) == inf
    assert error(other, other.copy()) == 0
    third = other.copy()
    third[0] += 0.002
    assert error(other, third) == pytest.approx(0.001, rel=1e-3)  # relative to the 2.0 that is left


def test_infinities_of_other_signs_differ():
    assert error(np.array([np.inf]), np.array([-np.inf])) == inf
    assert error(np.array([np.inf]), np.array([np.nan])) == inf


def test_where_all_is_zero_the_difference_itself_counts():
    zero = np.zeros(3)
    assert error(zero, zero) == 0
    assert error(zero, zero + 1e-9) == 1e-9


def test_integers_truth_values_and_texts_must_be_equal():
    for value, other in (
        (np.array([1, 2]), np.array([1, 3])),
        (np.array([True]), np.array([False])),
        (np.array(["a"]), np.array(["b"])),
    ):
        assert error(value, value.copy()) == 0
        assert error(value, other) == inf
    assert error(np.array([1, 2], np.int64), np.array([1, 2], np.uint8)) == 0


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        ({"y": A[:2]}, "has the shape (2,), not (3,)"),
        ({"y": A.astype(np.int32)}, "is int32, not float32"),
        ({"y": A.astype(np.complex64)}, "is complex64, not float32"),
        ({"z": A}, "it gives the outputs z, not y"),
        ({"y": A, "z": A}, "it gives the outputs y, z, not y"),
        ({}, "it gives the outputs none, not y"),
    ],
)
def test_other_names_shapes_and_kinds_can_not_be_compared(other, reason):
    found = compare({"y": A}, other)
    assert found.error == inf
    assert reason in found.reason


def test_another_width_of_the_same_kind_can():
    assert error(A, A.astype(np.float64)) == 0
    assert error(A.astype(np.complex64), A.astype(np.complex128) + 0.004j) == pytest.approx(0.001)


def test_one_number_of_each_output_is_enough_to_prove_something():
    assert comparing.has_numbers({"y": np.array([np.nan, 1.0]), "n": np.arange(2)})
    assert not comparing.has_numbers({"y": A, "z": np.array([np.nan, np.inf])})
    assert comparing.has_numbers({"y": np.zeros((0, 2))})


def test_copies_are_copies():
    copy = comparing.copied({"y": A})
    copy["y"][0] = 9
    assert A[0] == 1
    assert comparing.shapes({"y": A[None]}) == {"y": (1, 3)}
