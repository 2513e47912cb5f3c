"""Attach declared folds to a stage's inputs, and translate columns between folds and their inputs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from tidemill.analysis.query.summary import Reads
from tidemill.core.errors import Fault, did_you_mean
from tidemill.workflow.incremental_fold import Fold, ResolvedFold
from tidemill.workflow.stage import Input, Stage


def with_folds(stage: Stage, declared: object) -> tuple[Stage, list[Fault]]:
    """Attach the declared folds to the inputs of a stage; return it with the faults of the declaration."""
    if not declared:
        return stage, []
    if not isinstance(declared, Mapping):
        message = f"fold={declared!r} doesn't map inputs to folds"
        return stage, [_fault(stage, message, hint='write fold={"flights": tm.fold(...)}')]
    names = [item.name for item in stage.frames]
    faults = [
        _fault(
            stage, f"fold of {name!r}, which is not one of its inputs", did_you_mean(name, names)
        )
        for name in declared
        if name not in names
    ]
    inputs = []
    for item in stage.inputs:
        found, more = (
            _fold_input(stage, item, declared[item.name]) if item.name in declared else (item, [])
        )
        inputs.append(found)
        faults += more
    return replace(stage, inputs=tuple(inputs)), faults


def _fault(stage: Stage, message: str, hint: str = "", where: str = "") -> Fault:
    text = f"{stage.kind} {stage.name!r}: {message}"
    return Fault(message=text, where=where or stage.place, hint=hint)


def _fold_input(stage: Stage, item: Input, fold: object) -> tuple[Input, list[Fault]]:
    if not isinstance(fold, Fold):
        message = f"fold={fold!r} of {item.name!r} is not a tm.fold(...)"
        return item, [_fault(stage, message, "write tm.fold('origin', n=tm.fold.count())")]
    if item.contract is None:
        return item, []
    found, problems = fold.resolve(fold, item.contract)
    declared = item.reads.columns if item.reads is not None else item.contract.names
    undeclared = [c for c in found.columns if c not in declared] if found is not None else []
    if undeclared:
        problems = (f"it reads {undeclared[0]!r}, which the stage doesn't declare ({item.reads})",)
    if problems:
        return item, [
            _fault(stage, f"its fold of {item.name!r}: {problem}", where=fold.place)
            for problem in problems
        ]
    return replace(item, fold=found), []


def input_columns(stage: Stage, reads: Reads) -> Reads:
    """Replace the columns of folds in `reads` by the columns of the inputs that they depend on.

    The group columns of a fold always count, even if no column of the fold is read.
    """
    folds = {item.name: item.fold for item in stage.inputs}
    return {
        name: columns
        if (fold := folds.get(name)) is None
        else _needed(fold, fold.dependencies, columns, fold.fold.by)
        for name, columns in reads.items()
    }


def value_columns(stage: Stage, reads: Reads) -> Reads:
    """Replace the columns of folds in `reads` by the columns that their values are computed from."""
    folds = {item.name: item.fold for item in stage.inputs}
    return {
        name: columns if (fold := folds.get(name)) is None else _needed(fold, fold.sources, columns)
        for name, columns in reads.items()
    }


def _needed(
    fold: ResolvedFold,
    needs: Mapping[str, Sequence[str]],
    columns: Iterable[str],
    always: Iterable[str] = (),
) -> tuple[str, ...]:
    needed = {*always, *(need for column in columns for need in needs[column])}
    return tuple(column for column in fold.columns if column in needed)


def readable_columns(stage: Stage, reads: Reads) -> Reads:
    """Return the columns of its frames that a stage may read if its step key covers `reads` of its inputs."""
    folds = {item.name: item.fold for item in stage.inputs}
    return {
        name: columns
        if (fold := folds.get(name)) is None
        else tuple(column for column, needs in fold.dependencies.items() if {*needs} <= {*columns})
        for name, columns in reads.items()
    }
