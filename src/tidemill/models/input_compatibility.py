"""Check whether a trained model can be fed rows of a contract in its current version.

An artifact stores the contract of the columns that the model reads, as it was in training, and the
guarantees that it relied on. The model stays compatible while the columns exist with the same type (or a
wider one of its kind), unit and guarantees. A new major version of the contract makes it incompatible,
unless its stage declares the guarantees that it relies on: then only these count.
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
    """The input contract of a model in training, and the guarantees that it declared to rely on."""

    contract: ContractSpec
    relies: ContractSpec | None


def recorded(reads: Reads) -> str:
    """Serialise the contract of the columns that a model reads, to be stored in its artifact (JSON)."""
    spec = reads.contract
    # Descriptions don't affect what a model learns.
    columns = (replace(spec.column(name), description="") for name in reads.columns)
    own = ContractSpec(name=spec.name, version=spec.version, columns=tuple(columns))
    relies = demands(reads, spec) if reads.guarantees is not None else None
    return json.dumps({"contract": written(own), "relies": written(relies)})


def learned(artifact: Artifact) -> Learned | None:
    """Return the input contract of a model in training; None if its artifact is too old to have one."""
    if not artifact.reads:
        return None
    found = json.loads(artifact.reads)
    return Learned(contract=read(found["contract"]), relies=read(found["relies"]))


def refusal(artifact: Artifact, model: Stage, given: Iterable[ContractSpec | None]) -> str:
    """Return why a model can't be fed rows of these contracts, and what to do; "" if it can."""
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
    """Whether the model reads rows of this contract; other inputs of an evaluation don't count."""
    return spec.name == known.name or set(known.names) <= set(spec.names)


def _relies(known: Learned, model: Stage) -> ContractSpec | None:
    """Return the guarantees that the model relies on; current declarations override those in training."""
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
        yield f"version {old.version}, now {given.version}, so the meaning of its columns changed"


def _widened(wanted: ContractSpec, given: ContractSpec) -> ContractSpec:
    """Replace required column types by the current ones, where that is compatible with all readers."""
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
        f"{artifact.stage} {artifact.id} was trained on {old.name} {old.version} and can't be fed "
        f"{new.name} {new.version}: {'; '.join(changed)}; retrain it (`tidemill run --train "
        f"{artifact.stage}`), or, if the change doesn't affect it, declare what its stage relies on: "
        f"reads=[{old.name}.reads({columns}, guarantees=[...])]"
    )


def unchecked(artifact: Artifact) -> str:
    """Return a note about an artifact without an input contract, stored by an older version."""
    if artifact.reads:
        return ""
    return (
        f"{artifact.stage} {artifact.id} has no record of the contract that it was trained on, so its "
        "input isn't checked; retraining adds it"
    )
