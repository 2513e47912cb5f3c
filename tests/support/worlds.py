"""Strategies: flows, worlds and what happens to them, windows and times."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from tests.support.planning import CUTS, TIMED, World, flow_of, ingest, reads, transform
from tests.support.rebuild import cut_name
from tidemill.core.partition import WHOLE, Grain, partition_key
from tidemill.workflow.stage import Flow, Input, Kind, Stage
from tidemill.workflow.window import All, Last, Window, last, may_be_empty
from tidemill.workflow.wiring import wiring_faults

# Around the end of an ISO year, of a month, of a leap day, and far apart.
MOMENTS = [
    datetime(2011, 12, 31, 23) + timedelta(hours=hours)
    for hours in (0, 1, 2, 24, 25, 49, 190, 1410, 1434, 1440, 2200)
]
WINDOWS: list[Window | None] = [
    None, None, None, All(), last(1), last(2), last(3, before=last(1)), last("2h"), last("36h"),
    last("2d"), last("9d"), last("2w"), last("1mo"), last("3mo", before=last("1w")),
    last(2, before=last("1d")), last("1d", before=last(2)),
]  # fmt: skip


def keys_for(cut: str) -> list[str]:
    """Partitions that files may feed."""
    if cut == "whole":
        return [WHOLE]
    if cut == "value":
        return ["(none)", "EWR", "JFK", "all"]
    return ["(none)", *dict.fromkeys(partition_key(moment, Grain(cut)) for moment in MOMENTS)]


@st.composite
def flows(draw: st.DrawFn) -> Flow:
    """One or two ingests, and transforms of anything that came before."""
    stages = []
    for number in range(draw(st.integers(1, 2))):
        cut = draw(st.sampled_from(CUTS))
        starts = [None, *keys_for(cut)[4:5]] if cut in TIMED else [None]
        stages.append(ingest(f"in{number}", cut, start=draw(st.sampled_from(starts))))
    for number in range(draw(st.integers(1, 4))):
        chosen = draw(st.lists(st.sampled_from(stages), min_size=1, max_size=3, unique=True))
        inputs = [draw(_inputs(stage)) for stage in chosen]
        kinds = {"time" if stage.partitioning.is_time else cut_name(stage) for stage in chosen}
        cuts = ["whole", *(TIMED if "time" in kinds else ()), *(kinds & {"value"})]
        stages.append(transform(f"t{number}", draw(st.sampled_from(cuts)), *inputs))
    assert not wiring_faults({stage.name: stage for stage in stages})
    return flow_of(*stages)


@st.composite
def _inputs(draw: st.DrawFn, producer: Stage) -> Input:
    grain = producer.partitioning.grain
    windows = [w for w in WINDOWS if w is None or (grain and not may_be_empty(w, grain))]
    window = draw(st.sampled_from(windows))
    return reads(producer, window, optional=draw(st.integers(0, 3)) == 0)


@st.composite
def requests(draw: st.DrawFn, flow: Flow) -> dict[str, Any]:
    """All or a stage, some time, some partitions, again."""
    since, until = draw(st.none() | _moments), draw(st.none() | _moments)
    return {
        "stage": draw(st.sampled_from(["", "", *flow.names])),
        "since": since,
        "until": until,
        "limit": draw(st.sampled_from([None, None, 1, 2])),
        "again": draw(st.integers(0, 3)) == 0,
    }


_moments = st.sampled_from(MOMENTS)


def change(data: st.DataObject, world: World) -> None:
    """Files come, change and go; code changes."""
    stage = data.draw(st.sampled_from(world.flow.stages))
    if stage.kind is not Kind.INGEST:
        world.versions[stage.name] = world.versions.get(stage.name, 0) + 1
        return
    path = data.draw(st.sampled_from(["a", "b", "c"]))
    keys = data.draw(st.lists(st.sampled_from(keys_for(cut_name(stage))), max_size=5, unique=True))
    if keys:
        world.feed(stage.name, path, *keys, digest=data.draw(st.sampled_from("xyz")))
    else:
        world.files.get(stage.name, {}).pop(path, None)


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """A flow with files, nothing of it published."""
    flow = draw(flows())
    coarse = {name for name in flow.names if draw(st.integers(0, 3)) == 0}
    world = World(flow=flow, coarse=coarse)
    for stage in flow.stages:
        if stage.kind is Kind.INGEST:
            keys = keys_for(cut_name(stage))
            for path in "ab":
                fed = draw(st.lists(st.sampled_from(keys), max_size=6, unique=True))
                world.feed(stage.name, path, *fed)
    return world


def _chain(lengths: list[str | int]) -> Last:
    return last(lengths[0], before=_chain(lengths[1:]) if lengths[1:] else None)


lengths = st.integers(1, 5) | st.sampled_from(
    ["1h", "30h", "1d", "36h", "5d", "1w", "2w", "27d", "31d", "1mo", "2mo", "5mo"]
)
windows = st.lists(lengths, min_size=1, max_size=3).map(_chain)
times = st.integers(0, 24 * 150).map(lambda hours: MOMENTS[0] + timedelta(hours=hours))
moments = st.lists(times, max_size=12)
