"""What is wrong with a declaration, all at once: the message, the place, and what to do."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from datetime import date
from types import FunctionType
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tidemill as tm
from tidemill.core.errors import DeclarationError, Fault
from tidemill.core.partition import Grain
from tidemill.workflow.impure import Impure
from tidemill.workflow.seal import seal
from tidemill.workflow.stage import Flow, Kind


class Day(tm.Contract):
    day = tm.Date(partition="1d")
    x = tm.Int64()


class Whole(tm.Contract):
    x = tm.Int64()


def raw() -> tm.Source[Day]:
    return tm.files("raw/*.parquet")


def wide(raw: tm.Frame[Day]) -> tm.Frame[Day]:
    return raw


def mod(wide: tm.Frame[Day], params: tm.Params, seed: int) -> tm.Fitted:
    raise NotImplementedError


def scored(mod: tm.Predictor, wide: tm.Frame[Day]) -> tm.Scores:
    raise NotImplementedError


def line(function: Callable[..., Any]) -> str:
    """Where a function is."""
    return f"test_seal.py:{function.__code__.co_firstlineno}"


def named(name: str, function: Any, **annotations: Any) -> Any:
    """A function under another name; with other annotations, if some are given."""
    copy = FunctionType(function.__code__, function.__globals__, name)
    copy.__annotations__ = annotations or dict(function.__annotations__)
    copy.__module__ = __name__
    return copy


def full() -> tm.Workflow:
    """A workflow without faults."""
    flow = tm.Workflow("tides", owner="ops")
    flow.ingest(start="2013-01-01")(raw)
    flow.transform(wide)
    flow.model(window=tm.last("60d", before=tm.last("7d")), params={"a": 1}, seed=7)(mod)
    flow.evaluate(window=tm.last("7d"))(scored)
    live = flow.approve(mod, gates=[tm.beats_baseline("mae")])
    flow.table("out", model=live, features=wide, sink=tm.parquet("out"))
    return flow


def faults_of(flow: tm.Workflow) -> tuple[Fault, ...]:
    """Every fault of a workflow."""
    with pytest.raises(DeclarationError) as caught:
        seal(flow)
    return caught.value.faults


def test_what_was_declared_is_what_is_sealed() -> None:
    flow = seal(full())
    assert (flow.name, flow.owner) == ("tides", "ops")
    assert flow.names == ("raw", "wide", "mod", "scored", "out")
    kinds = [Kind.INGEST, Kind.TRANSFORM, Kind.MODEL, Kind.EVALUATE, Kind.DELIVER]
    assert [stage.kind for stage in flow.stages] == kinds
    assert flow["raw"].start == "2013-01-01"
    assert flow["raw"].partitioning.grain is Grain.DAY
    assert flow["wide"].place == line(wide)
    assert flow["wide"].function is wide
    training = flow["mod"].training
    assert training is not None
    assert (training.params, training.seed, training.retrain) == ({"a": 1}, 7, None)
    assert (training.wants_params, training.wants_seed) == (True, True)
    assert [item.name for item in flow["mod"].inputs] == ["wide"]
    assert str(flow["mod"].inputs[0].window) == "60d before the last 7d"
    assert [(i.name, i.contract is None, i.window is None) for i in flow["scored"].inputs] == [
        ("mod", True, True),
        ("wide", False, False),
    ]
    assert (flow["out"].model, flow["out"].inputs[0].name) == ("mod", "wide")
    assert flow["mod"].approval is not None


@given(
    order=st.permutations(range(6)),
    edges=st.sets(st.tuples(st.integers(0, 5), st.integers(0, 5)).filter(lambda e: e[0] > e[1])),
)
def test_of_the_stages_that_are_ready_the_first_declared_comes_next(
    order: list[int], edges: set[tuple[int, int]]
) -> None:
    flow = tm.Workflow("tides")
    for number in order:
        inputs = {f"s{n}": tm.Frame[Whole] for m, n in sorted(edges) if m == number}
        if inputs:
            made = named(f"s{number}", wide, **inputs, **{"return": tm.Frame[Whole]})
            count = len(inputs)
            made.__code__ = made.__code__.replace(
                co_argcount=count, co_nlocals=count, co_varnames=tuple(inputs)
            )
            flow.transform(made)
        else:
            flow.ingest(named(f"s{number}", raw, **{"return": tm.Source[Whole]}))
    expected, left = list[int](), list(order)
    while left:
        ready = next(m for m in left if not any(n in left for n in range(6) if (m, n) in edges))
        left.remove(ready)
        expected.append(ready)
    assert seal(flow).names == tuple(f"s{number}" for number in expected)


def test_stages_come_after_what_they_read_in_any_order_of_declaration() -> None:
    flow = tm.Workflow("tides")
    flow.transform(optional=["raw"], version="3", window={"raw": tm.all})(wide)
    flow.ingest(raw)
    sealed = seal(flow)
    assert sealed.names == ("raw", "wide")
    (item,) = sealed["wide"].inputs
    assert (item.optional, item.window, sealed["wide"].version) == (True, tm.all, "3")


@pytest.mark.parametrize(("every", "seconds"), [(None, None), ("6h", 21_600)])
def test_an_impure_stage_is_marked_above_or_below(every: str | None, seconds: float | None) -> None:
    mark = tm.impure(every=every)
    flow = tm.Workflow("tides")
    flow.ingest(start="2013-01-01")(mark(named("raw", raw)))
    mark(flow.transform(named("wide", wide)))
    flow.transform(named("other", wide))
    sealed = seal(flow)
    assert sealed["raw"].impure == sealed["wide"].impure == Impure(every_s=seconds)
    assert sealed["other"].impure is None


def plain(flow: tm.Workflow) -> None:
    """Only what others need to read."""
    flow.ingest(raw)


def _ingest(function: Any, **options: Any) -> Callable[[tm.Workflow], object]:
    return lambda flow: flow.ingest(**options)(function)


def _transform(function: Any, **options: Any) -> Callable[[tm.Workflow], object]:
    return _second(lambda flow: flow.transform(**options)(function))


def _second(declare: Callable[[tm.Workflow], object]) -> Callable[[tm.Workflow], object]:
    def both(flow: tm.Workflow) -> None:
        plain(flow)
        declare(flow)

    return both


def _model(function: Any = mod, **options: Any) -> Callable[[tm.Workflow], object]:
    return _second(lambda flow: (flow.transform(wide), flow.model(**options)(function)))


def _evaluate(function: Any) -> Callable[[tm.Workflow], object]:
    return lambda flow: (_model()(flow), flow.evaluate(function))


def _table(model: Any) -> Callable[[tm.Workflow], object]:
    def declare(flow: tm.Workflow) -> None:
        _model()(flow)
        flow.table("out", model=model, features=wide, sink=tm.parquet("out"))

    return declare


GATES = (tm.beats_baseline("mae"),)


def _approve(model: Any = mod, *, gates: Any = GATES) -> Any:
    def declare(flow: tm.Workflow) -> None:
        _model()(flow)
        flow.evaluate(window=tm.last("7d"))(scored)
        flow.declarations[-2:-1] = []
        flow.model(window=tm.last("60d", before=tm.last("7d")))(mod)
        flow.approve(model, gates=gates)

    return declare


other = tm.Workflow("other").approve(mod, gates=[tm.beats_baseline("mae")])
RETURNS_SOURCE = {"return": tm.Source[Day]}
no_output = named("no_output", wide, raw=tm.Frame[Day])
unread = named("unread", wide, raw="tm.Frame[Dai]", **{"return": "tm.Frame[Day]"})
broken = named("broken", wide, raw="tm.Frame[", **{"return": "tm.Frame[Day]"})
loose = named("loose", wide, raw=int, **{"return": tm.Frame[Day]})
blank = named("blank", wide, raw=tm.Frame[int], **{"return": tm.Frame[Day]})

AT_WIDE, AT_MOD, AT_RAW = line(wide), line(mod), line(raw)
ANNOTATE = "annotate it tm.Frame[Contract]"
FAULTS: dict[str, tuple[Callable[[tm.Workflow], object], str, str, str]] = {
    "empty": (lambda flow: None, "it has no stages", "", "declare one with @flow.ingest"),
    "twice": (
        lambda flow: (flow.ingest(raw), flow.ingest(raw)),
        f"stage 'raw' is declared twice, first at {AT_RAW}", AT_RAW, "rename one of them",
    ),
    "ingest with inputs": (
        _second(lambda flow: flow.ingest(named("x", wide, raw=tm.Frame[Day], **RETURNS_SOURCE))),
        "ingest 'x' takes no inputs, it has 'raw'", AT_WIDE, "use @flow.transform",
    ),
    "no inputs": (
        _transform(named("x", raw, **{"return": tm.Frame[Whole]})),
        "stage 'x' has no inputs", AT_RAW, "name an upstream stage as a parameter",
    ),
    "no contract": (
        _transform(loose), "stage 'loose': parameter 'raw' has no contract", AT_WIDE, ANNOTATE,
    ),
    "no contract class": (
        _transform(blank), "stage 'blank': parameter 'raw' has no contract", AT_WIDE, ANNOTATE,
    ),
    "no predictor": (
        _evaluate(named("x", scored, mod=int, wide=tm.Frame[Day], **{"return": tm.Scores})),
        "stage 'x': parameter 'mod' has no contract", line(scored), f"{ANNOTATE} or tm.Predictor",
    ),
    "no output of an ingest": (
        _ingest(named("x", raw, **{"return": int})),
        "ingest 'x' has no valid return annotation", AT_RAW, "annotate it -> tm.Source[Contract]",
    ),
    "no output of a transform": (
        _transform(no_output), "transform 'no_output' has no valid return annotation", AT_WIDE,
        "annotate it -> tm.Frame[Contract]",
    ),
    "no output of a model": (
        _model(named("x", wide, wide=tm.Frame[Day], raw=tm.Frame[Day])),
        "model 'x' has no valid return annotation", AT_WIDE, "annotate it -> tm.Fitted",
    ),
    "no output of an evaluation": (
        _evaluate(named("x", scored, mod=tm.Predictor, wide=tm.Frame[Day])),
        "evaluate 'x' has no valid return annotation", line(scored), "annotate it -> tm.Scores",
    ),
    "unknown name in an annotation": (
        _transform(unread), "stage 'unread': its annotations can't be read: name 'Dai' is not defined",
        AT_WIDE, "contracts that annotations name must be importable where the function is defined",
    ),
    "window of nothing": (
        _transform(wide, window={"rew": tm.last("7d")}),
        "stage 'wide': window for 'rew', which is not one of its inputs", AT_WIDE, "did you mean 'raw'?",
    ),
    "window that is none": (
        _transform(wide, window="7d"), "stage 'wide': window='7d' is not a window", AT_WIDE,
        "write tm.last('7d') or tm.all",
    ),
    "window of an input that is none": (
        _transform(wide, window={"raw": "7d"}), "stage 'wide': window='7d' of 'raw' is not a window",
        AT_WIDE, "write tm.last('7d') or tm.all",
    ),
    "optional nothing": (
        _transform(wide, optional=["rew"]), "stage 'wide': optional='rew' is not one of its inputs",
        AT_WIDE, "did you mean 'raw'?",
    ),
    "start of another grain": (
        _ingest(raw, start="2013-01"),
        "ingest 'raw': start='2013-01': '2013-01' is not a day partition; write it as 2013-03-07",
        AT_RAW, "",
    ),
    "start that is no text": (
        _ingest(raw, start=date(2013, 1, 1)),
        "ingest 'raw': start=datetime.date(2013, 1, 1): write it as text, such as '2013-03-07'",
        AT_RAW, "",
    ),
    "start without time": (
        _ingest(named("x", raw, **{"return": tm.Source[Whole]}), start="2013-01-01"),
        "ingest 'x': start='2013-01-01': its contract is unpartitioned, so there is no first partition",
        AT_RAW, "",
    ),
    "retrain that is no trigger": (
        _model(retrain="14d"), "model 'mod': retrain='14d' is not a trigger", AT_MOD, "write tm.every('14d')",
    ),
    "retrain on nothing": (
        _model(retrain=tm.any_of()),
        "model 'mod': retrain=AnyOf(triggers=(), cooldown=None) is not a trigger", AT_MOD,
        "write tm.every('14d')",
    ),
    "a parameter that can't be told": (
        _model(params={"a": 1, "b": pl.LazyFrame()}),
        "model 'mod': a change of its parameter 'b' (of type polars.lazyframe.frame.LazyFrame) can't be "
        "detected: b: a LazyFrame is read when it runs; make it a DataFrame, or an input",
        AT_MOD, "pass numbers, text, lists, dicts or arrays, and build the rest in the stage",
    ),
    "an impure model": (
        _model(tm.impure(named("mod", mod))), "model 'mod' is marked with @tm.impure", AT_MOD,
        "declare when a model is due instead: retrain=tm.every('14d')",
    ),
    "an impure evaluation": (
        _evaluate(tm.impure(every="6h")(named("scored", scored))),
        "evaluate 'scored' is marked with @tm.impure", line(scored),
        "remove the mark: a model is scored again when it or its data change",
    ),
    "unapproved": (
        _table(mod), "table 'out' takes the model 'mod', which is not approved", "HERE",
        "live = flow.approve(mod, gates=[...]); then model=live",
    ),
    "no model at all": (
        _table("mod"), "table 'out' takes the model \"'mod'\", which is not approved", "HERE",
        "live = flow.approve('mod', gates=[...]); then model=live",
    ),
    "approved elsewhere": (
        _table(other), "table 'out' takes an approval of 'mod' by another workflow", "HERE",
        "live = flow.approve(mod, gates=[...]); then model=live",
    ),
    "approval of no model": (
        _approve(wide), "approve(wide): this workflow has no such model", "HERE", "there is: mod",
    ),
    "approval by name": (
        _approve("mo"), "approve(mo): this workflow has no such model", "HERE", "did you mean 'mod'?",
    ),
    "approval without gates": (
        _approve(gates=()), "approve(mod) has no gates, so any model would pass", "HERE",
        "gates=[tm.beats_baseline('mae')]",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_faults(name: str) -> None:
    declare, message, where, hint = FAULTS[name]
    flow = tm.Workflow("tides")
    declare(flow)
    (fault,) = faults_of(flow)
    assert (fault.message, fault.hint) == (message, hint)
    assert fault.where == where or (where == "HERE" and fault.where.startswith("test_seal.py:"))


class Hiding(tm.Contract):
    x = tm.Int64()

    drawn = tm.rule(pl.col("x").shuffle() > 0)
    fine = tm.rule(pl.col("x") > 0)


def test_a_rule_that_hides_what_it_does_is_told_once() -> None:
    source = {"return": tm.Source[Hiding]}
    both = {"raw": tm.Frame[Hiding], "return": tm.Frame[Hiding]}
    flow = tm.Workflow("tides")
    flow.ingest(named("raw", raw, **source))
    flow.transform(named("x", wide, **both))
    flow.transform(named("y", wide, raw=tm.Frame[Hiding], **{"return": tm.Frame[Whole]}))
    (fault,) = faults_of(flow)
    assert fault.message == "rule drawn of contract Hiding draws random numbers without a seed"
    assert fault.where.startswith("test_seal.py:")


def test_an_annotation_that_is_no_python() -> None:
    flow = tm.Workflow("tides")
    _transform(broken)(flow)
    (fault,) = faults_of(flow)
    assert fault.message.startswith("stage 'broken': its annotations can't be read: ")


def test_two_approvals_of_one_model() -> None:
    flow = full()
    again = flow.approve(mod, gates=[tm.beats_live("mae")])
    (fault,) = faults_of(flow)
    first = flow.approvals[0].place
    assert fault == Fault(
        message=f"approve(mod) is declared twice, first at {first}", where=again.place,
        hint="list all gates in one",
    )  # fmt: skip


def test_all_faults_are_told_at_once() -> None:
    flow = tm.Workflow("tides")
    flow.ingest(start="2013")(raw)
    flow.transform(window="7d", optional=["rew"])(no_output)  # type: ignore[call-overload]
    flow.model(retrain=7)(mod)  # type: ignore[call-overload]
    with pytest.raises(DeclarationError) as caught:
        seal(flow)
    lines = str(caught.value).splitlines()
    assert lines[0] == "workflow 'tides' has 6 faults:"
    assert [text.partition(": ")[2][:40] for text in lines[1:]] == [
        "ingest 'raw': start='2013': '2013' is no",
        "stage 'no_output': window='7d' is not a ",
        "stage 'no_output': optional='rew' is not",
        "transform 'no_output' has no valid retur",
        "model 'mod': retrain=7 is not a trigger ",
        "model 'mod': there is no stage 'wide' (t",
    ]
    assert caught.value.exit_code == 3


def test_an_unclear_stage_adds_no_faults_to_its_readers() -> None:
    flow = tm.Workflow("tides")
    plain(flow)
    flow.transform(named("wide", unread, **unread.__annotations__))
    flow.model(window=tm.last("60d", before=tm.last("7d")))(mod)
    flow.evaluate(window=tm.last("7d"))(scored)
    flow.approve(mod, gates=[tm.beats_baseline("mae")])
    assert [fault.message[:20] for fault in faults_of(flow)] == ["stage 'wide': its an"]


@pytest.mark.parametrize("thing", [functools.partial(raw), print, "2013-01-01", 7])
def test_only_functions_are_stages(thing: Any) -> None:
    with pytest.raises(
        DeclarationError, match=r"transform takes a function, not .*wrap it in a def"
    ) as caught:
        tm.Workflow("tides").transform(thing)
    assert caught.value.faults[0].where.startswith("test_seal.py:")
    with pytest.raises(DeclarationError) as caught:
        tm.Workflow("tides").model(seed=7)(thing)
    assert caught.value.faults[0].where.startswith("test_seal.py:")


def test_in_a_notebook_a_cell_that_is_run_again_replaces_what_it_declared() -> None:
    flow = full()
    for function in (raw, wide, mod, scored):
        cell = named(function.__name__, function)
        cell.__module__ = "__main__"
        if function is mod:
            live = flow.approve(cell, gates=[tm.beats_live("mae")])
        if function is wide:
            features = cell
    flow.table("out", model=live, features=features, sink=tm.parquet("elsewhere"))
    again = named("wide", wide)
    again.__module__ = "__main__"
    flow.transform(version="2")(again)
    sealed = seal(flow)
    assert sealed["wide"].version == "2"
    assert sealed["out"].sink == tm.parquet("elsewhere")
    approval = sealed["mod"].approval
    assert approval is not None
    assert approval.gates == (tm.beats_live("mae"),)


MODULE = """
import tidemill as tm

class A(tm.Contract):
    x = tm.Int64()

flow = tm.Workflow("w")

@flow.ingest
def a() -> tm.Source[A]:
    return tm.files("a")
"""


def test_a_workflow_in_a_module_with_postponed_annotations_and_without(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "now_declared.py").write_text(MODULE)
    (tmp_path / "later_declared.py").write_text("from __future__ import annotations\n" + MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    for name, place in (("now_declared", 9), ("later_declared", 10)):
        flow: Flow = seal(__import__(name).flow)
        assert flow["a"].output is not None
        assert flow["a"].place == f"{name}.py:{place}"
        del sys.modules[name]


def test_what_steps_may_use_and_what_is_tried_again_is_kept() -> None:
    limits, tries = tm.resources(cpus=2, timeout="1m"), tm.retries(2)
    flow = tm.Workflow("tides", deferrable=True)
    flow.ingest(resources=limits, retries=tries)(raw)
    flow.transform(resources=limits, retries=tries)(wide)
    flow.model(window=tm.last("7d", before=tm.last("3d")), resources=limits, retries=tries)(mod)
    flow.evaluate(window=tm.last("3d"), resources=limits, retries=tries)(scored)
    live = flow.approve(mod, gates=[tm.beats_live("mae")])
    flow.table(
        "out", model=live, features=wide, sink=tm.parquet("out"), resources=limits, retries=tries
    )
    sealed = seal(flow)
    assert sealed.deferrable
    assert {stage.resources for stage in sealed.stages} == {limits}
    assert {stage.retries for stage in sealed.stages} == {tries}
    assert not seal(full()).deferrable


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"resources": "2 cpus"}, "resources='2 cpus' was not made by tm.resources()"),
        ({"retries": 3}, "retries=3 was not made by tm.retries()"),
    ],
)
def test_what_is_neither_limits_nor_retries(options: dict[str, Any], says: str) -> None:
    flow = tm.Workflow("tides")
    flow.ingest(**options)(raw)
    flow.transform(wide)
    flow.model(**options)(mod)
    live = flow.approve(mod, gates=[])
    flow.table("out", model=live, features=wide, sink=tm.parquet("out"), **options)
    with pytest.raises(DeclarationError) as caught:
        seal(flow)
    found = [fault for fault in caught.value.faults if says in fault.message]
    assert [fault.message.split(":")[0] for fault in found] == [
        "ingest 'raw'",
        "model 'mod'",
        "deliver 'out'",
    ]
    assert {fault.hint for fault in found} == {f"write {name}=tm.{name}(...)" for name in options}
