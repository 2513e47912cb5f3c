"""Fingerprint what a stage does, part by part: equal recipes on equal inputs give equal outputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field, replace

from tidemill.analysis.code.code_fingerprint import FORMAT, Code
from tidemill.analysis.code.hidden_inputs import HiddenInput
from tidemill.analysis.code.mutable_state import MutableHolder
from tidemill.analysis.query.summary import QuerySummary, Reads
from tidemill.contracts.digests import check_digest, table_rules_digest, value_digest
from tidemill.core.errors import Fault
from tidemill.core.fingerprint import Part, fingerprint
from tidemill.core.lazy_dataclass import dataclass
from tidemill.workflow.parameters import params_part, with_parameter_code
from tidemill.workflow.sample import SAMPLE, sample_digest
from tidemill.workflow.stage import Input, Kind, Stage

_LABELS = {
    "code": "its code changed",
    "format": "the format of fingerprints changed",
    "contract": "its contract changed",
    "inputs": "its declared inputs changed",
    "fold": "the fold of its inputs changed",
    "source": "its declared source changed",
    "text": "the way text files are read changed",
    "params": "its parameters changed",
    "seed": "its seed changed",
    "search": "its search changed",
    "scoring": "the scoring of its trials changed",
    "version": "its version changed",
    "packages": "a package it uses changed",
    "platform": "the Python version or the CPU architecture changed",
    "engine": "the Polars version changed",
    "formats": "the code of a registered model format changed",
    "sink": "its sink changed",
    "scored": "whether a model scores its rows changed",
    SAMPLE: "its sample changed",
}
# The parts that are digests of code.
_OF_CODE = ("code", "params")
# The part of one output column's query.
_COLUMN = "column "
# Messages name this many columns and count the rest.
MAX_NAMED = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """The digest of a stage, its parts, and the reasons why the stage can't be reused.

    `reads` are the columns of each input that the key of a step covers, `lineage` those that each output
    column depends on, if the query tells; `values` are those of them that its values are computed from,
    `copied` the columns with the values of one column, and `row_reads` those that decide which rows there
    are. `check` is the digest of what the contract checks within a partition, `table_check` that of its table
    rules. `opaque` says why the stage is judged by its code. `faults` are the readers that the code calls:
    what they read must be declared as an ingest. `code` is the stage's code when the recipe was made,
    `sample` the share of rows that the recipe is for. A `stable` stage returns the same rows for the same
    inputs; `min_batch_rows` is the `least` of its query. A stage with `memos` calls some, which takes as long
    as their calls. At most the share `max_bad` of a partition's rows may be quarantined.
    """

    digest: str
    parts: Mapping[str, str] = field(default_factory=dict)
    reads: Reads = field(default_factory=dict)
    lineage: Mapping[str, Reads] = field(default_factory=dict)
    check: str = ""
    table_check: str = ""
    opaque: str = ""
    unproven: tuple[str, ...] = ()
    faults: tuple[Fault, ...] = ()
    stable: bool = False
    min_batch_rows: int | None = None
    memos: bool = False
    code: Code | None = field(default=None, compare=False, repr=False)
    sample: float = 1.0
    max_bad: float = 1.0
    values: Mapping[str, Reads] = field(default_factory=dict)
    copied: tuple[str, ...] = ()
    row_reads: Reads = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """The code, the query and the digest of the source of a stage, which its recipe is made from.

    `shared` says which state it reads that other stages change. `text` identifies how text files are read;
    it is empty for a source without text files.
    """

    code: Code | None = None
    query: QuerySummary | None = None
    source: str = ""
    shared: tuple[str, ...] = ()
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Platform:
    """The versions that a stage's results depend on: `engine` is Polars', `machine` the CPU architecture.

    Only the key of a probe covers the full `python` version, and the one of `tidemill`.
    """

    engine: str
    python: str = ""
    machine: str = ""
    tidemill: str = ""


def recipe_of(stage: Stage, evidence: Evidence, platform: Platform) -> Recipe:
    """The recipe of a stage, made from its query, or from its code if the query is opaque."""
    evidence = _with_params(stage, evidence)
    code, query = evidence.code, evidence.query
    opaque = _opaque_reason(code, query, evidence.shared)
    clear = None if opaque else query
    parts = _query_parts(stage, clear) if clear else _code_parts(stage, evidence, platform)
    if code is not None and stage.kind is not Kind.INGEST:
        parts["engine"] = platform.engine
    if folds := _fold_part(stage):
        parts["fold"] = folds
    if stage.output is not None:
        parts["contract"] = value_digest(stage.output)
    if stage.training is not None:
        parts["params"] = params_part(stage.training.params)
        parts["seed"] = stage.training.seed
    if stage.sink is not None:
        parts["sink"] = list(stage.sink.identity)
        # Recipes of tables that a model scores don't name it: the bindings do.
        parts["scored"] = None if stage.model else False
    # A declared version replaces only code that can't be fingerprinted.
    parts["version"] = stage.version
    digests = {name: fingerprint(name, part) for name, part in parts.items() if part is not None}
    if stage.sample != 1.0:
        digests[SAMPLE] = sample_digest(stage, stage.sample)
    return Recipe(
        digest=fingerprint("recipe", digests),
        parts=digests,
        reads=clear.reads if clear else all_input_columns(stage),
        lineage=clear.lineage if clear else {},
        check=check_digest(stage.output, table_rules=False) if stage.output else "",
        table_check=table_rules_digest(stage.output) if stage.output else "",
        opaque=opaque,
        unproven=_unproven_reasons(stage, evidence),
        faults=reader_faults(stage, code) if code is not None else (),
        stable=clear is not None and not clear.unstable,
        min_batch_rows=clear.least if clear else None,
        memos=query is not None and query.memos,
        code=code,
        sample=stage.sample,
        max_bad=stage.output.max_bad if stage.output else 1.0,
        values=clear.values if clear else {},
        copied=clear.copied if clear else (),
        row_reads=clear.row_reads if clear else {},
    )


def _with_params(stage: Stage, evidence: Evidence) -> Evidence:
    if stage.training is None or evidence.code is None:
        return evidence
    training, code = stage.training, evidence.code
    code = with_parameter_code(code, training.params, stage.place)
    if training.search is not None and callable(training.search.metric):
        code = with_parameter_code(code, {"metric": training.search.metric}, stage.place)
    return replace(evidence, code=code)


def _opaque_reason(code: Code | None, query: QuerySummary | None, shared: Sequence[str]) -> str:
    """Why a transform can't be judged by its query; "" if it can."""
    if query is None or query.opaque:
        return query.opaque if query else ""
    if code is not None and code.unresolved:
        return f"{code.unresolved[0].name}: {code.unresolved[0].reason}"
    if shared:
        return shared[0]
    return (
        describe_hidden_input(code.hidden_inputs[0])
        if code and code.hidden_inputs
        else "".join(query.touched[:1])
    )


def probe_key(stage: Stage, code: Code, platform: Platform) -> str:
    """Digest everything that the query of a stage depends on: a probe is valid for as long as it is equal."""
    contracts = [item.contract for item in stage.inputs] + [stage.output]
    narrow: list[Part] = [[i.name, list(i.columns)] for i in stage.inputs if i.reads is not None]
    return fingerprint(
        "probe",
        code.digest,
        [item.name for item in stage.inputs],
        [None if contract is None else check_digest(contract) for contract in contracts],
        [platform.engine, platform.python, platform.machine, platform.tidemill],
        *narrow,
        *_fold_part(stage),
    )


def _fold_part(stage: Stage) -> list[Part]:
    return [[item.name, item.fold.digest] for item in stage.inputs if item.fold is not None]


def describe_held_state(keeper: MutableHolder) -> str:
    """Describe state that code keeps between calls, as a reason not to reuse its results."""
    return f"it changes {keeper.name}, which its next call sees ({keeper.where})"


def describe_hidden_input(touch: HiddenInput) -> str:
    """Describe a hidden input of code, as a reason not to reuse its results."""
    return f"it {_VERBS[touch.kind]}: {touch.name} ({touch.where})"


def _query_parts(stage: Stage, query: QuerySummary) -> dict[str, Part]:
    assert stage.output is not None
    keep = stage.output.unknown_columns == "keep"
    names = query.columns if keep else [n for n in stage.output.names if n in query.columns]
    return {_COLUMN + name: query.columns[name] for name in names}


def _code_parts(stage: Stage, evidence: Evidence, platform: Platform) -> dict[str, Part]:
    """The parts of a recipe by code: everything that its results depend on besides the data."""
    if stage.kind is Kind.INGEST and evidence.source:
        return {"source": evidence.source, "text": evidence.text or None}
    parts: dict[str, Part] = {"inputs": [[item.name, _input_part(item)] for item in stage.inputs]}
    if evidence.code is not None:
        parts["code"] = evidence.code.digest
        parts["format"] = FORMAT
        parts["packages"] = _package_parts(evidence.code)
        parts["platform"] = [platform.python.rpartition(".")[0], platform.machine]
    return parts


def _package_parts(code: Code) -> list[Part]:
    """The packages that code uses, with what these depend on; Polars is part of the platform."""
    own = [package for package in code.packages if package[0] != "polars"]
    if not own:
        return []
    # It reads what is installed, which code without packages doesn't need.
    from tidemill.analysis.code.package_closure import dependency_closure

    return [list(package) for package in dependency_closure(own)]


def _input_part(item: Input) -> Part:
    if item.contract is None:
        return None
    if item.fold is not None:
        return [[name, str(dtype)] for name, dtype in item.fold.schema.items()]
    return [[name, str(item.contract.column(name).dtype)] for name in item.columns]


def all_input_columns(stage: Stage) -> Reads:
    """All columns of each input that a stage receives, or of its fold."""
    return {item.name: item.columns for item in stage.frames}


def _unproven_reasons(stage: Stage, evidence: Evidence) -> tuple[str, ...]:
    code, query = evidence.code, evidence.query
    if code is None or stage.is_vouched_for or stage.kind is Kind.INGEST:
        return ()
    reasons = [f"{item.name}: {item.reason} ({item.where})" for item in code.unresolved]
    reasons += evidence.shared
    reasons += [*map(describe_hidden_input, code.hidden_inputs), *(query.touched if query else ())]
    return tuple(dict.fromkeys(reasons))


def reader_faults(stage: Stage, code: Code) -> tuple[Fault, ...]:
    """Faults for readers that a stage's code calls; what they read must be declared as an ingest."""
    if stage.is_vouched_for or stage.kind is Kind.INGEST:
        return ()
    return tuple(
        undeclared_fault(stage, f"calls {touch.name}", touch.where)
        for touch in code.hidden_inputs
        if touch.kind == "reads"
    )


def undeclared_fault(stage: Stage, does: str, where: str) -> Fault:
    """The fault of a stage that reads something that isn't one of its inputs."""
    return Fault(
        message=f"{stage.kind} {stage.name!r} {does}, which is not one of its inputs",
        where=where,
        hint="declare what it reads: @flow.ingest ... return tm.files(...)",
    )


_VERBS = {
    "reads": "reads something that is not one of its inputs",
    "clock": "reads the clock",
    "environment": "reads the environment",
    "process": "depends on the process that runs it",
    "random": "draws random numbers without a seed",
    "network": "talks to the network",
}


def recipe_changes(old: Mapping[str, str], new: Mapping[str, str]) -> tuple[str, ...]:
    """Describe the differences between the parts of two recipes, as reasons to rerun."""
    if ("code" in old) != ("code" in new) and old:
        return (f"it is now judged by its {'code' if 'code' in new else 'query'}",)
    names = sorted(name for name in {**old, **new} if old.get(name) != new.get(name))
    if old and "format" in names:
        # Digests of code in different formats can't be compared.
        names = [name for name in names if name not in _OF_CODE]
    columns = [name.removeprefix(_COLUMN) for name in names if name.startswith(_COLUMN)]
    kept = recipe_columns(old) & recipe_columns(new)
    added = [name for name in columns if name not in kept]
    # With a column that comes or goes the rows as a whole may be judged anew, and so all columns.
    is_whole = added and "contract" in names and len(kept) > 1 and kept <= {*columns}
    more = ", perhaps others too" if is_whole else ""
    others = [name for name in names if not name.startswith(_COLUMN)]
    return (
        *(f"{text}{more}" for text in _column_changes(added if is_whole else columns)),
        *(_LABELS.get(name, f"its {name} changed") for name in others),
    )


def unchanged_columns(old: Mapping[str, str], new: Mapping[str, str]) -> frozenset[str]:
    """The output columns that two recipes compute by equal expressions; none if any other part differs."""
    others = {name for name in {**old, **new} if not name.startswith(_COLUMN)}
    if any(old.get(name) != new.get(name) for name in others):
        return frozenset()
    same = [name for name in new if name.startswith(_COLUMN) and old.get(name) == new[name]]
    return frozenset(name.removeprefix(_COLUMN) for name in same)


def recipe_columns(parts: Mapping[str, str]) -> frozenset[str]:
    """The output columns that a recipe has expressions for."""
    return frozenset(n.removeprefix(_COLUMN) for n in parts if n.startswith(_COLUMN))


def _column_changes(columns: Sequence[str]) -> tuple[str, ...]:
    if not columns:
        return ()
    return (
        f"the expression{'' if len(columns) == 1 else 's'} for {quote_columns(columns)} changed",
    )


def quote_columns(columns: Sequence[str]) -> str:
    """Name the first few columns, in backticks, and count the rest."""
    more = f" and {len(columns) - MAX_NAMED} more" if len(columns) > MAX_NAMED else ""
    return ", ".join(f"`{column}`" for column in columns[:MAX_NAMED]) + more


def step_key(recipe: str, partition: str, inputs: Mapping[str, str]) -> str:
    """The key of a step: a digest of its recipe, its partition, and what it reads from each input."""
    return fingerprint("key", recipe, partition, dict(inputs))
