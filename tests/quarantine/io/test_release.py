"""Rulings from the command to the published rows: what runs, what doesn't, and what comes out."""

from __future__ import annotations

import os
import pwd
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.damage import flip
from tests.support.thoroughness import examples, thorough
from tests.support.tides import LENIENT, Before, Tides, day, flow_of, rows_of
from tests.support.users import noted
from tidemill.contracts.row_ruling import Ruling
from tidemill.core.errors import ConflictError, ContractError, SourceError, StorageError, UsageError
from tidemill.ledger.event import EnvironmentCreated, Ruled
from tidemill.project.project import open_project
from tidemill.quarantine.io.release import Quarantine, QuarantinedPartition

T = TypeVar("T")
BAD = (1.0, 2000.0, 3000.0, 4.0)


@pytest.fixture
def tides(tmp_path: Path) -> Tides:
    """Two days, one of them with two bad rows (ids 1 and 2; the file has id 3 first)."""
    tides = Tides(tmp_path / "project", LENIENT)
    tides.send(0, BAD)
    tides.send(1)
    tides.run()
    return tides


def ask(tides: Tides, use: Callable[[Quarantine], T]) -> T:
    """What the quarantine of the project says, as the next command finds it."""
    project = tides.open()
    try:
        return use(project.quarantine)
    finally:
        project.close()


def rule(tides: Tides, verb: str = "release", *where: str, **said: Any) -> Ruling:
    asked = {"reason": "typo in the feed", "note": "ana", **said}
    place = where or ("raw", day(0))
    made: Ruling = ask(tides, lambda held: getattr(held, verb)(*place, **asked))
    return made


def held(tides: Tides, stage: str = "") -> tuple[QuarantinedPartition, ...]:
    return ask(tides, lambda found: found.list(stage))


def values(tides: Tides, number: int = 0) -> list[float | None]:
    """The good ones of a day, in the order in which they were sent: ids count down."""
    return tides.read("raw", day(number)).get_column("value").to_list()[::-1]


def bad(tides: Tides, number: int = 0) -> list[float | None]:
    rows = tides.quarantined("raw", day(number))
    return rows.get_column("value").to_list() if "value" in rows.columns else []


def why(tides: Tides) -> list[tuple[str, str, tuple[str, ...]]]:
    project = tides.open()
    try:
        return [(s.stage, s.partition, s.reasons) for s in project.plan().steps]
    finally:
        project.close()


def again(tides: Tides, root: Path) -> Tides:
    """A project with the same files, text and rulings that never ran before."""
    fresh = Tides(root, tides.text)
    for path in (tides.root / "data").iterdir():
        (root / "data" / path.name).write_bytes(path.read_bytes())
    old, new = tides.open(), fresh.open()
    said = [fact.event for fact in old.tools.ledger.events(kinds=("Ruled",))]
    for event in said:
        assert isinstance(event, Ruled)
        for name in event.ruling.pinned_objects:
            new.tools.artifacts.put_all([(old.tools.artifacts.get(name), name[64:])])
    new.tools.ledger.append(said, now=1.0)
    old.close()
    new.close()
    fresh.run()
    return fresh


def test_a_released_row_runs_its_partition_and_what_reads_it(tides: Tides, tmp_path: Path) -> None:
    before = tides.read("daily")
    rule(tides, rows=[0])
    assert why(tides)[0] == (
        "raw",
        day(0),
        (f"1 quarantined row released by {noted('ana')}: typo in the feed",),
    )
    assert tides.ok() == {f"ok run {stage}": [day(0)] for stage in ("raw", "doubled", "daily")}
    assert (values(tides), bad(tides)) == ([1.0, 2000.0, 4.0], [3000.0])
    assert tides.read("daily").get_column("total").to_list() == [4010.0, 12.0]
    assert before.get_column("total").to_list() == [10.0, 12.0]
    assert tides.ok() == {}
    assert again(tides, tmp_path / "fresh").contents() == tides.contents()


def test_a_dropped_row_is_gone_and_nothing_downstream_changes(tides: Tides) -> None:
    rule(tides, "drop")
    assert tides.ok() == {"ok run raw": [day(0)]}
    assert (values(tides), bad(tides)) == ([1.0, 4.0], [])
    (found,) = held(tides)
    assert (found.rows, found.pending, found.gone) == (0, 0, 0)
    assert found.done == "2 dropped"
    assert tides.ok() == {}


def test_what_comes_later_is_judged_by_what_it_is(tides: Tides) -> None:
    rule(tides, rule="value.max")
    tides.run()
    assert values(tides) == list(BAD)
    # The same rows in another file, and one that nobody ruled on.
    frame = rows_of(0, (5000.0, *BAD))
    tides.put("late.parquet", frame.filter(pl.col("id") == 4))
    tides.run()
    assert (values(tides), bad(tides)) == (list(BAD), [5000.0])
    tides.send(0, (1.0, 2001.0, 3000.0, 4.0))
    tides.run()
    assert (values(tides), bad(tides)) == ([1.0, 3000.0, 4.0], [2001.0, 5000.0])
    (found,) = held(tides)
    assert found.gone == 1


def test_a_changed_contract_judges_anew(tides: Tides) -> None:
    rule(tides, "drop", rows=[0])
    tides.run()
    tides.edit("max=1000", "max=2500")
    tides.run()
    assert (values(tides), bad(tides)) == ([1.0, 2000.0, 4.0], [3000.0])
    (found,) = held(tides)
    assert (found.gone, found.done) == (1, "no rows matched")
    tides.edit("max=2500", "max=1000, min=0")
    tides.run()
    assert (values(tides), bad(tides)) == ([1.0, 4.0], [3000.0])


def test_a_check_that_is_new_runs_what_was_ruled_on(tides: Tides) -> None:
    rule(tides, rule="value.max")
    tides.run()
    tides.edit(
        "value = tm.Float64(nullable=True, max=1000)",
        'value = tm.Float64(nullable=True, max=1000)\n    some = tm.rule(pl.col("id") < 9, on_fail="warn")',
    )
    done = tides.ok()
    # Released rows don't pass the contract by themselves: they are judged with the ruling.
    assert done["ok run raw"] == [day(0)]
    assert values(tides) == list(BAD)


def test_corrected_rows_from_a_file(tides: Tides, tmp_path: Path) -> None:
    for suffix in ("csv", "parquet", "json", "ndjson"):
        path = tmp_path / f"bad.{suffix}"
        assert ask(tides, lambda held, path=path: held.export("raw", to=path)) == 2  # type: ignore[misc]
    rows = pl.read_parquet(tmp_path / "bad.parquet")
    assert rows.columns == ["_row", "_reasons", "_digest", "day", "id", "value"]
    assert pl.read_csv(tmp_path / "bad.csv").get_column("_reasons").to_list() == ["value.max"] * 2
    with pytest.raises(UsageError, match=r"only \.csv files are guarded"):
        ask(tides, lambda held: held.export("raw", to=tmp_path / "bad.json", guard=True))
    assert ask(tides, lambda held: held.export("raw", to=tmp_path / "bad.csv", guard=True)) == 2
    text = (tmp_path / "bad.csv").read_text().replace("2000.0", "20.5").replace("3000.0", "30")
    (tmp_path / "bad.csv").write_text(text)
    ruling = rule(tides, fixed=tmp_path / "bad.csv")
    assert ruling.rows == (0, 1)
    tides.run()
    assert (values(tides), bad(tides)) == ([1.0, 20.5, 30.0, 4.0], [])
    assert tides.ok() == {}
    # Only the file that changed is another; the rows that aren't there any more have no successors.
    tides.send(0, (1.0, 7.0, 3000.0, 4.0))
    tides.run()
    assert (values(tides), bad(tides)) == ([1.0, 7.0, 30.0, 4.0], [])


@pytest.mark.parametrize(
    ("rows", "said", "error", "told"),
    [
        ({"value": [1.0]}, {}, UsageError, "1 corrected row can't replace 2 rows"),
        (
            {"value": [1.0], "_row": [0]},
            {"rows": [1]},
            UsageError,
            "numbered 0 in _row, but they replace 1",
        ),
        (
            {"value": [1.0, 2.0], "_row": [0.0, 1.0]},
            {},
            UsageError,
            "is Float64: it must hold whole",
        ),
        (
            {"value": [1.0, 2.0], "_row": [False, True]},
            {},
            UsageError,
            "is Boolean: it must hold whole",
        ),
        ({"value": [1.0, 2.0], "_row": [0, 0]}, {}, UsageError, "numbered 0, 0 in _row.*each"),
        (
            {"value": [1.0, 2000.0]},
            {},
            ContractError,
            r"1 of 2 corrected rows still.*row 1: value.max",
        ),
        ({"value": [1.0, 2.0], "valeu": [1, 2]}, {}, UsageError, "did you mean 'value'"),
        (
            {"value": ["x", "y"]},
            {},
            ContractError,
            "value came as Float64, and 'x' doesn't fit",
        ),
        ({}, {}, ContractError, "column 'value' of contract Raw is missing"),
    ],
)
def test_corrected_rows_that_do_not_fit_are_refused(
    tides: Tides, rows: dict[str, Any], said: dict[str, Any], error: Any, told: str
) -> None:
    count = len(next(iter(rows.values()), [0, 0]))
    frame = (
        rows_of(0, [0.0] * count)
        .drop("value")
        .with_columns(*(pl.Series(name, held) for name, held in rows.items()))
    )
    with pytest.raises(error, match=told):
        rule(tides, fixed=frame, **said)
    assert tides.events("Ruled") == []


def test_corrected_rows_say_which_they_replace(tides: Tides) -> None:
    rows = ask(tides, lambda held: held.rows("raw")).filter(pl.col("_row") == 1)
    ruling = rule(tides, fixed=rows.with_columns(value=pl.lit(30.0)))
    assert ruling.rows == (1,)
    tides.run()
    assert (values(tides), bad(tides)) == ([1.0, 30.0, 4.0], [2000.0])


@pytest.mark.parametrize("suffix", ["csv", "parquet", "json", "ndjson"])
def test_an_export_whose_rows_have_other_numbers_now_is_refused(
    tides: Tides, tmp_path: Path, suffix: str
) -> None:
    path, read = tmp_path / f"old.{suffix}", getattr(pl, f"read_{suffix}")
    ask(tides, lambda held: held.export("raw", day(0), to=path))
    rule(tides, "drop", rows=[0])
    tides.run()
    assert bad(tides) == [3000.0]
    old = read(path).filter(pl.col("_row") == 0).with_columns(value=pl.lit(9.9))
    getattr(old, f"write_{suffix}")(path)
    told = r"^1 of 1 corrected rows .*row 0: _digest r\w+, not r\w+\): export the rows again"
    with pytest.raises(UsageError, match=told):
        rule(tides, fixed=path)
    ask(tides, lambda held: held.export("raw", day(0), to=path))
    getattr(read(path).with_columns(value=pl.lit(9.9)), f"write_{suffix}")(path)
    rule(tides, fixed=path)
    tides.run()
    assert (values(tides), bad(tides)) == ([1.0, 9.9, 4.0], [])


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"_reasons": ["value.min", "value.max"]}, "row 0: value.max, not value.min"),
        ({"_reasons": [["value.max"], ["key"]]}, "row 1: value.max, not key"),
        ({"_reasons": [0, 1]}, "row 1: value.max, not 1"),
        ({"_digest": [None, None]}, r"row 0: _digest r\w+, not empty; row 1: "),
        ({"_digest": [1, 2]}, r"2 of 2 .*row 0: _digest r\w+, not 1; row 1: "),
    ],
)
def test_corrected_rows_that_contradict_the_quarantined_ones_are_refused(
    tides: Tides, said: dict[str, Any], told: str
) -> None:
    with pytest.raises(UsageError, match=told):
        rule(
            tides,
            fixed=rows_of(0, [1.0, 2.0]).with_columns(**{k: pl.Series(v) for k, v in said.items()}),
        )
    assert tides.events("Ruled") == []


def test_numbered_rows_without_a_digest_have_the_key_of_their_row(tides: Tides) -> None:
    rows = ask(tides, lambda held: held.rows("raw")).with_columns(value=pl.lit(7.0))
    other = rows.with_columns(id=pl.col("id").reverse())
    with pytest.raises(UsageError, match=r"2 of 2 .*row 0: id \d, not \d; row 1: id \d, not \d"):
        rule(tides, fixed=other)
    assert rule(tides, fixed=rows.reverse()).rows == (0, 1)


def test_a_key_that_is_at_fault_can_be_corrected(tides: Tides) -> None:
    tides.put("2.parquet", pl.concat([rows_of(2, [1.0, 2.0])] * 2).head(3))
    tides.run()
    (held_day,) = [found for found in held(tides) if "key" in found.reasons]
    rows = ask(tides, lambda found: found.rows("raw", held_day.partition))
    ruling = rule(
        tides, "release", "raw", held_day.partition, fixed=rows.with_columns(id=pl.lit(77))
    )
    assert ruling.rows == (0,)
    tides.run()
    assert 77 in tides.read("raw", held_day.partition).get_column("id").to_list()


def test_corrected_rows_without_reasons_are_accepted(tides: Tides) -> None:
    rows = ask(tides, lambda held: held.rows("raw")).with_columns(
        value=pl.lit(7.0), _reasons=pl.lit(None, pl.String)
    )
    assert rule(tides, fixed=rows).rows == (0, 1)


def test_many_other_rows_are_abbreviated(tides: Tides) -> None:
    tides.send(0, [2000.0] * 10)
    tides.run()
    rows = rows_of(0, [1.0] * 10).with_columns(_reasons=pl.lit("key"))
    with pytest.raises(UsageError, match=r"row 7: value.max, not key; and 2 more\): export"):
        rule(tides, fixed=rows)


def test_rows_keep_their_digest_when_others_come_and_go(tides: Tides, tmp_path: Path) -> None:
    def digests() -> dict[float, str]:
        ask(tides, lambda held: held.export("raw", day(0), to=tmp_path / "bad.parquet"))
        rows = pl.read_parquet(tmp_path / "bad.parquet")
        return dict(rows.select("value", "_digest").iter_rows())

    before = digests()
    tides.send(0, (5000.0, 2000.0, 3000.0, 4.0))
    tides.run()
    after = digests()
    assert {value: after[value] for value in before} == before
    assert len({*after.values()}) == 3


def test_an_export_of_several_partitions_is_released_one_by_one(
    tides: Tides, tmp_path: Path
) -> None:
    tides.send(1, BAD)
    tides.run()
    path = tmp_path / "all.csv"
    assert ask(tides, lambda held: held.export("raw", to=path)) == 4
    path.write_text(path.read_text().replace("000.0", ".5"))
    with pytest.raises(UsageError, match=r"name one of .*; export and release .* one partition"):
        rule(tides, "release", "raw", fixed=path)
    with pytest.raises(UsageError, match=r"several partitions\. Export and release one partition"):
        rule(tides, fixed=path)
    own = pl.read_csv(path, try_parse_dates=True).head(2)
    assert rule(tides, fixed=own.drop("_partition")).rows == (0, 1)


def test_data_with_a_column_of_digests_keeps_it(tmp_path: Path) -> None:
    tides = Tides(tmp_path / "project", LENIENT)
    tides.edit(
        'key=("day", "id")):\n    day = tm',
        'key=("day", "id"), unknown_columns="keep"):\n    day = tm',
    )
    tides.put("one.parquet", rows_of(0, BAD).with_columns(_digest=pl.lit("own")))
    tides.run()
    path = tmp_path / "bad.parquet"
    ask(tides, lambda held: held.export("raw", to=path))
    assert pl.read_parquet(path).columns == ["_row", "_reasons", "day", "id", "value", "_digest"]
    rule(tides, fixed=pl.read_parquet(path).with_columns(value=pl.lit(7.0)))
    tides.run()
    assert tides.read("raw").get_column("_digest").to_list() == ["own"] * 4


def test_a_file_that_can_not_be_read_is_refused(tides: Tides, tmp_path: Path) -> None:
    for name, error in (("bad.txt", UsageError), ("none.csv", SourceError)):
        with pytest.raises(error):
            rule(tides, fixed=tmp_path / name)
    with pytest.raises(UsageError, match="can't write "):
        ask(tides, lambda held: held.export("raw", to=tmp_path / "none" / "bad.csv"))


def test_nested_values_go_to_parquet(tmp_path: Path) -> None:
    tides = Tides(tmp_path / "project", LENIENT)
    tides.edit(
        'key=("day", "id")):\n    day = tm',
        'key=("day", "id"), unknown_columns="keep"):\n    day = tm',
    )
    rows = rows_of(0, BAD).with_columns(tags=pl.lit(["a"]).implode().list.first(), raw=pl.lit(b"x"))
    tides.put("one.parquet", rows)
    tides.run()
    with pytest.raises(UsageError, match=r"tags, raw: a .csv file can't hold lists"):
        ask(tides, lambda held: held.export("raw", to=tmp_path / "bad.csv"))
    with pytest.raises(UsageError, match=r"^raw: a .json file can't hold lists"):
        ask(tides, lambda held: held.export("raw", to=tmp_path / "bad.json"))
    ask(tides, lambda held: held.export("raw", to=tmp_path / "bad.parquet"))
    rule(tides, fixed=pl.read_parquet(tmp_path / "bad.parquet").with_columns(value=pl.lit(7.0)))
    tides.run()
    assert (
        tides.read("raw").filter(pl.col("value") == 7.0).get_column("tags").to_list() == [["a"]] * 2
    )


@pytest.mark.parametrize(
    ("where", "said", "told"),
    [
        (
            ("raw", day(0)),
            {"rows": [2, 7]},
            r"no quarantined row 2, 7: there are 2, numbered from 0",
        ),
        (("raw", day(0)), {"rule": "value.mx"}, r"broke 'value.mx' \(did you mean 'value.max'\?\)"),
        (("raw", day(0)), {"rule": "value.max", "rows": [1]}, "not by both"),
        (
            ("raw", day(1)),
            {},
            rf"raw {day(1)} has no quarantined rows; these partitions have: {day(0)}",
        ),
        (("doubled",), {}, "doubled has no quarantined rows"),
        (("ravv",), {}, "no stage 'ravv'"),
        (("raw", day(0)), {"reason": " "}, "a reason is missing"),
    ],
)
def test_what_is_not_there_can_not_be_ruled_on(
    tides: Tides, where: tuple[str, ...], said: dict[str, Any], told: str
) -> None:
    for verb in ("release", "drop"):
        with pytest.raises(UsageError, match=told):
            rule(tides, verb, *where, **said)
    assert tides.events("Ruled") == []


def test_what_can_not_be_kept_is_not_released(tides: Tides) -> None:
    tides.put("one.parquet", rows_of(0, (2000.0, 9.0)))
    tides.run()
    numbers = {
        row: reasons
        for row, reasons in ask(tides, lambda held: held.rows("raw", day(0)))
        .select("_row", "_reasons")
        .iter_rows()
    }
    (twice,) = [row for row, reasons in numbers.items() if reasons == ["key"]]
    with pytest.raises(
        UsageError, match=rf"1 of 4 rows of raw .*\(row {twice}: key\).*release the"
    ):
        rule(tides)
    assert rule(tides, "drop", rows=[twice]).rows == (twice,)


def test_rows_without_a_place_can_be_dropped_only(tides: Tides) -> None:
    tides.put("odd.parquet", rows_of(0, (1.0,)).with_columns(day=pl.lit(None, pl.Date)))
    tides.run()
    place = ("raw", "(none)")
    with pytest.raises(UsageError, match="can't be released as they are"):
        rule(tides, "release", *place)
    with pytest.raises(UsageError, match="have no partition to publish corrections in"):
        rule(tides, "release", *place, fixed=rows_of(0, (1.0,)))
    rule(tides, "drop", *place)
    tides.run()
    assert [(item.partition, item.rows) for item in held(tides)] == [("(none)", 0), (day(0), 2)]


def test_a_partition_is_named_where_there_are_several(tides: Tides) -> None:
    tides.send(1, BAD)
    tides.run()
    with pytest.raises(UsageError, match=f"name one of {day(0)}, {day(1)}"):
        rule(tides, "release", "raw")
    rows = ask(tides, lambda held: held.rows("raw"))
    assert rows.get_column("_partition").to_list() == [day(0)] * 2 + [day(1)] * 2


def test_a_ruling_is_taken_back(tides: Tides) -> None:
    rule(tides)
    tides.run()
    with pytest.raises(UsageError, match="has no ruling 2; there are 1"):
        rule(tides, "take_back", "raw", ruling=2)
    rule(tides, "take_back", "raw", ruling=1, reason="no typo", note="ben")
    assert why(tides)[0][2] == (
        f"2 quarantined rows put back into quarantine by {noted('ben')}: no typo",
    )
    with pytest.raises(UsageError, match="add a new ruling instead"):
        rule(tides, "take_back", "raw", ruling=2)
    (found,) = held(tides)
    assert (found.pending, len(found.rulings)) == (1, 2)
    tides.run()
    assert (values(tides), sorted(map(str, bad(tides)))) == ([1.0, 4.0], ["2000.0", "3000.0"])
    rule(tides, rows=[0])
    tides.run()
    assert len(bad(tides)) == 1


def test_a_ruling_waits_for_those_before_it(tides: Tides) -> None:
    rule(tides, rows=[0])
    rule(tides, "drop", rows=[0, 1])  # the same quarantine may be ruled on again
    tides.run()
    rule(tides, "take_back", "raw", ruling=1)
    tides.send(0, (9000.0, *BAD))
    project = tides.open()
    state = project.workspace.facts().state
    project.close()
    assert len(state.rulings["raw"][day(0)]) == 3
    tides.run()
    # What was said last of the first row is that it stays.
    assert bad(tides) == [9000.0, 2000.0]


def test_a_run_that_did_not_know_of_a_ruling_hides_nothing(tides: Tides) -> None:
    """The ruling comes while a run is at work on the same partition."""
    tides.send(0, (9000.0, *BAD))
    project, other = tides.open(), tides.open()
    said: list[Ruling] = []

    def progress(done: int, step: Any) -> None:
        if not said:
            said.append(other.quarantine.release("raw", reason="typo", note="ana", rows=[0]))

    project.run(progress=Before(progress))
    project.close()
    other.close()
    with pytest.raises(ConflictError, match=r"rulings on raw .* wait for a run"):
        rule(tides, rows=[0])
    assert tides.ok()["ok run raw"] == [day(0)]
    assert (values(tides), len(bad(tides))) == ([1.0, 2000.0, 4.0], 2)


def test_a_ruling_on_what_moved_meanwhile_is_refused(tides: Tides) -> None:
    project = tides.open()
    ledger = project.tools.ledger
    before = ledger.state("prod", whole=True)
    desk = Quarantine(
        project.tools,
        "prod",
        lambda name, _: project.stage(name),
        lambda use: use(before),
        lambda _: "ana",
    )
    tides.send(0, (9000.0, *BAD))
    tides.run()
    with pytest.raises(ConflictError, match="moved"):
        desk.drop("raw", reason="x")
    assert tides.events("Ruled") == []
    project.close()


def test_an_object_that_is_gone_is_not_ruled_on(tides: Tides) -> None:
    project = tides.open()
    name = project.workspace.facts().state.heads["raw"].partitions[day(0)].product.quarantine
    assert name is not None
    project.tools.artifacts.remove([name])
    with pytest.raises(StorageError):
        project.quarantine.drop("raw", reason="x")
    project.close()


def test_a_branch_begins_with_the_rulings_of_its_parent(tides: Tides) -> None:
    rule(tides)
    tides.run()
    project = tides.open()
    created = EnvironmentCreated(environment="dev", parent="prod")
    project.tools.ledger.append([created], now=1.0)
    project.close()
    branch = open_project(tides.root, workflow=flow_of(tides.root, tides.text), env="dev")
    assert branch.plan().steps == ()
    branch.quarantine.take_back("raw", ruling=1, reason="x", note="ben")
    assert [step.partition for step in branch.plan().steps] == [day(0)] * 3
    branch.close()
    assert tides.ok() == {}


def test_debugging_a_step_does_what_was_said(tides: Tides) -> None:
    rule(tides, rows=[1])
    project = tides.open()
    trial = project.debug("raw", day(0))
    assert (trial.product.rows, trial.product.quarantined) == (3, 1)
    project.close()


@pytest.mark.parametrize("lost", ["quarantine", "corrections"])
@pytest.mark.parametrize("how", [partial(flip, offset=100), Path.unlink])
def test_a_ruling_whose_rows_are_lost_can_be_withdrawn(
    tides: Tides, tmp_path: Path, lost: str, how: Callable[[Path], None]
) -> None:
    ask(tides, lambda held: held.export("raw", to=tmp_path / "bad.csv"))
    text = (tmp_path / "bad.csv").read_text().replace("2000.0", "20.5").replace("3000.0", "30")
    (tmp_path / "bad.csv").write_text(text)
    ruling = rule(tides, fixed=tmp_path / "bad.csv")
    tides.ok()
    name = ruling.object if lost == "quarantine" else ruling.fixed
    [path] = (tides.root / ".tidemill").rglob(name)
    how(path)
    tides.send(0, (*BAD, 5.0))
    receipt = tides.run()
    [message] = [each for each in receipt.messages if each.startswith(f"raw {day(0)}: ")]
    assert name in message
    advice = (
        f"withdraw the ruling: `tidemill quarantine undo raw {day(0)} --ruling 1 --reason TEXT`"
    )
    assert f"Ruling 1 on raw {day(0)} needs it: restore it from a backup, or {advice}" in message
    assert [item.partition for item in held(tides, "raw")] == [day(0)]
    ask(tides, lambda held: held.take_back("raw", day(0), ruling=1, reason="lost", note="ana"))
    assert tides.ok()["ok run raw"] == [day(0)]
    assert len(bad(tides)) == 2
    assert tides.ok() == {}


def test_who_runs_a_command(tides: Tides) -> None:
    assert rule(tides, rows=[0], note="").actor == pwd.getpwuid(os.geteuid()).pw_name


@pytest.mark.parametrize("verb", ["release", "drop"])
def test_a_ruling_that_another_one_overtakes_is_not_recorded(tides: Tides, verb: str) -> None:
    """Who dropped a row saw it unruled; so did who released it."""

    def overtake() -> None:
        rule(tides, verb, rows=[1])

    with pytest.raises(ConflictError, match="another ruling, at the same moment"):
        overtaken(tides, overtake, lambda held: held.drop("raw", day(0), rows=[1], reason="x"))
    [one] = held(tides)
    assert one.pending == 1


def test_a_ruling_on_other_rows_at_the_same_moment_counts_too(tides: Tides) -> None:
    tides.send(1, BAD)
    tides.run()

    def overtake() -> None:
        rule(tides, "drop", "raw", day(1), rows=[0])

    overtaken(tides, overtake, lambda held: held.release("raw", day(0), rows=[1], reason="x"))
    assert [one.pending for one in held(tides)] == [1, 1]


def test_a_ruling_on_rows_that_a_run_replaces_is_refused(tides: Tides) -> None:
    def overtake() -> None:
        tides.send(0, (1.0, 5000.0))
        tides.run()

    with pytest.raises(ConflictError, match="another quarantine, or another ruling"):
        overtaken(tides, overtake, lambda held: held.release("raw", day(0), rows=[1], reason="x"))
    assert [one.rulings for one in held(tides)] == [()]


def overtaken(tides: Tides, overtake: Callable[[], None], use: Callable[[Quarantine], T]) -> T:
    """What comes of a ruling, when something else is recorded right before it."""
    with tides.open() as project:
        ledger = project.tools.ledger
        append, first = ledger.append, [overtake]

        def late(*given: Any, **options: Any) -> int:
            while first:
                first.pop()()
            return append(*given, **options)

        ledger.append = late  # type: ignore[method-assign]
        try:
            return use(project.quarantine)
        finally:
            del ledger.append


# --- whatever is said, in whatever order

FLIPS = st.booleans()
VALUE = st.sampled_from([1.0, 2000.0, 3000.0, None])


@thorough
@settings(max_examples=examples(5, 15), deadline=None)
@given(st.data())
def test_an_incremental_build_is_one_from_nothing(data: st.DataObject) -> None:
    """Rulings, other files and runs in any order: nothing is lost, and a rebuild gives the same."""
    with tempfile.TemporaryDirectory() as folder:
        tides = Tides(Path(folder) / "project", LENIENT)
        sent = data.draw(st.lists(VALUE, min_size=2, max_size=5))
        tides.send(0, sent)
        tides.run()
        for _ in range(data.draw(st.integers(1, 4))):
            there = [item for item in held(tides) if item.rows]
            if len(there) > 0 and data.draw(FLIPS, "rule"):
                rows = sorted(data.draw(st.sets(st.integers(0, there[0].rows - 1), min_size=1)))
                verb = data.draw(st.sampled_from(["release", "drop"]))
                rule(tides, verb, rows=rows)
                if data.draw(FLIPS, "wait"):
                    continue
            else:
                sent = data.draw(st.lists(VALUE, min_size=1, max_size=5))
                tides.send(0, sent)
            tides.run()
            assert tides.ok() == {}
            found = next(iter(held(tides)), None)
            gone = 0
            if found and " dropped" in found.done:
                gone = int(found.done.split(" dropped")[0].split()[-1])
            assert len(values(tides)) + len(bad(tides)) + gone == len(sent)
        tides.run()
        assert again(tides, Path(folder) / "fresh").contents() == tides.contents()
