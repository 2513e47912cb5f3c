"""Check whether a trained model can be fed rows of a contract in its current version.

An artifact stores the contract of the columns that the model reads, as it was in training, and the
guarantees that it relied on. The model stays compatible while the columns exist with the same type (or a
wider one of its kind), unit and guarantees. A new major version of the contract makes it incompatible,
unless its stage declares the guarantees that it relies on: then only these count.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import replace

from tidemill.contracts.column import Column
from tidemill.contracts.compatibility.directions import judge_type
from tidemill.contracts.compatibility.unmet_demands import unmet_demands
from tidemill.contracts.json_form import from_json, to_json
from tidemill.contracts.spec import ContractSpec, Reads
from tidemill.core.lazy_dataclass import dataclass
from tidemill.workflow.guarantees import required_contract
from tidemill.workflow.model import Artifact
from tidemill.workflow.stage import Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedInputs:
    """The input contract of a model in training, and the guarantees that it declared to rely on."""

    contract: ContractSpec
    guarantees: ContractSpec | None


def inputs_as_json(reads: Reads) -> str:
    """Serialise the contract of the columns that a model reads, to be stored in its artifact (JSON)."""
    spec = reads.contract
    # Descriptions don't affect what a model learns.
    columns = (replace(spec.column(name), description="") for name in reads.columns)
    own = ContractSpec(name=spec.name, version=spec.version, columns=tuple(columns))
    relies = required_contract(reads, spec) if reads.guarantees is not None else None
    return json.dumps({"contract": to_json(own), "relies": to_json(relies)})


def column_as_json(spec: ContractSpec, name: str) -> str:
    """Serialise the contract of the column that a model predicts, to be stored in its artifact (JSON)."""
    own = ContractSpec(name=spec.name, version=spec.version, columns=(spec.column(name),))
    return json.dumps(to_json(own))


def trained_inputs(artifact: Artifact) -> TrainedInputs | None:
    """Return the input contract of a model in training; None if its artifact is too old to have one."""
    if not artifact.reads:
        return None
    found = json.loads(artifact.reads)
    return TrainedInputs(
        contract=from_json(found["contract"]), guarantees=from_json(found["relies"])
    )


def incompatibility(
    artifact: Artifact, model: Stage, contracts: Iterable[ContractSpec | None]
) -> str:
    """Return why a model can't be fed rows of these contracts, and what to do; "" if it can."""
    known = trained_inputs(artifact)
    if known is None:
        return ""
    for spec in contracts:
        if spec is not None and _is_input(spec, known.contract):
            relies = _required_guarantees(known, model)
            changed = tuple(dict.fromkeys(_changes(known.contract, relies, spec)))
            if changed:
                return _incompatibility_message(artifact, known.contract, spec, changed)
    return ""


def input_contract(
    artifact: Artifact, contracts: Iterable[ContractSpec | None]
) -> ContractSpec | None:
    """Return the contract, in its current version, whose rows a model reads; None if there is none."""
    known = trained_inputs(artifact)
    wanted = set(artifact.inputs)
    candidates = (spec for spec in contracts if spec is not None and wanted <= set(spec.names))
    return next((s for s in candidates if known is None or _is_input(s, known.contract)), None)


def _is_input(spec: ContractSpec, known: ContractSpec) -> bool:
    """Whether the model reads rows of this contract; other inputs of an evaluation don't count."""
    return spec.name == known.name or set(known.names) <= set(spec.names)


def _required_guarantees(known: TrainedInputs, model: Stage) -> ContractSpec | None:
    """Return the guarantees that the model relies on; current declarations override those in training."""
    for item in model.inputs:
        reads = item.reads
        if reads is None or reads.guarantees is None:
            continue
        if reads.contract.name == known.contract.name:
            return required_contract(reads, known.contract)
    return known.guarantees


def _changes(
    old: ContractSpec, relies: ContractSpec | None, current: ContractSpec
) -> Iterator[str]:
    bare = tuple(Column(name=c.name, dtype=c.dtype, nullable=True) for c in old.columns)
    for wanted in (replace(old, columns=bare), old if relies is None else relies):
        for each in unmet_demands(_with_current_types(wanted, current), current):
            yield f"{each.name.removesuffix('.exists')}: {each.asked}, now {each.given}"
    for column in old.columns:
        unit = current.column(column.name).unit if column.name in current.names else column.unit
        if column.unit and unit != column.unit:
            yield f"{column.name}: unit {column.unit}, now {unit or 'none'}"
    if relies is None and current.name == old.name and _major(current) != _major(old):
        yield f"version {old.version}, now {current.version}, so the meaning of its columns changed"


def _with_current_types(wanted: ContractSpec, current: ContractSpec) -> ContractSpec:
    """Replace required column types by the current ones, where that is compatible with all readers."""
    columns = tuple(
        replace(column, dtype=current.column(column.name).dtype)
        if column.name in current.names
        and judge_type(column.dtype, current.column(column.name).dtype).survived
        else column
        for column in wanted.columns
    )
    return replace(wanted, columns=columns)


def _major(spec: ContractSpec) -> str:
    return spec.version.partition(".")[0]


def _incompatibility_message(
    artifact: Artifact, old: ContractSpec, new: ContractSpec, changed: tuple[str, ...]
) -> str:
    columns = ", ".join(map(repr, old.names[:3])) + (", ..." if len(old.names) > 3 else "")
    return (
        f"{artifact.stage} {artifact.id} was trained on {old.name} {old.version} and can't be fed "
        f"{new.title}: {'; '.join(changed)}; retrain it (`tidemill run --train "
        f"{artifact.stage}`), or, if the change doesn't affect it, declare what its stage relies on: "
        f"reads=[{old.name}.reads({columns}, guarantees=[...])]"
    )


def unchecked_note(artifact: Artifact) -> str:
    """Return a note about an artifact without an input contract, stored by an older version."""
    if artifact.reads:
        return ""
    return (
        f"{artifact.stage} {artifact.id} has no record of the contract that it was trained on, so its "
        "input isn't checked; retraining adds it"
    )
