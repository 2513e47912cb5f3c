"""What a training function sees of the version that it continues."""

from __future__ import annotations

from functools import partial

import polars as pl
import pytest

from tests.models.test_warm_start import PARENT
from tidemill.core.errors import UsageError
from tidemill.core.partition import WHOLE
from tidemill.models.io.batches import batches, with_partitions
from tidemill.models.io.parent import LoadedParent

DAYS = {day: pl.DataFrame({"day": [day] * 2, "x": [1, 2]}) for day in ("a", "b", "c")}


def loaded(*new: str) -> LoadedParent:
    return LoadedParent(artifact=PARENT, model="booster", new=new)


def window(days: dict[str, pl.DataFrame]) -> pl.LazyFrame:
    whole = pl.concat([frame.lazy() for frame in days.values()])
    return with_partitions(whole, {day: partial(frame.lazy) for day, frame in days.items()})


def test_it_says_what_its_artifact_has() -> None:
    parent = loaded()
    assert (parent.version, parent.generation, parent.model) == (PARENT.id, 0, "booster")
    assert (parent.trained_on, parent.encodings) == (PARENT.trained_on, PARENT.encodings)


@pytest.mark.parametrize("new", [(), ("c",), ("a", "c"), ("a", "b", "c"), ("d",)])
def test_the_partitions_that_it_has_not_seen(new: tuple[str, ...]) -> None:
    frame = loaded(*new).unseen(window(DAYS))
    expected = [day for day in DAYS if day in new]
    assert frame.collect()["day"].unique(maintain_order=True).to_list() == expected
    assert frame.collect_schema() == window(DAYS).collect_schema()
    # They are read in batches, partition by partition.
    found = batches(frame, rows=3)
    assert (len(found.partitions), found.height) == (len(expected), 2 * len(expected))


def test_a_table_without_partitions_is_whole() -> None:
    table = pl.LazyFrame({"x": [1]})
    frame = with_partitions(table, {WHOLE: lambda: table})
    assert loaded().unseen(frame) is frame


def test_a_derived_frame_does_not_know_its_partitions() -> None:
    with pytest.raises(UsageError, match="as the training function gets it"):
        loaded("a").unseen(window(DAYS).filter(pl.col("x") > 1))
