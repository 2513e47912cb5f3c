"""Compare the stages of two versions of a workflow: new, removed and renamed stages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal, TypeAlias

from tidemill.contracts.json_form import from_json, to_json
from tidemill.contracts.spec import ContractSpec
from tidemill.core.lazy_dataclass import dataclass
from tidemill.lineage.version_review import ContractReview
from tidemill.workflow.stage import Flow

ChangeKind: TypeAlias = Literal["new", "removed", "renamed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StageEntry:
    """A stage in a form that can be sent between processes: its kind, contract and inputs."""

    name: str
    kind: str
    contract: ContractSpec | None
    inputs: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StageChange:
    """A new or removed stage, or one that was renamed from `was`.

    `readers` are the stages that read a removed stage, each with what they read now.
    """

    stage: str
    what: ChangeKind
    kind: str
    was: str = ""
    readers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowChanges:
    """The stages and contracts of a workflow that changed."""

    stages: tuple[StageChange, ...] = ()
    contracts: tuple[ContractReview, ...] = ()

    @property
    def failed(self) -> bool:
        """Whether a change of a contract isn't allowed."""
        return any(item.failed for item in self.contracts)


def stage_entries(flow: Flow) -> dict[str, StageEntry]:
    """The stages of a workflow, by name."""
    return {
        stage.name: StageEntry(
            name=stage.name,
            kind=str(stage.kind),
            contract=stage.output,
            inputs=tuple(item.name for item in stage.inputs),
        )
        for stage in flow.stages
    }


def stages_as_json(found: Mapping[str, StageEntry]) -> list[dict[str, Any]]:
    """Encode stages as JSON, for `stages_from_json` in another process."""
    return [
        {
            "name": member.name,
            "kind": member.kind,
            "contract": to_json(member.contract),
            "inputs": list(member.inputs),
        }
        for member in found.values()
    ]


def stages_from_json(listed: list[dict[str, Any]]) -> dict[str, StageEntry]:
    """Decode what `stages_as_json` encoded."""
    return {
        each["name"]: StageEntry(
            name=each["name"],
            kind=each["kind"],
            contract=from_json(each["contract"]),
            inputs=tuple(each["inputs"]),
        )
        for each in listed
    }


def find_stage_changes(
    before: Mapping[str, StageEntry], after: Mapping[str, StageEntry]
) -> tuple[StageChange, ...]:
    """Find new, removed and renamed stages; a rename is recognised if exactly one stage matches."""
    renamed = _find_renames(before, after)
    was = {new: old for old, new in renamed.items()}
    found: list[StageChange] = []
    for name, member in after.items():
        if name in was:
            found.append(StageChange(stage=name, what="renamed", kind=member.kind, was=was[name]))
        elif name not in before:
            found.append(StageChange(stage=name, what="new", kind=member.kind))
    for name, member in before.items():
        if name not in after and name not in renamed:
            fates = tuple(_reader_changes(name, before, after, renamed))
            found.append(StageChange(stage=name, what="removed", kind=member.kind, readers=fates))
    return tuple(found)


def _find_renames(
    before: Mapping[str, StageEntry], after: Mapping[str, StageEntry]
) -> dict[str, str]:
    """New names by old ones."""
    gone = {name: member for name, member in before.items() if name not in after}
    came = {name: member for name, member in after.items() if name not in before}
    found: dict[str, str] = {}
    # A reader of a renamed stage may be renamed as well, so repeat until no more are found.
    while pairs := {
        old: fits[0]
        for old, member in gone.items()
        if old not in found
        and len(fits := [n for n, other in came.items() if _matches(member, other, found)]) == 1
        and sum(_matches(rival, came[fits[0]], found) for rival in gone.values()) == 1
    }:
        found.update(pairs)
    return found


def _matches(old: StageEntry, new: StageEntry, renamed: Mapping[str, str]) -> bool:
    inputs = tuple(renamed.get(name, name) for name in old.inputs)
    names = [member.contract.name if member.contract else "" for member in (old, new)]
    return (old.kind, inputs, names[0]) == (new.kind, new.inputs, names[1])


def _reader_changes(
    name: str,
    before: Mapping[str, StageEntry],
    after: Mapping[str, StageEntry],
    renamed: Mapping[str, str],
) -> Iterator[tuple[str, str]]:
    for reader, member in before.items():
        if name not in member.inputs:
            continue
        now = after.get(renamed.get(reader, reader))
        if now is None:
            yield reader, "also removed"
            continue
        fresh = [each for each in now.inputs if each not in member.inputs]
        yield now.name, f"now reads {', '.join(fresh)}" if fresh else "no longer reads it"


def earlier_contracts(
    before: Mapping[str, StageEntry], moves: tuple[StageChange, ...]
) -> dict[str, ContractSpec]:
    """The earlier contracts of stages, by the current names of the stages."""
    now = {move.was: move.stage for move in moves if move.what == "renamed"}
    return {
        now.get(name, name): member.contract
        for name, member in before.items()
        if member.contract is not None
    }
