"""Frames that users give to models and metrics."""

import numpy as np
import polars as pl
import pytest

from tidemill.core.errors import UsageError
from tidemill.models.given_frames import given_frame

FRAME = pl.DataFrame({"a": [1]})


@pytest.mark.parametrize("value", [FRAME, FRAME.lazy()])
def test_frames_of_polars_become_lazy(value: object) -> None:
    assert given_frame(value, "predict").collect().equals(FRAME)


def test_other_values_are_named_with_the_way_to_convert_them() -> None:
    words = r"^scores takes a Polars frame, not numpy\.ndarray; convert it with pl\.from_numpy"
    with pytest.raises(UsageError, match=words):
        given_frame(np.zeros((1, 1)), "scores")
