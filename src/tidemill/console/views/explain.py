"""Why published data is what it is: its recipe, its inputs down to files, its runs and decisions."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from tidemill.console.personal_values import sees_personal
from tidemill.core.counts import plural
from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.partition import WHOLE, summarize_keys
from tidemill.core.signature import signature
from tidemill.lineage.io.origins import Origin
from tidemill.lineage.io.provenance import ColumnFacts, Explanation, InputFacts, ProducingRun
from tidemill.planning.plan_remarks import trigger_lines
from tidemill.project.project import Project
from tidemill.workflow.model import Artifact

# So many files and runs are named.
_MOST_FILES, _MOST_RUNS = 5, 3


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainedOrigin:
    """What one stage contributes: `partitions` in words, the runs that published them, and its files.

    `changed` says what changed since its reader was computed, "" if nothing did.
    """

    stage: str
    kind: str
    partitions: str
    columns: tuple[str, ...]
    rows: int
    published: float | None
    runs: tuple[str, ...]
    more_runs: int
    files: tuple[str, ...]
    more_files: int
    changed: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionSummary:
    """What gates or a person decided of a model: who, when, and what each gate saw."""

    verdict: str
    by: str
    at: float
    results: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainView:
    """The provenance of a stage, of a partition, or of a column, as `tidemill explain` shows it.

    `stale` says what of the recipe changed since, `unproven` why results are never reused.
    """

    stage: str
    kind: str
    place: str
    contract: str
    partition: str
    partitions: str
    published: float | None
    rows: int
    quarantined: int
    findings: tuple[str, ...]
    frozen: tuple[str, ...]
    key: str
    content: str
    recipe: str
    judged_by: str
    opaque: str
    stale: tuple[str, ...]
    unproven: tuple[str, ...]
    reads: tuple[InputFacts, ...]
    column: ColumnFacts | None
    origins: tuple[ExplainedOrigin, ...]
    runs: tuple[ProducingRun, ...]
    earlier_runs: int
    model: str
    artifact: Artifact | None
    live: str
    trained_because: tuple[str, ...]
    trigger: tuple[str, ...]
    decisions: tuple[DecisionSummary, ...]


def explain_stage(
    project: Project, stage: str, partition: str = "", column: str = ""
) -> ExplainView:
    """Show the lineage and the provenance of a stage, of one of its partitions, or of a column.

    A `partition` that is no partition but names a column is taken as the column; it is `all` for a stage
    without partitions.
    """
    found = project.lineage.explain(stage, partition, column)
    facts = found.column
    artifact = found.artifact
    if artifact is not None and not sees_personal(project):
        # They hold values of columns that were encoded, and digests of entities.
        artifact = replace(artifact, encodings=(), entities="")
    return ExplainView(
        stage=found.stage,
        kind=str(found.kind),
        place=found.place,
        contract=found.contract,
        partition=found.partition,
        partitions=_keys(found.partitions),
        published=found.at or None,
        rows=found.rows,
        quarantined=found.quarantined,
        findings=tuple(f"{each.severity}: {each.message or each.rule}" for each in found.findings),
        frozen=tuple(
            f"{each.stage} {_keys(each.partitions)} is kept as published: its source lost "
            f"{plural(len(each.paths), 'file')}"
            for each in found.frozen
        ),
        key=found.key,
        content=found.content,
        recipe=found.recipe,
        judged_by=found.judged_by,
        opaque=found.opaque,
        stale=found.stale,
        unproven=_unproven(found),
        reads=found.reads,
        column=facts,
        origins=tuple(map(_origin, found.origins)),
        runs=found.runs,
        earlier_runs=found.earlier_runs,
        model=found.model,
        artifact=artifact,
        live=found.live,
        trained_because=found.trained_because,
        trigger=tuple(trigger_lines(found.evidence, indent="")),
        decisions=tuple(
            DecisionSummary(
                verdict=str(each.verdict),
                by=signature(each.actor, each.note),
                at=each.at,
                results=tuple(
                    f"{result.word} {result.gate}: {result.evidence}" for result in each.results
                ),
            )
            for each in found.decisions
        ),
    )


def _unproven(found: Explanation) -> tuple[str, ...]:
    rest = (f"when it ran, {each}" for each in found.touched if each not in found.unproven)
    return (*found.unproven, *rest)


def _origin(origin: Origin) -> ExplainedOrigin:
    changed = (", ".join(origin.changed_columns) or "yes") if origin.changed else ""
    return ExplainedOrigin(
        stage=origin.stage,
        kind=str(origin.kind),
        partitions=_keys(origin.partitions),
        columns=origin.columns,
        rows=origin.rows,
        published=origin.last or None,
        runs=origin.runs[-_MOST_RUNS:],
        more_runs=max(len(origin.runs) - _MOST_RUNS, 0),
        files=tuple(each.path for each in origin.files[:_MOST_FILES]),
        more_files=max(len(origin.files) - _MOST_FILES, 0),
        changed=changed,
    )


def _keys(keys: Iterable[str]) -> str:
    return summarize_keys({*keys} - {WHOLE})
