"""One column changed: it alone is computed, and what is published is what computing all would give."""

from __future__ import annotations

from pathlib import Path
from random import Random

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.erratic import Erratic, away_to
from tests.support.thoroughness import examples, thorough
from tests.support.tides import CHAIN, Tides, day, rebuilt
from tidemill.ledger.event import Attempted

WIDE = CHAIN.replace(
    "    double = tm.Float64(nullable=True)\n",
    "    double = tm.Float64(nullable=True)\n"
    "    half = tm.Float64(nullable=True)\n"
    "    big = tm.Float64(nullable=True{limit})\n"
    "    sure = tm.rule(pl.col('half') <= pl.col('double'))\n"
    "    any_bad = tm.Budget(max_bad=1)\n",
).replace(
    'double=times(pl.col("value")))',
    'double=times(pl.col("value")), half=pl.col("value") / 2, big=pl.col("value") * 10)',
)
DAYS = 3


def tides(root: Path, text: str = WIDE.replace("{limit}", "")) -> Tides:
    """Days of three rows, built."""
    tides = Tides(root, text)
    for number in range(DAYS):
        tides.send(number, (1.0 + number, None, 3.0))
    tides.ok()
    return tides


def computed(tides: Tides, stage: str = "doubled") -> list[tuple[str, ...]]:
    """The columns that the steps of the last run of a stage computed; empty for all."""
    runs = tides.open().runs()
    events = tides.events("Attempted", run=runs[0].id)
    return [
        e.attempt.columns for e in events if isinstance(e, Attempted) and e.attempt.stage == stage
    ]


def test_only_the_column_that_changed_is_computed_and_stored(tmp_path: Path) -> None:
    sea = tides(tmp_path / "project")
    before = sea.open().state().heads["doubled"].partitions[day(0)].product
    sea.edit("* 10)", "* 100)")
    sea.ok()

    assert computed(sea) == [("big",)] * DAYS
    assert sea.contents() == rebuilt(sea, tmp_path / "fresh")
    after = sea.open().state().heads["doubled"].partitions[day(0)].product
    assert after.objects[0] == before.objects[0]
    stored = pl.read_parquet(sea.open().tools.artifacts.uri(after.objects[1]))
    assert stored.columns == ["big"]
    # Readers see one table, whichever object a column is in.
    assert sea.read("doubled", day(0))["big"].to_list() == [300.0, None, 100.0]
    assert sea.read("doubled").columns == ["day", "id", "double", "half", "big"]
    assert sea.read("doubled").height == 3 * DAYS


def test_who_reads_other_columns_does_nothing(tmp_path: Path) -> None:
    sea = tides(tmp_path)
    sea.edit("* 10)", "* 100)")
    assert {name.split()[-1] for name in sea.ok()} == {"doubled"}


@thorough
@settings(max_examples=examples(5, 25), deadline=None)
@given(
    seed=st.integers(0, 10**6),
    edits=st.lists(
        st.sampled_from(["/ 2,", "* 10)", "value * 2\n", "new day", "late row"]),
        min_size=1,
        max_size=6,
    ),
    away=st.booleans(),
)
def test_any_edits_give_what_a_rebuild_gives(
    seed: int, edits: list[str], away: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    rng = Random(seed)
    plain = WIDE.replace("{limit}", "")
    sea = tides(tmp_path_factory.mktemp("project"), plain)
    numbers = {"/ 2,": 2, "* 10)": 10, "value * 2\n": 2}
    for number, edit in enumerate(edits):
        if edit == "new day":
            sea.send(DAYS + number, (5.0,))
        elif edit == "late row":
            sea.send(rng.randrange(DAYS), (float(rng.randrange(1, 9)), 2.0))
        else:
            numbers[edit] = rng.choice([2, 3, 5])
        sea.text = plain
        for written, new in numbers.items():
            sea.edit(written, written.replace(written.split()[-1].strip(",)"), str(new)))
        with pytest.MonkeyPatch.context() as patched:
            if away:
                patched.setattr(
                    "tidemill.project.runs.engine_options", away_to(Erratic(rng, lambda task: None))
                )
            sea.run()
    assert sea.contents() == rebuilt(sea, tmp_path_factory.mktemp("fresh"))
    assert sea.ok() == {}


def test_an_edit_that_computes_the_same_leaves_all_as_it_is(tmp_path: Path) -> None:
    sea = tides(tmp_path)
    before = sea.open().state().heads["doubled"].partitions[day(0)].product
    sea.edit('pl.col("value") / 2', 'pl.col("value") * 0.5')
    sea.ok()
    assert computed(sea) == [("half",)] * DAYS
    assert sea.open().state().heads["doubled"].partitions[day(0)].product == before


def test_where_rows_are_quarantined_all_is_computed(tmp_path: Path) -> None:
    # A rule that couples columns would take rows from all of them.
    sea = tides(tmp_path / "project")
    sea.edit("/ 2", "* 3")
    sea.ok()
    assert computed(sea) == [()] * DAYS
    assert sea.quarantined("doubled").height == 2 * DAYS
    assert sea.contents() == rebuilt(sea, tmp_path / "fresh")
    # And so it is when they come back.
    sea.edit("* 3", "/ 4")
    sea.ok()
    assert computed(sea) == [()] * DAYS
    assert sea.quarantined("doubled").height == 0
    assert sea.contents() == rebuilt(sea, tmp_path / "fresher")


def test_values_that_are_out_of_bounds_now_are_quarantined(tmp_path: Path) -> None:
    sea = tides(tmp_path / "project", WIDE.replace("{limit}", ", max=40"))
    sea.edit("* 10)", "* 15)")
    sea.ok()
    assert computed(sea) == [()] * DAYS
    assert sea.quarantined("doubled").height == 3 + 1
    assert sea.contents() == rebuilt(sea, tmp_path / "fresh")


def test_a_vanished_object_has_all_computed(tmp_path: Path) -> None:
    sea = tides(tmp_path / "project")
    [name] = sea.open().state().heads["doubled"].partitions[day(1)].product.objects
    sea.open().tools.artifacts.remove([name])
    sea.edit("* 10)", "* 100)")
    sea.ok()
    assert sorted(computed(sea)) == sorted([(), ("big",), ("big",)])
    assert sea.contents() == rebuilt(sea, tmp_path / "fresh")


@pytest.mark.parametrize(
    "unsure",
    [
        # Which of equal rows stays isn't the same the next time: their columns may not be mixed.
        'raw.unique("id", keep="any")',
        'raw.sort("day").group_by("day", "id").agg(pl.col("value").first())',
        'raw.join(raw.select("day", "value"), on="day", how="left").unique(["day", "id"], keep="any")',
    ],
)
def test_where_rows_may_be_others_all_is_computed(unsure: str, tmp_path: Path) -> None:
    sea = tides(
        tmp_path / "project",
        WIDE.replace("{limit}", "").replace("return raw.select", f"return {unsure}.select"),
    )
    sea.edit("* 10)", "* 100)")
    sea.run()
    assert computed(sea) == [()] * DAYS


def test_with_again_all_is_computed(tmp_path: Path) -> None:
    sea = tides(tmp_path)
    sea.edit("* 10)", "* 100)")
    sea.run(again=True)
    assert computed(sea) == [()] * DAYS


def test_after_many_edits_all_is_written_into_one_object_again(tmp_path: Path) -> None:
    columns = [f"c{number}" for number in range(10)]
    declared = "".join(f"    {name} = tm.Float64(nullable=True)\n" for name in columns)
    given_ = "".join(f', {name}=pl.col("value") + {n}.25' for n, name in enumerate(columns))
    text = CHAIN.replace(
        "    double = tm.Float64(nullable=True)\n",
        "    double = tm.Float64(nullable=True)\n" + declared,
    ).replace('double=times(pl.col("value")))', f'double=times(pl.col("value")){given_})')
    sea = tides(tmp_path / "project", text)
    most = 0
    for number in range(10):
        sea.edit(f"+ {number}.25", f"+ {number}.75")
        sea.ok()
        product = sea.open().state().heads["doubled"].partitions[day(0)].product
        most = max(most, len(product.objects))
    assert most == 8
    assert len(product.objects) < 8
    assert sea.contents() == rebuilt(sea, tmp_path / "fresh")
