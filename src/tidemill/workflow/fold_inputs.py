"""Which inputs of a stage are folded, and what its key covers of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from tidemill.analysis.query.summary import Reads
from tidemill.core.errors import Fault, did_you_mean
from tidemill.workflow.incremental_fold import Fold
from tidemill.workflow.stage import Input, Stage


def with_folds(stage: Stage, said: object) -> tuple[Stage, list[Fault]]:
    """A stage whose inputs are folded as it declares; what can't be folded is a fault."""
    if not said:
        return stage, []
    if not isinstance(said, Mapping):
        message = f"fold={said!r} doesn't say which input is folded"
        return stage, [_fault(stage, message, hint='write fold={"flights": tm.fold(...)}')]
    names = [item.name for item in stage.frames]
    faults = [
        _fault(
            stage, f"a fold of {name!r}, which is not one of its inputs", did_you_mean(name, names)
        )
        for name in said
        if name not in names
    ]
    inputs = []
    for item in stage.inputs:
        found, more = _folded(stage, item, said[item.name]) if item.name in said else (item, [])
        inputs.append(found)
        faults += more
    return replace(stage, inputs=tuple(inputs)), faults


def _fault(stage: Stage, message: str, hint: str = "", where: str = "") -> Fault:
    told = f"{stage.kind} {stage.name!r}: {message}"
    return Fault(message=told, where=where or stage.place, hint=hint)


def _folded(stage: Stage, item: Input, fold: object) -> tuple[Input, list[Fault]]:
    if not isinstance(fold, Fold):
        message = f"fold={fold!r} of {item.name!r} is not what tm.fold() gives"
        return item, [_fault(stage, message, "write tm.fold('origin', n=tm.fold.count())")]
    if item.contract is None:
        return item, []
    found, problems = fold.told(fold, item.contract)
    declared = item.reads.columns if item.reads is not None else item.contract.names
    beyond = [name for name in found.columns if name not in declared] if found is not None else []
    if beyond:
        problems = (f"it reads {beyond[0]!r}, which the stage doesn't declare ({item.reads})",)
    if problems:
        return item, [
            _fault(stage, f"its fold of {item.name!r}: {problem}", where=fold.place)
            for problem in problems
        ]
    return replace(item, fold=found), []


def sources(stage: Stage, reads: Reads) -> Reads:
    """The columns of inputs that those of `reads` depend on, where these are of folds.

    Of a fold of which no column is read the groups still count.
    """
    found = {item.name: item.fold for item in stage.inputs}
    told: dict[str, tuple[str, ...]] = {}
    for name, columns in reads.items():
        fold = found.get(name)
        if fold is None:
            told[name] = columns
            continue
        needed = {*fold.fold.by, *(need for column in columns for need in fold.needs[column])}
        told[name] = tuple(column for column in fold.columns if column in needed)
    return told


def offered(stage: Stage, reads: Reads) -> Reads:
    """What a stage may ask for of its frames, if its key covers `reads` of its inputs."""
    found = {item.name: item.fold for item in stage.inputs}
    return {
        name: columns
        if (fold := found.get(name)) is None
        else tuple(made for made, needs in fold.needs.items() if {*needs} <= {*columns})
        for name, columns in reads.items()
    }
