"""Values that aren't Polars frames are named, with the way to convert them."""

import numpy as np
import pytest

from tidemill.core.other_frames import describe_other_frame, is_other_frame

# These libraries needn't be installed: only the name of the module counts.
PANDAS = type("DataFrame", (), {"__module__": "pandas.core.frame"})
ARROW = type("Table", (), {"__module__": "pyarrow.lib"})


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (PANDAS(), "pandas.DataFrame; convert it with pl.from_pandas(...)"),
        (ARROW(), "pyarrow.Table; convert it with pl.from_arrow(...)"),
        (np.zeros((1, 1)), "numpy.ndarray; convert it with pl.from_numpy(...)"),
        (None, "NoneType"),
        ([1], "list"),
    ],
)
def test_a_value_is_named(value: object, words: str) -> None:
    assert describe_other_frame(value) == words
    assert is_other_frame(value) == ("convert" in words)
