"""What a year of flights costs after a change of its data or of its code."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from bench import projects
from bench.common import PYTHON, TIDEMILL, Row, Used, alternate, cpu, inside, measure, wall
from bench.edits import FEATURE, MEANINGS, WORDS, Edit, edit, import_lazily
from bench.scenes import (
    DAYS,
    RUN,
    TRANSFORMS,
    Scene,
    Seen,
    Year,
    attempts,
    cost_row,
    median_of,
    spent,
    state_bytes,
    step_rows,
)

IN_MARCH = "2013-03-07"
A_DAY = {"flights": 1, "joined": 1, "features": 1, "daily": 1, "total": 1}


def full_build(year: Year, times: int) -> list[Row]:
    """Rows of building everything, against the plain script beside it; and of what it leaves behind."""
    project = projects.delays(year.work / "build", year.data)

    def build(command: tuple[str, ...]) -> Used:
        return measure(command, projects.forget(project))

    transforms, short, at_once, built, plain = alternate(
        times,
        lambda: build(TRANSFORMS),
        lambda: year.by_hand("--no-fit"),
        lambda: year.by_hand("--at-once"),
        lambda: build(RUN),
        year.by_hand,
    )
    year.plain = plain
    unlike = inside(project, "unlike", str(year.work / "out"))
    if any(unlike.values()):
        raise RuntimeError(f"the project and the plain script disagree: {unlike}")
    return [
        _against("full build, CPU", built, plain, 1.1, "elsewhere at best 0.8 to 1.0 x"),
        _against("full build without the fit, CPU", transforms, short),
        _against("full build, CPU against the whole year at once", built, at_once, 1.6),
        Row(
            name="full build, wall",
            value=wall(built) / wall(plain),
            unit="x",
            baseline=f"{wall(built):.2f} s against {wall(plain):.2f} s by hand",
        ),
        Row(
            name="full build, peak RSS",
            value=max(each.peak_rss for each in built) / 1e6,
            unit="MB",
            baseline=f"{max(each.peak_rss for each in plain) / 1e6:.0f} MB by hand",
        ),
        _state(project, year.work / "out"),
    ]


def _against(
    name: str, ours: list[Used], theirs: list[Used], goal: float | None = None, more: str = ""
) -> Row:
    told = f"{cpu(ours):.2f} s against {cpu(theirs):.2f} s by hand"
    return Row(
        name=name,
        value=cpu(ours) / cpu(theirs),
        unit="x",
        goal=goal,
        baseline=f"{told}; {more}" if more else told,
        runs=tuple(a.cpu_s / b.cpu_s for a, b in zip(ours, theirs, strict=True)),
    )


def _state(project: Path, out: Path) -> Row:
    state = state_bytes(project / ".tidemill")
    plain = sum(state_bytes(out).values())
    told = ", ".join(f"{name} {size / 1e6:.1f}" for name, size in state.items())
    return Row(
        name="state after the full build, of the plain outputs' size",
        value=sum(state.values()) / plain,
        unit="x",
        goal=1,
        baseline=f"MB: {told}; the same tables by hand {plain / 1e6:.1f}",
    )


def nothing(year: Year, times: int) -> list[Row]:
    """Rows of a run that finds everything current."""
    scene = Scene(name="nothing changed", change=_nothing)
    seen = year.see(scene, 1)
    lazy = year.copy()
    import_lazily(lazy / "delays.py")
    ran, _ = attempts(lazy, measure(RUN, lazy))
    if ran:
        raise RuntimeError(f"imports were moved, and {dict(ran)} ran")
    used, late, own = alternate(
        times,
        lambda: measure((TIDEMILL, "run"), year.still),
        lambda: measure((TIDEMILL, "run"), lazy),
        lambda: measure((PYTHON, "-c", "import delays"), year.still),
    )
    processes = [inside(year.still, "run", "delays", "", "5")["runs"] for _ in range(times)]
    first = [runs[0] for runs in processes]
    later = [run for runs in processes for run in runs[1:]]
    told = f"{cpu(own):.2f} s are the workflow's import; wall {wall(used):.2f} s; "
    return [
        *step_rows(scene, seen),
        Row(
            name="nothing changed, CPU of the whole process",
            value=cpu(used),
            unit="s",
            goal=0.6,
            baseline=f"{told}{year.share(cpu(used))}; elsewhere at best 1.3 s",
            runs=tuple(each.cpu_s for each in used),
        ),
        Row(
            name="nothing changed, CPU of the whole process over importing the user's module",
            value=(cpu(used) - cpu(own)) * 1000,
            unit="ms",
            goal=90,
            runs=tuple((a.cpu_s - b.cpu_s) * 1000 for a, b in zip(used, own, strict=True)),
        ),
        Row(
            name="nothing changed, CPU of the whole process, Polars imported in the stages",
            value=cpu(late),
            unit="s",
            goal=0.6,
            baseline=f"wall {wall(late):.2f} s",
            runs=tuple(each.cpu_s for each in late),
        ),
        *(
            Row(
                name=f"nothing changed, {which} tm.open().run() of a process, CPU",
                value=median_of(found, "cpu_s") * 1000,
                unit="ms",
                goal=goal,
                baseline=f"wall {median_of(found, 'wall_s') * 1000:.1f} ms",
                runs=tuple(each["cpu_s"] * 1000 for each in found),
            )
            for which, goal, found in (("first", 35, first), ("later", 15, later))
        ),
    ]


def day(year: Year, times: int) -> list[Row]:
    """Rows of the day that arrives after all others are built, without the fit and with it."""
    needed = {**A_DAY, "weather": 1}
    scene = Scene(
        name="a day appended, without the fit", change=year.arrive, needed=needed,
        command=TRANSFORMS, elsewhere="elsewhere at best 0.1 s",
    )  # fmt: skip
    fitted = Scene(name="a day appended", change=year.arrive, needed={**needed, "model": 1})
    seen = year.see(scene, times)
    with_fit = year.see(fitted, 1)
    project = projects.delays(year.work / "transforms", year.data)
    built = [measure(TRANSFORMS, projects.forget(project)) for _ in range(2)]
    whole = cpu(built) - cpu(seen.nothing)
    share = Row(
        name="a day appended, CPU over nothing to do, of all days' transforms",
        value=100 * seen.over / whole,
        unit="%",
        goal=2,
        baseline=f"{seen.over:.2f} s of {whole:.2f} s",
    )
    return [
        *step_rows(scene, seen),
        cost_row(year, scene, seen, 0.15),
        share,
        *step_rows(fitted, with_fit),
        cost_row(year, fitted, with_fit),
    ]


def words(year: Year) -> list[Row]:
    """Rows of edits that change no word of what is computed, each made to the features."""
    return _edits(year, WORDS, "elsewhere 0 of 365 at best")


def meanings(year: Year) -> list[Row]:
    """Rows of edits that write the same query in another way."""
    return _edits(year, MEANINGS, "elsewhere all 365, or 9 nodes")


def _edits(year: Year, edits: Mapping[str, Edit], elsewhere: str) -> list[Row]:
    rows: list[Row] = []
    found: list[Seen] = []
    for name, changes in edits.items():
        scene = Scene(name=name, change=_edited(changes), elsewhere=elsewhere)
        found.append(year.see(scene, 1))
        rows += step_rows(scene, found[-1])
    all_ = Seen(
        used=[used for seen in found for used in seen.used],
        nothing=[used for seen in found for used in seen.nothing],
        ran={},
        others={},
    )
    return [*rows, cost_row(year, Scene(name=", ".join(edits), change=_nothing), all_)]


def feature(year: Year, times: int) -> list[Row]:
    """Rows of another expression for one feature, which only the model reads."""
    scene = Scene(
        name="one feature's expression", change=_edited(FEATURE),
        needed={"features": DAYS, "model": 1}, elsewhere="elsewhere 1 node over the whole table",
    )  # fmt: skip
    return [*_both(year, scene, times), _one_column(year, scene, times)]


def _one_column(year: Year, scene: Scene, times: int) -> Row:
    """The row of what the transforms take when one column changed, of what they take for all."""
    shares, told = [], ""
    for _ in range(times):
        project = projects.delays(year.work / "columns", year.data)
        projects.forget(project)
        whole = spent(project, measure(RUN, project))
        scene.change(project)
        one = spent(project, measure(scene.command, project))
        sums = [sum(each[stage] for stage in A_DAY if stage != "flights") for each in (one, whole)]
        shares.append(100 * sums[0] / sums[1])
        told = f"{sums[0]:.2f} s against {sums[1]:.2f} s"
        projects.set_aside(project, project)
    return Row(
        name=f"{scene.name}: CPU of the transforms, of what they take in a full build",
        value=statistics.median(shares),
        unit="%",
        goal=15,
        baseline=told,
        runs=tuple(shares),
    )


def unread(year: Year, times: int) -> list[Row]:
    """Rows of another value, in all rows of all days, in a column that nobody reads."""

    def change(project: Path) -> None:
        inside(project, "unread")
        projects.age(project / "data" / "flights", 0.5)

    scene = Scene(
        name="a column that nobody reads, all days", change=change, needed={"flights": DAYS},
        elsewhere="elsewhere the join and more, of all days",
    )  # fmt: skip
    return _both(year, scene, times)


def restated(year: Year, times: int) -> list[Row]:
    """Rows of other values, in all rows of all days, in one column that goes through all transforms."""

    def change(project: Path) -> None:
        inside(project, "restate")
        projects.age(project / "data" / "weather", 0.5)

    days = ("weather", "joined", "features")
    # On 57 days another hour counts as one of a gale; on the others a day's sums read what they read.
    more = {"daily": 57, "total": 1, "model": 1}
    scene = Scene(
        name="one column of an input restated, all days", change=change,
        needed={**dict.fromkeys(days, DAYS), **more},
        elsewhere="elsewhere all columns of all days",
    )  # fmt: skip
    return [*_both(year, scene, times), _one_column(year, scene, times)]


def row(year: Year, times: int) -> list[Row]:
    """Rows of one changed value in a day that the model's window doesn't hold."""

    def change(project: Path) -> None:
        file = project / "data" / "flights" / f"{IN_MARCH}.parquet"
        inside(project, "late", str(file))
        projects.age(file, 0.5)

    scene = Scene(
        name="one row of one day in March", change=change, needed=A_DAY,
        elsewhere="elsewhere 1.4 s, or stale",
    )  # fmt: skip
    seen = year.see(scene, times)
    whole = Row(
        name="one row of one day in March, CPU of the whole process",
        value=cpu(seen.used),
        unit="s",
        goal=0.6,
        baseline=scene.elsewhere,
        runs=tuple(each.cpu_s for each in seen.used),
    )
    return [*step_rows(scene, seen), whole, cost_row(year, scene, seen)]


def revert(year: Year, times: int) -> list[Row]:
    """Rows of taking an edit back that was run."""
    edited = year.copy()
    edit(edited / "delays.py", FEATURE)
    measure(RUN, edited)
    back = [(new, old) for old, new in FEATURE]
    scene = Scene(
        name="yesterday's code again", change=_edited(back), elsewhere="elsewhere 0 at best"
    )
    seen = year.see(scene, times, edited)
    return [*step_rows(scene, seen), cost_row(year, scene, seen)]


def _both(year: Year, scene: Scene, times: int) -> list[Row]:
    seen = year.see(scene, times)
    return [*step_rows(scene, seen), cost_row(year, scene, seen)]


def _nothing(project: Path) -> None:
    """Leave the project as it is."""


def _edited(changes: Edit) -> Callable[[Path], None]:
    return lambda project: edit(project / "delays.py", changes)


def hashing(year: Year, times: int) -> list[Row]:
    """Rows of the hashes' share of writing a partition: columns, row set and the object's name."""
    rows = []
    for stage in ("flights", "features"):
        spent = inside(year.still, "hashing", stage, str(times))["spent"]
        shares = [[_hashed(each, which) for each in spent] for which in (0, 1)]
        row = Row(
            name=f"hashing, of a partition's write time, {stage}",
            value=statistics.median(shares[0]),
            unit="%",
            goal=10,
            baseline=f"CPU; of the wall time {statistics.median(shares[1]):.1f} %",
            runs=tuple(shares[0]),
        )
        rows.append(replace(row, baseline=f"{row.baseline}; {_each(spent[-1])}"))
    return rows


def _hashed(spent: Mapping[str, list[float]], which: int) -> float:
    hashes = sum(spent[name][which] for name in ("columns", "rows", "name"))
    return 100 * hashes / sum(each[which] for each in spent.values())


def _each(spent: Mapping[str, list[float]]) -> str:
    """CPU milliseconds of one of the 60 partitions."""
    return "ms: " + ", ".join(f"{name} {each[0] / 60 * 1000:.2f}" for name, each in spent.items())
