from __future__ import annotations

import polars as pl
import pytest

from tidemill.core.errors import UsageError
from tidemill.models.charts.named_frames import named_frames

FRAME = pl.DataFrame({"a": [1]})


def test_one_frame_needs_no_name() -> None:
    assert list(named_frames(FRAME, "roc")) == [""]
    assert list(named_frames({"live": FRAME, "baseline": FRAME}, "roc")) == ["live", "baseline"]


@pytest.mark.parametrize("count", [0, 7])
def test_there_are_as_many_models_as_colours(count: int) -> None:
    with pytest.raises(UsageError, match=rf"roc\(\) draws 1 to 6 models, not {count}"):
        named_frames({str(n): FRAME for n in range(count)}, "roc")
