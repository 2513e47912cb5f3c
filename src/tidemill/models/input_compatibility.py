"""Whether a trained model may be fed rows of a contract as it is now.

A model keeps the contract of the columns that it reads as it was in training, and what its training
declared to rely on. It is fed as long as what it learned from holds: the columns are there, of their type
or a wider one of the kind, in their unit, with what was promised of their values. Under another major
version the same columns mean something else; only a model that says what it relies on goes by that alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from tidemill.contracts.column import Column
from tidemill.contracts.compatibility.directions import types
from tidemill.contracts.compatibility.unmet_demands import unmet
from tidemill.contracts.json_form import read, written
from tidemill.contracts.spec import ContractSpec, Reads
from tidemill.workflow.guarantees import demands
from tidemill.workflow.model import Artifact
from tidemill.workflow.stage import Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class Learned:
    """What a model was trained on: its columns' contract, and what it declared to rely on."""

    contract: ContractSpec
    relies: ContractSpec | None


def recorded(reads: Reads) -> str:
    """The contract of the columns that a model reads, as an artifact keeps it."""
    spec = reads.contract
    # Words for people are no part of what was learned.
    columns = (replace(spec.column(name), description="") for name in reads.columns)
    own = ContractSpec(name=spec.name, version=spec.version, columns=tuple(columns))
    relies = demands(reads, spec) if reads.guarantees is not None else None
    return json.dumps({"contract": written(own), "relies": written(relies)})


def learned(artifact: Artifact) -> Learned | None:
    """What a model was trained on; None of one that was stored before that was kept."""
    if not artifact.reads:
        return None
    found = json.loads(artifact.reads)
    return Learned(contract=read(found["contract"]), relies=read(found["relies"]))


def refusal(artifact: Artifact, model: Stage, given: Iterable[ContractSpec | None]) -> str:
    """Why a model may not be fed rows of these contracts: what changed, and what to do; "" if it may."""
    known = learned(artifact)
    if known is None:
        return ""
    for spec in given:
        if spec is not None and _feeds(spec, known.contract):
            relies = _relies(known, model)
            changed = tuple(dict.fromkeys(_changed(known.contract, relies, spec)))
            if changed:
                return _told(artifact, known.contract, spec, changed)
    return ""


def _feeds(spec: ContractSpec, known: ContractSpec) -> bool:
    """Whether rows of a contract are what the model reads; other inputs of an evaluation aren't."""
    return spec.name == known.name or set(known.names) <= set(spec.names)


def _relies(known: Learned, model: Stage) -> ContractSpec | None:
    """What the model relies on; what its stage declares today counts more than what it did then."""
    for item in model.inputs:
        reads = item.reads
        if reads is None or reads.guarantees is None:
            continue
        if reads.contract.name == known.contract.name:
            return demands(reads, known.contract)
    return known.relies


def _changed(old: ContractSpec, relies: ContractSpec | None, given: ContractSpec) -> Iterator[str]:
    bare = tuple(Column(name=c.name, dtype=c.dtype, nullable=True) for c in old.columns)
    for wanted in (replace(old, columns=bare), old if relies is None else relies):
        for each in unmet(_widened(wanted, given), given):
            yield f"{each.name.removesuffix('.exists')}: {each.asked}, now {each.given}"
    for column in old.columns:
        unit = given.column(column.name).unit if column.name in given.names else column.unit
        if column.unit and unit != column.unit:
            yield f"{column.name}: unit {column.unit}, now {unit or 'none'}"
    if relies is None and given.name == old.name and _major(given) != _major(old):
        yield f"version {old.version}, now {given.version}, so that what its columns mean changed"


def _widened(wanted: ContractSpec, given: ContractSpec) -> ContractSpec:
    """Demands that ask of each column for its type as it is now, where every reader survives that."""
    columns = tuple(
        replace(column, dtype=given.column(column.name).dtype)
        if column.name in given.names
        and types(column.dtype, given.column(column.name).dtype).survived
        else column
        for column in wanted.columns
    )
    return replace(wanted, columns=columns)


def _major(spec: ContractSpec) -> str:
    return spec.version.partition(".")[0]


def _told(
    artifact: Artifact, old: ContractSpec, new: ContractSpec, changed: tuple[str, ...]
) -> str:
    columns = ", ".join(map(repr, old.names[:3])) + (", ..." if len(old.names) > 3 else "")
    return (
        f"{artifact.stage} {artifact.id} was trained on {old.name} {old.version} and is not fed "
        f"{new.name} {new.version}: {'; '.join(changed)}; train it anew (`tidemill run --train "
        f"{artifact.stage}`), or, if it reads them as before, say in its stage what it relies on: "
        f"reads=[{old.name}.reads({columns}, guarantees=[...])]"
    )


def unchecked(artifact: Artifact) -> str:
    """A note on a model that was stored before artifacts kept the contract of what they read."""
    if artifact.reads:
        return ""
    return (
        f"{artifact.stage} {artifact.id} doesn't say by which contract it was trained, so its rows "
        "aren't held against one; its next training will"
    )
