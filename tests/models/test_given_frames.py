"""Frames that users give to models and metrics."""

import numpy as np
import polars as pl
import pytest

from tidemill.core.errors import UsageError
from tidemill.models.given_frames import given_frame, require_numbers

FRAME = pl.DataFrame({"a": [1]})


@pytest.mark.parametrize("value", [FRAME, FRAME.lazy()])
def test_frames_of_polars_become_lazy(value: object) -> None:
    assert given_frame(value, "predict").collect().equals(FRAME)


def test_other_values_are_named_with_the_way_to_convert_them() -> None:
    words = r"^scores takes a Polars frame, not numpy\.ndarray; convert it with pl\.from_numpy"
    with pytest.raises(UsageError, match=words):
        given_frame(np.zeros((1, 1)), "scores")


def test_inputs_that_are_no_numbers_are_named_with_their_types() -> None:
    frame = pl.DataFrame(
        {
            "a": ["1"],
            "b": pl.Series(["x"], dtype=pl.Enum(["x"])),
            "c": [[1.0]],
            "d": [{"e": 1}],
            "f": [b"1"],
            "n": [1],
            "t": [True],
            "o": [None],
        }
    )
    for name, dtype in (
        ("a", "String"),
        ("b", "Enum"),
        ("c", "List"),
        ("d", "Struct"),
        ("f", "Bin"),
    ):
        with pytest.raises(UsageError, match=rf"predicts from numbers, but {name} is {dtype}"):
            require_numbers(frame.schema, [name, "n"])
    with pytest.raises(UsageError, match="a is String, f is Binary: cast it"):
        require_numbers(frame.schema, ["a", "f"])
    require_numbers(frame.schema, ["n", "t", "o", "unknown"])
