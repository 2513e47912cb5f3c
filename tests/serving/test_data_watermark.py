"""How new the data is that a version was trained on."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tidemill.serving.data_watermark import data_watermark
from tidemill.testing.records import model_artifact

AT = 1_700_000_000.9


@pytest.mark.parametrize(
    ("anchor", "data_at", "says"),
    [
        ("2013-03-07", AT, "2013-03-07"),
        ("2013-03", 0.0, "2013-03"),
        ("2013-03-07T05", AT, "2013-03-07T05"),
        ("all", AT, "2023-11-14T22:13:20Z"),
        # A partition for each value, such as an airport.
        ("LGA", AT, "2023-11-14T22:13:20Z"),
        ("", AT, "2023-11-14T22:13:20Z"),
        # Stored before it was recorded.
        ("all", 0.0, ""),
    ],
)
def test_a_watermark_is_a_time(anchor: str, data_at: float, says: str) -> None:
    artifact = replace(model_artifact("v1"), anchor=anchor, data_at=data_at)
    assert data_watermark(artifact) == says
