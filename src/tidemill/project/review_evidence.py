"""Gather what people are shown about a change, and store it with its review."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from fnmatch import fnmatchcase
from functools import partial

from tidemill.contracts.compatibility.diff import diff
from tidemill.core.errors import TidemillError, describe_error
from tidemill.governance.expression import show_values
from tidemill.governance.model_sections import ModelEvidence, MovedExamples, model_sections
from tidemill.governance.page_values import PageSection, section
from tidemill.governance.permissions import Permission, holders_and_scope
from tidemill.governance.personal_columns import personal_columns
from tidemill.governance.personal_slices import has_personal_slices, mask_compared
from tidemill.governance.review_page import moment
from tidemill.governance.rule_sections import plain_sections
from tidemill.history.model_comparison import compare_versions
from tidemill.ledger.event import Attempted, RecipeChanged, RunEnded, RunStarted
from tidemill.ledger.event_filter import about
from tidemill.ledger.event_subjects import decision_subject, run_subject
from tidemill.ledger.governance_events import PolicyDecided, Waived, WaiverEnded
from tidemill.ledger.model_version import Follower, ModelVersion, VersionComparison
from tidemill.ledger.policy import PolicyDecision, Waiver
from tidemill.ledger.review import Review
from tidemill.ledger.run import Action, Attempt, Outcome
from tidemill.models.input_compatibility import trained_inputs
from tidemill.project.change_evidence import change_detail
from tidemill.project.model_registry import RegisteredModel
from tidemill.project.moved_examples import MASKED, moved_examples
from tidemill.project.source_changes import source_changes
from tidemill.project.workspace import Workspace
from tidemill.reuse.recipe import recipe_changes
from tidemill.workflow.environment import environment_option
from tidemill.workflow.gate import NoSliceWorse
from tidemill.workflow.stage import Kind, Stage
from tidemill.workflow.upstream import upstream_names


def review_sections(space: Workspace, review: Review, now: float) -> tuple[PageSection, ...]:
    """The sections about a change, as it is at the time `now`; what can't be found out is named."""
    decision = _decision(space, review)
    waivers = _waivers(space, review, decision, now)
    if not review.artifact or review.name not in space.flow.names:
        detail = change_detail(space, review, decision)
        return plain_sections(review, decision, waivers, detail)
    found, faults = _model_evidence(space, review, decision, waivers)
    missing = section("Not known", faults)
    return (*model_sections(found), *([] if missing.is_empty else [missing]))


def _decision(space: Workspace, review: Review) -> PolicyDecision | None:
    if not review.decision:
        return None
    where = about(decision_subject(review.decision))
    for fact in space.tools.ledger.events(kinds=(PolicyDecided.__name__,), where=where):
        event = fact.event
        if isinstance(event, PolicyDecided):
            return event.decision
    return None


def _waivers(
    space: Workspace, review: Review, decision: PolicyDecision | None, now: float
) -> tuple[Waiver, ...]:
    """The waivers in force whose scope covers the change, and those that the decision used."""
    found: dict[str, Waiver] = {}
    for fact in space.tools.ledger.events(kinds=(Waived.__name__, WaiverEnded.__name__)):
        event = fact.event
        if isinstance(event, Waived) and event.environment == space.environment:
            found[event.waiver.id] = event.waiver
        elif isinstance(event, WaiverEnded):
            found.pop(event.waiver, None)
    used = {hit.waiver for hit in decision.hits} if decision is not None else set()
    return tuple(
        waiver
        for waiver in found.values()
        if waiver.id in used or (waiver.expires > now and fnmatchcase(review.name, waiver.scope))
    )


def _model_evidence(
    space: Workspace, review: Review, decision: PolicyDecision | None, waivers: tuple[Waiver, ...]
) -> tuple[ModelEvidence, list[str]]:
    stage = space.flow[review.name]
    model = RegisteredModel(space, stage)
    versions = {version.id: version for version in model.versions}
    # One that isn't there any more is an error that names those that are.
    candidate = versions.get(review.artifact) or model.version(review.artifact)
    live = None
    if review.replaces:
        live = versions.get(review.replaces) or model.version(review.replaces)
    faults: list[str] = []
    examples = None
    if live is not None:
        examples = _examples(space, stage, candidate, live, faults)
    diff, unknown = (
        source_changes(space, live.artifact, candidate.artifact) if live is not None else ((), "")
    )
    faults += filter(None, [unknown])
    found = ModelEvidence(
        review=review,
        candidate=candidate,
        live=live,
        comparison=_comparison(space, live, candidate) if live is not None else None,
        training=_training(space, candidate),
        request=_request(space, candidate),
        least_rows=_least_rows(stage),
        conditions=_conditions(space, decision),
        decision=decision,
        waivers=waivers,
        examples=examples,
        code=tuple(_code_changes(space, stage, candidate, live)) if live is not None else (),
        diff=diff,
        contracts=tuple(_contract_changes(candidate, live)) if live is not None else (),
        amounts=dict(_amounts(space, filter(None, (candidate, live)))),
        followers=tuple(
            Follower(table=table.name, on_new_model=table.on_new_model)
            for table in space.flow.readers(stage.name)
            if table.kind is Kind.DELIVER
        ),
        endpoints=tuple(each.name for each in space.flow.endpoints if each.model == stage.name),
        place=environment_option(space.environment),
        code_command=_git_command(space, live),
        live_since=_live_since(space, stage.name),
        rollback_by=holders_and_scope(
            Permission.DELIVER, space.declared.name, space.settings.grants
        ),
    )
    return found, faults


def _comparison(space: Workspace, live: ModelVersion, candidate: ModelVersion) -> VersionComparison:
    """What differs between two versions; values of personal columns name no slices."""
    found = compare_versions(live, candidate)
    is_personal = partial(has_personal_slices, space.flow, space.recipes)
    return replace(found, metrics=mask_compared(found.metrics, is_personal, MASKED))


def _examples(
    space: Workspace, stage: Stage, candidate: ModelVersion, live: ModelVersion, faults: list[str]
) -> MovedExamples | None:
    """The rows whose prediction moves most; a model that can't be loaded or asked is a fault to show."""
    columns = {item.name: item.contract.names for item in stage.frames if item.contract}
    personal = personal_columns(space.flow, space.recipes, columns)
    try:
        return moved_examples(space, stage, candidate.artifact, live.artifact, personal)
    except TidemillError as error:
        reason = str(error)
    except Exception as error:  # noqa: BLE001 - a model of users may raise anything
        reason = describe_error(error)
    faults.append(f"the predictions that move most: {reason}")
    return None


def _training(space: Workspace, version: ModelVersion) -> Attempt | None:
    """The attempt that trained a version, with its reasons."""
    facts = space.tools.ledger.events(
        kinds=(Attempted.__name__,), run=version.run, stage=version.model
    )
    made = [
        fact.event.attempt
        for fact in facts
        if isinstance(fact.event, Attempted)
        and fact.event.attempt.action == Action.TRAIN
        and fact.event.attempt.outcome is Outcome.OK
    ]
    return made[-1] if made else None


def _request(space: Workspace, version: ModelVersion) -> str:
    """Who asked for the training of a version, by which command."""
    for fact in space.tools.ledger.events(kinds=(RunStarted.__name__,), run=version.run):
        if isinstance(fact.event, RunStarted):
            return f"{fact.event.actor or 'somebody'} ran `{fact.event.command}`"
    return ""


def _least_rows(stage: Stage) -> int:
    """The rows that a slice needs to count in every gate on slices."""
    gates = stage.approval.gates if stage.approval is not None else ()
    return max((gate.min_rows for gate in gates if isinstance(gate, NoSliceWorse)), default=0)


def _conditions(space: Workspace, decision: PolicyDecision | None) -> dict[str, str]:
    """The conditions of the rules that ask for a review, with the values that they saw."""
    if decision is None or decision.rules != space.rules.digest:
        return {}
    asking = {hit.rule for hit in decision.hits if hit.effect == "review" and not hit.waiver}
    return {
        rule.id: f"{show_values(rule.when, decision.facts)} ({rule.when})"
        for rule in space.rules.rules
        if rule.id in asking and rule.when
    }


def _code_changes(
    space: Workspace, stage: Stage, candidate: ModelVersion, live: ModelVersion
) -> Iterator[str]:
    """The parts of recipes that differ between the trainings of two versions: of the model, and upstream."""
    before, after = (_end_of_run(space, version.run) for version in (live, candidate))
    for name in (stage.name, *upstream_names(space.flow, stage)):
        changes = [
            (fact.seq, fact.event)
            for fact in space.tools.ledger.events(kinds=(RecipeChanged.__name__,), stage=name)
            if isinstance(fact.event, RecipeChanged) and fact.event.environment == space.environment
        ]
        old, new = (
            next((event for seq, event in reversed(changes) if seq <= end), None)
            for end in (before, after)
        )
        if old is not None and new is not None and old.recipe != new.recipe:
            changed = recipe_changes(old.parts, new.parts)
            yield f"{name}: {'; '.join(changed) or 'its recipe changed'}"


def _end_of_run(space: Workspace, run: str) -> float:
    """The number of the event that ended a run; infinite while it hasn't ended."""
    ends = [
        fact.seq
        for fact in space.tools.ledger.events(
            kinds=(RunEnded.__name__,), where=about(run_subject(run))
        )
    ]
    return ends[-1] if ends else float("inf")


def _live_since(space: Workspace, model: str) -> str:
    """Since when a model's version is live, and who made it live, for what reason."""
    delivery = space.state().live.get(model)
    if delivery is None:
        return ""
    why = f": {delivery.reason}" if delivery.reason else ""
    return f"since {moment(delivery.at)}, by {delivery.actor}{why}"


def _contract_changes(candidate: ModelVersion, live: ModelVersion) -> Iterator[str]:
    mine, theirs = trained_inputs(candidate.artifact), trained_inputs(live.artifact)
    if mine is None or theirs is None:
        yield "the contract of the inputs in training isn't recorded for both versions"
        return
    for change in diff(theirs.contract, mine.contract).changes:
        yield str(change)


def _amounts(space: Workspace, versions: Iterable[ModelVersion]) -> Iterator[tuple[str, str]]:
    price = space.price
    for version in versions:
        if version.cost is not None and (amount := version.cost.amount(price)):
            yield version.id, f"{amount:,.6f} {price.currency}"


def _git_command(space: Workspace, live: ModelVersion | None) -> str:
    """A command that shows what changed in the code since the live version was trained."""
    if live is None or not any(
        (folder / ".git").exists() for folder in (space.root, *space.root.parents)
    ):
        return ""
    return f"git log --since={int(live.trained_at)} --patch -- ."
