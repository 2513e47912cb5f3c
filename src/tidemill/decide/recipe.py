"""What a stage does, as digests of its parts: equal recipes on equal inputs give equal outputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from tidemill.decide.code import Code, code_of
from tidemill.domain.contract import ContractSpec, check_digest, value_digest
from tidemill.domain.errors import Fault
from tidemill.domain.fingerprint import Part, fingerprint
from tidemill.domain.stage import Flow, Kind, Stage

_LABELS = {
    "code": "its code changed",
    "contract": "its contract changed",
    "inputs": "what it declares of its inputs changed",
    "window": "its window changed",
    "params": "its parameters changed",
    "seed": "its seed changed",
    "version": "its version changed",
    "packages": "a package that it uses changed",
    "engine": "Polars changed",
    "optional": "its optional inputs changed",
    "sink": "its sink changed",
    "gates": "its gates changed",
    "start": "its first partition changed",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """A stage's digest, the parts that it is made of, and why it may not be reused (if so).

    `faults` are readers that the code calls: what they read must be declared as an ingest.
    """

    digest: str
    parts: Mapping[str, str] = field(default_factory=dict)
    unproven: tuple[str, ...] = ()
    faults: tuple[Fault, ...] = ()


def recipe_of(stage: Stage, engine: str) -> Recipe:
    """The recipe of a stage; `engine` names the version of Polars that would run it."""
    code = code_of(stage.function) if stage.function is not None else None
    parts: dict[str, Part] = {"inputs": _inputs(stage)}
    if code is not None:
        # A declared version stands for code that can't be fingerprinted, and only for that.
        parts["code"] = code.digest
        parts["packages"] = [list(package) for package in code.packages if package[0] != "polars"]
        parts["engine"] = engine
    if stage.output is not None:
        parts["contract"] = [value_digest(stage.output), check_digest(stage.output)]
    if stage.training is not None:
        parts["params"] = plain(stage.training.params)
        parts["seed"] = stage.training.seed
    for name in ("version", "start"):
        parts[name] = getattr(stage, name)
    if stage.sink is not None:
        parts["sink"] = [stage.sink.folder, stage.sink.format]
    digests = {name: fingerprint(name, part) for name, part in parts.items() if part is not None}
    unproven = _unproven(stage, code) if code is not None else ()
    return Recipe(
        digest=fingerprint("recipe", digests),
        parts=digests,
        unproven=unproven,
        faults=_readers(stage, code) if code is not None else (),
    )


def recipes_of(flow: Flow, engine: str) -> dict[str, Recipe]:
    """The recipe of every stage of a workflow."""
    return {stage.name: recipe_of(stage, engine) for stage in flow.stages}


def _inputs(stage: Stage) -> list[Part]:
    """Names, options, windows and columns: all that decides what a stage is handed, besides the data."""
    return [
        [item.name, item.optional, str(item.window), _columns(item.contract)]
        for item in stage.inputs
    ]


def _columns(contract: ContractSpec | None) -> Part:
    if contract is None:
        return None
    return [[column.name, str(column.dtype)] for column in contract.columns]


def _unproven(stage: Stage, code: Code) -> tuple[str, ...]:
    if stage.version is not None or stage.kind is Kind.INGEST:
        return ()
    return (
        *(f"{item.name}: {item.reason} ({item.where})" for item in code.unresolved),
        *(f"it {_VERBS[touch.kind]}: {touch.name} ({touch.where})" for touch in code.touches),
    )


def _readers(stage: Stage, code: Code) -> tuple[Fault, ...]:
    if stage.version is not None or stage.kind is Kind.INGEST:
        return ()
    return tuple(
        Fault(
            message=f"{stage.kind} {stage.name!r} calls {touch.name}, which is not one of its inputs",
            where=touch.where,
            hint="declare what it reads: @flow.ingest ... return tm.files(...)",
        )
        for touch in code.touches
        if touch.kind == "reads"
    )


_VERBS = {
    "reads": "reads something that is not one of its inputs",
    "clock": "reads the clock",
    "environment": "reads the environment",
    "random": "draws random numbers without a seed",
    "network": "talks to the network",
}


def plain(value: Any) -> Part:
    """A parameter as a fingerprint's part; values of other types count by their text."""
    if value is None or isinstance(value, (str, bytes, bool, int, float)):
        return value
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, (set, frozenset)):
        # The order of a set's text is another in every process.
        return ["set", *sorted(repr(item) for item in value)]
    return [type(value).__qualname__, repr(value)]


def changes(old: Mapping[str, str], new: Mapping[str, str]) -> tuple[str, ...]:
    """What differs between the parts of two recipes, in words."""
    names = [name for name in {**old, **new} if old.get(name) != new.get(name)]
    return tuple(_LABELS.get(name, f"its {name} changed") for name in sorted(names))


def step_key(recipe: str, partition: str, inputs: Mapping[str, str]) -> str:
    """The key of a step: recipe, partition, and the digest of what each input hands it."""
    return _key(recipe, partition, tuple(sorted(inputs.items())))


def input_digest(partitions: Mapping[str, str]) -> str:
    """Names what one input hands a step: partitions and their contents, in order."""
    if len(partitions) == 1:
        return _single(*next(iter(partitions.items())))
    return fingerprint("input", [[key, content] for key, content in sorted(partitions.items())])


# Most keys of a plan are those of the plan before it in the same process, and several stages read the
# same partitions.
@lru_cache(maxsize=65_536)
def _key(recipe: str, partition: str, inputs: tuple[tuple[str, str], ...]) -> str:
    return fingerprint("key", recipe, partition, dict(inputs))


@lru_cache(maxsize=65_536)
def _single(partition: str, content: str) -> str:
    return fingerprint("input", [[partition, content]])
