"""What a full rebuild would give, told in the plainest way: by walking through hours.

It shares no code with the planner but the records, so that both can't be wrong in one way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import cache

from tests.support.planning import World, content_made
from tidemill.workflow.stage import Input, Stage
from tidemill.workflow.window import All, Last, Window

HOUR = timedelta(hours=1)
_WRITTEN = {"hour": "%Y-%m-%dT%H", "day": "%Y-%m-%d", "week": "%G-W%V", "month": "%Y-%m"}
Contents = Mapping[str, Mapping[str, str]]


def cut_name(stage: Stage) -> str:
    """hour, day, week, month, value or whole."""
    cut = stage.partitioning
    return "whole" if cut.is_whole else str(cut.grain or "value")


@cache
def bounds(key: str, grain: str) -> tuple[datetime, datetime]:
    """The first moment of a partition, and the first that is no longer in it."""
    if grain == "week":
        start = datetime.strptime(key + "-1", "%G-W%V-%u")
    else:
        start = datetime.strptime(key, _WRITTEN[grain])
    end = start
    while end.strftime(_WRITTEN[grain]) == key:
        end += HOUR
    return start, end


def minus(moment: datetime, length: str) -> datetime:
    """A moment that much earlier; the day before a month that is too short is its last."""
    if length.endswith("mo"):
        year, month = moment.year, moment.month
        for _ in range(int(length[:-2])):
            year, month = (year - 1, 12) if month == 1 else (year, month - 1)
        for day in range(moment.day, 0, -1):
            try:
                return moment.replace(year=year, month=month, day=day)
            except ValueError:
                continue
    return moment - int(length[:-1]) * {"h": HOUR, "d": 24 * HOUR, "w": 168 * HOUR}[length[-1]]


def covered(window: Window, keys: Sequence[str], grain: str, anchor: str) -> list[str]:
    """The keys up to the anchor that a window covers."""
    anchor_start, anchor_end = bounds(anchor, grain)
    starts = {key: bounds(key, grain)[0] for key in keys}
    upto = [key for key in keys if starts[key] <= anchor_start]
    return sorted(upto) if isinstance(window, All) else _back(window, upto, starts, anchor_end)[0]


def _back(
    window: Last, keys: list[str], starts: Mapping[str, datetime], end: datetime
) -> tuple[list[str], datetime]:
    if window.before is not None:
        _, end = _back(window.before, keys, starts, end)
    left = sorted((key for key in keys if starts[key] < end), key=lambda key: starts[key])
    if isinstance(window.length, int):
        newest = left[-window.length :]
        return newest, starts[newest[0]] if newest else end
    begin = minus(end, str(window.length))
    return [key for key in left if starts[key] >= begin], begin


def rebuild(world: World) -> dict[str, dict[str, str]]:
    """The contents of every partition of every stage, made from nothing."""
    done: dict[str, dict[str, str]] = {}
    cuts = {stage.name: cut_name(stage) for stage in world.flow.stages}
    for stage in world.flow.stages:
        wanted = _fed(world, stage) if not stage.inputs else _made_of(stage, cuts, done)
        version, coarse = world.versions.get(stage.name, 0), stage.name in world.coarse
        done[stage.name] = {
            key: content_made(stage.name, version, key, handed, coarse)
            for key, handed in wanted.items()
        }
    return {name: contents for name, contents in done.items() if contents}


def _fed(world: World, stage: Stage) -> dict[str, Contents]:
    found: dict[str, dict[str, str]] = {}
    for path, file in sorted(world.files.get(stage.name, {}).items()):
        for key in file.rows:
            early = stage.start is not None and key != "(none)" and key < stage.start
            if not early:
                found.setdefault(key, {})[path] = file.digest
    return {key: {"files": files} for key, files in found.items()}


def _made_of(stage: Stage, cuts: Mapping[str, str], done: Contents) -> dict[str, Contents]:
    found: dict[str, Contents] = {}
    for key in _partitions(stage, cuts, done):
        handed: dict[str, dict[str, str]] = {}
        for item in stage.inputs:
            seen = _sees(stage, item, key, cuts, done)
            if not seen and item.optional and cuts[stage.name] == "whole":
                continue
            if not item.optional and (seen is None or (not seen and cuts[stage.name] == "whole")):
                break
            handed[item.name] = {one: done[item.name][one] for one in seen or ()}
        else:
            found[key] = handed
    return found


def _placed(name: str, done: Contents) -> list[str]:
    return sorted(key for key in done[name] if key != "(none)")


def _partitions(stage: Stage, cuts: Mapping[str, str], done: Contents) -> list[str]:
    own = cuts[stage.name]
    if own == "whole":
        return ["all"]
    kin = [item for item in stage.inputs if _alike(own, cuts[item.name])]
    found = set()
    for item in [item for item in kin if not item.optional] or kin:
        for key in _placed(item.name, done):
            if own == "value":
                found.add(key)
                continue
            moment, end = bounds(key, cuts[item.name])
            while moment < end:
                found.add(moment.strftime(_WRITTEN[own]))
                moment += HOUR
    return sorted(found)


def _alike(one: str, other: str) -> bool:
    if "whole" in (one, other):
        return False
    return (one == "value") == (other == "value")


def _sees(
    stage: Stage, item: Input, key: str, cuts: Mapping[str, str], done: Contents
) -> list[str] | None:
    own, other = cuts[stage.name], cuts[item.name]
    keys = _placed(item.name, done)
    if other == "whole" or not _alike(own, other):
        if item.window is not None and own == "whole":
            keys = _reached(stage, item, keys, cuts, done)
        if item.window is not None and keys:
            keys = covered(item.window, keys, other, keys[-1])
        return keys or None
    if own == other and key not in keys:
        return None
    if own == "value" or (own == other and item.window is None):
        return [key]
    start, end = bounds(key, own)
    if item.window is None:
        spans = [(one, *bounds(one, other)) for one in keys]
        return [one for one, begins, ends in spans if begins < end and ends > start] or None
    ended = [one for one in keys if bounds(one, other)[1] <= end]
    return covered(item.window, keys, other, max(ended)) if ended else None


def _reached(
    stage: Stage, item: Input, keys: list[str], cuts: Mapping[str, str], done: Contents
) -> list[str]:
    """Up to where all inputs by time have come."""
    ends = [
        bounds(_placed(other.name, done)[-1], cuts[other.name])[1]
        for other in stage.inputs
        if cuts[other.name] not in ("whole", "value") and _placed(other.name, done)
    ]
    return [key for key in keys if bounds(key, cuts[item.name])[1] <= min(ends)]
