"""Check how stages fit together: names, cycles, contracts, partitionings, windows, and approvals."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace

from tidemill.contracts.compatibility.unmet_demands import Unmet, unmet
from tidemill.contracts.spec import ContractSpec, Reads
from tidemill.core.errors import Fault, did_you_mean
from tidemill.workflow.guarantees import unmet_guarantees
from tidemill.workflow.partition_mapping import alike
from tidemill.workflow.stage import DATA, Input, Kind, Stage
from tidemill.workflow.window import Last, overlap, too_short, written


def wiring_faults(stages: Mapping[str, Stage], unclear: Collection[str] = ()) -> list[Fault]:
    """Return every fault in the connections between stages.

    Stages in `unclear` have faults themselves. Only the names that they use are checked, because their
    incomplete annotations would cause misleading further faults.
    """
    faults: list[Fault] = []
    clear = {name: stage for name, stage in stages.items() if name not in unclear}
    for stage in stages.values():
        faults += _unknown(stage, stages)
        if stage.name in clear:
            faults += _between(stage, clear)
        if stage.kind is Kind.MODEL and stage.approval:
            faults += _unscored(stage, stages)
    return faults + list(_cycles(stages))


def _between(stage: Stage, stages: Mapping[str, Stage]) -> Iterator[Fault]:
    for item in stage.inputs:
        if item.name in stages:
            yield from _input(stage, item, stages[item.name])
    if stage.kind is Kind.TRANSFORM and all(item.name in stages for item in stage.inputs):
        yield from _cut(stage, stages)
    if stage.kind is Kind.EVALUATE:
        yield from _evaluation(stage, stages)


def _fault(stage: Stage, message: str, hint: str = "") -> Fault:
    return Fault(message=f"{stage.kind} {stage.name!r}: {message}", where=stage.place, hint=hint)


def _unknown(stage: Stage, stages: Mapping[str, Stage]) -> Iterator[Fault]:
    for item in stage.inputs:
        if item.name not in stages:
            others = [name for name in stages if name != stage.name]
            message = f"there is no stage {item.name!r}"
            yield _fault(stage, message, did_you_mean(item.name, others))


def _input(stage: Stage, item: Input, producer: Stage) -> Iterator[Fault]:
    wants_model = item.contract is None and stage.kind is Kind.EVALUATE
    if wants_model != (producer.kind is Kind.MODEL) or producer.kind not in (*DATA, Kind.MODEL):
        yield _fault(
            stage, f"it can't read {item.name!r}, which is a stage of kind {producer.kind}"
        )
        return
    if producer.output is not None:
        yield from _unmet(stage, item, producer.output)
    partitioning = producer.partitioning
    if item.window is None:
        return
    if partitioning.grain is None:
        message = f"window={item.window} on {item.name!r}, which is {partitioning}"
        yield _fault(stage, message, "windows are for inputs partitioned by time")
    elif too_short(item.window, partitioning.grain):
        message = f"window={item.window} on {item.name!r} is shorter than a {partitioning.grain}"
        hint = f"{item.name!r} is partitioned {partitioning}: take at least one"
        yield _fault(stage, message, hint)


def _unmet(stage: Stage, item: Input, given: ContractSpec) -> Iterator[Fault]:
    """Yield what an input's annotation and declared reads require and its producer doesn't guarantee."""
    wanted = item.contract
    if wanted is not None and wanted != given:
        for found in unmet(wanted, given):
            yield _fault(stage, _asked(item, found, wanted, given), found.hint)
    if item.reads is not None:
        for found in unmet_guarantees(item.reads, given):
            message = _asked(item, found, item.reads, given)
            yield replace(_fault(stage, message, found.hint), where=item.reads.place)


def _asked(item: Input, found: Unmet, wanted: ContractSpec | Reads, given: ContractSpec) -> str:
    name = f"{item.name}.{found.about}"
    consumer = str(wanted) if isinstance(wanted, Reads) else wanted.name
    match found.term:
        case "exists":
            return f"{item.name!r} has no column {found.about!r} (contract {given.name})"
        case "type":
            return f"{name} is {found.given}, not {found.asked}"
    return f"{name}: {consumer} relies on {found.asked}, {given.name} says {found.given}"


def _cut(stage: Stage, stages: Mapping[str, Stage]) -> Iterator[Fault]:
    own = stage.partitioning
    if own.is_whole:
        return
    inputs = [stages[item.name].partitioning for item in stage.inputs]
    if not any(alike(own, other) for other in inputs):
        message = f"its output is partitioned {own}, but none of its inputs is"
        hint = "partition an input the same way, or don't partition the output"
        yield _fault(stage, message, hint)


def _evaluation(stage: Stage, stages: Mapping[str, Stage]) -> Iterator[Fault]:
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
            or overlap(trained.window, item.window, grain)
        ):
            message = (
                f"its window of {item.name!r} ({item.window or 'all'}) overlaps the training window "
                f"of {training.name!r} ({trained.window or 'all'})"
            )
            yield _fault(stage, message, f"train on tm.last(..., before={_before(item)})")


def _before(item: Input) -> str:
    """Return the window that training must end before: the evaluation's own, unless it is `tm.all`."""
    return written(item.window) if isinstance(item.window, Last) else "tm.last('7d')"


def _unscored(stage: Stage, stages: Mapping[str, Stage]) -> Iterator[Fault]:
    scored = [s for s in stages.values() if s.kind is Kind.EVALUATE and stage.name in _names(s)]
    if not scored:
        yield _fault(
            stage, "it is approved by gates, but nothing evaluates it", "add @flow.evaluate"
        )
    if len(scored) > 1:
        names = ", ".join(s.name for s in scored)
        yield _fault(stage, f"more than one stage evaluates it: {names}", "keep one")


def _names(stage: Stage) -> set[str]:
    return {item.name for item in stage.inputs}


def _waits(stage: Stage) -> set[str]:
    return _names(stage) | set(stage.refers.values())


def _cycles(stages: Mapping[str, Stage]) -> Iterator[Fault]:
    """Yield one fault that names all stages on cycles."""
    left = {name: _waits(stage) & set(stages) for name, stage in stages.items()}
    while ready := [name for name, needs in left.items() if not needs & set(left)]:
        for name in ready:
            del left[name]
    # A stage that only reads from a cycle isn't part of it: remove those from the other end, too.
    while idle := [name for name in left if not any(name in needs for needs in left.values())]:
        for name in idle:
            del left[name]
    if left:
        first = stages[next(iter(left))]
        path = " -> ".join(sorted(left))
        yield _fault(first, f"these stages wait for each other: {path}", "break the cycle")
