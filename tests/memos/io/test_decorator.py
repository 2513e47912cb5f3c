"""Only rows that nobody has seen are computed, and what came is never lost."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tidemill as tm
from tests.support.damage import DAMAGES
from tests.support.tides import Tides, day, flow_of, rows_of
from tests.support.waiting import PATIENCE_S
from tidemill.adapters.files.memos import FileMemos
from tidemill.analysis.hashing.parquet_seal import mark_in
from tidemill.analysis.hashing.row_keys import row_keys
from tidemill.core.errors import DeclarationError, UsageError
from tidemill.ledger.event import Attempted
from tidemill.ledger.run import Outcome, Receipt
from tidemill.memos.io import batched_calls as asking
from tidemill.memos.io import batched_calls as standstill
from tidemill.memos.io import in_memory as unkept
from tidemill.memos.io import segments as shelf_module
from tidemill.memos.io.decorator import Memo
from tidemill.memos.io.in_memory import InMemoryMemos
from tidemill.memos.io.lookup import MemoIncomplete, MemoSession
from tidemill.memos.io.segments import Segment, SegmentIndex
from tidemill.ports.reuse import Memos
from tidemill.workflow.memo import MemoUsage

# raw -> priced: the square of each value, which is asked for; `asked.txt` has what was.
FLOW = """
from pathlib import Path

import polars as pl
import tidemill as tm


class Raw(tm.Contract, key=("day", "id")):
    day = tm.Date(partition="1d")
    id = tm.Int64(min=0)
    value = tm.Float64(nullable=True, max=1000)


class Squared(tm.Contract, key=("day", "id")):
    day, id = Raw.day, Raw.id
    square = tm.Float64(nullable=True)


flow = tm.Workflow("tides")


@flow.ingest
def raw() -> tm.Source[Raw]:
    return tm.files("data/*.parquet")


@tm.memo(gives=pl.Float64, version="1", price=0.5, batch=2)
def square(value):
    with open(Path(__file__).parent / "asked.txt", "a") as file:
        file.write("".join(f"{item}\\n" for item in value))
    return [answer(item) for item in value]


def answer(item):
    return None if item is None else item * item


@flow.transform
def squared(raw: tm.Frame[Raw]) -> tm.Frame[Squared]:
    return raw.select("day", "id", square=square("value"))
"""


def asked(root: Path) -> list[str]:
    """What the function was asked since this was last called."""
    file = root / "asked.txt"
    lines = file.read_text().split() if file.exists() else []
    file.unlink(missing_ok=True)
    return sorted(lines)


@pytest.fixture
def tides(tmp_path: Path) -> Tides:
    return Tides(tmp_path, FLOW)


class TestInAWorkflow:
    def test_only_rows_that_nobody_has_seen_are_asked_for(self, tides: Tides) -> None:
        tides.send(0, (1.0, 2.0, 2.0, None))
        receipt = tides.run()
        assert asked(tides.root) == ["1.0", "2.0", "None"]
        assert receipt.memo == MemoUsage(known=1, asked=3, calls=2, spent=1.5, saved=0.5)
        tides.send(1, (2.0, 3.0, None))
        receipt = tides.run()
        assert asked(tides.root) == ["3.0"]
        assert receipt.memo == MemoUsage(known=2, asked=1, calls=1, spent=0.5, saved=1.0)
        assert tides.read("squared", day(1))["square"].to_list() == [None, 9.0, 4.0]
        assert tides.run().memo is None

    def test_each_attempt_tells_what_its_memos_took(self, tides: Tides) -> None:
        tides.send(0)
        receipt = tides.run()
        by_stage = {tally.stage: tally.memo for tally in receipt.stages}
        assert by_stage == {"raw": None, "squared": receipt.memo}
        project = tides.open()
        attempts = project.history.attempts(receipt.run)
        assert [a.memo for a in attempts] == [None, receipt.memo]
        assert project.runs()[0].receipt == receipt
        project.close()

    def test_what_a_failed_try_spent_counts_once(self, tides: Tides) -> None:
        # The first try gets to know two rows of three, the second one the third.
        tides.edit("@flow.transform\n", "@flow.transform(retries=tm.retries(1, delay=0.001))\n")
        tides.edit("import polars", "import os\n\nimport polars")
        tides.edit(
            "    with open(",
            "    mark = Path(__file__).parent / 'down'\n"
            "    if 3.0 in value and not mark.exists():\n"
            "        mark.touch()\n"
            "        raise ConnectionError('down')\n"
            "    with open(",
        )
        tides.edit("batch=2", "batch=1, retries=tm.retries(0, on=(KeyError,))")
        tides.send(0)
        receipt = tides.run()
        project = tides.open()
        attempts = [a for a in project.history.attempts(receipt.run) if a.stage == "squared"]
        assert [(a.outcome, a.memo) for a in attempts] == [
            (Outcome.RETRIED, MemoUsage(asked=2, calls=3, spent=1.0)),
            (Outcome.OK, MemoUsage(known=2, asked=1, calls=1, spent=0.5, saved=1.0)),
        ]
        assert receipt.memo == MemoUsage(known=2, asked=3, calls=4, spent=1.5, saved=1.0)
        assert (receipt.cost, receipt.currency) == (1.5, "USD")
        assert project.runs()[0].receipt == receipt
        project.close()
        assert tides.run().cost == 0.0

    def test_another_environment_asks_for_nothing(self, tides: Tides) -> None:
        tides.send(0)
        tides.ok()
        asked(tides.root)
        tides.edit("square=square", "square=1 * square")  # so that the stage itself runs
        project = tm.open(tides.root, workflow=flow_of(tides.root, tides.text), env="dev")
        receipt = project.run()
        project.close()
        assert receipt.memo is not None
        assert (receipt.memo.known, asked(tides.root)) == (3, [])

    def test_other_projects_may_share_a_folder(self, tmp_path: Path) -> None:
        (tmp_path / "one").mkdir()
        (tmp_path / "two").mkdir()
        one, two = Tides(tmp_path / "one", FLOW), Tides(tmp_path / "two", FLOW)
        for tides in (one, two):
            tides.use(memos=FileMemos(tmp_path / "shared"))
            tides.send(0)
            tides.ok()
        assert (asked(one.root), asked(two.root)) == (["1.0", "2.0", "3.0"], [])

    @pytest.mark.parametrize(
        ("old", "new", "anew"),
        [
            ('version="1"', 'version="2"', True),
            ('version="1"', 'version="1", model="small"', True),
            ("def square(value):", "def square(number):", False),
            ("item * item", "item * item * 1", False),  # the version says what it does
            ("price=0.5, batch=2", 'price="1/1k rows", batch=1, rate="900/s"', False),
            (
                "return raw.select",
                "raw = raw.filter(pl.col('id') >= 0)\n    return raw.select",
                False,
            ),
        ],
    )
    def test_an_edit_asks_again_where_it_gives_something_else(
        self, tides: Tides, old: str, new: str, anew: bool
    ) -> None:
        tides.send(0)
        tides.ok()
        asked(tides.root)
        tides.edit(old, new)
        if "number" in new:
            tides.edit("in value)", "in number)")
            tides.edit("in value]", "in number]")
            anew = True  # the argument is a part of what is asked
        did = tides.ok()
        assert asked(tides.root) == (["1.0", "2.0", "3.0"] if anew else [])
        # The stage runs anew where the memo gives something else, or it does itself.
        assert ("ok run squared" in did) is (anew or "filter" in new)

    def test_without_a_version_its_code_and_helpers_count(self, tides: Tides) -> None:
        tides.edit('version="1", ', "")
        tides.send(0)
        tides.ok()
        asked(tides.root)
        tides.edit("batch=2", "batch=3, concurrency=1")
        assert (tides.ok(), asked(tides.root)) == ({}, [])
        tides.edit("item * item", "item ** 2")
        assert "ok run squared" in tides.ok()
        assert asked(tides.root) == ["1.0", "2.0", "3.0"]

    def test_a_stage_is_judged_by_what_its_memo_reads(self, tides: Tides) -> None:
        tides.edit(
            "value = tm.Float64(nullable=True, max=1000)",
            "value = tm.Float64(nullable=True)\n    note = tm.Int64()",
        )
        rows = rows_of(0).with_columns(note=pl.lit(1))
        tides.put("one.parquet", rows)
        tides.ok()
        tides.put("one.parquet", rows.with_columns(note=pl.lit(2)))
        assert tides.ok() == {"ok run raw": [day(0)]}
        tides.edit("    return raw.select(", "    known = raw\n    return known.select(")
        assert tides.ok() == {}
        project = tides.open()
        assert project.recipes["squared"].lineage["square"] == {"raw": ("value",)}
        assert {name: recipe.memos for name, recipe in project.recipes.items()} == {
            "raw": False,
            "squared": True,
        }
        project.close()

    def test_columns_are_asked_for_one_by_one(self, tides: Tides) -> None:
        column = "    square = tm.Float64(nullable=True)\n"
        tides.edit(column, f"{column}    double = tm.Float64(nullable=True)\n")
        tides.edit('square("value"))', 'square("value"), double=2 * pl.col("value"))')
        tides.send(0)
        tides.ok()
        asked(tides.root)
        for old, new, made, memo in (
            ("2 * pl", "3 * pl", "double", None),
            ("version=", 'model="2", version=', "square", MemoUsage(asked=3, calls=2, spent=1.5)),
        ):
            tides.edit(old, new)
            receipt = tides.run()
            assert receipt.memo == memo
            [event] = tides.events("Attempted", run=receipt.run)
            assert isinstance(event, Attempted)
            assert event.attempt.columns == (made,)

    def test_code_that_cannot_be_told_is_a_fault_without_a_version(self, tides: Tides) -> None:
        tides.edit('version="1", ', "")
        tides.edit(
            "def answer(item):",
            "class Odd:\n    pass\n\n\nODD = Odd()\nODD.reader = open\n\n\ndef answer(item):",
        )
        tides.edit("item * item", "item * item if ODD else 0")
        project = tides.open()
        with pytest.raises(
            DeclarationError, match=r"memo tides.square has 1 fault[\s\S]*@tm.memo\(version"
        ):
            project.check()
        project.close()

    def test_a_plan_asks_for_nothing(self, tides: Tides) -> None:
        tides.send(0)
        project = tides.open()
        assert project.check() == ()
        assert project.plan().steps
        project.close()
        assert asked(tides.root) == []

    def test_rows_that_are_filtered_out_are_not_asked_for(self, tides: Tides) -> None:
        tides.edit('square=square("value"))', 'square=square("value")).filter(pl.col("id") > 0)')
        tides.send(0, (1.0, 2.0, 3.0))  # ids 2, 1, 0
        tides.ok()
        assert asked(tides.root) == ["1.0", "2.0"]

    def test_rows_are_filtered_by_what_was_asked_for(self, tides: Tides) -> None:
        tides.edit("return raw.select", 'return raw.filter(square("value") > 1).select')
        tides.send(0, (1.0, 2.0, 3.0))
        # What a run didn't make itself is read from the store.
        tides.ok("raw")
        tides.ok()
        assert asked(tides.root) == ["1.0", "2.0", "3.0"]
        assert tides.read("squared", day(0))["square"].to_list() == [9.0, 4.0]

    def test_a_trial_keeps_what_it_paid_for(self, tides: Tides) -> None:
        tides.send(0)
        tides.ok("raw")
        project = tides.open()
        trial = project.debug("squared", day(0))
        project.close()
        assert trial.rows.height == 3
        assert asked(tides.root) == ["1.0", "2.0", "3.0"]
        tides.ok()
        assert asked(tides.root) == []

    def test_rows_without_a_value_fail_the_step_and_no_other_row(self, tides: Tides) -> None:
        tides.edit("return None if item is None", "return ValueError('too odd') if item == 3")
        tides.send(0, (1.0, 2.0, 3.0))
        receipt = tides.run()
        assert receipt.exit_code == 1
        [message] = receipt.messages
        assert message.startswith(
            f"squared {day(0)}: tides.square has no value for 1 of 3 rows: ValueError: too odd (tides.py:"
        )
        assert "value=3.0" in message
        assert "the next run computes only these rows" in message
        assert receipt.memo == MemoUsage(known=0, asked=2, calls=2, spent=1.0)
        assert asked(tides.root) == ["1.0", "2.0", "3.0"]
        tides.edit("if item == 3", "if item == 4")
        tides.ok()
        assert asked(tides.root) == ["3.0"]

    def test_an_error_of_the_function_is_shown_with_its_line(self, tides: Tides) -> None:
        tides.edit("return None if item is None else item * item", "raise LookupError(item)")
        tides.send(0, (1.0,))
        receipt = tides.run()
        assert "LookupError: 1.0" in receipt.messages[0]
        project = tides.open()
        [attempt] = [
            a for a in project.history.attempts(receipt.run) if a.outcome is Outcome.FAILED
        ]
        project.close()
        assert "raise LookupError(item)" in attempt.trace

    def test_a_stage_that_calls_it_counts_as_pure(self, tides: Tides) -> None:
        # It is called while the stage is, where everything that it reaches for is watched.
        tides.edit("return [answer", "import time; time.time(); return [answer")
        tides.edit("return raw.select(", "raw = raw.collect()\n    return raw.lazy().select(")
        tides.edit('square=square("value"))', 'square=square("value")).collect()')
        tides.send(0)
        tides.ok()
        assert tides.ok() == {}


def memo_of(function: Callable[..., Any], **terms: Any) -> Memo:
    return tm.memo(**{"gives": pl.Int64, "version": "1", **terms})(function)


class Counted:
    """A function that counts rows and calls, and does what it is told to some rows.

    Its first calls wait until so many are at work as `meeting` says.
    """

    def __init__(self, mishaps: dict[int, Exception] | None = None, meeting: int = 1) -> None:
        self.rows: list[int] = []
        self.calls: list[int] = []
        self.busy = self.most = 0
        self.mishaps = mishaps or {}
        self._lock = threading.Lock()
        self._meeting = threading.Barrier(meeting)

    def __call__(self, numbers: list[int]) -> list[int]:
        with self._lock:
            self.calls.append(len(numbers))
            self.rows += numbers
            self.busy += 1
            self.most = max(self.most, self.busy)
            meets = len(self.calls) <= self._meeting.parties
        if meets:
            self._meeting.wait(PATIENCE_S)
        with self._lock:
            self.busy -= 1
        for number in numbers:
            if number in self.mishaps:
                raise self.mishaps[number]
        return [number * 10 for number in numbers]

    def memo(self, **terms: Any) -> Memo:
        counted = self

        def tens(number: list[int]) -> list[int]:
            return counted(number)

        return memo_of(tens, model="test", **terms)


class Turns(InMemoryMemos):
    """Memos that note how long each call waits for its turn."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[float] = []

    def turn(self, space: str, every_s: float) -> float:
        self.waits.append(super().turn(space, every_s))
        return self.waits[-1]


def ask(memo: Memo, numbers: Sequence[int], desk: MemoSession | None = None) -> list[int]:
    frame = pl.LazyFrame({"number": numbers}, schema={"number": pl.Int64})
    if desk is None:
        query = frame.select(tens=memo("number"))
    else:
        with desk.activate():
            query = frame.select(tens=memo("number"))
    return query.collect(engine="in-memory")["tens"].to_list()


class TestAsking:
    def test_outside_of_a_step_nothing_is_kept(self) -> None:
        counted = Counted()
        memo = counted.memo()
        assert [ask(memo, [1, 2, 1]), ask(memo, [1])] == [[10, 20, 10], [10]]
        assert counted.rows == [1, 2, 1]

    def test_its_type_is_known_without_a_call(self) -> None:
        counted = Counted()
        memo = counted.memo(gives=pl.List(pl.Float32))
        frame = pl.LazyFrame(schema={"number": pl.Int64}).select(v=memo("number"))
        assert frame.collect_schema() == {"v": pl.List(pl.Float32)}
        assert frame.collect().schema == {"v": pl.List(pl.Float32)}
        assert counted.calls == []

    def test_a_query_may_be_streamed(self) -> None:
        counted, desk = Counted(), MemoSession(InMemoryMemos())
        frame = pl.LazyFrame({"number": [n % 700 for n in range(20_000)]})
        with desk.activate():
            query = frame.with_columns(
                tens=counted.memo()("number"), more=counted.memo()("number") + 1
            )
        rows = query.collect(engine="streaming")
        assert rows["tens"].to_list() == [n % 700 * 10 for n in range(20_000)]
        assert rows["more"].to_list() == [n % 700 * 10 + 1 for n in range(20_000)]
        assert sorted(counted.rows) == list(range(700))

    def test_rows_are_asked_for_in_batches_several_at_once(self) -> None:
        counted = Counted(meeting=2)
        assert ask(counted.memo(batch=3, concurrency=4), range(50)) == [n * 10 for n in range(50)]
        assert sorted(counted.calls) == [2] + [3] * 16
        assert 1 < counted.most <= 4
        assert sorted(counted.rows) == list(range(50))

    def test_calls_are_as_far_apart_as_the_rate_says(self, monkeypatch: pytest.MonkeyPatch) -> None:
        counted, turns = Counted(), Turns()
        # As if all turns were taken at the same moment.
        monkeypatch.setattr(unkept, "time", Mock(time=lambda: 1_000.0))
        begun = time.monotonic()
        ask(counted.memo(batch=1, rate="50/s"), range(6), MemoSession(turns))
        assert sorted(turns.waits) == pytest.approx([0.0, 0.02, 0.04, 0.06, 0.08, 0.1])
        assert time.monotonic() - begun >= 0.099
        assert len(counted.calls) == 6

    def test_transient_faults_are_tried_again(self) -> None:
        counted, left = Counted(), [ConnectionError(), TimeoutError()]

        def tens(number: list[int]) -> list[int]:
            counted(number)
            if left:
                raise left.pop()
            return [n * 10 for n in number]

        desk = MemoSession(InMemoryMemos())
        memo = memo_of(tens, model="t", retries=tm.retries(2, delay=0.001))
        assert ask(memo, [1, 2], desk) == [10, 20]
        assert counted.calls == [2, 2, 2]
        assert desk.usage == MemoUsage(asked=2, calls=3)

    @pytest.mark.parametrize("error", [ConnectionError("down"), KeyError("bug")])
    def test_what_does_not_pass_fails_its_batch_only(self, error: Exception) -> None:
        counted = Counted({4: error})
        desk = MemoSession(InMemoryMemos())
        memo = counted.memo(batch=2, retries=tm.retries(2, delay=0.001))
        with pytest.raises(Exception, match=r"has no value for 2 of 8 rows") as caught:
            ask(memo, range(8), desk)
        assert isinstance(desk.failure, MemoIncomplete)
        assert desk.failure.__cause__ is error
        assert str(caught.value).startswith(str(desk.failure))
        tries = 3 if isinstance(error, ConnectionError) else 1
        assert counted.rows.count(4) == tries
        counted.mishaps, counted.rows = {}, []
        assert ask(memo, range(8), desk) == [n * 10 for n in range(8)]
        assert sorted(counted.rows) == [4, 5]

    def test_a_service_that_is_down_is_left_alone(self) -> None:
        counted = Counted({n: ConnectionError("down") for n in range(400)})
        desk = MemoSession(InMemoryMemos())
        with pytest.raises(Exception, match="no value for 400 of 400 rows"):
            ask(counted.memo(batch=4, concurrency=2), range(400), desk)
        assert len(counted.calls) <= 7
        assert "more not tried" in str(desk.failure)

    def test_long_values_are_cut_short_and_few_are_named(self) -> None:
        def odd(text: list[str]) -> list[int]:
            raise ValueError("no")

        desk = MemoSession(InMemoryMemos())
        frame = pl.LazyFrame({"text": ["x" * 500, "b", "c", "d", "e"]})
        with desk.activate():
            query = frame.select(v=memo_of(odd)("text"))
        with pytest.raises(Exception, match="no value"):
            query.collect(engine="in-memory")
        lines = str(desk.failure).splitlines()
        assert lines[1] == f"  text='{'x' * 76}..."
        assert lines[4] == "  and 2 more"

    @pytest.mark.parametrize(
        ("gave", "words"),
        [
            ([1], r"ValueError: it returned 1 value for 2 rows"),
            (None, r"TypeError: it returned NoneType, not a list of 2 values"),
            ("ab", r"TypeError: it returned str, not a list of 2 values"),
            (iter([1, 2]), r"TypeError: it returned list_iterator, not a list of 2 values"),
            (["a", "b"], r"TypeError: it returned no Int64, as gives= declares"),
            (([1, 2], [1]), r"ValueError: it returned 1 token count for 2 rows"),
        ],
    )
    def test_what_a_function_may_not_give(self, gave: Any, words: str) -> None:
        def odd(number: list[int]) -> Any:
            return gave

        with pytest.raises(Exception, match=words):
            ask(memo_of(odd, model="t"), [1, 2])

    @pytest.mark.parametrize(
        ("dtype", "gave"),
        [
            (pl.Array(pl.Float32, 2), pl.Series([[1.0, 2.0], [3.0, 4.0]])),
            (pl.Array(pl.Float32, 2), __import__("numpy").ones((2, 2), "float32")),
            (pl.List(pl.Float64), [[1.0], []]),
            (pl.Struct({"a": pl.Int8, "b": pl.String}), [{"a": 1, "b": "x"}, None]),
            (pl.Enum(["yes", "no"]), ["yes", None]),
            (pl.Decimal(9, 2), [None, None]),
            (pl.Categorical(), ["a", "b"]),
            (pl.Null, [None, None]),
        ],
    )
    def test_what_a_function_may_give(self, dtype: Any, gave: Any, tmp_path: Path) -> None:
        def odd(number: list[int]) -> Any:
            return gave

        memo = memo_of(odd, model="t", gives=dtype)
        first = ask(memo, [1, 2], MemoSession(FileMemos(tmp_path)))
        assert first == pl.Series(gave).cast(dtype).to_list()
        assert ask(memo, [2, 1, 1], MemoSession(FileMemos(tmp_path))) == [
            first[1],
            first[0],
            first[0],
        ]

    def test_a_function_that_polars_waits_for_while_it_waits_for_polars(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(standstill, "_LONG_S", 0.1)
        monkeypatch.setattr(asking, "_LOOK_S", 0.05)
        monkeypatch.setattr(
            standstill, "_SHARE", 100.0
        )  # what else this process does doesn't count
        waiting, inside = threading.Event(), threading.Lock()
        inside.acquire()
        # As if it were in a call of Polars', which has no thread left.
        stands = compile("inside.acquire()", f"{Path(pl.__file__).parent}/frame.py", "exec")

        def tens(number: list[int]) -> list[int]:
            if number[0] == 2:
                waiting.set()
                exec(stands, {"inside": inside})
            return [n * 10 for n in number]

        desk = MemoSession(InMemoryMemos())
        try:
            with pytest.raises(Exception, match="no value for 3 of 4 rows"):
                ask(memo_of(tens, model="t", batch=1, concurrency=1), [1, 2, 3, 4], desk)
        finally:
            inside.release()
        assert waiting.is_set()
        assert "UsageError: it uses Polars, whose threads may all be waiting" in str(desk.failure)
        assert desk.usage == MemoUsage(asked=1, calls=1)

    def test_a_function_that_takes_long_is_waited_for(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(standstill, "_LONG_S", 0.05)
        monkeypatch.setattr(asking, "_LOOK_S", 0.02)

        def tens(number: list[int]) -> list[int]:
            time.sleep(0.3)
            return [n * 10 for n in number]

        assert ask(memo_of(tens), [1, 2]) == [10, 20]

    def test_tokens_are_counted_by_row_or_by_batch(self) -> None:
        def told(number: list[int]) -> Any:
            return number, ([7] * len(number) if number[0] > 2 else 5)

        desk = MemoSession(InMemoryMemos())
        memo = memo_of(told, model="t", price="2/1k tokens", batch=2)
        ask(memo, [1, 2], desk)
        ask(memo, [3, 1], desk)
        assert desk.usage == MemoUsage(
            known=1, asked=3, calls=2, tokens=12, tokens_saved=3, spent=0.024, saved=0.006
        )


class Fleeting(InMemoryMemos):
    """Memos whose segments are gone for the first times that they are opened."""

    gone = 0

    def open(self, space: str, segment: str) -> bytes | None:
        if self.gone:
            self.gone -= 1
            return None
        return super().open(space, segment)


def segment(rows: int) -> Segment:
    """One that holds each number's own."""
    memos, numbers = InMemoryMemos(), pl.Series(range(rows))
    SegmentIndex(memos, "s").add(row_keys([numbers]), numbers, None)
    [name] = memos.segments("s")
    payload = memos.open("s", name)
    assert payload is not None
    return Segment(payload)


SCATTERED = segment(50_000)


class TestStoring:
    @given(st.lists(st.lists(st.integers(0, 60), max_size=12), max_size=12), st.booleans())
    @settings(max_examples=15)
    def test_no_row_is_asked_for_twice(
        self, tmp_path_factory: pytest.TempPathFactory, rounds: list[list[int]], files: bool
    ) -> None:
        memos: Memos = FileMemos(tmp_path_factory.mktemp("memo")) if files else InMemoryMemos()
        counted, desk = Counted(), MemoSession(memos)
        for numbers in rounds:
            assert ask(counted.memo(batch=5), numbers, desk) == [n * 10 for n in numbers]
        assert sorted(counted.rows) == sorted({n for numbers in rounds for n in numbers})
        everything = list(range(61))
        assert ask(counted.memo(), everything, MemoSession(memos)) == [n * 10 for n in everything]

    def test_small_segments_are_merged(self, tmp_path: Path) -> None:
        memos, counted = FileMemos(tmp_path), Counted()
        for number in range(60):
            ask(counted.memo(), [number], MemoSession(memos))
        [space] = [path.name for path in tmp_path.iterdir() if path.is_dir()]
        assert len(memos.segments(space)) < 16
        assert ask(counted.memo(), range(60), MemoSession(memos)) == [n * 10 for n in range(60)]
        assert len(counted.rows) == 60
        assert list((tmp_path / space / "intents").iterdir()) == []

    def test_of_two_results_the_older_stays(self) -> None:
        memos = InMemoryMemos()
        shelf = SegmentIndex(memos, "s")
        key = row_keys([pl.Series([1])])
        for number in range(9):
            shelf.add(key, pl.Series([number]), pl.Series([1], dtype=pl.UInt32) if number else None)
            shelf.refresh()
            assert shelf.find(key).values(pl.Int64()).to_list() == [0]
        shelf.compact()
        shelf.refresh()
        assert len(memos.segments("s")) == 1
        found = shelf.find(key)
        assert (found.values(pl.Int64()).to_list(), found.tokens) == ([0], 0)

    @given(st.lists(st.integers(0, 49_999), min_size=1, max_size=30))
    def test_values_are_read_from_where_they_are(self, places: list[int]) -> None:
        found = SCATTERED.find(row_keys([pl.Series(places)]))
        assert SCATTERED.values_at(found, "value").to_list() == places

    def test_what_was_merged_away_is_found_where_it_went(self, tmp_path: Path) -> None:
        memos = FileMemos(tmp_path)
        one, other, keys = (
            SegmentIndex(memos, "s"),
            SegmentIndex(memos, "s"),
            row_keys([pl.Series(range(9))]),
        )
        for number in range(9):
            one.add(row_keys([pl.Series([number])]), pl.Series([number * 10]), None)
        one.refresh()
        other.refresh()
        other.compact()
        assert len(memos.segments("s")) == 1
        one.compact()  # there is nothing left to merge
        values = one.result(keys, pl.Int64(), one.find(keys)).values
        assert values is not None
        assert values.to_list() == [n * 10 for n in range(9)]

    def test_a_segment_that_vanishes_while_it_is_listed_is_looked_for_again(self) -> None:
        memos, key = Fleeting(), row_keys([pl.Series([1])])
        shelf = SegmentIndex(memos, "s")
        shelf.add(key, pl.Series([10]), None)
        memos.gone = 2
        shelf.refresh()
        assert shelf.find(key).missing.tolist() == []
        assert memos.gone == 0

    @pytest.mark.parametrize("how", DAMAGES)
    def test_what_a_damaged_segment_held_is_computed_again(self, tmp_path: Path, how: str) -> None:
        counted = Counted()
        expected = ask(counted.memo(), [1], MemoSession(FileMemos(tmp_path)))
        [segment] = tmp_path.glob("*/segments/*")
        DAMAGES[how](segment)
        for _ in range(2):
            assert ask(counted.memo(), [1], MemoSession(FileMemos(tmp_path))) == expected
        assert counted.rows == [1, 1]
        # The damaged file is kept, but isn't used.
        assert segment.with_name(f".damaged-{segment.name}").exists()
        assert not segment.exists()

    def test_segments_of_two_memos_that_were_swapped_are_noticed(self, tmp_path: Path) -> None:
        keys, answers = row_keys([pl.Series([1])]), dict[str, Path]()
        for space, value in (("one", 10), ("other", 20)):
            SegmentIndex(FileMemos(tmp_path), space).add(keys, pl.Series([value]), None)
            [answers[space]] = tmp_path.glob(f"{space}/segments/*")
        one, other = answers["one"], answers["other"]
        aside = one.rename(tmp_path / "aside")
        other.rename(one.with_name(other.name))
        aside.rename(other.with_name(one.name))
        for space in answers:
            shelf = SegmentIndex(FileMemos(tmp_path), space)
            shelf.refresh()
            assert shelf.find(keys).missing.tolist() == [0]

    def test_segments_without_a_checksum_get_one(self, tmp_path: Path) -> None:
        memos, keys = FileMemos(tmp_path), row_keys([pl.Series([1, 2])])
        shelf = SegmentIndex(memos, "s")
        shelf.add(keys, pl.Series([10, 20]), None)
        [segment] = tmp_path.glob("*/segments/*")
        segment.rename(segment.with_name(segment.name.split(".")[0] + ".0.parquet"))
        shelf.refresh()
        values = shelf.result(keys, pl.Int64(), shelf.find(keys)).values
        assert values is not None
        assert values.to_list() == [10, 20]
        [name] = memos.segments("s")
        assert mark_in(name) is not None

    def test_a_crash_in_the_middle_of_a_merge_loses_nothing(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        memos, keys = FileMemos(tmp_path), row_keys([pl.Series(range(9))])
        shelf = SegmentIndex(memos, "s")
        for number in range(9):
            shelf.add(keys.take(np.array([number])), pl.Series([number * 10]), None)
        shelf.refresh()
        with monkeypatch.context() as patch:
            # The merged segment is there, and nobody has come to remove the others.
            patch.setattr(os, "unlink", Mock(side_effect=PermissionError))
            shelf.compact()
        assert len(memos.segments("s")) == 10
        for held in (shelf, SegmentIndex(memos, "s")):
            held.refresh()
            values = held.result(keys, pl.Int64(), held.find(keys)).values
            assert values is not None
            assert values.to_list() == [n * 10 for n in range(9)]
            held.compact()
        assert len(memos.segments("s")) == 1

    def test_whoever_writes_and_merges_at_once_loses_no_row(self, tmp_path: Path) -> None:
        def one(first: int) -> None:
            shelf = SegmentIndex(FileMemos(tmp_path), "s")
            for number in range(first, first + 40):
                shelf.add(row_keys([pl.Series([number])]), pl.Series([number * 10]), None)
                shelf.refresh()
                shelf.compact()

        with ThreadPoolExecutor(3) as pool:
            list(pool.map(one, [0, 100, 200]))
        numbers = [*range(40), *range(100, 140), *range(200, 240)]
        shelf, keys = SegmentIndex(FileMemos(tmp_path), "s"), row_keys([pl.Series(numbers)])
        shelf.refresh()
        values = shelf.result(keys, pl.Int64(), shelf.find(keys)).values
        assert values is not None
        assert values.to_list() == [n * 10 for n in numbers]

    def test_nobody_waits_long_for_whoever_opens_segments(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(shelf_module, "_PATIENCE_S", 0.01)
        shelf, key = SegmentIndex(InMemoryMemos(), "s"), row_keys([pl.Series([1])])
        shelf.add(key, pl.Series([10]), None)
        with shelf._lock:
            shelf.refresh()
        assert shelf.find(key).missing.tolist() == []

    @pytest.mark.parametrize("files", [True, False])
    def test_several_at_once_share_the_work(self, tmp_path: Path, files: bool) -> None:
        shared = InMemoryMemos()
        counted = Counted()

        def one(start: int) -> list[int]:
            memos: Memos = FileMemos(tmp_path) if files else shared
            return ask(counted.memo(batch=4), range(start, start + 60), MemoSession(memos))

        with ThreadPoolExecutor(4) as pool:
            gave = list(pool.map(one, [0, 20, 0, 40]))
        assert gave == [[n * 10 for n in range(s, s + 60)] for s in (0, 20, 0, 40)]
        assert sorted(counted.rows) == list(range(100))

    def test_whoever_fails_is_not_waited_for(self) -> None:
        memos, counted = InMemoryMemos(), Counted({3: ValueError("no")})
        with ThreadPoolExecutor(2) as pool:
            futures = [
                pool.submit(ask, counted.memo(batch=1), range(6), MemoSession(memos))
                for _ in range(2)
            ]
            for future in futures:
                with pytest.raises(Exception, match="no value for 1 of 6"):
                    future.result(timeout=60)
        assert sorted(counted.rows) == [0, 1, 2, 3, 3, 4, 5]


class TestDeclaring:
    def test_it_tells_what_it_is(self) -> None:
        def tens(number: list[int]) -> list[int]:
            return [n * 10 for n in number]

        memo = memo_of(tens)
        assert repr(memo).endswith("tens(number) -> Int64>")
        assert memo.function([1]) == [10]
        with pytest.raises(UsageError, match=r"takes 1 column \(number\), not 2"):
            memo("a", "b")

    @pytest.mark.parametrize(
        ("terms", "words"),
        [
            ({"gives": "Int64"}, "gives='Int64' is not a Polars type"),
            ({"gives": None}, "gives=None is not a Polars type"),
            ({"price": "much"}, "price='much' is not a price"),
            ({"rate": "fast"}, "rate='fast' is not a rate of calls"),
            ({"batch": 0}, "batch=0 is not a whole number of at least 1"),
            ({"concurrency": True}, "concurrency=True is not a whole number of at least 1"),
            ({"version": 1}, "version=1 is not text"),
            ({"model": None}, "model=None is not text"),
        ],
    )
    def test_terms_that_make_no_sense(self, terms: dict[str, Any], words: str) -> None:
        with pytest.raises(DeclarationError, match=words):
            memo_of(lambda number: number, **terms)

    def test_functions_that_take_no_rows(self) -> None:
        def none() -> None: ...
        def extra(number: list[int], *, more: int) -> None: ...
        def default(number: list[int], more: int = 1) -> None: ...
        def many(*numbers: list[int]) -> None: ...

        for function, words in (
            (none, "none has no arguments"),
            (extra, "argument more of extra can't take a column"),
            (default, "argument more of default can't take a column"),
            (many, "argument numbers of many can't take a column"),
            (3, "it takes a def, not 3"),
        ):
            with pytest.raises(DeclarationError, match=words):
                memo_of(function)  # type: ignore[arg-type]

    def test_a_version_does_not_tell_what_is_closed_over(self) -> None:
        size = 3

        def tens(number: list[int]) -> list[int]:
            return [n * size for n in number]

        with pytest.raises(
            DeclarationError, match="closes over size, which version= doesn't identify"
        ):
            memo_of(tens)
        assert memo_of(tens, model="3")
        assert memo_of(tens, version="")

    def test_scripts_are_known_by_their_file(self) -> None:
        def tens(number: list[int]) -> list[int]:
            return number

        tens.__module__ = "__main__"
        assert repr(memo_of(tens)).startswith(f"<memo {Path(__file__).stem}.")


def test_a_receipt_without_memos_says_nothing() -> None:
    from tidemill.ledger.run import Status

    assert Receipt(run="r", status=Status.OK).memo is None
