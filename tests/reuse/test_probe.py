"""A transform called on frames without rows: what its schema, or its code, gives away."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date
from typing import Any

import polars as pl
import pytest
from polars.io.plugins import register_io_source

from tests.support.planning import ingest, reads, spec, transform
from tidemill.analysis.query.summary import QuerySummary
from tidemill.contracts.column import Column
from tidemill.contracts.dtype import DType
from tidemill.contracts.spec import Reads
from tidemill.reuse.probe import Probe, probe
from tidemill.workflow.impure import Impure
from tidemill.workflow.stage import Input, Kind, Stage
from tidemill.workflow.window import last

RAW, LOOKUP = ingest("raw"), ingest("lookup", "whole")
MORE = Column(name="more", dtype=DType("Int64"))
WIDE = Input(name="raw", contract=replace(spec("day"), columns=(*spec("day").columns, MORE)))


def stage(function: Callable[..., Any] | None) -> Stage:
    """A transform by day of raw and lookup."""
    return replace(transform("next", "day", reads(RAW), reads(LOOKUP)), function=function)


def passed_on(raw: pl.LazyFrame, lookup: pl.LazyFrame) -> pl.LazyFrame:
    return raw.join(lookup, on="x", how="left")


def eager(raw: pl.LazyFrame, lookup: pl.LazyFrame) -> pl.DataFrame:
    return pl.DataFrame({"own": [], "x": []}, schema=dict(raw.collect_schema()))


def collects(raw: pl.LazyFrame, lookup: pl.LazyFrame) -> pl.LazyFrame:
    return raw.filter(pl.col("x") > lookup.collect()["x"].max())


def collects_and_hides_it(raw: pl.LazyFrame, lookup: pl.LazyFrame) -> pl.LazyFrame:
    try:
        raw.select("x").collect()
    except Exception:  # noqa: BLE001 - as users write it
        return raw.select("x")
    return raw


def lacks(raw: pl.LazyFrame, lookup: pl.LazyFrame) -> pl.LazyFrame:
    return raw.select("own", y="x")


def casts(raw: pl.LazyFrame, lookup: pl.LazyFrame) -> pl.LazyFrame:
    return raw.with_columns(pl.col("x").cast(pl.String))


def misspells(raw: pl.LazyFrame, lookup: pl.LazyFrame) -> pl.LazyFrame:
    return raw.select("own", "ex")


def raises(raw: pl.LazyFrame, lookup: pl.LazyFrame) -> pl.LazyFrame:
    raise KeyError("no such thing\nsecond line")


def numbers(raw: pl.LazyFrame, lookup: pl.LazyFrame) -> pl.LazyFrame:
    words = pl.col("x").cast(pl.String).cast(pl.Categorical)
    return raw.with_columns(x=words.to_physical().cast(pl.Int64))


def forgets(raw: pl.LazyFrame, lookup: pl.LazyFrame) -> None:
    raw.select("own", "x")


def other_rows(raw: pl.LazyFrame, lookup: pl.LazyFrame) -> pl.DataFrame:
    return pl.DataFrame({"own": [None], "x": [1]}, schema=dict(raw.collect_schema()))


def folded(value: int) -> int:
    return value if value % 2 else value // 2


def maps(raw: pl.LazyFrame, lookup: pl.LazyFrame) -> pl.LazyFrame:
    return raw.with_columns(pl.col("x").map_elements(folded, return_dtype=pl.Int64))


def scans(raw: pl.LazyFrame, lookup: pl.LazyFrame) -> pl.LazyFrame:
    return pl.scan_parquet("other.parquet", schema=dict(raw.collect_schema()))


def scans_beside(raw: pl.LazyFrame, lookup: pl.LazyFrame) -> pl.LazyFrame:
    other = pl.scan_csv("other.csv", schema={"x": pl.Int64})
    return raw.join(other, on="x", how="semi")


def another_source(raw: pl.LazyFrame, lookup: pl.LazyFrame) -> pl.LazyFrame:
    def rows(*_: object) -> Iterator[pl.DataFrame]:
        yield pl.DataFrame(schema=schema)

    schema = dict(raw.collect_schema())
    return register_io_source(rows, schema=schema)


def todays(raw: pl.LazyFrame, lookup: pl.LazyFrame) -> pl.LazyFrame:
    return raw.with_columns(x=pl.col("x") + date.today().year)


def shuffles(raw: pl.LazyFrame, lookup: pl.LazyFrame) -> pl.LazyFrame:
    return raw.with_columns(pl.col("x").shuffle())


def seeded(raw: pl.LazyFrame, lookup: pl.LazyFrame) -> pl.LazyFrame:
    return raw.with_columns(pl.col("x").shuffle(seed=7))


def opens(raw: pl.LazyFrame, lookup: pl.LazyFrame) -> pl.LazyFrame:
    with open(__file__, encoding="utf-8") as stream:
        return raw.with_columns(x=pl.col("x") + len(stream.read()))


def any_of_them(raw: pl.LazyFrame, lookup: pl.LazyFrame) -> pl.LazyFrame:
    return raw.unique("own", keep="any")


def grouped(raw: pl.LazyFrame, lookup: pl.LazyFrame) -> pl.LazyFrame:
    return raw.group_by("own").agg(pl.col("x").sum())


def found_in(stage: Stage) -> Probe:
    """What a probe of a transform gives."""
    found = probe(stage)
    assert found is not None
    return found


def test_a_stage_that_keeps_its_contract() -> None:
    found = found_in(stage(passed_on))
    assert (found.faults, found.raised, found.query.opaque) == ((), (), "")
    assert set(found.query.columns) == {"own", "x"}
    assert found.query.reads == {"raw": ("own", "x"), "lookup": ("x",)}
    assert found.query.lineage["own"] == {"raw": ("own", "x"), "lookup": ("x",)}
    assert found.query.values["own"]["raw"] == ("own",)
    assert "own" in found.query.copied
    assert found.query.unordered == "join without maintain_order"


def test_the_rows_of_a_constant_are_part_of_the_query() -> None:
    found = found_in(stage(eager))
    assert (found.faults, found.query.opaque) == ((), "")
    assert found.query.reads == {"raw": (), "lookup": ()}
    assert found.query.columns != found_in(stage(other_rows)).query.columns


def test_partitions_stay_apart_only_where_each_sees_its_own() -> None:
    def halved(raw: pl.LazyFrame) -> pl.LazyFrame:
        return raw.with_columns(x=(pl.col("x") / 2).cast(pl.Int64))

    def by(cut: str, *inputs: Input) -> int | None:
        return found_in(replace(transform("next", cut, *inputs), function=halved)).query.least

    assert found_in(stage(passed_on)).query.least == 0
    assert found_in(stage(any_of_them)).query.least is None
    assert by("day", reads(RAW)) == 2
    assert by("day", reads(RAW, last(7))) is None
    assert by("day", reads(ingest("raw", "hour"))) is None
    assert by("whole", reads(RAW)) is None
    values = ingest("raw", "value")
    assert by("value", reads(values)) == 2
    assert (
        by("value", replace(reads(values), reads=Reads(contract=spec("value"), columns=("x",))))
        is None
    )


@pytest.mark.parametrize(
    ("function", "name"), [(collects, "lookup"), (collects_and_hides_it, "raw")]
)
def test_a_stage_that_reads_while_it_is_called_is_opaque(
    function: Callable[..., Any], name: str
) -> None:
    found = found_in(stage(function))
    assert found == Probe(query=QuerySummary(opaque=f"it collects {name} when it is called"))


def test_a_function_in_the_query_makes_it_opaque() -> None:
    found = found_in(stage(maps))
    assert (found.faults, found.query.columns, found.query.reads) == ((), {}, {})
    assert found.query.opaque.startswith("its query contains a Python function (")


STRANGERS = [(scans, "scan"), (scans_beside, "scan"), (another_source, "IO source")]


@pytest.mark.parametrize(("function", "what"), STRANGERS)
def test_what_is_not_an_input_is_refused(function: Callable[..., Any], what: str) -> None:
    faults = found_in(stage(function)).faults
    assert faults
    assert any(what in fault.message for fault in faults)
    for fault in faults:
        assert fault.message.endswith("which is not one of its inputs")
        assert fault.hint == "declare what it reads: @flow.ingest ... return tm.files(...)"


def test_what_a_stage_reaches_for_is_named() -> None:
    found = found_in(stage(todays))
    assert found.faults == ()
    assert found.query.touched[0].startswith(
        "it reads the clock: datetime.date.today (test_probe.py:"
    )
    [drawn] = found_in(stage(shuffles)).query.touched
    assert drawn.startswith("it draws random numbers without a seed")
    assert found_in(stage(seeded)).query.touched == ()
    # A reader that is vouched for is none.
    assert found_in(stage(opens)).faults
    assert found_in(replace(stage(opens), version="1")).faults == ()
    assert found_in(replace(stage(opens), impure=Impure())).faults == ()


def test_what_is_not_determined_is_named() -> None:
    assert "unique" in found_in(stage(any_of_them)).query.unstable
    assert found_in(stage(grouped)).query.unordered


def test_columns_that_are_dropped_are_not_read() -> None:
    drop = replace(spec("day"), unknown_columns="drop")
    wide = replace(stage(passed_on), output=drop, inputs=(WIDE, reads(LOOKUP)))
    assert found_in(wide).query.reads["raw"] == ("own", "x")
    kept = replace(wide, output=replace(spec("day"), unknown_columns="keep"))
    assert set(found_in(kept).query.columns) == {"own", "x", "more"}
    assert found_in(kept).query.reads["raw"] == ("own", "x", "more")


def test_an_unknown_polars_makes_it_opaque(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pl, "__version__", "9.9.0")
    found = found_in(stage(passed_on))
    assert found.faults == ()
    assert found.query.opaque


WITHOUT_ROWS = "it was called on frames without rows that have the columns of its inputs' contracts"
FAULTS = [
    (lacks, ["transform 'next': the output has no column 'x' of contract Table",
             "transform 'next': the output has a column 'y' that contract Table doesn't declare"], None),
    (casts, ["transform 'next': column 'x' is String, but contract Table declares Int64"],
     "cast it in the stage, or change the declared type"),
    (misspells, ["transform 'next' raised ColumnNotFoundError: "], WITHOUT_ROWS),
    (raises, ["transform 'next' raised KeyError: "], WITHOUT_ROWS),
    (forgets, ["transform 'next' returned NoneType, not a polars.LazyFrame"],
     "return the query without collecting it"),
    (numbers, ["transform 'next' uses the codes of a Categorical (x): they differ between processes"],
     "declare the column as tm.Enum([...]), whose codes are fixed, or join a table of codes"),
]  # fmt: skip


@pytest.mark.parametrize(("function", "messages", "hint"), FAULTS)
def test_faults(function: Callable[..., Any], messages: list[str], hint: str | None) -> None:
    found = found_in(stage(function))
    assert found.query.opaque
    assert bool(found.raised) == (hint == WITHOUT_ROWS)
    for fault, message in zip((*found.faults, *found.raised), messages, strict=True):
        assert fault.message.startswith(message)
        assert "\n" not in fault.message
        assert fault.where == "flow.py:1"
        assert hint is None or fault.hint == hint


@pytest.mark.parametrize(
    "other",
    [
        RAW,
        stage(None),
        replace(stage(passed_on), output=None),
        replace(stage(raises), kind=Kind.MODEL),
    ],
)
def test_only_transforms_are_called(other: Stage) -> None:
    assert probe(other) is None


def test_an_input_without_a_contract_is_not_handed() -> None:
    bare = replace(stage(passed_on), inputs=())
    assert found_in(bare).raised[0].message.startswith("transform 'next' raised TypeError: ")


def interrupted(raw: pl.LazyFrame, lookup: pl.LazyFrame) -> pl.LazyFrame:
    raise KeyboardInterrupt


def test_an_interrupt_is_nobodys_fault() -> None:
    with pytest.raises(KeyboardInterrupt):
        probe(stage(interrupted))
