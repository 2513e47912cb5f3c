"""Resolve references between contracts to stages: which stage produces the contract that a rule names."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace

from tidemill.contracts.table_rules import ReferenceRule
from tidemill.core.errors import Fault, did_you_mean
from tidemill.workflow.stage import DATA, Stage


def resolve_references(
    stages: Mapping[str, Stage], faulty: Collection[str] = ()
) -> tuple[dict[str, Stage], list[Fault]]:
    """Set `Stage.refers`, which maps each reference rule to its stage; return the stages and the faults.

    Stages in `unclear` have faults themselves. If the output contract of one is unknown, an unresolved
    reference may mean that stage, and isn't reported.
    """
    faults: list[Fault] = []
    found: dict[str, Stage] = {}
    hidden = any(stages[name].output is None for name in faulty)
    for name, stage in stages.items():
        refers: dict[str, str] = {}
        for rule in reference_rules(stage):
            given = _producers(rule, stages)
            if len(given) == 1:
                refers[rule.name] = given[0]
            elif given or not hidden:
                faults.append(_fault(stage, rule, given, stages))
        found[name] = replace(stage, refers=refers) if refers else stage
    return found, faults


def reference_rules(stage: Stage) -> Iterator[ReferenceRule]:
    """Yield the reference rules of a stage's output contract."""
    for rule in stage.output.table_rules if stage.output is not None else ():
        if isinstance(rule, ReferenceRule):
            yield rule


def _producers(rule: ReferenceRule, stages: Mapping[str, Stage]) -> list[str]:
    """Return the names of the stages that produce the contract of a rule, or just the one it names."""
    return [
        name
        for name, stage in stages.items()
        if rule.stage in ("", name)
        and stage.kind in DATA
        and stage.output is not None
        and (stage.output.name, stage.output.place) == (rule.contract, rule.place)
    ]


def _fault(
    stage: Stage, rule: ReferenceRule, producers: Sequence[str], stages: Mapping[str, Stage]
) -> Fault:
    about = f"{stage.kind} {stage.name!r}: {rule.name}: {rule.contract} ({rule.place})"
    if producers:
        names = ", ".join(producers)
        hint = f"name one: References(..., stage={producers[0]!r})"
        message = f"{about} is produced by several stages: {names}"
        return Fault(message=message, where=stage.place, hint=hint)
    if rule.stage:
        message = f"{about} is not the output of a stage {rule.stage!r}"
        hint = did_you_mean(rule.stage, [name for name, s in stages.items() if s.kind in DATA])
        return Fault(message=message, where=stage.place, hint=hint)
    hint = f"declare one, such as @flow.ingest ... -> tm.Source[{rule.contract}]"
    return Fault(message=f"{about} isn't the output of any stage", where=stage.place, hint=hint)
