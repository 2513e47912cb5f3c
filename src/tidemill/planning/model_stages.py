"""Plan models: which are outdated or due, which evaluations are needed, and whether a gate decides.

A changed key makes a model outdated; only a trigger or a user makes it due.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.partition import WHOLE
from tidemill.ledger.binding import Binding
from tidemill.ledger.delivery import Decision
from tidemill.ledger.run import Action
from tidemill.models.gates import (
    BASELINE,
    CANDIDATE,
    LIVE,
    is_live,
    refusal_message,
    standing_decision,
)
from tidemill.models.input_compatibility import incompatibility, unchecked_note
from tidemill.models.search import trial_partition, trials_before
from tidemill.models.triggers import fired_reasons
from tidemill.models.warm_start import recorded_parent
from tidemill.planning.backtests import plan_backtests
from tidemill.planning.draft import (
    Draft,
    ScoredStage,
    distrust_reason,
    is_outdated_for,
    is_rerun_requested,
    reads_of,
    reasons_for,
    size_of,
)
from tidemill.planning.drift_notes import drift_notes
from tidemill.planning.live_days import evaluates_days, live_days, live_key, timed_input
from tidemill.planning.plan import ModelState, Step, Waiting
from tidemill.planning.trigger_facts import trigger_evidence
from tidemill.planning.warm_start import choose_parent
from tidemill.reuse.input_contents import Content
from tidemill.reuse.recipe import quote_columns
from tidemill.reuse.step_key import Inputs, StepKey, key_for
from tidemill.reuse.training_key import training_key
from tidemill.workflow.model import Artifact
from tidemill.workflow.partition_mapping import visible_to_unpartitioned
from tidemill.workflow.stage import Stage, evaluations_of
from tidemill.workflow.trigger import TriggerEvidence


@dataclass(frozen=True, slots=True, kw_only=True)
class _Window:
    inputs: Inputs
    missing: str


@dataclass(frozen=True, slots=True)
class _Subject:
    """A model to evaluate, and its content; its scores are the partition `place`, by default its name."""

    name: str
    content: Content
    place: str = ""


def plan_model(draft: Draft, stage: Stage) -> None:
    """Train a model that is due; keep the last artifact of one that is only outdated, and report that."""
    window = _window(draft, stage)
    bound = draft.bindings(stage.name).get(WHOLE)
    held: dict[str, Content] = {WHOLE: bound.product.content} if bound else {}
    draft.contents[stage.name] = held
    draft.current[stage.name] = len(held)
    draft.candidates[stage.name] = bound.product.artifact if bound else None
    if window.missing:
        _add_waiting(draft, stage, window.missing)
        return
    recipe = draft.recipes[stage.name]
    forced = _is_training_requested(draft, stage, bound) or bool(recipe.unproven)
    handed = training_key(recipe, window.inputs, recorded_parent(bound))
    outdated = _outdated_reasons(draft, stage, bound, window, handed)
    unlikely = _is_expected_to_stay(draft, stage, bound, window, handed)
    changed = bound is None or handed.key != bound.key
    chosen = choose_parent(draft, stage, bound, window.inputs, changed=changed)
    is_same = chosen.digest == recorded_parent(bound)
    own = handed if is_same else training_key(recipe, window.inputs, chosen.digest)
    known = _find_result(draft, stage, own.key, forced)
    artifacts = filter(None, (known.product.artifact,)) if known is not None else ()
    if any(_incompatibility(stage, artifact) for artifact in artifacts):
        # It was trained on the same rows, but under a contract that has changed since.
        known, forced = None, True
    evidence = trigger_evidence(draft, stage, window.inputs, bound, outdated)
    reasons = _unless_held(draft, stage, _due_reasons(draft, stage, bound, outdated, evidence))
    if outdated and known and not reasons:
        # Reusing an identical training costs nothing, so no trigger is needed.
        reasons = ("the same training was done before",)
    if reasons:
        draft.candidates[stage.name] = known.product.artifact if known else None
    state = ModelState(
        stage=stage.name,
        outdated=outdated,
        due=reasons,
        trigger=str(stage.training.retrain or "") if stage.training else "",
        evidence=evidence,
        lineage=chosen.note if reasons else "",
        drift=drift_notes(draft, stage, bound),
    )
    draft.models.append(_with_live_model(draft, stage, state))
    if not reasons:
        return
    if chosen.parent is not None:
        draft.parents[stage.name] = chosen.parent
    action = Action.BIND if known else Action.TRAIN
    trials = _plan_trials(draft, stage, window, unlikely=unlikely) if action is Action.TRAIN else ()
    step = Step(
        stage=stage.name,
        partition=WHOLE,
        action=action,
        reasons=reasons,
        forced=forced,
        unlikely=unlikely,
        needs=trials,
        parent=chosen.parent.id if chosen.parent is not None else "",
    )
    _add_step(draft, step, window.inputs)
    draft.unlikely_models.update([stage.name] if unlikely else [])
    draft.contents[stage.name] = {WHOLE: known.product.content if known else None}
    draft.current[stage.name] = 0


def _outdated_reasons(
    draft: Draft, stage: Stage, bound: Binding | None, window: _Window, handed: StepKey
) -> tuple[str, ...]:
    """What a training would use that the last one didn't."""
    if bound is None:
        return ()
    if handed.key != bound.key:
        return reasons_for(draft, stage, bound, window.inputs, handed)
    return (distrust_reason(draft, stage, bound),) if bound.touched else ()


def _is_expected_to_stay(
    draft: Draft, stage: Stage, bound: Binding | None, window: _Window, handed: StepKey
) -> bool:
    """Whether a model stays as it is if its inputs, which will be computed, turn out as expected."""
    if bound is None or handed.key is not None or draft.is_missing(bound):
        return False
    parent, recipe = recorded_parent(bound), draft.recipes[stage.name]
    hoped = training_key(recipe, window.inputs, parent, include_expected=True).key
    return hoped == bound.key


def _plan_trials(draft: Draft, stage: Stage, window: _Window, *, unlikely: bool) -> tuple[str, ...]:
    """Plan the trials of a model's search: which parameters each has is decided when it begins.

    A trial that was run before, with the same parameters on the same inputs, isn't run again.
    """
    search = stage.training.search if stage.training is not None else None
    if search is None:
        return ()
    again = is_rerun_requested(draft, stage)
    names = tuple(map(trial_partition, range(search.trials)))
    for number, name in enumerate(names):
        step = Step(
            stage=stage.name,
            partition=name,
            action=Action.TRIAL,
            reasons=(f"search of {quote_columns([*search.space])}",),
            forced=again or bool(draft.recipes[stage.name].unproven),
            unlikely=unlikely,
            needs=trials_before(search, number),
        )
        _add_step(draft, step, window.inputs)
    return names


def _with_live_model(draft: Draft, stage: Stage, state: ModelState) -> ModelState:
    """The state with what there is to say of the live model, and of a candidate that was refused."""
    live = draft.facts.live.get(stage.name)
    note = _incompatibility(stage, live.artifact) or unchecked_note(live.artifact) if live else ""
    refusal = _refusal(draft, stage)
    refused = refusal_message(stage.name, refusal) if refusal else ""
    return replace(state, note=note, refused=refused)


def _refusal(draft: Draft, model: Stage) -> Decision | None:
    """The decision that refused a model's candidate; None if it is live, or is to be judged (again)."""
    artifact, live = draft.candidates.get(model.name), draft.facts.live.get(model.name)
    if model.approval is None or artifact is None or _is_judged_again(draft, model):
        return None
    if live is not None and is_live(live.artifact, artifact):
        return None
    last = standing_decision(draft.facts.decisions.values(), artifact)
    return None if last is None or last.approved else last


def _is_judged_again(draft: Draft, model: Stage) -> bool:
    """Whether it was requested, of all or by name, that gates judge the candidate of a model again."""
    names = {model.name, *(other.name for other in draft.flow.readers(model.name))}
    request = draft.request
    return request.ask_again or (request.again and not names.isdisjoint(request.named))


def _incompatibility(model: Stage, artifact: Artifact) -> str:
    """Why an artifact can't be applied to the current inputs of its stage; "" if it can."""
    return incompatibility(artifact, model, [item.contract for item in model.frames])


def _find_result(draft: Draft, stage: Stage, key: str | None, forced: bool) -> Binding | None:
    """Find an earlier result under this key that is still stored."""
    if key is None or forced:
        return None
    found = draft.lookup([key]).get(key)
    if found is None or found.sample != draft.recipes[stage.name].sample:
        return None
    return None if found.touched or draft.is_missing(found) else found


def _is_training_requested(draft: Draft, stage: Stage, bound: Binding | None) -> bool:
    return stage.name in draft.request.train and is_outdated_for(draft, bound)


def _due_reasons(
    draft: Draft,
    stage: Stage,
    bound: Binding | None,
    outdated: tuple[str, ...],
    evidence: TriggerEvidence | None,
) -> tuple[str, ...]:
    if _is_training_requested(draft, stage, bound):
        return ("training requested",)
    if bound is None or bound.product.artifact is None:
        return ("not trained yet",)
    if absence := draft.absence(bound):
        return (absence,)
    if outdated and stage.name in draft.request.tuned:
        return ("it has parameters for this run",)
    return fired_reasons(evidence) if evidence is not None else ()


def _unless_held(draft: Draft, stage: Stage, reasons: tuple[str, ...]) -> tuple[str, ...]:
    """The reasons of a training, or none while it waits: the model that is live stays so meanwhile."""
    if not reasons or not draft.request.holds(stage.name, WHOLE):
        return reasons
    draft.incomplete.add(stage.name)
    return ()


def _window(draft: Draft, stage: Stage) -> _Window:
    available = {item.name: sorted(draft.contents[item.name]) for item in stage.frames}
    seen = visible_to_unpartitioned(stage, draft.partitionings, available)
    inputs = {name: draft.contents_of(name, keys) for name, keys in seen.items()}
    missing = next((item.name for item in stage.frames if item.name not in seen), "")
    return _Window(inputs=inputs, missing=missing)


def _add_waiting(draft: Draft, stage: Stage, missing: str) -> None:
    reason = f"upstream `{missing}` has no partition in the window yet"
    draft.waiting.append(Waiting(stage=stage.name, partition=WHOLE, reason=reason))


def plan_evaluation(draft: Draft, stage: Stage) -> str | None:
    """Plan the evaluation of the live model, and of a candidate that needs a decision, on the newest window.

    The last evaluation of a model also plans its gates: returns the rank of that step if there is one.
    """
    model = next(draft.flow[item.name] for item in stage.inputs if item.contract is None)
    draft.contents[stage.name] = {}
    subjects = _subjects(draft, stage, model)
    draft.current[stage.name] = 0
    if subjects:
        _plan_scores(draft, stage, model, subjects)
    plan_backtests(draft, stage, model)
    if stage.name != evaluations_of(draft.flow, model.name)[-1].name:
        return None
    return _plan_gate(draft, stage, model)


def _plan_scores(draft: Draft, stage: Stage, model: Stage, subjects: Mapping[str, Content]) -> None:
    window = _window(draft, stage)
    if window.missing:
        _add_waiting(draft, stage, window.missing)
        return
    after = draft.ranks[model.name].get(WHOLE, "")
    ranks = [
        rank
        for subject, content in subjects.items()
        if (rank := _evaluate(draft, stage, _Subject(subject, content), window.inputs, after))
    ]
    timed = timed_input(draft, stage)
    through = max(window.inputs[timed.name], default="") if timed is not None else ""
    draft.evaluated_through[model.name] = max(through, draft.evaluated_through.get(model.name, ""))
    # Days of the live model are evaluated before the gates make another one live.
    days = map(live_key, _evaluate_days(draft, stage, model, subjects, after))
    draft.scored[stage.name] = ScoredStage(subjects=(*subjects, *days), rank=max(ranks, default=""))


def _plan_gate(draft: Draft, last: Stage, model: Stage) -> str | None:
    """Plan the decision on a candidate, once all its evaluations are planned."""
    scored = {
        stage.name: draft.scored.get(stage.name) for stage in evaluations_of(draft.flow, model.name)
    }
    found = {name: each for name, each in scored.items() if each and CANDIDATE in each.subjects}
    if model.approval is None or len(found) < len(scored):
        return None
    count = len(model.approval.gates)
    gate = Step(
        stage=model.name,
        partition=WHOLE,
        action=Action.GATE,
        reasons=(
            "1 gate judges the candidate" if count == 1 else f"{count} gates judge the candidate",
        ),
        reads={name: each.subjects for name, each in found.items()},
        subject=CANDIDATE,
        forced=_is_judged_again(draft, model),
        unlikely=model.name in draft.unlikely_models,
    )
    after = (draft.ranks[model.name].get(WHOLE, ""), *(each.rank for each in found.values()))
    return draft.add(gate, after=after, in_place_of=last.name)


def _subjects(draft: Draft, stage: Stage, model: Stage) -> dict[str, Content]:
    """The subjects to evaluate, each with the content of its model, None if it isn't trained yet."""
    found: dict[str, Content] = {}
    artifact = draft.candidates.get(model.name)
    content = draft.contents[model.name].get(WHOLE, "")
    live = draft.facts.live.get(model.name)
    pending = WHOLE in draft.ranks[model.name]
    undecided = pending
    if artifact is not None:
        undecided = _needs_decision(draft, model, artifact, pending=pending)
    if undecided:
        found[CANDIDATE] = content
        found[BASELINE] = None if pending or artifact is None else artifact.baseline_content
    # A live model that is damaged can't be compared with.
    missing = draft.facts.missing_objects.keys()
    usable = live is not None and missing.isdisjoint(live.artifact.all_objects)
    if live is not None and usable and not _incompatibility(model, live.artifact):
        found[LIVE] = live.artifact.content
    return found


def _needs_decision(draft: Draft, model: Stage, artifact: Artifact, *, pending: bool) -> bool:
    """Whether the gates must judge a candidate: a refused one stays refused, whatever gates are edited."""
    if model.approval is None:
        return True
    live = draft.facts.live.get(model.name)
    if live is not None and is_live(live.artifact, artifact):
        return pending
    if _is_judged_again(draft, model):
        return True
    last = standing_decision(draft.facts.decisions.values(), artifact)
    return last is None or (last.approved and pending)


def _evaluate(
    draft: Draft,
    stage: Stage,
    subject: _Subject,
    read: Inputs,
    after: str,
) -> str:
    """Plan the evaluation of a subject if it isn't current; return its rank."""
    model = next(draft.flow[item.name] for item in stage.inputs if item.contract is None)
    place, key = subject.place or subject.name, BASELINE if subject.name == BASELINE else WHOLE
    inputs: Inputs = {**read, model.name: {key: subject.content}}
    recipe = draft.recipes[stage.name]
    handed = key_for(recipe, "", inputs)
    bound = draft.bindings(stage.name).get(place)
    unproven = bool(recipe.unproven or (bound is not None and bound.touched))
    if bound is not None and handed.key == bound.key and not unproven:
        draft.current[stage.name] += 1
        return ""
    reasons = reasons_for(draft, stage, bound, inputs, handed)
    known = _find_result(draft, stage, handed.key, unproven)
    action = Action.BIND if known else Action.EVALUATE
    unlikely = model.name in draft.unlikely_models
    if subject.name == LIVE and bound is not None:
        unlikely = key_for(recipe, "", inputs, include_expected=True).key == bound.key
    step = Step(
        stage=stage.name,
        partition=place,
        action=action,
        reasons=reasons,
        subject=subject.name,
        forced=unproven,
        unlikely=unlikely and not unproven,
    )
    return _add_step(draft, step, inputs, after=after)


def _evaluate_days(
    draft: Draft, stage: Stage, model: Stage, subjects: Mapping[str, Content], after: str
) -> list[str]:
    """Plan the evaluation of the live model on each day since its approval, if a trigger needs it."""
    if LIVE not in subjects or not evaluates_days(draft, stage, model):
        return []
    live, planned = draft.facts.live[model.name], []
    for day, inputs in live_days(draft, stage, live, draft.contents):
        if _evaluate(draft, stage, _Subject(LIVE, subjects[LIVE], live_key(day)), inputs, after):
            planned.append(day)
    return planned


def _add_step(draft: Draft, step: Step, inputs: Inputs, *, after: str = "") -> str:
    """Add a step to the plan with what it reads, and the size of that if it is known."""
    rows, bytes_ = size_of(draft, inputs)
    step = replace(step, reads=reads_of(inputs), rows=rows, bytes=bytes_)
    return draft.add(step, after=(after,))
