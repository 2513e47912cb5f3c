"""Partitions that are encoded in one call get the output that each gets alone, and none that of another."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO
from pathlib import Path

import polars as pl
import pytest

from tests.support.tides import Tides, day, rows_of
from tidemill.contracts.checks.checker import CheckedPartition
from tidemill.contracts.finding import BrokenContract, Finding
from tidemill.core.payload import Payload
from tidemill.reuse.stale_columns import narrow_contract
from tidemill.steps.io.partition_encoder import PartitionEncoder, Unencoded
from tidemill.steps.step_messages import StepOutput
from tidemill.store.frames import FrameStore
from tidemill.store.profiles import SMALL, PartitionProfiler
from tidemill.testing.doubles import MemoryArtifacts
from tidemill.workflow.stage import Stage


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Tides(tmp_path).open().flow["raw"]


def new_encoder() -> PartitionEncoder:
    artifacts = MemoryArtifacts()
    frames = FrameStore(artifacts, lambda: None)
    return PartitionEncoder(frames, PartitionProfiler(artifacts, lambda _: {}))


def checked() -> dict[str, CheckedPartition]:
    """Partitions with few rows, none, equal ones, some in quarantine, and so many that they are profiled."""
    few, long = rows_of(0), pl.concat([rows_of(2)] * SMALL)
    frames = [few, few.clear(), few, rows_of(1), long]
    found = {
        day(number): CheckedPartition(good=frame, bad=None, findings=())
        for number, frame in enumerate(frames)
    }
    found[day(3)] = replace(found[day(3)], bad=pl.DataFrame({"value": [2000.0], "_reasons": ["x"]}))
    return found


def read(stored: tuple[Payload, str]) -> pl.DataFrame:
    return pl.read_parquet(BytesIO(stored[0]))


def test_outputs_are_those_of_each_partition_alone(stage: Stage) -> None:
    encoder, parts = new_encoder(), checked()
    together = encoder.encode(
        {key: encoder.draft(stage, key, part, ("clock",)) for key, part in parts.items()}
    )
    alone = new_encoder()
    assert together == {
        key: alone.output(stage, key, part, ("clock",)) for key, part in parts.items()
    }
    for key, part in parts.items():
        output = together[key]
        assert read(output.objects[0]).equals(part.good)
        assert (output.product.rows, output.touched) == (part.good.height, ("clock",))
        assert (len(output.objects), output.product.quarantined) == (
            (1, 0) if part.bad is None else (2, 1)
        )


def test_stale_columns_are_encoded_beside_whole_partitions(stage: Stage) -> None:
    assert stage.output is not None
    columns = ("value",)
    narrow = narrow_contract(stage.output, columns)
    assert narrow is not None
    encoder, rows = new_encoder(), rows_of(0)
    whole = CheckedPartition(good=rows, bad=None, findings=())
    held = encoder.output(stage, day(0), whole).product
    other = rows.with_columns(pl.col("value") + 1)
    drafts = {
        "changed": encoder.draft_columns(stage, narrow, columns, held, other),
        "equal": encoder.draft_columns(stage, narrow, columns, held, rows),
        "whole": encoder.draft(stage, day(0), whole),
    }
    drafts["fewer"] = encoder.draft_columns(stage, narrow, columns, held, rows.head(1))
    found = encoder.encode(drafts)
    assert found.keys() == {"changed", "equal", "whole"}
    assert found["equal"] == StepOutput(product=held, columns=columns)
    assert found["whole"].product == held
    changed = found["changed"]
    assert read(changed.objects[0]).equals(other.select("value"))
    assert changed.product.rowset == held.rowset
    assert changed.product.objects[0] == held.objects[0] != changed.product.objects[1]


def test_what_can_not_be_added_to_a_partition_runs_alone(stage: Stage) -> None:
    encoder, rows = new_encoder(), rows_of(0)
    kept = encoder.draft(stage, day(1), CheckedPartition(good=rows, bad=None, findings=()))
    nothing = Unencoded(rows=rows, metadata=None, finish=lambda *_: None)
    unfit = replace(kept, decide=lambda _: nothing)
    assert encoder.encode({day(0): unfit, day(1): kept}).keys() == {day(1)}


def test_rows_that_must_not_be_published_are_refused(stage: Stage) -> None:
    finding = Finding(rule="min", severity="fail", rows=1, message="too few")
    part = CheckedPartition(good=rows_of(0), bad=None, findings=(finding,))
    with pytest.raises(BrokenContract, match="too few"):
        new_encoder().draft(stage, day(0), part)
