"""Columns of inputs that came otherwise: what depends on them is computed anew, the rest stays as it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from tempfile import mkdtemp

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.erratic import Erratic, away_to
from tests.support.thoroughness import examples, thorough
from tests.support.tides import FIRST, Tides, day
from tidemill.ledger.event import Attempted
from tidemill.ledger.run import Receipt
from tidemill.steps.io import invocation as calling

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


class Most(tm.Contract, key=("id",)):
    id = Raw.id
    high = tm.Int64()
    sum = tm.Int64()


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
    rows = made.filter(pl.col("id") >= 0)
    return rows.select("day", "id", p=pl.col("o0") + 1, q=pl.col("o1") + pl.col("o2"))


@flow.transform
def most(raw: tm.Frame[Raw]) -> tm.Frame[Most]:
    return raw.group_by("id").agg(high=pl.col("b").max(), sum=pl.col("a").sum())
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


EDITS = {edit.__name__: edit for edit in (restated, moved, expressed, judged, both, all_at_once)}
# Restating is what this is about.
KINDS = [*EDITS, *["restated"] * 4, "both"]


@contextmanager
def as_a_whole() -> Iterator[None]:
    """Every step computes all columns."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tidemill.runs.io.step_inputs.StepInputs.stale_columns", lambda *_: ())
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
                    patch.setattr("tidemill.project.runs.engine_options", engine)
                assert one.run(stage).exit_code == code
        if not is_stable(one):
            # Two runs of it needn't give the same.
            assert narrow_steps(one, "made") == narrow
            return 0
        assert published(one) == published(other), (kind, now)
    assert one.read("made").equals(other.read("made"))
    return narrow_steps(one, "made")


@thorough
@settings(max_examples=examples(5, max(settings().max_examples // 8, 1)))
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
            patch.setattr(calling, "IN_MEMORY_ROWS", -1)
        play(Random(seed), tmp_path_factory.mktemp("seas"), kinds, away=away)


def test_drawn_projects_have_steps_of_some_columns_only(tmp_path: Path) -> None:
    found = [
        play(Random(seed), tmp_path / str(seed), ["restated"] * 2, away=False)
        for seed in range(1, 3)
    ]
    assert min(found) > 0


SIMPLE = Drawn(
    rows=ROWS[0],
    columns=('pl.col("a") * {n}', 'pl.col("b") - {n}', 'pl.col("c") + {n}', 'pl.col("s") + {n}'),
    numbers=(2, 2, 2, 2),
    files={
        f"{source}-{number}": file_of(Random(number), source, number, 4)
        for source in COLUMNS
        for number in range(DAYS)
    },
)


def changed(was: Drawn, source: str, *columns: str) -> Drawn:
    """One more in all rows of some columns."""
    more = [pl.col(name) + 1 for name in columns]
    files = {
        name: frame.with_columns(more) if name.startswith(source) else frame
        for name, frame in was.files.items()
    }
    return replace(was, files=files)


class Pair:
    """A project, and one with the same files that is built as a whole each time."""

    def __init__(self, root: Path, now: Drawn = SIMPLE) -> None:
        self.root = root
        self.sea = Tides(root / "sea")
        self.now = now
        self.run()

    def run(self, now: Drawn | None = None, stage: str = "") -> Receipt:
        self.now = now or self.now
        store(self.sea, self.now)
        return self.sea.run(stage)

    def computed(self, stage: str = "made") -> set[tuple[str, ...]]:
        """The columns that the last run computed in each step of a stage; empty for all."""
        run = self.sea.open().runs(1)[0].id
        events = self.sea.events("Attempted", run=run)
        attempts = [event.attempt for event in events if isinstance(event, Attempted)]
        return {each.columns for each in attempts if each.stage == stage}

    def holds_what_a_rebuild_gives(self) -> bool:
        fresh = Tides(Path(mkdtemp(dir=self.root)))
        store(fresh, self.now)
        fresh.run()
        return self.sea.contents() == fresh.contents()


def test_only_what_depends_on_a_column_is_computed_all_the_way_down(tmp_path: Path) -> None:
    pair = Pair(tmp_path)
    before = pair.sea.open().state().heads["made"].partitions[day(0)].product
    pair.run(changed(SIMPLE, "raw", "b"))
    assert (pair.computed(), pair.computed("after")) == ({("o1",)}, {("q",)})
    pair.run(changed(pair.now, "side", "s"))
    # Nobody reads what is made of it.
    assert (pair.computed(), pair.computed("after")) == ({("o3",)}, set())
    pair.run(changed(pair.now, "raw", "a", "c"))
    assert (pair.computed(), pair.computed("after")) == ({("o0", "o2")}, {()})
    # A rule, a filter or a key that it decides about is of all columns.
    pair.run(changed(pair.now, "side", "id"))
    assert pair.computed() == {()}
    assert pair.holds_what_a_rebuild_gives()
    after = pair.sea.open().state().heads["made"].partitions[day(0)].product
    assert set(after.columns) == set(before.columns)


def test_an_expression_and_a_column_of_an_input_at_once(tmp_path: Path) -> None:
    pair = Pair(tmp_path)
    pair.run(replace(changed(SIMPLE, "raw", "b"), numbers=(2, 2, 2, 3)))
    assert pair.computed() == {("o1", "o3")}
    assert pair.holds_what_a_rebuild_gives()


def test_what_an_earlier_run_found_is_not_known_any_more(tmp_path: Path) -> None:
    pair = Pair(tmp_path)
    pair.run(changed(SIMPLE, "raw", "b"), "raw")
    pair.run(changed(pair.now, "raw", "c"))
    # Of b nobody knows what it was.
    assert pair.computed() == {()}
    assert pair.holds_what_a_rebuild_gives()


def test_what_comes_back_as_it_was_is_known(tmp_path: Path) -> None:
    pair = Pair(tmp_path)
    was = pair.now
    pair.run(changed(SIMPLE, "raw", "b"), "raw")
    # The step's inputs are what they were, but for what it is made of anew.
    pair.run(replace(was, numbers=(3, 2, 2, 2)))
    assert pair.computed() == {("o0",)}
    assert pair.holds_what_a_rebuild_gives()


def test_a_table_of_all_partitions(tmp_path: Path) -> None:
    pair = Pair(tmp_path)
    pair.run(changed(SIMPLE, "raw", "b"))
    # That of one day counts.
    assert pair.computed("most") == {("high",)}
    name = f"raw-{DAYS}"
    more = {**pair.now.files, name: file_of(Random(0), "raw", DAYS, 3)}
    pair.run(replace(changed(pair.now, "raw", "b"), files=more))
    assert pair.computed("most") == {()}
    assert pair.holds_what_a_rebuild_gives()


@pytest.mark.parametrize(
    "edit", [changed(SIMPLE, "raw", "b"), replace(SIMPLE, numbers=(2, 3, 2, 2))]
)
def test_a_contract_that_says_something_else_is_asked_of_all_columns(
    edit: Drawn, tmp_path: Path
) -> None:
    pair = Pair(tmp_path, replace(SIMPLE, limit=', max=100, on_fail="fail"'))
    receipt = pair.run(replace(edit, limit=', max=1, on_fail="fail"'))
    assert receipt.exit_code == 3
    assert all("o0.max" in message for message in receipt.messages)


def test_bytes_of_a_step_are_those_that_it_wrote(tmp_path: Path) -> None:
    pair = Pair(tmp_path)
    for _ in range(3):
        pair.run(changed(pair.now, "raw", "b"))
        with pair.sea.open() as project:
            product = project.state().heads["made"].partitions[day(0)].product
            sizes = [len(project.tools.artifacts.get(name)) for name in product.objects]
            run = project.runs(1)[0].id
        assert [part.bytes for part in product.parts] == sizes
        assert product.bytes == sum(sizes)
        events = pair.sea.events("Attempted", run=run)
        [wrote] = [
            event.attempt.bytes_out
            for event in events
            if isinstance(event, Attempted)
            and (event.attempt.stage, event.attempt.partition) == ("made", day(0))
        ]
        assert wrote == sizes[-1]


def test_a_vanished_object_has_all_computed(tmp_path: Path) -> None:
    pair = Pair(tmp_path)
    product = pair.sea.open().state().heads["made"].partitions[day(1)].product
    pair.sea.open().tools.artifacts.remove(product.objects)
    pair.run(changed(SIMPLE, "raw", "b"))
    assert pair.computed() == {(), ("o1",)}
    assert pair.holds_what_a_rebuild_gives()


@pytest.mark.parametrize("limit", ["", ", max=9"])
def test_rows_that_a_rule_over_two_columns_sets_aside(limit: str, tmp_path: Path) -> None:
    rule = (
        '    sure = tm.rule(pl.col("o0") < pl.col("o1") + {n})\n    budget = tm.Budget(max_bad=1)\n'
    )
    pair = Pair(tmp_path, replace(SIMPLE, limit=limit, rule=rule.format(n=100)))
    # It breaks the rule, and is missing in all columns.
    files = dict(pair.now.files)
    files["raw-1"] = files["raw-1"].with_columns(b=pl.lit(-500, pl.Int64))
    pair.run(replace(pair.now, files=files))
    assert () in pair.computed()
    assert pair.holds_what_a_rebuild_gives()
    pair.run(SIMPLE)
    assert pair.holds_what_a_rebuild_gives()


def test_rows_that_a_streamed_join_moves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine gives the rows of such a join in another order each time."""
    monkeypatch.setattr(calling, "IN_MEMORY_ROWS", -1)
    files = {
        f"{source}-{number}": file_of(Random(number), source, number, 900)
        for source in COLUMNS
        for number in range(DAYS)
    }
    pair = Pair(tmp_path, replace(SIMPLE, files=files))
    pair.run(changed(pair.now, "raw", "b"))
    assert pair.computed() == {("o1",)}
    assert pair.holds_what_a_rebuild_gives()


@pytest.mark.parametrize(
    "rows",
    [
        # Ties in any order; one of several rows; the first of rows in any order.
        'raw.sort("b").with_columns(s=pl.col("a").cum_sum(), t="c")',
        ROWS[-1],
        'raw.join(side, on="day").group_by("day", "id").agg(pl.all().first())',
    ],
)
def test_rows_that_may_be_others_are_computed_as_a_whole(rows: str, tmp_path: Path) -> None:
    pair = Pair(tmp_path, replace(SIMPLE, rows=rows))
    pair.run(changed(SIMPLE, "raw", "a"))
    assert pair.computed() == {()}


def test_a_stage_that_its_author_calls_impure_is_computed_as_a_whole(tmp_path: Path) -> None:
    pair = Pair(tmp_path)
    text = SIMPLE.text.replace("@flow.transform\ndef made", "@flow.transform\n@tm.impure\ndef made")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Drawn, "text", text)
        pair.run()
        pair.run(changed(SIMPLE, "raw", "b"))
    assert pair.computed() == {()}
