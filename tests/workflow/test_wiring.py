"""What doesn't fit between stages: the message, the place, and what to do."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.planning import deliver, evaluate, ingest, model, reads, spec, transform
from tidemill.contracts.column import Column
from tidemill.contracts.dtype import DType
from tidemill.contracts.spec import ContractSpec
from tidemill.workflow.search import integers, search
from tidemill.workflow.stage import Input, Stage, Training
from tidemill.workflow.trigger import degraded, prediction_shift
from tidemill.workflow.window import all_partitions, last
from tidemill.workflow.wiring import wiring_faults

RAW, MONTHS, TENANTS, LOOKUP = (
    ingest("raw"), ingest("months", "month"), ingest("tenants", "value"), ingest("lookup", "whole"),
)  # fmt: skip
BASE = (RAW, MONTHS, TENANTS, LOOKUP)
TRAIN, JUDGE = last("60d", before=last("7d")), last("7d")
MOD = model("mod", reads(RAW, TRAIN))
GROUPED = model("mod", reads(TENANTS, all_partitions))
EV = evaluate("ev", MOD, reads(RAW, JUDGE))
SEARCH = Training(search=search({"rounds": integers(1, 9)}, metric="mae"))


X = Column(name="x", dtype=DType("Int64"))


def wants(*columns: Column) -> Stage:
    """A stage that expects other columns of raw than it has."""
    contract = ContractSpec(name="Wanted", version="1.0.0", columns=columns)
    return transform("next", "whole", Input(name="raw", contract=contract))


def trained(*inputs: Input) -> tuple[Stage, Stage]:
    """A model on other inputs, and its evaluation."""
    mod = model("mod", *inputs)
    return mod, evaluate("ev", mod, reads(RAW, JUDGE))


def shifted(log: str) -> Stage:
    """A model that is trained when what a log has differs from its evaluation."""
    return replace(MOD, training=Training(retrain=prediction_shift(of=log)))


WINDOWS = "windows are for inputs partitioned by time"
OVERLAPS = [
    # The training window, the evaluation's, and the window that training may end before.
    (None, JUDGE, "7d", "all", "tm.last('7d')"),
    (TRAIN, None, "all", "60d before the last 7d", "tm.last('7d')"),
    (all_partitions, JUDGE, "7d", "all", "tm.last('7d')"),
    (TRAIN, all_partitions, "all", "60d before the last 7d", "tm.last('7d')"),
    (last("60d"), last(5), "5", "60d", "tm.last(5)"),
    (last("60d"), last("7d", before=last("1d")), "7d before the last 1d", "60d",
     "tm.last('7d', before=tm.last('1d'))"),
]  # fmt: skip
FAULTS: dict[str, tuple[tuple[Stage, ...], str, str]] = {
    "unknown": (
        (transform("next", "whole", Input(name="rew", contract=spec("day"))),),
        "transform 'next': there is no stage 'rew'", "did you mean 'raw'?",
    ),
    "a model read as a table": (
        (MOD, EV, transform("next", "whole", Input(name="mod", contract=spec("day")))),
        "transform 'next': it can't read 'mod', which is a stage of kind model", "",
    ),
    "scores read as a table": (
        (MOD, EV, transform("next", "whole", Input(name="ev", contract=spec("day")))),
        "transform 'next': it can't read 'ev', which is a stage of kind evaluate", "",
    ),
    "a table as a predictor": (
        (evaluate("ev", RAW),), "evaluate 'ev': it can't read 'raw', which is a stage of kind ingest", "",
    ),
    "a delivery of scores": (
        (MOD, EV, deliver("out", MOD, EV)),
        "deliver 'out': it can't read 'ev', which is a stage of kind evaluate", "",
    ),
    "a column that isn't there": (
        (wants(Column(name="y", dtype=DType("Int64"))),),
        "transform 'next': 'raw' has no column 'y' (contract Table)", "there is: own, x",
    ),
    "a column of another type": (
        (wants(Column(name="x", dtype=DType("Int8"))),), "transform 'next': raw.x is Int64, not Int8", "",
    ),
    "a column that may be null": (
        (replace(RAW, output=replace(spec("day"), columns=(replace(X, nullable=True),))), wants(X)),
        "transform 'next': raw.x: Wanted relies on never null, Table says it may be null", "",
    ),
    "a window without partitions": (
        (transform("next", "whole", reads(LOOKUP, last("7d"))),),
        "transform 'next': window=7d on 'lookup', which is unpartitioned", WINDOWS,
    ),
    "a window without time": (
        (transform("next", "value", reads(TENANTS, last(3))),),
        "transform 'next': window=3 on 'tenants', which is by value of own", WINDOWS,
    ),
    "a window of a model without time": (
        (GROUPED, evaluate("ev", GROUPED, reads(TENANTS))),
        "model 'mod': window=all on 'tenants', which is by value of own",
        f"{WINDOWS}; leave window out: a model sees all rows of this input",
    ),
    "a window shorter than a partition": (
        (transform("next", "month", reads(MONTHS, last("7d"))),),
        "transform 'next': window=7d on 'months' is shorter than a month",
        "'months' is partitioned by month of own: take at least one",
    ),
    "cut like no input": (
        (transform("next", "day", reads(LOOKUP), reads(TENANTS)),),
        "transform 'next': its output is partitioned by day of own, but none of its inputs is",
        "partition an input the same way, or don't partition the output",
    ),
    "no predictor": (
        (MOD, EV, evaluate("more", MOD, Input(name="other", contract=None)), ingest("other")),
        "evaluate 'more': it needs exactly one tm.Predictor, it has 2", "",
    ),
    "never scored": (
        (MOD,), "model 'mod': it is approved by gates, but nothing evaluates it", "add @flow.evaluate",
    ),
    "scored twice": (
        (MOD, EV, replace(EV, name="more")),
        "model 'mod': a gate looks at 'mae', but several stages evaluate it",
        "name one: 'ev.mae' or 'more.mae'",
    ),
    "a trigger that watches something else": (
        (replace(MOD, training=Training(retrain=degraded("evv.mae", by=0.1))), EV),
        "model 'mod': a trigger is degraded(evv.mae, by=0.1), but no stage 'evv' evaluates it",
        "did you mean 'ev'?",
    ),
    "a trigger that watches a log that isn't there": (
        (shifted("rau"), EV),
        "model 'mod': a trigger is prediction_shift(0.03, of=rau), but there is no stage 'rau'",
        "did you mean 'raw'?",
    ),
    "a trigger that watches no log": (
        (shifted("raw"), EV),
        "model 'mod': a trigger is prediction_shift(0.03, of=raw), but stage 'raw' is no log of predictions: "
        "it has no column 'log_version'",
        "name the ingest whose contract tm.prediction_log made",
    ),
    "a trigger that watches what has no rows": (
        (shifted("mod"), EV),
        "model 'mod': a trigger is prediction_shift(0.03, of=mod), but stage 'mod' is no log of predictions: "
        "it has no column 'log_version'",
        "name the ingest whose contract tm.prediction_log made",
    ),
    "a trigger that watches a log that isn't partitioned by time": (
        (shifted("asked"), EV, replace(LOOKUP, name="asked", output=ContractSpec(
            name="Asked", version="1.0.0", columns=tuple(
                Column(name=name, dtype=DType("String"))
                for name in ("log_version", "log_arm", "prediction")
            ),
        ))),
        "model 'mod': a trigger is prediction_shift(0.03, of=asked), but stage 'asked' is unpartitioned",
        "partition the log by time",
    ),
    "an evaluation that may lag behind": (
        (MOD, evaluate("ev", MOD, reads(RAW, JUDGE), reads(MONTHS, last(1)))),
        "evaluate 'ev': it reads 'months' by time, which the model 'mod' does not",
        "add it to the inputs of 'mod', so that both windows end together",
    ),
    **{
        f"overlap {number}": (
            (model("mod", reads(RAW, training)), evaluate("ev", MOD, reads(RAW, judging))),
            f"evaluate 'ev': its window of 'raw' ({mine}) overlaps the training window of 'mod' ({its})",
            f"train on tm.last(..., before={hint})",
        )
        for number, (training, judging, mine, its, hint) in enumerate(OVERLAPS)
    },
    "a cycle": (
        (transform("one", "day", reads(transform("two", "day"))),
         transform("two", "day", reads(transform("one", "day"))),
         transform("reader", "day", reads(transform("two", "day")))),
        "transform 'one': these stages wait for each other: one -> two", "break the cycle",
    ),
    "itself": (
        (transform("one", "day", reads(transform("one", "day"))),),
        "transform 'one': these stages wait for each other: one", "break the cycle",
    ),
    "two tables in one place": (
        (MOD, EV, deliver("one", MOD, RAW), deliver("two", MOD, RAW)),
        "deliver 'two': it delivers to the place of 'one': each would replace the other's rows",
        "choose another table or folder",
    ),
    "a search without an evaluation": (
        (replace(MOD, training=SEARCH, approval=None),),
        "model 'mod': metric='mae': nothing evaluates mod: add @flow.evaluate, or pass a function", "",
    ),
    "a search without time": (
        (replace(model("mod", reads(LOOKUP)), training=SEARCH), evaluate("ev", MOD, reads(LOOKUP))),
        "model 'mod': its search holds out the last part of the training window, and no input is by time",
        "partition an input by time: tm.Date(partition='1d')",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_faults(name: str) -> None:
    stages, message, hint = FAULTS[name]
    found = wiring_faults({stage.name: stage for stage in (*BASE, *stages)})
    assert (message, hint) in [(fault.message, fault.hint) for fault in found]
    assert {fault.where for fault in found} == {"flow.py:1"}
    alone = {"no predictor": 3}
    assert len(found) == alone.get(name, 1)


FINE = [
    (MOD, EV, deliver("out", MOD, RAW)),
    (model("mod", reads(RAW), gates=None),),
    # What isn't by time can't overlap.
    (model("mod", reads(RAW, TRAIN), reads(LOOKUP)), evaluate("ev", MOD, reads(RAW, JUDGE), reads(LOOKUP))),
    (transform("next", "day", reads(MONTHS), reads(LOOKUP)),),
    (transform("next", "value", reads(TENANTS)),),
    (wants(Column(name="x", dtype=DType("Float64"))), transform("all", "whole", reads(RAW, last("1mo")))),
]  # fmt: skip


@pytest.mark.parametrize("stages", FINE[:-1])
def test_what_fits(stages: tuple[Stage, ...]) -> None:
    assert wiring_faults({stage.name: stage for stage in (*BASE, *stages)}) == []


def test_of_unclear_stages_only_names_are_judged() -> None:
    stages = {
        stage.name: stage for stage in (*BASE, MOD, evaluate("ev", MOD, reads(RAW), reads(MONTHS)))
    }
    assert wiring_faults(stages, {"ev"}) == []
    assert wiring_faults(stages, {"mod", "raw"}) == []
    lost = {**stages, "next": transform("next", "day", Input(name="rew", contract=None))}
    assert [f.message for f in wiring_faults(lost, {"ev", "next"})] == [
        "transform 'next': there is no stage 'rew'"
    ]


@given(edges=st.sets(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=14))
def test_only_stages_that_wait_for_each_other_are_named(edges: set[tuple[int, int]]) -> None:
    names = [f"s{number}" for number in range(7)]
    inputs = {
        reader: [reads(transform(names[n], "day")) for m, n in sorted(edges) if names[m] == reader]
        for reader in names
    }
    faults = wiring_faults({name: transform(name, "day", *inputs[name]) for name in names})
    # Stages from which each can be reached, in one or more steps.
    after = {number: {n for m, n in edges if m == number} for number in range(7)}
    for _ in range(7):
        after = {m: found.union(*(after[n] for n in found)) for m, found in after.items()}
    circular = {number for number, found in after.items() if number in found}
    between = {m for m in range(7) if after[m] & circular and any(m in after[n] for n in circular)}
    waiting = [names[number] for number in sorted(circular | between)]
    message = f"these stages wait for each other: {' -> '.join(waiting)}"
    expected = [f"transform {waiting[0]!r}: {message}"] if waiting else []
    assert [fault.message for fault in faults if "wait for" in fault.message] == expected
