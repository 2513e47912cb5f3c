from __future__ import annotations

import pytest

from tidemill.cli.render.figures import local_time
from tidemill.cli.render.frozen import frozen_line
from tidemill.core.partition import WHOLE
from tidemill.project.lineage import Frozen


@pytest.mark.parametrize(
    ("partitions", "paths", "says"),
    [
        ((WHOLE,), ("a.csv",), "raw is kept as published: a.csv is missing or lost rows since"),
        (
            ("2026-01-01", "2026-01-02"),
            ("a", "b", "c", "d\x1b[2J"),
            "raw 2026-01-01 .. 2026-01-02 (2) are kept as published: a, b, c and 1 more are missing or "
            "lost rows since",
        ),
    ],
)
def test_what_is_kept_and_why(
    partitions: tuple[str, ...], paths: tuple[str, ...], says: str
) -> None:
    item = Frozen(stage="raw", partitions=partitions, paths=paths, since=5.0)
    assert frozen_line(item) == f"{says} {local_time(5.0)}"
