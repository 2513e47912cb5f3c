"""The flights workflow over its year: the full build, a run with nothing to do, one new day."""

from __future__ import annotations

import shutil
import statistics
from pathlib import Path

from bench import projects
from bench.common import (
    BENCH,
    PYTHON,
    TIDEMILL,
    Row,
    Used,
    alternate,
    cpu,
    inside,
    measure,
    wall,
)

RUN = (TIDEMILL, "run", "features")
IMPORT = (PYTHON, "-c", "import flights")
# The last day that has flights and weather; the day after it has no weather.
NEW_DAY = "2013-12-30"
AFTER = "2013-12-31"


def full_build(work: Path, data: Path, times: int) -> tuple[list[Row], Path]:
    """Rows of the full build against the scripts by hand; and the project, built."""
    project = projects.flights(work / "build", data)

    def build() -> Used:
        return measure(RUN, projects.forget(project))

    def by_hand(*options: str) -> Used:
        projects.set_aside(work / "by-hand", work / "by-hand")
        script = BENCH / "by_hand.py"
        return measure((PYTHON, script, data, work / "by-hand", *options), work)

    built, hand, at_once, own, polars = alternate(
        times,
        build,
        by_hand,
        lambda: by_hand("--at-once"),
        lambda: measure(IMPORT, project),
        lambda: measure((PYTHON, "-c", "import polars"), work),
    )
    ratios = tuple(a.cpu_s / b.cpu_s for a, b in zip(built, hand, strict=True))
    told = f"{cpu(built):.2f} s against {cpu(hand):.2f} s by hand, a day at a time"
    work_only = (cpu(built) - cpu(own)) / (cpu(hand) - cpu(polars))
    rows = [
        Row(
            name="full build, CPU of the whole process",
            value=cpu(built) / cpu(hand),
            unit="x",
            goal=1.3,
            baseline=told,
            runs=ratios,
        ),
        Row(
            name="full build, CPU beyond imports",
            value=work_only,
            unit="x",
            baseline=f"less {cpu(own):.2f} s for the user's module, {cpu(polars):.2f} s for polars",
        ),
        Row(
            name="full build, CPU against the whole year at once",
            value=cpu(built) / cpu(at_once),
            unit="x",
            goal=2,
            baseline=f"{cpu(at_once):.2f} s by hand, all days in memory",
        ),
        Row(
            name="full build, wall",
            value=wall(built) / wall(hand),
            unit="x",
            baseline=f"{wall(built):.2f} s against {wall(hand):.2f} s by hand, a day at a time",
        ),
        _memory(built, hand, own),
    ]
    return rows, project


def _memory(built: list[Used], hand: list[Used], own: list[Used]) -> Row:
    peaks = tuple(each.peak_rss / 1e6 for each in built)
    by_hand = max(each.peak_rss for each in hand) / 1e6
    alone = max(each.peak_rss for each in own) / 1e6
    return Row(
        name="full build, peak RSS",
        value=max(peaks),
        unit="MB",
        goal=600,
        baseline=f"{by_hand:.0f} MB by hand, {alone:.0f} MB for the import alone",
        runs=peaks,
    )


def nothing_to_do(project: Path, times: int) -> list[Row]:
    """Rows of a run that finds everything current, in the project that is built."""
    found = [_inside(project, 5) for _ in range(times)]
    first = tuple(runs[0]["wall_s"] * 1000 for runs in found)
    later = tuple(run["wall_s"] * 1000 for runs in found for run in runs[1:])
    command, own = alternate(times, lambda: measure(RUN, project), lambda: measure(IMPORT, project))
    over = tuple((a.wall_s - b.wall_s) * 1000 for a, b in zip(command, own, strict=True))
    told = f"{wall(command) * 1000:.0f} ms against {wall(own) * 1000:.0f} ms for the import"
    return [
        Row(
            name="nothing to do, first tm.open().run() of a process",
            value=statistics.median(first),
            unit="ms",
            goal=35,
            baseline="the user's module is imported",
            runs=first,
        ),
        Row(
            name="nothing to do, later tm.open().run() of a process",
            value=statistics.median(later),
            unit="ms",
            goal=15,
            runs=later,
        ),
        Row(
            name="nothing to do, the command over importing the user's module",
            value=(wall(command) - wall(own)) * 1000,
            unit="ms",
            goal=90,
            baseline=told,
            runs=over,
        ),
    ]


def new_day(work: Path, data: Path, times: int) -> list[Row]:
    """Rows of one day that arrives after the whole history is built, as shares of the full build."""
    history = projects.flights(work / "history", data)
    arriving = [f"{name}/{NEW_DAY}.parquet" for name in ("flights", "weather")]
    for name in (*arriving, f"flights/{AFTER}.parquet"):
        (history / "data" / name).unlink()
    built = _report(history, 1)
    day = [_arrival(work / "day", history, data, arriving) for _ in range(times)]
    return [_share(name, built, day) for name in ("cpu_s", "wall_s")]


def _arrival(project: Path, history: Path, data: Path, arriving: list[str]) -> dict[str, float]:
    projects.set_aside(project, project)
    shutil.copytree(history, project)
    for name in arriving:
        shutil.copyfile(data / name, project / "data" / name)
    run = _report(project, 1)
    if run["ran"] != 3:
        raise RuntimeError(f"a new day is three steps, and {run['ran']} ran")
    return run


def _share(name: str, built: dict[str, float], day: list[dict[str, float]]) -> Row:
    shares = tuple(100 * run[name] / built[name] for run in day)
    median = statistics.median(run[name] for run in day)
    return Row(
        name=f"one new day, data stages only, {name.removesuffix('_s')} beyond the import",
        value=statistics.median(shares),
        unit="%",
        goal=3,
        baseline=f"{median * 1000:.0f} ms against {built[name]:.2f} s for the history",
        runs=shares,
    )


def _report(project: Path, times: int) -> dict[str, float]:
    return _inside(project, times)[0]


def _inside(project: Path, times: int) -> list[dict[str, float]]:
    found = inside(project, "run", "flights", "features", str(times))["runs"]
    assert isinstance(found, list)
    return found
