"""Gather what people are shown about changes that aren't models."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping

import polars as pl

from tidemill.contracts.checks.ruled_rows import REASONS
from tidemill.core.errors import StorageError, TidemillError, UsageError, describe_error
from tidemill.environments.io.compare import StageDiff, diff_environments
from tidemill.environments.io.environments import load_state
from tidemill.governance.change_detail import ChangeDetail
from tidemill.governance.contract_facts import contract_change, read_contract
from tidemill.governance.contract_sections import contract_detail
from tidemill.governance.permissions import Permission, holders_and_scope
from tidemill.governance.personal_columns import personal_columns
from tidemill.governance.promotion_sections import (
    PromotedModel,
    PromotedStage,
    PromotionChange,
    promotion_detail,
)
from tidemill.governance.release_sections import ReleaseRows, release_detail
from tidemill.governance.review_page import moment
from tidemill.governance.table_sections import table_detail
from tidemill.history.model_comparison import compare_scores
from tidemill.ledger.delivery import Decision, Delivery
from tidemill.ledger.policy import PolicyDecision, SubjectKind
from tidemill.ledger.review import Review
from tidemill.models.gates import standing_decision
from tidemill.project.moved_examples import MASKED, shown_cell
from tidemill.project.promotion_policy import subject_of_promotion
from tidemill.project.source_changes import source_changes
from tidemill.project.table_change import table_change
from tidemill.project.workspace import Workspace
from tidemill.runs.io.contract_decisions import published_contracts, subject_of_contract
from tidemill.workflow.environment import Environment, environment_option
from tidemill.workflow.gate import Scores

_ROWS, _COLUMNS = 10, 7


def change_detail(
    space: Workspace, review: Review, decision: PolicyDecision | None
) -> ChangeDetail:
    """What a change would do, as far as it can be found out; what can't is named."""
    gather = _GATHERERS.get(review.kind)
    if gather is None:
        return ChangeDetail()
    try:
        return gather(space, review, decision)
    except TidemillError as error:
        reason = str(error)
    except Exception as error:  # noqa: BLE001 - the data of users may be anything
        reason = describe_error(error)
    return ChangeDetail(missing=(f"what changes in detail: {reason}",))


def _table(space: Workspace, review: Review, _: PolicyDecision | None) -> ChangeDetail:
    _require_declared(space, review)
    return table_detail(table_change(space, review))


def _contract(space: Workspace, review: Review, _: PolicyDecision | None) -> ChangeDetail:
    _require_declared(space, review)
    before = published_contracts(space.tools.ledger, space.state()).get(review.name, "")
    old = read_contract(before) if before else None
    change = contract_change(space.flow, space.recipes, review.name, old)
    if subject_of_contract(change, before) != review.subject:
        raise StorageError(
            "the review is about another contract than the code declares, or about other readers"
        )
    return contract_detail(change, space.declared.owner)


def _require_declared(space: Workspace, review: Review) -> None:
    if review.name not in space.flow.names:
        raise UsageError(f"{review.name} isn't declared any more")


def _release(space: Workspace, review: Review, _: PolicyDecision | None) -> ChangeDetail:
    held = review.held
    if held is None:
        raise StorageError("the rows that the review is about aren't recorded")
    bad = _read(space, held.object)
    chosen = [*(held.rows or range(bad.height))]
    rows = bad[chosen]
    broken = Counter(rule for rules in rows.get_column(REASONS).to_list() for rule in rules)
    columns, hidden = _release_columns(space, review.name, rows, broken)
    cells = [
        (f"{number}", "as it came", "; ".join(row[REASONS]), *_cells(row, columns, hidden))
        for number, row in zip(chosen, rows.head(_ROWS).iter_rows(named=True), strict=False)
    ]
    if held.fixed:
        fixed = _read(space, held.fixed).head(_ROWS)
        cells += [
            ("", "corrected", "", *_cells(row, columns, hidden))
            for row in fixed.iter_rows(named=True)
        ]
    found = ReleaseRows(
        stage=review.name,
        partition=held.partition,
        rows=len(chosen),
        quarantined=bad.height,
        reasons=dict(broken.most_common()),
        headers=(">number", "row", "broke", *columns),
        cells=tuple(cells),
        corrected=bool(held.fixed),
        readers=tuple(reader.name for reader in space.flow.readers(review.name)),
        undone_by=_who(space, Permission.CORRECT_ROWS if held.fixed else Permission.RELEASE_ROWS),
        place=environment_option(space.environment),
    )
    return release_detail(found)


def _read(space: Workspace, name: str) -> pl.DataFrame:
    return pl.read_parquet(space.tools.artifacts.get(name))


def _release_columns(
    space: Workspace, stage: str, rows: pl.DataFrame, broken: Mapping[str, int]
) -> tuple[list[str], frozenset[str]]:
    """The columns to show: the key, those that rules are about, and others; and which of them are hidden."""
    output = space.flow[stage].output if stage in space.flow.names else None
    named = [rule.partition(".")[0] for rule in broken]
    order = [*(output.key if output is not None else ()), *named, *rows.columns]
    columns = [
        name for name in dict.fromkeys(order) if name in rows.columns and not name.startswith("_")
    ]
    if output is None:
        # Of a stage that is gone from the code, no contract says which columns are personal.
        return columns[:_COLUMNS], frozenset(columns)
    personal = personal_columns(space.flow, space.recipes, {stage: columns})
    return columns[:_COLUMNS], frozenset(name.split(".", 1)[1] for name in personal)


def _cells(row: Mapping[str, object], columns: list[str], hidden: frozenset[str]) -> Iterator[str]:
    for name in columns:
        yield MASKED if name in hidden else shown_cell(row.get(name))


def _promotion(space: Workspace, review: Review, decision: PolicyDecision | None) -> ChangeDetail:
    source = str((decision.facts.get("source") if decision is not None else None) or "")
    if not source:
        raise StorageError("the environment that would be promoted isn't recorded")
    ledger, target = space.tools.ledger, space.environment
    theirs, ours = (load_state(ledger, name, whole=True) for name in (source, target))
    if subject_of_promotion(theirs, ours) != review.subject:
        raise StorageError(f"{source} or {target} was changed since the review was opened")
    differing = diff_environments(space.tools, space.flow.names, source, target)
    models, missing = [], []
    for name, new in theirs.live.items():
        old = ours.live.get(name)
        if old is None or old.artifact.id != new.artifact.id:
            model, unknown = _model_change(space, new, old, ours.decisions.values())
            models.append(model)
            missing += [f"{name}: {unknown}"] if unknown else []
    return promotion_detail(
        PromotionChange(
            source=source,
            target=target,
            stages=tuple(_stage_change(each) for each in differing),
            models=tuple(models),
            sample=theirs.environments.get(source, Environment(name=source)).sample,
            promoted_by=_who(space, Permission.PROMOTE),
            missing=tuple(missing),
        )
    )


def _stage_change(found: StageDiff) -> PromotedStage:
    return PromotedStage(
        stage=found.stage,
        recipe=found.recipe,
        added=len(found.added),
        changed=len(found.changed),
        missing=len(found.removed),
        columns=tuple(found.columns),
    )


def _model_change(
    space: Workspace, new: Delivery, old: Delivery | None, decisions: Iterable[Decision]
) -> tuple[PromotedModel, str]:
    last = standing_decision(decisions, new.artifact)
    diff, unknown = source_changes(space, old.artifact, new.artifact) if old else ((), "")
    change = PromotedModel(
        model=new.name,
        old=old.artifact.id if old is not None else "",
        new=new.artifact.id,
        trained=f"on {new.artifact.rows:,} rows, live in the source since {moment(new.at)}",
        old_figures=_figures(old) if old is not None else "",
        new_figures=_figures(new),
        metrics=compare_scores(_scores(old), _scores(new)) if old is not None else (),
        refusal=last if last is not None and not last.approved else None,
        diff=diff,
    )
    return change, unknown


def _scores(delivery: Delivery) -> Mapping[str, Scores]:
    """The scores by which a model went live, by evaluation; with a single one that isn't named."""
    return delivery.evaluations or {"": delivery.scores}


def _figures(delivery: Delivery) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in delivery.scores.metrics.items())


def _who(space: Workspace, permission: Permission) -> str:
    return holders_and_scope(permission, space.declared.name, space.settings.grants)


_GATHERERS: Mapping[
    SubjectKind, Callable[[Workspace, Review, PolicyDecision | None], ChangeDetail]
] = {
    SubjectKind.TABLE: _table,
    SubjectKind.CONTRACT: _contract,
    SubjectKind.RELEASE: _release,
    SubjectKind.PROMOTION: _promotion,
}
