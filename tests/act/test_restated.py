"""Columns of inputs that came otherwise: what depends on them is computed anew, and the rest stays as it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.act.erratic import Erratic, away_to
from tests.act.tides import FIRST, Tides, day
from tidemill.act import calling
from tidemill.domain.event import Attempted

DAYS = 3
TEXT = """
import polars as pl
import tidemill as tm


class Raw(tm.Contract, key=("day", "id")):
    day = tm.Date(partition="1d")
    id = tm.Int64()
    a = tm.Int64()
    b = tm.Int64()
    c = tm.Int64()


class Side(tm.Contract, key=("day", "id")):
    day = tm.Date(partition="1d")
    id = tm.Int64()
    s = tm.Int64(nullable=True)
    t = tm.Int64(nullable=True)


class Made(tm.Contract, key=("day", "id"){version}):
    day, id = Raw.day, Raw.id
    o0 = tm.Int64(nullable=True{limit})
    o1 = tm.Int64(nullable=True)
    o2 = tm.Int64(nullable=True)
    o3 = tm.Int64(nullable=True)
{rule}

class After(tm.Contract, key=("day", "id")):
    day, id = Raw.day, Raw.id
    p = tm.Int64(nullable=True)
    q = tm.Int64(nullable=True)


flow = tm.Workflow("tides")


@flow.ingest
def raw() -> tm.Source[Raw]:
    return tm.files("data/raw-*.parquet")


@flow.ingest
def side() -> tm.Source[Side]:
    return tm.files("data/side-*.parquet")


@flow.transform
def made(raw: tm.Frame[Raw], side: tm.Frame[Side]) -> tm.Frame[Made]:
    rows = {rows}
    return rows.select("day", "id", {columns})


@flow.transform
def after(made: tm.Frame[Made]) -> tm.Frame[After]:
    return made.filter(pl.col("id") >= 0).select("day", "id", p=pl.col("o0") + 1, q=pl.col("o1") + pl.col("o2"))
"""
# How the rows of `made` come about; all of them have the columns of `raw`, and `s` and `t`. Where their
# order is open, some expressions make `made` unstable.
ROWS = (
    'raw.join(side, on=["day", "id"], how="left")',
    'raw.join(side, on=["day", "id"], how="left", maintain_order="left").sort("b", "day", "id")',
    'raw.join(side.drop("day"), on="id", maintain_order="left_right").filter(pl.col("a") > 1)',
    'raw.join(side, on=["day", "id"]).filter(pl.col("s") > 2, pl.col("c") < 9).sort("day", "id", "a")',
    'raw.sort("day", "id").with_columns(s=pl.col("c").cum_sum(), t=pl.lit(1))',
    'raw.sort("b", "day", "id").unique(["id", "day"], keep="first", maintain_order=True)'
    '.with_columns(s="a", t="c")',
    'raw.group_by("day", "id", maintain_order=True).agg(pl.col("a").max(), pl.col("b").sum(), '
    'pl.col("c").min(), s=pl.len(), t=pl.col("b").min())',
    'raw.join(side, left_on=["day", "id"], right_on=["day", "t"], how="semi", maintain_order="left")'
    '.with_columns(s="b", t=pl.len())',
    'raw.sort("day", "id").join_asof(side.sort("day", "id"), on="id", by="day", '
    'check_sortedness=False).sort("day", "id")',
    'pl.concat([raw.filter(pl.col("b") > 4), raw.filter(pl.col("b") <= 4)])'
    '.with_columns(s="a", t=pl.col("c").rank("ordinal"))',
    'raw.join(side.rename({"s": "a", "t": "u"}), on=["day", "id"], how="left")'
    '.rename({"a_right": "s", "u": "t"})',
    'raw.unique(["day", "b"], keep="any").with_columns(s="a", t="c")',
)
EXPRESSIONS = (
    'pl.col("a") * {n}',
    'pl.col("b") + pl.col("c") + {n}',
    'pl.col("a").sum().over("b") + {n}',
    'pl.col("c").sort_by("day", "id").shift({n})',
    'pl.col("s") - {n}',
    'pl.col("t").max() + pl.col("a")',
    "pl.len() + {n}",
    'pl.when(pl.col("b") > {n}).then("s").otherwise("c")',
    'pl.col("b").sort_by("day", "id").cum_sum() * {n}',
    'pl.sum_horizontal(pl.col("a", "t"))',
    "pl.lit({n})",
    'pl.col("c").filter(pl.col("b") > {n}).sum()',
    'pl.col("b").rank("ordinal").over("c", order_by=["day", "id"])',
)
COLUMNS = {"raw": ("a", "b", "c"), "side": ("s", "t")}


@dataclass(frozen=True, slots=True)
class Drawn:
    """A workflow and its files: by name the rows of each."""

    rows: str
    columns: tuple[str, ...]
    numbers: tuple[int, ...]
    limit: str = ""
    rule: str = ""
    files: Mapping[str, pl.DataFrame] = field(default_factory=dict)

    @property
    def text(self) -> str:
        given = zip(self.columns, self.numbers, strict=True)
        columns = ", ".join(
            f"o{at}=({text.format(n=n)}).cast(pl.Int64)" for at, (text, n) in enumerate(given)
        )
        found = TEXT.replace("{version}", "").replace("{limit}", self.limit)
        found = found.replace("{rule}", self.rule)
        return found.replace("{rows}", self.rows).replace("{columns}", columns)


def file_of(rng: Random, source: str, number: int, rows: int) -> pl.DataFrame:
    ids = rng.sample(range(rows + 2), rows)
    return pl.DataFrame(
        {
            "day": [pl.Series([FIRST]).dt.offset_by(f"{number}d")[0]] * rows,
            "id": ids,
            **{name: [rng.randrange(10) for _ in ids] for name in COLUMNS[source]},
        },
        schema={"day": pl.Date, **dict.fromkeys(("id", *COLUMNS[source]), pl.Int64)},
    )


def drawn(rng: Random) -> Drawn:
    files = {
        f"{source}-{number}": file_of(rng, source, number, rng.randint(1, 5))
        for source in COLUMNS
        for number in range(DAYS)
    }
    rule = '    sure = tm.rule(pl.col("o0") < pl.col("o1") + {n}{fail})\n'
    fail = rng.choice(("", ', on_fail="warn"'))
    return Drawn(
        rows=rng.choice(ROWS),
        columns=tuple(rng.choices(EXPRESSIONS, k=4)),
        numbers=tuple(rng.randrange(1, 4) for _ in range(4)),
        limit=rng.choice(("", "", ", max=20", ', max=15, on_fail="warn"')),
        rule=rng.choice(("", rule.format(n=rng.choice((5, 40)), fail=fail))),
        files=files,
    )


def restated(rng: Random, was: Drawn) -> Drawn:
    """Other values in some columns of some days."""
    files = dict(was.files)
    source = rng.choice(sorted(COLUMNS))
    names = rng.sample(COLUMNS[source], rng.choice((1, 1, 1, 2)))
    for number in rng.sample(range(DAYS), rng.choice((1, DAYS))):
        file = files[f"{source}-{number}"]
        other = [pl.Series(name, [rng.randrange(10) for _ in range(file.height)]) for name in names]
        files[f"{source}-{number}"] = file.with_columns(other)
    return replace(was, files=files)


def moved(rng: Random, was: Drawn) -> Drawn:
    """Other rows in one file."""
    name = rng.choice(sorted(was.files))
    source, _, number = name.partition("-")
    file = file_of(rng, source, int(number), rng.randint(1, 5))
    return replace(was, files={**was.files, name: file})


def expressed(rng: Random, was: Drawn) -> Drawn:
    """Another number, or another expression, for one column."""
    at, numbers, columns = rng.randrange(4), list(was.numbers), list(was.columns)
    numbers[at] = rng.randrange(1, 4)
    if rng.random() < 0.3:
        columns[at] = rng.choice(EXPRESSIONS)
    return replace(was, numbers=tuple(numbers), columns=tuple(columns))


def judged(rng: Random, was: Drawn) -> Drawn:
    """A contract that says something else."""
    return replace(was, limit=rng.choice(("", ", max=12", ', max=12, on_fail="warn"')))


def both(rng: Random, was: Drawn) -> Drawn:
    return expressed(rng, restated(rng, was))


def all_at_once(rng: Random, was: Drawn) -> Drawn:
    return judged(rng, both(rng, was))


EDITS = {
    edit.__name__: edit for edit in (restated, moved, expressed, judged, both, all_at_once)
}
# Restating is what this is about.
KINDS = [*EDITS, *["restated"] * 4, "both"]


@contextmanager
def as_a_whole() -> Iterator[None]:
    """Every step computes all columns."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tidemill.act.steps.columns_anew", lambda *_: ())
        yield


def store(sea: Tides, now: Drawn) -> None:
    sea.text = now.text
    for name, frame in now.files.items():
        path = sea.root / "data" / f"{name}.parquet"
        if not path.exists() or not pl.read_parquet(path).equals(frame):
            frame.write_parquet(path)


def published(sea: Tides) -> dict[str, object]:
    """All that is said of what is published, but for where it is."""
    with sea.open() as project:
        return {
            f"{name} {key}": (
                bound.key, bound.product.content, bound.product.columns, bound.product.rowset,
                bound.product.rows, bound.product.quarantined, bound.product.findings,
            )
            for name, head in project.state().heads.items()
            for key, bound in head.partitions.items()
        }  # fmt: skip


def narrow_steps(sea: Tides, stage: str) -> int:
    """The steps of a stage that didn't compute all columns."""
    events = sea.events("Attempted")
    attempts = [event.attempt for event in events if isinstance(event, Attempted)]
    return sum(bool(each.columns) for each in attempts if each.stage == stage)


def is_stable(sea: Tides) -> bool:
    with sea.open() as project:
        return project.recipes["made"].stable


def play(rng: Random, root: Path, kinds: list[str], *, away: bool) -> int:
    """Edit and run two projects alike, one of which always computes all columns; the steps that didn't."""
    now = drawn(rng)
    one, other = Tides(root / "one"), Tides(root / "other")
    for number, kind in enumerate(["", *kinds]):
        now = EDITS[kind](rng, now) if kind else now
        for sea in (one, other):
            store(sea, now)
        narrow = narrow_steps(one, "made")
        # Now and then a run doesn't come to what reads the inputs, which another one then finds changed.
        for stage in ["raw", ""] if number and rng.random() < 0.15 else [""]:
            with as_a_whole():
                code = other.run(stage).exit_code
            with pytest.MonkeyPatch.context() as patch:
                if away:
                    engine = away_to(Erratic(rng, lambda task: None))
                    patch.setattr("tidemill.project.elsewhere", engine)
                assert one.run(stage).exit_code == code
        if not is_stable(one):
            # Two runs of it needn't give the same.
            assert narrow_steps(one, "made") == narrow
            return 0
        assert published(one) == published(other), (kind, now)
    assert one.read("made").equals(other.read("made"))
    return narrow_steps(one, "made")


@settings(max_examples=30)
@given(
    seed=st.integers(0, 10**6),
    kinds=st.lists(st.sampled_from(KINDS), min_size=1, max_size=5),
    away=st.booleans(),
    streamed=st.booleans(),
)
def test_what_is_published_is_what_computing_all_columns_gives(
    seed: int,
    kinds: list[str],
    away: bool,
    streamed: bool,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        if streamed:
            patch.setattr(calling, "_IN_MEMORY", -1)
        play(Random(seed), tmp_path_factory.mktemp("seas"), kinds, away=away)


def test_drawn_projects_have_steps_of_some_columns_only(tmp_path: Path) -> None:
    found = [
        play(Random(seed), tmp_path / str(seed), ["restated"] * 3, away=False) for seed in range(8)
    ]
    assert sum(found) > 20
