"""Bad rows, bad files and bad code: what is kept, what is said, and that the rest flows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from random import Random

import polars as pl
import pytest

from tests.support.tides import (
    CHAIN,
    FIRST,
    LENIENT,
    STAGES,
    Before,
    Tides,
    day,
    everything,
    rows_of,
)
from tidemill.core.errors import DeclarationError
from tidemill.ledger.event import Attempted, RunEnded
from tidemill.ledger.run import Outcome, Status

# The attempt of a source that can't be read.
UNREAD = {"failed run raw": ["all"]}


@pytest.fixture
def tides(tmp_path: Path) -> Tides:
    """Two days that are sent and not built yet."""
    tides = Tides(tmp_path)
    tides.send(0)
    tides.send(1)
    return tides


def failures(tides: Tides, stage: str) -> dict[str, str]:
    """The messages of the failed attempts at a stage, by partition."""
    attempts = [
        event.attempt for event in tides.events("Attempted") if isinstance(event, Attempted)
    ]
    return {
        a.partition: a.message for a in attempts if a.stage == stage and a.outcome == Outcome.FAILED
    }


def test_bad_rows_are_quarantined_with_their_reasons(tides: Tides) -> None:
    tides.text = LENIENT
    bad = pl.DataFrame(
        {
            "day": [FIRST] * 6,
            "id": [0, 1, 1, -5, None, 4],
            "value": [1.0, 2.0, 3.0, 4.0, 5.0, 2000.0],
        }
    )
    tides.put(f"{day(0)}.parquet", bad)
    receipt = tides.run()
    assert (receipt.exit_code, receipt.stages[0].quarantined) == (0, 4)
    assert tides.read("raw", day(0))["id"].to_list() == [0, 1]
    # The rejected rows are there as they came, each with the rules that it broke.
    assert tides.quarantined("raw", day(0)).sort("value").rows() == [
        (FIRST, 1, 3.0, ["key"]),
        (FIRST, -5, 4.0, ["id.min"]),
        (FIRST, None, 5.0, ["id.null"]),
        (FIRST, 4, 2000.0, ["value.max"]),
    ]
    product = tides.open().state().heads["raw"].partitions[day(0)].product
    assert product.rows + product.quarantined == bad.height
    assert {f.rule: f.rows for f in product.findings} == {
        "key": 1,
        "id.min": 1,
        "id.null": 1,
        "value.max": 1,
    }
    assert tides.quarantined("doubled").rows() == []


def test_rows_without_a_partition_are_kept_apart_and_read_by_nobody(tides: Tides) -> None:
    lost = rows_of(0).with_columns(day=pl.lit(None, pl.Date))
    tides.put("lost.parquet", pl.concat([lost, rows_of(2)]))
    ran = tides.ok()
    assert sorted(ran["ok run raw"]) == ["(none)", *(day(n) for n in (0, 1, 2))]
    assert ran["ok run daily"] == [day(n) for n in (0, 1, 2)]
    assert tides.read("raw").height == 9
    assert tides.quarantined("raw")["_reasons"].to_list() == [["day.null"]] * 3
    # Good and quarantined rows are all that came.
    assert tides.read("raw").height + tides.quarantined("raw").height == 12
    assert tides.ok() == {}


def test_an_empty_file_is_no_partition(tides: Tides) -> None:
    tides.put("empty.parquet", rows_of(5).clear())
    assert tides.ok() == everything([0, 1])


def test_a_partition_that_is_empty_is_not_missing(tides: Tides) -> None:
    tides.text = LENIENT
    tides.edit("max=1000", "max=0.5")
    tides.ok()
    assert tides.read("raw").height == 0
    assert tides.published() == {stage: [day(0), day(1)] for stage in STAGES}


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("max=1000)", 'max=1000, on_fail="fail")', "value.max: 1 of 3 values are above max=1000"),
        (
            'version = "1"',
            "budget = tm.Budget(max_bad=0.2)",
            "bad rows: 1 of 3 rows are bad (33.3%), more than the 20.0% that its budget allows",
        ),
        ('version = "1"', 'volume = tm.Rows(min=3, on_fail="fail")', "rows: 2 rows are fewer than"),
    ],
    ids=["on_fail", "budget", "rows"],
)
def test_a_partition_that_breaks_its_contract_is_not_published(
    tmp_path: Path, old: str, new: str, says: str
) -> None:
    text = CHAIN.replace("max=1000)", 'max=1000)\n    version = "1"', 1)
    tides = Tides(tmp_path, text)
    tides.edit(old, new)
    tides.send(0)
    tides.send(1, (1.0, 2.0, 2000.0))
    receipt = tides.run()
    assert (receipt.status, receipt.exit_code) == (Status.FAILED, 3)
    [message] = receipt.messages
    assert message.startswith(f"raw {day(1)} breaks its contract (contract Raw 1.0.0): {says}")
    assert tides.ran(receipt) == {
        "ok run raw": [day(0)],
        "failed run raw": [day(1)],
        "ok run doubled": [day(0)],
        "skipped run doubled": [day(1)],
        "ok run daily": [day(0)],
        "skipped run daily": [day(1)],
    }
    assert tides.published() == {stage: [day(0)] for stage in STAGES}
    # It is tried again with every run, and the source can be mended.
    assert tides.run().exit_code == 3
    tides.send(1)
    assert tides.ok() == everything([1])


def test_what_was_published_stays_while_its_new_version_is_refused(tides: Tides) -> None:
    tides.edit("max=1000)", 'max=1000, on_fail="fail")')
    tides.ok()
    before = tides.contents()
    tides.send(1, (5.0, 2000.0))
    assert tides.run().exit_code == 3
    assert tides.contents() == before


def test_sizes_are_compared_with_the_partitions_before(tmp_path: Path) -> None:
    text = LENIENT.replace(
        "max=1000)",
        'max=1000)\n    volume = tm.Rows(vs_last=3, within=0.5, on_fail="fail")',
        1,
    )
    tides = Tides(tmp_path, text)
    for number in range(4):
        tides.send(number, [1.0] * 10)
    tides.send(4, [1.0] * 4)
    tides.put("lost.parquet", rows_of(0, [1.0] * 50).with_columns(day=pl.lit(None, pl.Date)))
    receipt = tides.run()
    [message] = receipt.messages
    assert "4 rows are not within 50% of 10, the median of the last 3" in message
    assert tides.published()["daily"] == [day(n) for n in range(4)]


@pytest.mark.parametrize("unknown", ["fail", "drop", "keep"])
def test_a_column_that_the_contract_does_not_name(tides: Tides, unknown: str) -> None:
    if unknown != "fail":
        tides.edit('class Raw(tm.Contract, key=("day", "id"))', (
            f'class Raw(tm.Contract, key=("day", "id"), unknown_columns="{unknown}")'
        ))  # fmt: skip
    tides.put(f"{day(0)}.parquet", rows_of(0).with_columns(extra=pl.lit("x")))
    receipt = tides.run()
    assert receipt.exit_code == (3 if unknown == "fail" else 0)
    if unknown == "fail":
        assert "unknown_columns: Raw doesn't declare 'extra'; declare them" in receipt.messages[0]
    else:
        assert ("extra" in tides.read("raw", day(0)).columns) == (unknown == "keep")
        findings = tides.open().state().heads["raw"].partitions[day(0)].product.findings
        said = [f.message for f in findings]
        dropped = ["unknown_columns: Raw doesn't declare 'extra'; they were dropped"]
        assert said == (dropped if unknown == "drop" else [])
    assert day(1) in tides.published()["daily"]


def _vanish(path: Path) -> None:
    pl.read_parquet(path).drop("value").write_parquet(path)


def _retype(path: Path) -> None:
    pl.read_parquet(path).rename({"value": "vallue"}).write_parquet(path)


def _text(path: Path) -> None:
    path.write_text("no parquet at all")


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _dangle(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.with_name("nowhere"))


BREAK = [
    (_vanish, "has no column 'value' of contract Raw"),
    (_retype, "has no column 'value' of contract Raw (did you mean 'vallue'?)"),
    (_text, "can't be read as parquet"),
    (_cut, "can't be read as parquet"),
    (_empty, "can't be read as parquet"),
    (_dangle, "can't be read: No such file or directory"),
]


@pytest.mark.parametrize(("harm", "says"), BREAK, ids=[harm.__name__ for harm, _ in BREAK])
def test_a_file_that_cannot_be_read_is_named_and_stops_only_itself(
    tides: Tides, harm: Callable[[Path], None], says: str
) -> None:
    tides.ok()
    before = tides.contents()
    tides.send(2)
    harm(tides.root / "data" / f"{day(1)}.parquet")
    receipt = tides.run()
    assert (receipt.status, receipt.exit_code) == (Status.FAILED, 1)
    [message] = receipt.messages
    assert message.startswith(f"raw: data/{day(1)}.parquet {says}")
    # The new day came through, and what the broken file fed before is still there.
    assert tides.ran(receipt) == {**everything([2]), **UNREAD}
    after = tides.contents()
    assert {s: {k: v for k, v in c.items() if k != day(2)} for s, c in after.items()} == before
    # Whoever doesn't mend it is told each time.
    assert tides.run().messages == receipt.messages
    path = tides.root / "data" / f"{day(1)}.parquet"
    path.unlink()
    tides.send(1)
    assert tides.ok() == {}


def test_a_broken_file_does_not_thin_out_the_partition_that_it_shares(tides: Tides) -> None:
    late = pl.DataFrame({"day": [FIRST], "id": [77], "value": [50.0]})
    path = tides.put("late.parquet", late)
    tides.ok()
    before = tides.contents()
    path.write_text("broken")
    receipt = tides.run()
    assert receipt.exit_code == 1
    assert tides.contents() == before
    assert tides.ran(receipt) == UNREAD
    # When the other file of the day changes, the day waits for the broken one.
    tides.send(0, (9.0,))
    receipt = tides.run()
    assert tides.contents() == before
    assert [message.partition(" can't")[0] for message in receipt.messages] == [
        "raw: data/late.parquet"
    ]
    late.write_parquet(path)
    assert tides.ok() == everything([0])
    assert tides.read("daily", day(0))["total"].to_list() == [118.0]


def test_pages_that_are_damaged_are_found_when_they_are_read(tides: Tides) -> None:
    tides.ok()
    path = tides.put(f"{day(1)}.parquet", rows_of(1, [n * 0.37 % 900 for n in range(5000)]))
    whole = bytearray(path.read_bytes())
    # The last column's pages; the partition column and the footer stay readable.
    half = len(whole) // 2
    whole[half : half + 5000] = bytes(5000)
    path.write_bytes(whole)
    assert pl.scan_parquet(path).select("day").collect().height == 5000
    receipt = tides.run()
    assert receipt.exit_code == 1
    [message] = receipt.messages
    assert message.startswith(f"raw {day(1)}: data/{day(1)}.parquet can't be read")
    assert tides.published()["raw"] == [day(0), day(1)]


def test_whatever_is_damaged_the_rest_flows(tides: Tides) -> None:
    # Polars reads, refuses or panics; which of them depends on the byte.
    rng = Random(5)
    for number in range(2, 42):
        path = tides.send(number, [rng.random() for _ in range(500)])
        payload = bytearray(path.read_bytes())
        for _ in range(rng.randrange(1, 9)):
            payload[rng.randrange(4, len(payload))] ^= rng.randrange(1, 256)
        path.write_bytes(payload)
    receipt = tides.run()
    assert (receipt.status, receipt.exit_code) == (Status.FAILED, 1)
    assert any("more files)" in message for message in receipt.messages)
    assert all("can't be read" in message for message in receipt.messages)
    assert {day(0), day(1)} <= set(tides.published()["daily"])


def test_a_source_that_raises_stops_only_what_needs_it(tides: Tides) -> None:
    tides.ok()
    before = tides.contents()
    tides.edit('    return tm.files("data/*.parquet")', "    return tm.files(1 / 0)")
    receipt = tides.run()
    assert (receipt.status, receipt.exit_code) == (Status.FAILED, 1)
    [message] = receipt.messages
    assert message.startswith("raw: raw raised ZeroDivisionError: division by zero at tides.py:")
    assert tides.contents() == before


def raise_on_rows(tides: Tides, code: str) -> None:
    """Let a stage raise on frames with rows, which a check without data can't know."""
    body = 'return raw.select("day", "id", double=times(pl.col("value")))'
    tides.edit(body, f"if raw.collect().height:\n        {code}\n    {body}")


def test_a_stage_that_ends_the_process_fails_like_any_other(tides: Tides) -> None:
    raise_on_rows(tides, "raise SystemExit(3)")
    receipt = tides.run()
    assert (receipt.status, receipt.exit_code) == (Status.FAILED, 1)
    assert len(receipt.messages) == 2
    assert all(" raised SystemExit: 3" in message for message in receipt.messages)
    # A stage that raises it without rows, too, doesn't begin to run.
    tides.edit("if raw.collect().height:", "if True:")
    with tides.open() as project, pytest.raises(DeclarationError, match="raised SystemExit: 3"):
        project.check()
    with pytest.raises(DeclarationError, match="raised SystemExit: 3"):
        tides.run()


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ('raise __import__("asyncio").CancelledError("stopped")', "raised CancelledError: stopped"),
        ("raise GeneratorExit", "raised GeneratorExit:"),
        (
            'raise BaseExceptionGroup("two", [KeyboardInterrupt()])',
            "raised BaseExceptionGroup: two",
        ),
        # As Python gives the name of a file that isn't valid Unicode.
        (
            r'raise ValueError("no \udcff\nhere")',
            "raised ValueError: no \\udcff\nhere at tides.py:",
        ),
        ('raise ValueError("a" * 10**6 + "z")', "aaa\n[...]\naaa"),
        (
            'raise type("Odd", (Exception,), {"__str__": lambda self: 1 / 0})()',
            "raised Odd: (its message can't be shown: ZeroDivisionError)",
        ),
    ],
)
def test_whatever_a_stage_raises_is_told_as_its_own(tides: Tides, code: str, said: str) -> None:
    raise_on_rows(tides, code)
    receipt = tides.run()
    assert (receipt.status, receipt.exit_code) == (Status.FAILED, 1)
    assert len(receipt.messages) == 2
    assert all(said in message and len(message) < 20_000 for message in receipt.messages)
    [run] = tides.events("RunEnded")
    assert isinstance(run, RunEnded)
    assert run.status is Status.FAILED


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.parametrize("child", ["pass", "raise ValueError"])
def test_what_a_stage_forked_does_not_go_on_with_the_run(tides: Tides, child: str) -> None:
    body = 'return raw.select("day", "id", double=times(pl.col("value")))'
    forks = (
        f"import os\n    raw.collect()\n    pid = os.fork()\n    if not pid:\n        {child}\n    "
    )
    tides.edit(body, f"{forks}assert not pid or os.waitpid(pid, 0)[1] == 0\n    {body}")
    receipt = tides.run()
    assert receipt.exit_code == 0
    assert len(tides.events("RunEnded")) == 1


RAISES = 'if frame.item(0, "day").day == 2:\n        raise ValueError("no Saturdays")\n    '


@pytest.mark.parametrize("lazily", [False, True])
def test_a_stage_that_raises_fails_its_partition_only(tides: Tides, lazily: bool) -> None:
    body = 'return raw.select("day", "id", double=times(pl.col("value")))'
    if lazily:
        tides.edit(
            body,
            'out = raw.select("day", "id", double=times(pl.col("value")))\n'
            "    return out.map_batches(strict, schema=out.collect_schema())",
        )
        tides.edit(
            "@flow.transform\ndef doubled",
            "def strict(frame: pl.DataFrame) -> pl.DataFrame:\n    "
            + RAISES
            + "return frame\n\n\n@flow.transform\ndef doubled",
        )
    else:
        tides.edit(body, "frame = raw.collect()\n    " + RAISES + body)
    receipt = tides.run()
    assert (receipt.status, receipt.exit_code) == (Status.FAILED, 1)
    [message] = receipt.messages
    assert message.startswith(f"doubled {day(1)} raised ")
    assert "ValueError" in message
    assert "no Saturdays" in message
    assert tides.ran(receipt) == {
        "ok run raw": [day(0), day(1)],
        "ok run doubled": [day(0)],
        "failed run doubled": [day(1)],
        "ok run daily": [day(0)],
        "skipped run daily": [day(1)],
    }
    failed = [
        event.attempt
        for event in tides.events("Attempted")
        if isinstance(event, Attempted) and event.attempt.outcome == Outcome.FAILED
    ]
    assert "no Saturdays" in failed[0].trace
    # Once it is mended, only what is missing runs.
    tides.text = CHAIN
    assert tides.ok()["ok run daily"] == [day(1)]


def test_the_message_of_a_stage_that_raises_names_its_line(tides: Tides) -> None:
    raise_on_rows(tides, "1 / 0")
    receipt = tides.run()
    assert receipt.messages[0] == (
        f"doubled {day(0)} raised ZeroDivisionError: division by zero at tides.py:"
        f"{tides.text[: tides.text.index('1 / 0')].count(chr(10)) + 1}"
    )


def test_a_stage_that_returns_no_frame(tides: Tides) -> None:
    tides.edit("    return raw.select(", "    return 7\n    raw.select(")
    with pytest.raises(DeclarationError, match="returned int, not a polars") as caught:
        tides.run()
    assert caught.value.faults[0].where.startswith("tides.py:")
    tides.edit("    return 7\n", "    return raw.collect().select(\n")
    tides.edit("    raw.select(", "")
    assert tides.ok()["ok run daily"] == [day(0), day(1)]


def test_a_stage_that_gives_rows_of_another_day(tides: Tides) -> None:
    tides.edit('raw.select("day", "id",', 'raw.select(pl.col("day").dt.offset_by("1d"), "id",')
    receipt = tides.run()
    assert receipt.exit_code == 3
    assert [item.rule for item in receipt.failures[0].findings] == ["day.partition"]
    tides.edit("    double =", "    any_bad = tm.Budget(max_bad=1)\n    double =")
    assert tides.run().exit_code == 0
    assert tides.read("doubled").height == 0
    reasons = tides.quarantined("doubled")["_reasons"].to_list()
    assert reasons == [["day.partition"]] * 6


def test_a_stage_whose_columns_are_missing(tides: Tides) -> None:
    tides.edit("double=times(", "duble=times(")
    with pytest.raises(DeclarationError, match="the output has no column 'double'") as caught:
        tides.run()
    assert caught.value.exit_code == 3
    # It was refused before any data moved.
    assert tides.published() == {}


def test_rows_that_cannot_be_stored_fail_their_step(tides: Tides) -> None:
    tides.edit(
        'class Doubled(tm.Contract, key=("day", "id"))',
        'class Doubled(tm.Contract, key=("day", "id"), unknown_columns="keep")',
    )
    tides.edit(
        'double=times(pl.col("value")))',
        'double=times(pl.col("value"))).collect().with_columns('
        'pl.Series("odd", [object()] * 3, dtype=pl.Object))',
    )
    receipt = tides.run()
    assert receipt.exit_code == 3
    assert receipt.messages[0].startswith(f"doubled {day(0)}: column 'odd' of type Object: ")
    assert tides.published() == {"raw": [day(0), day(1)]}


@pytest.mark.parametrize("rewritten", [True, False])
def test_a_file_that_changes_after_it_was_planned_on_is_never_recorded_as_what_it_was(
    tides: Tides, rewritten: bool
) -> None:
    tides.put("both.parquet", pl.concat([rows_of(2), rows_of(3)]))
    begun: list[object] = []

    def progress(done: int, step: object) -> None:
        begun.append(step)
        if len(begun) == 1:
            for name, frame in (
                (f"{day(1)}.parquet", rows_of(1, (7.0,))),
                ("both.parquet", pl.concat([rows_of(2, (7.0,)), rows_of(3, (7.0,))])),
            ):
                if rewritten:
                    tides.put(name, frame)
                else:
                    (tides.root / "data" / name).unlink()

    receipt = tides.run(progress=Before(progress))
    assert receipt.exit_code == 1
    assert len(receipt.messages) == 3
    says = "changed while this run was at work; run again" if rewritten else "can't be read"
    assert all(says in message for message in receipt.messages)
    assert tides.published()["daily"] == [day(0)]
    # As they were when they were planned on: nothing wrong was remembered of that.
    tides.send(1)
    tides.put("both.parquet", pl.concat([rows_of(2), rows_of(3)]))
    tides.ok()
    assert tides.read("daily")["total"].to_list() == [12.0] * 4


def test_a_file_that_is_touched_after_it_was_planned_on_is_what_it_was(tides: Tides) -> None:
    def progress(done: int, step: object) -> None:
        if done == 0:
            tides.send(1)

    tides.ok(progress=Before(progress))


def test_a_suffix_that_tells_no_format(tides: Tides) -> None:
    tides.edit('"data/*.parquet"', '"data/*"')
    (tides.root / "data" / "readme.xyz").write_text("hello")
    receipt = tides.run()
    assert receipt.messages == (
        "raw: data/readme.xyz: unknown suffix; set format= to one of arrow, csv, ndjson, parquet",
    )
    assert tides.published()["daily"] == [day(0), day(1)]


def test_an_option_that_the_reader_does_not_know(tides: Tides) -> None:
    tides.edit('"data/*.parquet"', '"data/*.parquet", seperator=";"')
    receipt = tides.run()
    assert receipt.exit_code == 1
    assert "seperator" in receipt.messages[0]


def test_a_source_without_partitions_is_one(tides: Tides) -> None:
    tides.edit('day = tm.Date(partition="1d")', "day = tm.Date()")
    assert tides.ok() == {f"ok run {stage}": ["all"] for stage in STAGES}
    assert tides.read("daily").height == 2
    (tides.root / "data" / f"{day(0)}.parquet").write_text("broken")
    assert tides.run().exit_code == 1
    assert tides.read("daily").height == 2
