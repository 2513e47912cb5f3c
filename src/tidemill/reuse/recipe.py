"""What a stage does, as digests of its parts: equal recipes on equal inputs give equal outputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from tidemill.analysis.code.code_fingerprint import FORMAT, Code
from tidemill.analysis.code.hidden_inputs import Touch
from tidemill.analysis.code.mutable_state import Keeper
from tidemill.analysis.code.package_closure import closure_of
from tidemill.analysis.query.summary import Query, Reads
from tidemill.contracts.digests import check_digest, value_digest, wider_digest
from tidemill.core.errors import Fault
from tidemill.core.fingerprint import Part, fingerprint
from tidemill.workflow.parameters import params_part, with_params
from tidemill.workflow.sample import SAMPLE, sample_part
from tidemill.workflow.stage import Input, Kind, Stage

_LABELS = {
    "code": "its code changed",
    "format": "the format of fingerprints changed",
    "contract": "its contract changed",
    "inputs": "its declared inputs changed",
    "fold": "the fold of its inputs changed",
    "source": "its declared source changed",
    "params": "its parameters changed",
    "seed": "its seed changed",
    "version": "its version changed",
    "packages": "a package it uses changed",
    "platform": "the Python version or the CPU architecture changed",
    "engine": "the Polars version changed",
    "sink": "its sink changed",
    SAMPLE: "its sample changed",
}
# The parts that are digests of code.
_OF_CODE = ("code", "params")
# The part of one output column's query.
_COLUMN = "column "
# So many columns are named, more are counted.
NAMED = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """A stage's digest, the parts that it is made of, and why it may not be reused (if so).

    `reads` are the columns of each input that a step's key covers, `lineage` those that each output
    column depends on, as far as the query tells; `check` names all that the contract checks in a
    partition, `wider` what it asks beyond. `opaque` says why the stage is judged by its code, `faults`
    are readers that the code calls: what they read must be declared as an ingest. `code` is what the
    stage's code was when this was made, `sample` the share of rows that it is for. A `stable` one gives the
    same rows for the same inputs; with `least` see `Query`. `memos`: it asks some, which takes as long as
    their calls.
    """

    digest: str
    parts: Mapping[str, str] = field(default_factory=dict)
    reads: Reads = field(default_factory=dict)
    lineage: Mapping[str, Reads] = field(default_factory=dict)
    check: str = ""
    wider: str = ""
    opaque: str = ""
    unproven: tuple[str, ...] = ()
    faults: tuple[Fault, ...] = ()
    stable: bool = False
    least: int | None = None
    memos: bool = False
    code: Code | None = field(default=None, compare=False, repr=False)
    sample: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What is known of a stage besides its declaration: its code, its query, its source's digest."""

    code: Code | None = None
    query: Query | None = None
    source: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Platform:
    """What a stage runs on: the version of Polars, and what else decides about the results of code.

    `python` is the full version, of which only what a probe made of a query depends on all; so it is
    with Tidemill's own.
    """

    engine: str
    python: str = ""
    machine: str = ""
    tidemill: str = ""


def recipe_of(stage: Stage, evidence: Evidence, platform: Platform) -> Recipe:
    """The recipe of a stage: of what its query says, or where that isn't the whole truth, of its code."""
    evidence = _with_params(stage, evidence)
    code, query = evidence.code, evidence.query
    opaque = _opaque(code, query)
    clear = None if opaque else query
    parts = _query_parts(stage, clear) if clear else _code_parts(stage, evidence, platform)
    if code is not None and stage.kind is not Kind.INGEST:
        parts["engine"] = platform.engine
    if folds := _folds(stage):
        parts["fold"] = folds
    if stage.output is not None:
        parts["contract"] = value_digest(stage.output)
    if stage.training is not None:
        parts["params"] = params_part(stage.training.params)
        parts["seed"] = stage.training.seed
    if stage.sink is not None:
        parts["sink"] = [stage.sink.folder, stage.sink.format]
    # A declared version stands for code that can't be fingerprinted, and only for that.
    parts["version"] = stage.version
    digests = {name: fingerprint(name, part) for name, part in parts.items() if part is not None}
    if stage.sample != 1.0:
        digests[SAMPLE] = sample_part(stage, stage.sample)
    return Recipe(
        digest=fingerprint("recipe", digests),
        parts=digests,
        reads=clear.reads if clear else all_columns(stage),
        lineage=clear.lineage if clear else {},
        check=check_digest(stage.output, wider=False) if stage.output else "",
        wider=wider_digest(stage.output) if stage.output else "",
        opaque=opaque,
        unproven=_unproven(stage, code, query) if code is not None else (),
        faults=reader_faults(stage, code) if code is not None else (),
        stable=clear is not None and not clear.unstable,
        least=clear.least if clear else None,
        memos=query is not None and query.memos,
        code=code,
        sample=stage.sample,
    )


def _with_params(stage: Stage, evidence: Evidence) -> Evidence:
    if stage.training is None or evidence.code is None:
        return evidence
    code = with_params(evidence.code, stage.training.params, stage.place)
    return replace(evidence, code=code)


def _opaque(code: Code | None, query: Query | None) -> str:
    """Why a transform's query isn't the whole truth; what is vouched for isn't in it."""
    if query is None or query.opaque:
        return query.opaque if query else ""
    if code is not None and code.unresolved:
        return f"{code.unresolved[0].name}: {code.unresolved[0].reason}"
    return words(code.touches[0]) if code and code.touches else "".join(query.touched[:1])


def probe_key(stage: Stage, code: Code, platform: Platform) -> str:
    """Names all that decides about a stage's query, so that what a probe found holds for it."""
    contracts = [item.contract for item in stage.inputs] + [stage.output]
    narrow: list[Part] = [[i.name, list(i.columns)] for i in stage.inputs if i.reads is not None]
    return fingerprint(
        "probe",
        code.digest,
        [item.name for item in stage.inputs],
        [None if contract is None else check_digest(contract) for contract in contracts],
        [platform.engine, platform.python, platform.machine, platform.tidemill],
        *narrow,
        *_folds(stage),
    )


def _folds(stage: Stage) -> list[Part]:
    return [[item.name, item.fold.digest] for item in stage.inputs if item.fold is not None]


def keeping(keeper: Keeper) -> str:
    """That code keeps something from one call to the next, as a reason not to reuse what it gave."""
    return f"it changes {keeper.name}, which its next call sees ({keeper.where})"


def words(touch: Touch) -> str:
    """What code reaches for besides its inputs, as a reason not to reuse what it gave."""
    return f"it {_VERBS[touch.kind]}: {touch.name} ({touch.where})"


def _query_parts(stage: Stage, query: Query) -> dict[str, Part]:
    assert stage.output is not None
    keep = stage.output.unknown_columns == "keep"
    names = query.columns if keep else [n for n in stage.output.names if n in query.columns]
    return {_COLUMN + name: query.columns[name] for name in names}


def _code_parts(stage: Stage, evidence: Evidence, platform: Platform) -> dict[str, Part]:
    """All that a stage's code, and what it is handed, could make of equal data."""
    if stage.kind is Kind.INGEST and evidence.source:
        return {"source": evidence.source}
    parts: dict[str, Part] = {
        "inputs": [[item.name, _names_and_types(item)] for item in stage.inputs]
    }
    if evidence.code is not None:
        own = [package for package in evidence.code.packages if package[0] != "polars"]
        parts["code"] = evidence.code.digest
        parts["format"] = FORMAT
        parts["packages"] = [list(package) for package in closure_of(own)]
        parts["platform"] = [platform.python.rpartition(".")[0], platform.machine]
    return parts


def _names_and_types(item: Input) -> Part:
    if item.contract is None:
        return None
    if item.fold is not None:
        return [[name, str(dtype)] for name, dtype in item.fold.schema.items()]
    return [[name, str(item.contract.column(name).dtype)] for name in item.columns]


def all_columns(stage: Stage) -> Reads:
    """Every column of each input that a stage is handed, or that is folded for it."""
    return {item.name: item.columns for item in stage.frames}


def _unproven(stage: Stage, code: Code, query: Query | None) -> tuple[str, ...]:
    if stage.vouched or stage.kind is Kind.INGEST:
        return ()
    reasons = [f"{item.name}: {item.reason} ({item.where})" for item in code.unresolved]
    reasons += [*map(words, code.touches), *(query.touched if query else ())]
    return tuple(dict.fromkeys(reasons))


def reader_faults(stage: Stage, code: Code) -> tuple[Fault, ...]:
    """What a stage's code reads besides its inputs, which must be declared as an ingest."""
    if stage.vouched or stage.kind is Kind.INGEST:
        return ()
    return tuple(
        undeclared(stage, f"calls {touch.name}", touch.where)
        for touch in code.touches
        if touch.kind == "reads"
    )


def undeclared(stage: Stage, does: str, where: str) -> Fault:
    """That a stage gets at something that isn't one of its inputs."""
    return Fault(
        message=f"{stage.kind} {stage.name!r} {does}, which is not one of its inputs",
        where=where,
        hint="declare what it reads: @flow.ingest ... return tm.files(...)",
    )


_VERBS = {
    "reads": "reads something that is not one of its inputs",
    "clock": "reads the clock",
    "environment": "reads the environment",
    "random": "draws random numbers without a seed",
    "network": "talks to the network",
}


def changes(old: Mapping[str, str], new: Mapping[str, str]) -> tuple[str, ...]:
    """What differs between the parts of two recipes, in words."""
    if ("code" in old) != ("code" in new) and old:
        return (f"it is now judged by its {'code' if 'code' in new else 'query'}",)
    names = sorted(name for name in {**old, **new} if old.get(name) != new.get(name))
    if old and "format" in names:
        # Digests of code in two formats tell nothing about what else changed.
        names = [name for name in names if name not in _OF_CODE]
    columns = [name.removeprefix(_COLUMN) for name in names if name.startswith(_COLUMN)]
    others = [name for name in names if not name.startswith(_COLUMN)]
    return (
        *_columns_changed(columns),
        *(_LABELS.get(name, f"its {name} changed") for name in others),
    )


def kept_columns(old: Mapping[str, str], new: Mapping[str, str]) -> frozenset[str]:
    """The output columns that two recipes compute in the same way; none where more than that differs."""
    others = {name for name in {**old, **new} if not name.startswith(_COLUMN)}
    if any(old.get(name) != new.get(name) for name in others):
        return frozenset()
    same = [name for name in new if name.startswith(_COLUMN) and old.get(name) == new[name]]
    return frozenset(name.removeprefix(_COLUMN) for name in same)


def columns_in(parts: Mapping[str, str]) -> frozenset[str]:
    """The output columns that a recipe says how to compute."""
    return frozenset(n.removeprefix(_COLUMN) for n in parts if n.startswith(_COLUMN))


def _columns_changed(columns: Sequence[str]) -> tuple[str, ...]:
    if not columns:
        return ()
    return (f"the expression{'' if len(columns) == 1 else 's'} for {named(columns)} changed",)


def named(columns: Sequence[str]) -> str:
    """The first of some columns by name, and how many more there are."""
    more = f" and {len(columns) - NAMED} more" if len(columns) > NAMED else ""
    return ", ".join(f"`{column}`" for column in columns[:NAMED]) + more


def step_key(recipe: str, partition: str, inputs: Mapping[str, str]) -> str:
    """The key of a step: recipe, partition, and the digest of what each input hands it."""
    return fingerprint("key", recipe, partition, dict(inputs))
