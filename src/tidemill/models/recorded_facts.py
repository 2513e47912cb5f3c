"""Judge a candidate by what is recorded: its size, its age, its contracts, its personal columns.

What isn't known never passes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import field
from datetime import UTC
from typing import NamedTuple

from tidemill.contracts.spec import ContractSpec
from tidemill.core.counts import plural
from tidemill.core.errors import UsageError
from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.partition import shown_key, time_bounds
from tidemill.ledger.binding import Binding
from tidemill.models.input_compatibility import incompatibility, trained_inputs, unchecked_note
from tidemill.workflow.endpoint import Endpoint
from tidemill.workflow.gate import GateResult
from tidemill.workflow.model import Artifact
from tidemill.workflow.model_places import places_of
from tidemill.workflow.recorded_gates import (
    ContractOk,
    FactGate,
    Fresh,
    NoPiiTo,
    Size,
)
from tidemill.workflow.stage import Kind, Stage

_DAY_S = 86_400.0
_SHOWN = 3
_BYTES = ("B", "kB", "MB", "GB", "TB")


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedFacts:
    """What gates know of a candidate besides its scores.

    `sizes` are the bytes of its stored objects, in the order of its record; None for a missing one. `through`
    is the newest partition that it was evaluated on. `training` has what is published now of the partitions
    that it was trained on, by input; None for one that is gone.
    """

    artifact: Artifact
    model: Stage
    now: float
    sizes: tuple[int | None, ...] = ()
    through: str = ""
    stages: Mapping[str, Stage] = field(default_factory=dict)
    endpoints: tuple[Endpoint, ...] = ()
    training: Mapping[str, Mapping[str, Binding | None]] = field(default_factory=dict)


def judge_facts(gate: FactGate, facts: RecordedFacts) -> GateResult:
    """Judge one gate by recorded facts."""
    match gate:
        case Size():
            return _judge_size(gate, facts)
        case Fresh():
            return _judge_age(gate, facts)
        case ContractOk():
            return _judge_contracts(gate, facts)
        case _:
            return _judge_personal_data(gate, facts)


def _judge_size(gate: Size, facts: RecordedFacts) -> GateResult:
    missing = [
        name
        for name, size in zip(facts.artifact.all_objects, facts.sizes, strict=False)
        if size is None
    ]
    if missing or len(facts.sizes) != len(facts.artifact.all_objects):
        return _failed(gate, "a stored object of the model is missing: its size isn't known")
    known = [size for size in facts.sizes if size is not None]
    total = sum(known)
    parts = f" (the model {_size(known[0])}, recorded rows {_size(known[1])})" if known[1:] else ""
    evidence = f"{_size(total)}, at most {_size(gate.most)}{parts}"
    return GateResult(gate=str(gate), passed=0 < total <= gate.most, evidence=evidence)


def _judge_age(gate: Fresh, facts: RecordedFacts) -> GateResult:
    trained = [key for keys in facts.artifact.trained_on.values() for key in keys]
    wanted = {"training": trained, "evaluation": [facts.through]}
    keys = wanted.get(gate.of, [*trained, facts.through])
    spans = [span for key in keys if (span := _seconds(key)) is not None]
    if spans:
        begins, ends, key = max(spans, key=lambda span: span[1])
        # A clock that is a day off is a time zone; more means that an age says nothing.
        if not math.isfinite(facts.now) or begins > facts.now + _DAY_S:
            return _failed(
                gate, f"its newest data is of {key}, which has not begun: check the clock"
            )
        age, what = max(0.0, facts.now - ends), f"its data of {key}"
    elif gate.of != "evaluation" and facts.artifact.data_at > 0:
        begins = facts.artifact.data_at
        if not math.isfinite(facts.now - begins) or begins > facts.now + _DAY_S:
            return _failed(gate, "its newest data was published in the future: check the clock")
        age, what = max(0.0, facts.now - begins), "its training data"
    else:
        return GateResult(
            gate=str(gate), passed=False, unknown=True,
            evidence="it isn't recorded how old its data is: not enough data to tell",
        )  # fmt: skip
    evidence = f"{what} is {_age(age)} old, at most {_age(gate.within_s)}"
    passed = math.isfinite(age) and age <= gate.within_s
    return GateResult(gate=str(gate), passed=passed, evidence=evidence)


def _seconds(key: str) -> tuple[float, float, str] | None:
    """When a partition by time begins and ends (Unix seconds, UTC), with its name; None for another."""
    try:
        begins, ends = time_bounds(key)
    except UsageError:
        return None
    return begins.replace(tzinfo=UTC).timestamp(), ends.replace(tzinfo=UTC).timestamp(), key


def _judge_contracts(gate: ContractOk, facts: RecordedFacts) -> GateResult:
    artifact = facts.artifact
    if note := unchecked_note(artifact):
        return _failed(gate, note)
    feeds = [*_feeds(facts)]
    broken = [why for feed in feeds if (why := _misfit(feed, facts))]
    if broken:
        return _failed(gate, _listed(broken))
    wanted = set(artifact.inputs)
    fitting = [feed.contract.title for feed in feeds if wanted <= set(feed.contract.names)]
    if not fitting:
        return _failed(gate, f"no stage has the columns {', '.join(artifact.inputs)} any more")
    if refused := [*_refused_partitions(facts)]:
        return _failed(gate, _listed(refused))
    bindings = [b for bound in facts.training.values() for b in bound.values() if b is not None]
    rows = sum(binding.product.rows for binding in bindings)
    bad = sum(binding.product.quarantined for binding in bindings)
    share = bad / (rows + bad) if rows + bad else math.inf
    quarantine = f"{plural(bad, 'row')} of {rows + bad:,} in quarantine"
    if not rows:
        return _failed(gate, "none of the rows that it was trained on are published any more")
    evidence = f"fits {', '.join(dict.fromkeys(fitting))}; {quarantine}"
    if share > gate.max_quarantined:
        return _failed(gate, f"{quarantine}, at most {gate.max_quarantined:.3g} of them")
    return GateResult(gate=str(gate), passed=True, evidence=evidence)


class _Feed(NamedTuple):
    """A stage whose rows the model may read; `user` scores all of them, "" if only some inputs are read."""

    stage: str
    contract: ContractSpec
    user: str = ""


def _feeds(facts: RecordedFacts) -> Iterator[_Feed]:
    """The stages whose rows the model reads: in training and evaluations, for tables and endpoints."""
    model, stages = facts.model, facts.stages
    found = {(item.name, "") for item in model.frames}
    for stage in stages.values():
        if stage.kind is Kind.EVALUATE and any(item.name == model.name for item in stage.inputs):
            found |= {(item.name, "") for item in stage.frames}
        if stage.kind is Kind.DELIVER and stage.model == model.name:
            found |= {(item.name, f"table {stage.name}") for item in stage.inputs}
    for endpoint in facts.endpoints:
        if endpoint.model == model.name and endpoint.features:
            found.add((endpoint.features, f"endpoint {endpoint.name}"))
    for name, user in sorted(found):
        contract = stages[name].output
        assert contract is not None
        yield _Feed(name, contract, user)


def _misfit(feed: _Feed, facts: RecordedFacts) -> str:
    """Why the model can't be fed by a stage; "" if it can, or if it reads other inputs."""
    lacking = [name for name in facts.artifact.inputs if name not in feed.contract.names]
    if feed.user and lacking:
        return f"{feed.user}: {feed.stage} has no column {', '.join(lacking)}"
    why = incompatibility(facts.artifact, facts.model, [feed.contract])
    return f"{feed.stage}: {why}" if why else ""


def _refused_partitions(facts: RecordedFacts) -> Iterator[str]:
    for name, bound in facts.training.items():
        for key, binding in bound.items():
            if binding is None:
                yield f"{name} {shown_key(key)} that it was trained on is gone"
                continue
            for finding in binding.findings:
                if finding.severity == "fail":
                    yield f"{name} {shown_key(key)}: {finding.message}"


def _judge_personal_data(gate: NoPiiTo, facts: RecordedFacts) -> GateResult:
    if not facts.artifact.reads and not facts.model.frames:
        return _failed(gate, "it isn't recorded what the model reads")
    marks = _marks(facts)
    read = {name: marks[name] for name in facts.artifact.inputs if name in marks}
    reached: list[str] = []
    matched: list[str] = []
    for place in places_of(facts.model.name, facts.stages, facts.endpoints):
        if not gate.matches(place.names):
            continue
        matched.append(place.label)
        reached += [f"{place.label}: the model reads {n} ({kind})" for n, kind in read.items()]
        reached += [
            f"{place.label}: it delivers {c.name} ({c.pii})" for c in place.columns if c.pii
        ]
    if not matched:
        return _failed(
            gate, f"no endpoint, table or sink of the model matches {_listed(gate.targets)}"
        )
    if reached:
        return _failed(gate, _listed(reached))
    return GateResult(
        gate=str(gate), passed=True,
        evidence=f"no personal column reaches {', '.join(matched)}",
    )  # fmt: skip


def _marks(facts: RecordedFacts) -> dict[str, str]:
    """The kinds of personal data of columns, in the contracts of today and in that of training."""
    trained = trained_inputs(facts.artifact)
    contracts = [item.contract for item in facts.model.frames]
    contracts += [trained.contract] if trained is not None else []
    return {
        column.name: column.pii
        for contract in contracts
        if contract is not None
        for column in contract.columns
        if column.pii
    }


def _failed(gate: FactGate, evidence: str) -> GateResult:
    return GateResult(gate=str(gate), passed=False, evidence=evidence)


def _listed(texts: Iterable[str]) -> str:
    """The first texts, and how many more there are."""
    all_ = [*texts]
    more = f"; and {len(all_) - _SHOWN:,} more" if len(all_) > _SHOWN else ""
    return "; ".join(all_[:_SHOWN]) + more


def _size(number: int) -> str:
    value, unit = float(number), 0
    while value >= 999.5 and unit < len(_BYTES) - 1:
        value, unit = value / 1000, unit + 1
    return f"{value:.3g} {_BYTES[unit]}"


def _age(seconds: float) -> str:
    for unit, length in (("d", _DAY_S), ("h", 3600.0), ("min", 60.0)):
        if seconds >= length:
            return f"{float(f'{seconds / length:.3g}'):,g} {unit}"
    return f"{seconds:.3g} s"
