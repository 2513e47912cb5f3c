"""Rulings on rows: exactly those that were ruled on are found again, whatever comes beside them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.contracts.checks.test_checker import contract
from tests.support.thoroughness import examples, thorough
from tidemill.contracts import column_types as tm
from tidemill.contracts.checks.checker import CheckedPartition, check_rows
from tidemill.contracts.checks.ruled_rows import (
    REASONS,
    ResolvedRuling,
    align_rows,
    resolve_rulings,
    unwaivable_rules,
)
from tidemill.contracts.row_ruling import Disposition, Ruling
from tidemill.contracts.spec import ContractSpec, rule
from tidemill.contracts.table_rules import Budget
from tidemill.core.errors import ContractError

NAN = float("nan")
PLAIN = contract({"a": tm.Int64(min=0), "b": tm.Float64(nullable=True, max=1)})
KEYED = contract({"k": tm.Int64(), "a": tm.Int64(min=0)}, key="k")
UNIQUE = contract({"k": tm.Int64(unique=True), "a": tm.Int64(min=0)})


class Desk:
    """Rules on the quarantine of the last judgement, and judges again."""

    def __init__(self, spec: ContractSpec, rows: pl.DataFrame) -> None:
        self.spec, self.rows = spec, rows
        self.objects: dict[str, pl.DataFrame] = {}
        self.rulings: list[Ruling] = []
        self.runs = 0
        self.judged = check_rows(rows, spec)

    def rule(
        self, verdict: Disposition, *rows: int, fixed: pl.DataFrame | None = None, run: bool = True
    ) -> CheckedPartition:
        assert self.judged.bad is not None
        name = f"bad {len(self.objects)}"
        for known, frame in self.objects.items():
            if frame.equals(self.judged.bad, null_equal=True):
                name = known
        self.objects[name] = self.judged.bad
        if fixed is not None:
            self.objects[f"fixed for {len(self.rulings)}"] = fixed
        ruling = Ruling(
            disposition=verdict,
            object=name,
            key=f"run {self.runs}",
            rows=rows,
            fixed=f"fixed for {len(self.rulings)}" if fixed is not None else "",
            actor="ana",
            reason="because",
            at=1.0,
        )
        self.rulings.append(ruling)
        return self.run() if run else self.judged

    def run(
        self, rows: pl.DataFrame | None = None, spec: ContractSpec | None = None
    ) -> CheckedPartition:
        self.rows = self.rows if rows is None else rows
        self.spec = spec or self.spec
        self.runs += 1
        self.judged = check_rows(self.rows, self.spec, rulings=self.said)
        return self.judged

    @property
    def said(self) -> tuple[ResolvedRuling, ...]:
        return resolve_rulings(self.rulings, self.objects.__getitem__)


def told(judged: CheckedPartition) -> str:
    return next((f.message for f in judged.findings if f.rule == "rulings"), "")


def good(judged: CheckedPartition) -> list[tuple[Any, ...]]:
    return judged.good.rows()


def bad(judged: CheckedPartition) -> list[tuple[Any, ...]]:
    return [] if judged.bad is None else judged.bad.rows()


def test_released_rows_are_good_and_dropped_ones_are_gone() -> None:
    desk = Desk(PLAIN, pl.DataFrame({"a": [1, -1, -2, -3], "b": [0.0, None, 0.5, 2.0]}))
    desk.rule(Disposition.RELEASE, 0)
    assert good(desk.judged) == [(1, 0.0), (-1, None)]
    assert [row[0] for row in bad(desk.judged)] == [-2, -3]
    desk.rule(Disposition.DROP, 1)
    assert good(desk.judged) == [(1, 0.0), (-1, None)]
    assert bad(desk.judged) == [(-2, 0.5, ["a.min"])]
    assert told(desk.judged) == "rulings: 1 released, 1 dropped"
    # What is still in quarantine is counted, and nothing else.
    assert [(f.rule, f.rows) for f in desk.judged.findings] == [("a.min", 1), ("rulings", 2)]


def test_a_budget_counts_what_is_in_quarantine() -> None:
    spec = contract({"a": tm.Int64(min=0), "budget": Budget(max_bad=0.5)})
    desk = Desk(spec, pl.DataFrame({"a": [1, 1, -1, -2]}))
    desk.rule(Disposition.DROP, 0)
    assert [f.rule for f in desk.run(pl.DataFrame({"a": [1, -1, -2]})).findings] == [
        "a.min",
        "rulings",
    ]
    assert "budget" in [f.rule for f in desk.run(pl.DataFrame({"a": [1, -3, -2]})).findings]


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("null", [None, 1]),
        ("nan", [NAN, 0.5]),
        ("list", [[1, None], [1]]),
        ("struct", [{"x": NAN, "y": [1]}, {"x": 1.0, "y": [1]}]),
        ("text", ["é", "e"]),
        ("binary", [b"1", b"2"]),
    ],
)
def test_a_row_is_known_by_all_its_values(column: str, values: list[Any]) -> None:
    spec = contract({"a": tm.Int64(min=0)}, unknown_columns="keep")
    frame = pl.DataFrame({"a": [-1, 1], column: values}, strict=False)
    desk = Desk(spec, frame)
    desk.rule(Disposition.RELEASE, 0)
    assert bad(desk.judged) == []
    other = frame[[1, 0]].with_columns(a=pl.lit(-1, pl.Int64))
    rerun = desk.run(other)
    assert rerun.bad is not None
    assert rerun.bad.drop(REASONS).equals(other[:1], null_equal=True)
    assert rerun.good.equals(other[1:], null_equal=True)


def test_another_set_of_columns_makes_other_rows() -> None:
    spec = contract({"a": tm.Int64(min=0)}, unknown_columns="keep")
    desk = Desk(spec, pl.DataFrame({"a": [-1]}))
    desk.rule(Disposition.RELEASE)
    assert len(bad(desk.run(pl.DataFrame({"a": [-1], "more": [None]})))) == 1
    assert bad(desk.run(pl.DataFrame({"a": [-1]}))) == []


@pytest.mark.parametrize(
    ("dtype", "known"),
    [(pl.Int8, True), (pl.Float64, True), (pl.String, False), (pl.Decimal(10, 2), True)],
)
def test_the_same_value_in_another_type(dtype: Any, known: bool) -> None:
    desk = Desk(PLAIN, pl.DataFrame({"a": [-1], "b": [0.5]}))
    desk.rule(Disposition.RELEASE)
    rerun = desk.run(pl.DataFrame({"a": pl.Series([-1]).cast(dtype), "b": [0.5]}))
    assert (rerun.bad is None) == known


def test_a_value_that_another_type_rounds_is_another() -> None:
    spec = contract({"a": tm.Int64(max=0)})
    desk = Desk(spec, pl.DataFrame({"a": [2**53 + 1]}))
    desk.rule(Disposition.RELEASE)
    assert len(bad(desk.run(pl.DataFrame({"a": [2.0**53]})))) == 1


def test_a_row_that_breaks_more_is_not_released() -> None:
    desk = Desk(PLAIN, pl.DataFrame({"a": [-1, -1], "b": [0.5, 0.5]}))
    desk.rule(Disposition.RELEASE, 0)
    tight = contract({"a": tm.Int64(min=0), "b": tm.Float64(nullable=True, max=0.1)})
    desk.run(spec=tight)
    assert [row[-1] for row in bad(desk.judged)] == [["a.min", "b.max"]] * 2
    # Ruled on again, it is this row once and not twice.
    desk.rule(Disposition.DROP, 0)
    assert (good(desk.judged), len(bad(desk.judged))) == ([], 1)
    assert (good(desk.run(spec=PLAIN)), len(bad(desk.judged))) == ([], 1)


def test_a_row_that_breaks_nothing_any_more_is_good() -> None:
    desk = Desk(PLAIN, pl.DataFrame({"a": [-1, -2], "b": [0.5, 0.5]}))
    desk.rule(Disposition.DROP, 0)
    loose = contract({"a": tm.Int64(min=-1), "b": tm.Float64(nullable=True, max=1)})
    assert good(desk.run(spec=loose)) == [(-1, 0.5)]
    assert told(desk.judged) == "rulings: no rows matched"
    assert told(desk.run(pl.DataFrame({"a": [1], "b": [0.5]}), PLAIN)).endswith("no rows matched")


def test_equal_rows_are_counted() -> None:
    desk = Desk(PLAIN, pl.DataFrame({"a": [-1, -1, -1], "b": [0.5] * 3}))
    desk.rule(Disposition.RELEASE, 1)
    assert (len(good(desk.judged)), len(bad(desk.judged))) == (1, 2)
    desk.rule(Disposition.DROP, 0)
    assert (len(good(desk.judged)), len(bad(desk.judged))) == (1, 1)
    # One that is left is the one that was ruled on last.
    desk.run(desk.rows[:1])
    assert (good(desk.judged), bad(desk.judged)) == ([], [])


def test_another_copy_of_a_row_is_another_row() -> None:
    desk = Desk(PLAIN, pl.DataFrame({"a": [-1], "b": [0.5]}))
    desk.rule(Disposition.RELEASE)
    # The quarantine is the same object as before, of another row.
    desk.run(desk.rows[[0, 0]])
    assert (len(good(desk.judged)), len(bad(desk.judged))) == (1, 1)
    desk.rule(Disposition.RELEASE)
    assert (len(good(desk.judged)), bad(desk.judged)) == (2, [])
    assert len(desk.objects) == 1


def test_the_last_word_on_a_row_counts() -> None:
    desk = Desk(PLAIN, pl.DataFrame({"a": [-1, -1], "b": [0.5, 0.5]}))
    desk.rule(Disposition.RELEASE, 0, 1, run=False)
    desk.rule(Disposition.DROP, 0)
    assert (len(good(desk.judged)), bad(desk.judged)) == (1, [])
    again = Desk(PLAIN, desk.rows)
    again.rule(Disposition.RELEASE, run=False)
    again.rule(Disposition.HOLD, 1)
    assert (len(good(again.judged)), len(bad(again.judged))) == (1, 1)
    again.rulings.append(again.rulings[1])
    assert len(again.said) == 1


@pytest.mark.parametrize("later", [[()], [(0,), (1,)], [(), (0,)], [(0, 1), ()]])
@pytest.mark.parametrize("taken_back", [True, False])
def test_what_later_rulings_settle_is_not_looked_at(
    later: list[tuple[int, ...]], taken_back: bool
) -> None:
    desk = Desk(PLAIN, pl.DataFrame({"a": [-1, -2, 3], "b": [0.0, 0.0, 0.0]}))
    desk.rule(Disposition.RELEASE, run=False)
    verdict = Disposition.HOLD if taken_back else Disposition.DROP
    for rows in later:
        desk.rule(verdict, *rows, run=False)
    judged = desk.run()
    assert judged.good.height == 1
    assert (judged.bad is not None) is taken_back


def test_what_cant_be_kept_is_not_released() -> None:
    spec = contract({"k": tm.Int64(), "a": tm.Int64(min=0)}, key="k")
    frame = pl.DataFrame({"k": ["1", "x", None, "1"], "a": [1, 1, 1, 1]})
    desk = Desk(spec, frame)
    desk.rule(Disposition.RELEASE)
    assert len(bad(desk.judged)) == 3
    assert told(desk.judged).endswith("no rows matched")
    desk.rule(Disposition.DROP)
    assert (len(good(desk.judged)), bad(desk.judged)) == (1, [])
    unread = {f"{name}.{rule}" for name in "ka" for rule in ("type", "fields", "unicode")}
    assert {"key", "k.null", "k.nan", "k.partition", *unread} == unwaivable_rules(spec)


def test_a_released_row_takes_no_place_of_a_good_one() -> None:
    desk = Desk(KEYED, pl.DataFrame({"k": [1, 1, 2, 2], "a": [-1, 1, -2, -3]}))
    desk.rule(Disposition.RELEASE, 0, 1, 2)
    assert good(desk.judged) == [(1, 1), (2, -2)]
    assert bad(desk.judged) == [(1, -1, ["a.min", "key"]), (2, -3, ["a.min", "key"])]
    desk.rule(Disposition.DROP)
    assert (good(desk.judged), bad(desk.judged)) == ([(1, 1), (2, -2)], [])
    assert good(desk.run()) == [(1, 1), (2, -2)]


def test_a_value_that_must_be_unique_can_be_released() -> None:
    desk = Desk(UNIQUE, pl.DataFrame({"k": [1, 1, 1], "a": [1, 1, -1]}))
    desk.rule(Disposition.RELEASE)
    assert good(desk.judged) == [(1, 1), (1, 1)]
    assert bad(desk.judged) == [(1, -1, ["a.min", "k.unique"])]
    desk.rule(Disposition.RELEASE)
    assert (len(good(desk.judged)), bad(desk.judged)) == (3, [])


@pytest.mark.parametrize("on_fail", ["warn", "fail"])
def test_rules_that_do_not_quarantine_see_released_rows(on_fail: Any) -> None:
    spec = contract({"k": tm.Int64(unique=True, on_fail=on_fail), "a": tm.Int64(min=0)})
    desk = Desk(spec, pl.DataFrame({"k": [1, 1], "a": [1, -1]}))
    assert [f.rule for f in desk.judged.findings] == ["a.min"]
    desk.rule(Disposition.RELEASE)
    assert (len(good(desk.judged)), bad(desk.judged)) == (2, [])
    assert next((f.rule, f.severity) for f in desk.judged.findings) == ("k.unique", on_fail)


def test_corrected_rows_take_the_place_of_others_and_are_judged() -> None:
    desk = Desk(KEYED, pl.DataFrame({"k": [1, 2, 3], "a": [-1, -2, -3]}))
    fixed = pl.DataFrame({"k": [1, 3], "a": [10, -30]})
    desk.rule(Disposition.REPLACE, 0, 2, fixed=fixed)
    assert good(desk.judged) == [(1, 10)]
    assert bad(desk.judged) == [(2, -2, ["a.min"]), (3, -30, ["a.min"])]
    assert told(desk.judged) == "rulings: 2 replaced"
    # What took the place of another can be ruled on, and is found again.
    desk.rule(Disposition.RELEASE, 1)
    assert good(desk.judged) == [(1, 10), (3, -30)]
    # A row that doesn't come any more brings no other.
    desk.run(desk.rows[:2])
    assert (good(desk.judged), [row[0] for row in bad(desk.judged)]) == ([(1, 10)], [2])


def test_corrected_rows_are_not_what_was_said_before() -> None:
    desk = Desk(PLAIN, pl.DataFrame({"a": [-1, -2], "b": [0.5, 0.5]}))
    desk.rule(Disposition.RELEASE, 0)
    desk.run(desk.rows[1:])
    desk.rule(Disposition.REPLACE, 0, fixed=pl.DataFrame({"a": [-1], "b": [0.5]}))
    assert (good(desk.judged), bad(desk.judged)) == ([], [(-1, 0.5, ["a.min"])])
    desk.rule(Disposition.REPLACE, 0, fixed=pl.DataFrame({"a": [-2], "b": [0.5]}))
    assert bad(desk.judged) == [(-2, 0.5, ["a.min"])]
    desk.rule(Disposition.REPLACE, 0, fixed=pl.DataFrame({"a": [2], "b": [0.5]}))
    assert (good(desk.judged), bad(desk.judged)) == ([(2, 0.5)], [])


def test_corrected_rows_come_in_the_types_of_the_others() -> None:
    frame = pl.DataFrame({"a": ["1"], "c": [1]})
    came, rows = align_rows(pl.DataFrame({"a": [5], "more": [1]}), frame, PLAIN)
    assert came.equals(frame)
    assert rows.rows() == [("5", None)]
    assert rows.schema == frame.schema
    with pytest.raises(ContractError, match=r"a came as Int64, and 1.5 doesn't fit"):
        align_rows(pl.DataFrame({"a": [1.5]}), pl.DataFrame({"a": [1]}), PLAIN)
    came, rows = align_rows(pl.DataFrame({"b": [1.5]}), pl.DataFrame({"b": [1, None]}), PLAIN)
    assert (came.rows(), rows.rows()) == ([(1.0,), (None,)], [(1.5,)])
    with pytest.raises(ContractError, match=r"b came as Int64, and 1.5 doesn't fit"):
        align_rows(pl.DataFrame({"b": [1.5]}), pl.DataFrame({"b": [2**53 + 1]}), PLAIN)


def test_a_correction_that_needs_another_type_is_taken() -> None:
    desk = Desk(PLAIN, pl.DataFrame({"a": [1, 2, 3], "b": [0, 99, 98]}))
    desk.rule(Disposition.REPLACE, 0, fixed=pl.DataFrame({"a": [2], "b": [0.99]}))
    assert (good(desk.judged), [row[0] for row in bad(desk.judged)]) == ([(1, 0.0), (2, 0.99)], [3])
    desk.rule(Disposition.DROP, 0)
    assert (len(good(desk.judged)), bad(desk.judged)) == (2, [])


def test_a_rule_over_all_rows_sees_the_dropped_ones() -> None:
    spec = contract({"a": tm.Int64(), "low": rule(pl.col("a") <= 2 * pl.col("a").mean())})
    desk = Desk(spec, pl.DataFrame({"a": [1, 1, 3, 10]}))
    desk.rule(Disposition.DROP)
    assert (len(good(desk.judged)), bad(desk.judged)) == (3, [])


# --- whatever is said

VALUES = st.tuples(st.integers(-1, 0), st.sampled_from([NAN, 2.0]))
Row = tuple[int, str]


def frame_of(rows: Sequence[tuple[Any, ...]]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema={"a": pl.Int64, "b": pl.Float64}, orient="row")


def counted(rows: Sequence[tuple[Any, ...]]) -> Counter[Row]:
    return Counter((row[0], str(row[1])) for row in rows)


@thorough
@settings(max_examples=examples(50, 150), deadline=None)
@given(st.data())
def test_every_row_is_good_or_bad_or_gone(data: st.DataObject) -> None:
    """After every ruling and every change of the source, rows are where a plain count says."""
    pool = data.draw(st.lists(VALUES, min_size=1, max_size=6))
    desk = Desk(PLAIN, frame_of(pool))
    # What was said of the copies of each row, in order.
    words: dict[Row, list[Disposition]] = {}
    for _ in range(data.draw(st.integers(1, 5))):
        if desk.judged.bad is not None and data.draw(st.booleans(), "rule"):
            held = desk.judged.bad
            rows = data.draw(st.sets(st.integers(0, held.height - 1), min_size=1))
            verdict = data.draw(st.sampled_from([Disposition.RELEASE, Disposition.DROP]))
            for row in held[sorted(rows)].rows():
                words.setdefault((row[0], str(row[1])), []).append(verdict)
            desk.rule(verdict, *sorted(rows))
        else:
            pool = data.draw(st.lists(st.sampled_from(pool or [(-1, 0.5)]) | VALUES, max_size=8))
            desk.run(frame_of(pool))
        _expect(desk, pool, words)
        once = desk.judged
        again = desk.run()
        assert again.good.equals(once.good, null_equal=True)
        assert counted(bad(again)) == counted(bad(once))
        _expect(desk, pool, words)


def _expect(
    desk: Desk, pool: Sequence[tuple[Any, ...]], words: dict[Row, list[Disposition]]
) -> None:
    plain = check_rows(desk.rows, PLAIN)
    kept, held, lost = counted(good(plain)), Counter[Row](), Counter[Row]()
    for row, count in counted(bad(plain)).items():
        last = words.get(row, [])[::-1][:count]
        kept[row] += last.count(Disposition.RELEASE)
        lost[row] += last.count(Disposition.DROP)
        held[row] += count - len(last)
    assert counted(good(desk.judged)) == +kept
    assert counted(bad(desk.judged)) == +held
    assert kept + held + lost == counted(pool)


@thorough
@settings(max_examples=examples(50, 100), deadline=None)
@given(st.data())
def test_keys_hold_and_nothing_is_lost(data: st.DataObject) -> None:
    """With keys and corrected rows: each row is somewhere, keys don't repeat, good ones stay good."""
    drawn = st.tuples(st.integers(0, 3), st.integers(-2, 2))
    pool = data.draw(st.lists(drawn, min_size=1, max_size=8))

    def rows(items: Sequence[tuple[int, int]]) -> pl.DataFrame:
        return pl.DataFrame(items, schema={"k": pl.Int64, "a": pl.Int64}, orient="row")

    desk = Desk(KEYED, rows(pool))
    for _ in range(data.draw(st.integers(1, 4))):
        if desk.judged.bad is not None and data.draw(st.booleans(), "rule"):
            height = desk.judged.bad.height
            chosen = sorted(data.draw(st.sets(st.integers(0, height - 1), min_size=1)))
            verdict = data.draw(st.sampled_from(Disposition))
            fixed = None
            if verdict is Disposition.REPLACE:
                fixed = rows([data.draw(drawn) for _ in chosen])
            desk.rule(verdict, *chosen, fixed=fixed)
        else:
            pool = data.draw(st.lists(st.sampled_from(pool or [(0, -1)]) | drawn, max_size=8))
            desk.run(rows(pool))
        judged, plain = desk.judged, check_rows(desk.rows, KEYED)
        finding = next((f.message for f in judged.findings if f.rule == "rulings"), "")
        gone = int(finding.split(" dropped")[0].split()[-1]) if "dropped" in finding else 0
        assert judged.good.height + len(bad(judged)) + gone == len(pool)
        keys = judged.good.get_column("k").to_list()
        assert keys == sorted(set(keys))
        assert set(good(plain)) <= set(good(judged))
        assert all(row[-1] for row in bad(judged))


def test_a_key_that_repeats_is_never_waived() -> None:
    desk = Desk(KEYED, pl.DataFrame({"k": [1, 1], "a": [-1, 1]}))
    desk.rule(Disposition.RELEASE)
    desk.rule(Disposition.RELEASE)
    assert (good(desk.judged), bad(desk.judged)) == ([(1, 1)], [(1, -1, ["a.min", "key"])])
