"""Check how stages fit together: names, cycles, contracts, partitionings, windows, and approvals."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from graphlib import CycleError, TopologicalSorter

from tidemill.contracts.compatibility.unmet_demands import UnmetDemand, unmet_demands
from tidemill.contracts.spec import ContractSpec, Reads
from tidemill.core.errors import Fault, UsageError, did_you_mean
from tidemill.workflow.delivery_wiring import delivery_faults, shared_place_faults
from tidemill.workflow.gate import split_metric
from tidemill.workflow.gate_kinds import metric_of
from tidemill.workflow.guarantees import unmet_guarantees
from tidemill.workflow.partition_mapping import inherited_zones, is_alike, resolve_partitionings
from tidemill.workflow.prediction_log import ARM, PREDICTION, VERSION
from tidemill.workflow.search_evaluation import search_evaluation
from tidemill.workflow.stage import DATA, Input, Kind, Stage
from tidemill.workflow.trigger import Degraded, PredictionShift, Trigger, leaf_triggers
from tidemill.workflow.window import Last, may_be_empty, may_overlap, window_code


def wiring_faults(stages: Mapping[str, Stage], faulty: Collection[str] = ()) -> list[Fault]:
    """Return every fault in the connections between stages.

    Stages in `faulty` have faults themselves. Only the names that they use are checked, because their
    incomplete annotations would cause misleading further faults.
    """
    faults: list[Fault] = []
    clear = {name: stage for name, stage in stages.items() if name not in faulty}
    for stage in stages.values():
        faults += _unknown_input_faults(stage, stages)
        if stage.name in clear:
            faults += _connection_faults(stage, clear)
        if stage.kind is Kind.MODEL and stage.approval:
            faults += _unscored_faults(stage, stages)
    for stage, message, hint in shared_place_faults(clear.values()):
        faults.append(_fault(stage, message, hint))
    faults += _zone_faults(clear)
    return faults + list(_cycle_faults(stages))


def _connection_faults(stage: Stage, stages: Mapping[str, Stage]) -> Iterator[Fault]:
    for item in stage.inputs:
        if item.name in stages:
            yield from _input_faults(stage, item, stages[item.name])
    if stage.kind is Kind.TRANSFORM and all(item.name in stages for item in stage.inputs):
        yield from _partitioning_faults(stage, stages)
    if stage.kind is Kind.EVALUATE:
        yield from _evaluation_faults(stage, stages)
        from tidemill.workflow.backtest import backtest_faults

        yield from backtest_faults(stage, stages)
    if stage.kind is Kind.DELIVER and all(item.name in stages for item in stage.inputs):
        for message, hint in delivery_faults(stage, stages):
            yield _fault(stage, message, hint)
    if stage.training is not None and stage.training.search is not None:
        yield from _search_faults(stage, stages)
    if stage.training is not None:
        yield from _watched_faults(stage, stages, stage.training.retrain)


def _fault(stage: Stage, message: str, hint: str = "") -> Fault:
    return Fault(message=f"{stage.kind} {stage.name!r}: {message}", where=stage.place, hint=hint)


def _unknown_input_faults(stage: Stage, stages: Mapping[str, Stage]) -> Iterator[Fault]:
    for item in stage.inputs:
        if item.name not in stages:
            others = [name for name in stages if name != stage.name]
            message = f"there is no stage {item.name!r}"
            yield _fault(stage, message, did_you_mean(item.name, others))


def _input_faults(stage: Stage, item: Input, producer: Stage) -> Iterator[Fault]:
    wants_model = item.contract is None and stage.kind is Kind.EVALUATE
    if producer.kind is Kind.DELIVER and producer.output is None:
        message = f"it can't read {item.name!r}, whose rows have no contract"
        yield _fault(stage, message, "declare one: flow.table(..., contract=Scored)")
        return
    is_readable = producer.kind in (*DATA, Kind.MODEL, Kind.DELIVER)
    if wants_model != (producer.kind is Kind.MODEL) or not is_readable:
        yield _fault(
            stage, f"it can't read {item.name!r}, which is a stage of kind {producer.kind}"
        )
        return
    if producer.output is not None:
        yield from _unmet_faults(stage, item, producer.output)
    partitioning = producer.partitioning
    if item.window is None:
        return
    if partitioning.grain is None:
        message = f"window={item.window} on {item.name!r}, which is {partitioning}"
        hint = "windows are for inputs partitioned by time"
        if stage.kind is Kind.MODEL:
            hint += "; leave window out: a model sees all rows of this input"
        yield _fault(stage, message, hint)
    elif may_be_empty(item.window, partitioning.grain):
        message = f"window={item.window} on {item.name!r} is shorter than a {partitioning.grain}"
        hint = f"{item.name!r} is partitioned {partitioning}: take at least one"
        yield _fault(stage, message, hint)


def _unmet_faults(stage: Stage, item: Input, offered: ContractSpec) -> Iterator[Fault]:
    """Yield what an input's annotation and declared reads require and its producer doesn't guarantee."""
    wanted = item.contract
    if wanted is not None and wanted != offered:
        for found in unmet_demands(wanted, offered):
            yield _fault(stage, _unmet_message(item, found, wanted, offered), found.hint)
    if item.reads is not None:
        for found in unmet_guarantees(item.reads, offered):
            message = _unmet_message(item, found, item.reads, offered)
            yield replace(_fault(stage, message, found.hint), where=item.reads.place)


def _unmet_message(
    item: Input, found: UnmetDemand, wanted: ContractSpec | Reads, offered: ContractSpec
) -> str:
    name = f"{item.name}.{found.about}"
    consumer = str(wanted) if isinstance(wanted, Reads) else wanted.name
    match found.term:
        case "exists":
            return f"{item.name!r} has no column {found.about!r} (contract {offered.name})"
        case "type":
            return f"{name} is {found.given}, not {found.asked}"
    return f"{name}: {consumer} relies on {found.asked}, {offered.name} says {found.given}"


def _partitioning_faults(stage: Stage, stages: Mapping[str, Stage]) -> Iterator[Fault]:
    own = stage.partitioning
    if own.is_whole:
        return
    inputs = [stages[item.name].partitioning for item in stage.inputs]
    if not any(is_alike(own, other) for other in inputs):
        message = f"its output is partitioned {own}, but none of its inputs is"
        hint = "partition an input the same way, or don't partition the output"
        yield _fault(stage, message, hint)


def _zone_faults(stages: Mapping[str, Stage]) -> Iterator[Fault]:
    """Yield stages whose partition column could be in several time zones."""
    cuts = resolve_partitionings([*stages.values()])
    for stage in stages.values():
        zones = sorted(inherited_zones(stage, cuts))
        if len(zones) > 1:
            own = stage.partitioning
            message = (
                f"its partition column {own.column!r} has no time zone, and those of its inputs "
                f"have {' and '.join(zones)}"
            )
            hint = f"make {own.column!r} a tm.Datetime with a time zone, which decides"
            yield _fault(stage, message, hint)


def _evaluation_faults(stage: Stage, stages: Mapping[str, Stage]) -> Iterator[Fault]:
    models = [item.name for item in stage.inputs if item.contract is None]
    if len(models) != 1:
        yield _fault(stage, f"it needs exactly one tm.Predictor, it has {len(models)}")
        return
    training = stages.get(models[0])
    if training is None or training.kind is not Kind.MODEL:
        return
    for item in stage.frames:
        grain = stages[item.name].partitioning.grain if item.name in stages else None
        trained = next((i for i in training.inputs if i.name == item.name), None)
        if grain is None:
            continue
        if trained is None:
            # Its newest partition may be older: the evaluation window would overlap the training.
            message = f"it reads {item.name!r} by time, which the model {training.name!r} does not"
            hint = f"add it to the inputs of {training.name!r}, so that both windows end together"
            yield _fault(stage, message, hint)
        elif (
            trained.window is None
            or item.window is None
            or may_overlap(trained.window, item.window, grain)
        ):
            message = (
                f"its window of {item.name!r} ({item.window or 'all'}) overlaps the training window "
                f"of {training.name!r} ({trained.window or 'all'})"
            )
            yield _fault(stage, message, f"train on tm.last(..., before={_training_end(item)})")


def _search_faults(stage: Stage, stages: Mapping[str, Stage]) -> Iterator[Fault]:
    try:
        search_evaluation(stage, stages.values())
    except UsageError as error:
        yield _fault(stage, str(error))
    inputs = [stages[item.name] for item in stage.frames if item.name in stages]
    if inputs and not any(each.partitioning.is_time for each in inputs):
        message = (
            "its search holds out the last part of the training window, and no input is by time"
        )
        yield _fault(stage, message, "partition an input by time: tm.Date(partition='1d')")


def _training_end(item: Input) -> str:
    """Return the window that training must end before: the evaluation's own, unless it is `tm.all`."""
    return window_code(item.window) if isinstance(item.window, Last) else "tm.last('7d')"


def _unscored_faults(stage: Stage, stages: Mapping[str, Stage]) -> Iterator[Fault]:
    names = [s.name for s in _evaluations(stage, stages)]
    if not names:
        yield _fault(
            stage, "it is approved by gates, but nothing evaluates it", "add @flow.evaluate"
        )
    for gate in stage.approval.gates if stage.approval else ():
        if metric := metric_of(gate):
            yield from _metric_faults(stage, metric, names)


def _watched_faults(
    stage: Stage, stages: Mapping[str, Stage], trigger: Trigger | None
) -> Iterator[Fault]:
    """Yield a trigger that watches a metric of what doesn't evaluate the model, or what is no log."""
    names = [s.name for s in _evaluations(stage, stages)]
    for leaf in leaf_triggers(trigger):
        if isinstance(leaf, PredictionShift) and leaf.of:
            for message, hint in _log_faults(leaf.of, stages):
                yield _fault(stage, f"a trigger is {leaf}, but {message}", hint)
        evaluation = split_metric(leaf.metric)[0] if isinstance(leaf, Degraded) else ""
        if evaluation and evaluation not in names:
            message = f"a trigger is {leaf}, but no stage {evaluation!r} evaluates it"
            yield _fault(stage, message, did_you_mean(evaluation, names))


def _log_faults(name: str, stages: Mapping[str, Stage]) -> Iterator[tuple[str, str]]:
    """Say why predictions that were served can't be read from a stage."""
    stage = stages.get(name)
    if stage is None:
        yield f"there is no stage {name!r}", did_you_mean(name, stages)
        return
    known = [column.name for column in stage.output.columns] if stage.output is not None else []
    for column in (VERSION, ARM, PREDICTION):
        if column not in known:
            yield (
                f"stage {name!r} is no log of predictions: it has no column {column!r}",
                "name the ingest whose contract tm.prediction_log made",
            )
            return
    if not stage.partitioning.is_time:
        yield f"stage {name!r} is {stage.partitioning}", "partition the log by time"


def _evaluations(model: Stage, stages: Mapping[str, Stage]) -> list[Stage]:
    return [s for s in stages.values() if s.kind is Kind.EVALUATE and model.name in _input_names(s)]


def _metric_faults(stage: Stage, name: str, evaluations: list[str]) -> Iterator[Fault]:
    """Yield a metric that doesn't say which of several evaluations it is of, or that names none of them."""
    evaluation, metric = split_metric(name)
    if evaluation and evaluation not in evaluations:
        message = f"a gate looks at {name!r}, but no stage {evaluation!r} evaluates it"
        yield _fault(stage, message, did_you_mean(evaluation, evaluations))
    elif not evaluation and len(evaluations) > 1:
        qualified = " or ".join(repr(f"{each}.{metric}") for each in evaluations)
        message = f"a gate looks at {name!r}, but several stages evaluate it"
        yield _fault(stage, message, f"name one: {qualified}")


def _input_names(stage: Stage) -> set[str]:
    return {item.name for item in stage.inputs}


def upstreams(stages: Mapping[str, Stage]) -> dict[str, set[str]]:
    """The stages that have to be done before each: a table also waits until its model is judged."""
    judged: dict[str, set[str]] = {}
    for stage in stages.values():
        if stage.kind is Kind.EVALUATE:
            for name in _input_names(stage):
                judged.setdefault(name, set()).add(stage.name)
    found = {name: _input_names(stage) | {*stage.refers.values()} for name, stage in stages.items()}
    for name, stage in stages.items():
        if stage.model:
            found[name] |= {stage.model, *judged.get(stage.model, ())}
    return found


def _cycle_faults(stages: Mapping[str, Stage]) -> Iterator[Fault]:
    """Yield one fault that names all stages on cycles."""
    needs = {name: found & stages.keys() for name, found in upstreams(stages).items()}
    stuck = _never_ready(needs)
    # A stage that only reads from a cycle isn't part of it: remove those from the other end, too.
    left = _never_ready({name: {n for n in stuck if name in needs[n]} for name in stuck})
    if left:
        first = stages[next(iter(left))]
        path = " -> ".join(sorted(left))
        scored = next((n for n in sorted(left) if stages[n].kind is Kind.DELIVER), "")
        hint = "break the cycle"
        if scored:
            hint = (
                f"read what {scored!r} delivered through an ingest, which sees that of earlier runs"
            )
        yield _fault(first, f"these stages wait for each other: {path}", hint)


def _never_ready(needs: Mapping[str, set[str]]) -> list[str]:
    """The names that are on a cycle or need one that is, in order; `needs` has what each waits for."""
    sorter, left = TopologicalSorter(needs), dict.fromkeys(needs)
    with suppress(CycleError):
        sorter.prepare()
    while ready := sorter.get_ready():
        sorter.done(*ready)
        for name in ready:
            del left[name]
    return list(left)
