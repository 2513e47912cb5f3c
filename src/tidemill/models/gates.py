"""Evaluate gates: may a model go live, given its scores? Missing evidence fails a gate."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from types import MappingProxyType
from typing import TYPE_CHECKING

from tidemill.core.fingerprint import fingerprint
from tidemill.ledger.binding import Binding
from tidemill.ledger.delivery import EXPIRY, GATES, Decision
from tidemill.workflow.gate import (
    BeatsBaseline,
    GateResult,
    NoSliceWorse,
    ScoreGate,
    Scores,
    split_metric,
)
from tidemill.workflow.gate_kinds import Gate
from tidemill.workflow.model import Artifact
from tidemill.workflow.recorded_gates import Calibrated, FactGate
from tidemill.workflow.stage import Approval

if TYPE_CHECKING:
    from tidemill.models.recorded_facts import RecordedFacts


def subject_of(
    artifact: Artifact,
    approval: Approval,
    evaluation: str,
    contents: Mapping[int, str] = MappingProxyType({}),
) -> str:
    """Return the digest of what is decided on: the artifact, the gates, and the evaluation's recipe.

    `contents` identifies what gates consist of besides their declaration, by position: code, or a file.
    """
    gates = [_identity(gate, contents.get(at, "")) for at, gate in enumerate(approval.gates)]
    baseline = judged_baseline(artifact, approval)
    return fingerprint("decision", artifact.id, gates, evaluation, *filter(None, [baseline]))


def judged_basis(live: str, evaluated: Mapping[str, Mapping[str, Binding]]) -> str:
    """The digest of what a candidate is judged by: the live artifact, and all evaluations by subject."""
    found = {
        subject: {stage: [held.key, held.product.content] for stage, held in each.items()}
        for subject, each in evaluated.items()
    }
    return fingerprint("judged by", live, found)


def measured_evidence(
    artifact: Artifact,
    gates: Sequence[Gate],
    contents: Mapping[int, str],
    basis: str,
    price: tuple[float, str],
) -> str:
    """The digest of all that measured gates depend on: with an equal one they needn't measure again.

    `contents` identifies what they consist of, by position; `basis` is that of `judged_basis`, `price` that
    of a CPU hour and its currency.
    """
    measured = {str(at): _identity(gates[at], content) for at, content in contents.items()}
    return fingerprint("measured", artifact.id, artifact.content, measured, basis, *price)


def _identity(gate: Gate, content: str) -> str:
    if isinstance(gate, ScoreGate) and gate.confidence is not None:
        return f"{gate!r} at {gate.confidence!r}"
    return f"{gate!r} of {content}" if content else repr(gate)


def judged_baseline(artifact: Artifact, approval: Approval) -> str:
    """What identifies the baseline that gates compare an artifact with; "" if none of them does."""
    compared = any(isinstance(gate, BeatsBaseline) for gate in approval.gates)
    return artifact.baseline_content if compared else ""


def last_decision(decisions: Iterable[Decision], artifact: str) -> Decision | None:
    """Return the last decision on an artifact, by whatever gates and evaluation; None if there is none."""
    own = [decision for decision in decisions if decision.artifact == artifact]
    return max(own, key=lambda decision: decision.at, default=None)


def standing_decision(decisions: Iterable[Decision], artifact: Artifact) -> Decision | None:
    """Return the last decision on an artifact; None if gates compared it with another baseline.

    A training on other labels may give an equal model, whose baseline is another one. None as well if the
    artifact passed the gates last and was held back: it is judged by every run until it goes live.
    """
    last = last_decision(decisions, artifact.id)
    stands = last is None or last.baseline in ("", artifact.baseline_content)
    return last if last is not None and stands and not last.held else None


def lift_refusals(
    decisions: Mapping[str, Decision], artifacts: Container[str]
) -> dict[str, Decision]:
    """The decisions, of which those of gates that refused one of these artifacts don't stand any more."""
    return {
        subject: replace(each, held=True)
        if each.artifact in artifacts and each.verdict == "refused"
        else each
        for subject, each in decisions.items()
    }


def refusal_message(model: str, decision: Decision) -> str:
    """Say when a candidate was refused by gates or withdrawn by a person, and how to undo that."""
    day = datetime.fromtimestamp(decision.at).astimezone().strftime("%Y-%m-%d")
    if decision.review:
        return (
            f"{model}: candidate {decision.artifact} was rejected on {day} in review {decision.review}"
            f"{'' if decision.actor == EXPIRY else f' by {decision.actor}'}"
            f"{f' ({decision.reason})' if decision.reason else ''}; to have it judged again, run "
            f"`tidemill run {model} --again`"
        )
    if decision.actor != GATES:
        return (
            f"{model}: candidate {decision.artifact} was withdrawn on {day} by {decision.actor}"
            f"{f' ({decision.reason})' if decision.reason else ''}; to make it live again, run "
            f"`tidemill deliver {model} {decision.artifact}`, to have it judged again, run "
            f"`tidemill run {model} --again`"
        )
    gates = ", ".join(result.gate for result in decision.results if not result.passed)
    return (
        f"{model}: candidate {decision.artifact} was refused on {day}{f' by {gates}' if gates else ''}; "
        f"to have it judged again, run `tidemill run {model} --again`"
    )


def evaluate_gates(
    gates: Sequence[Gate],
    candidate: Mapping[str, Scores],
    live: Mapping[str, Scores] | None,
    baseline: Mapping[str, Scores],
    *,
    facts: RecordedFacts | None = None,
    measured: Mapping[int, GateResult] = MappingProxyType({}),
    no_live: str = "",
) -> tuple[GateResult, ...]:
    """Evaluate each gate on the candidate's scores, compared with the live model (if any) and baseline.

    Scores are by evaluation. `facts` are for the gates on recorded facts; `measured` has the results of those
    that needed a process, by position. `no_live` says why `live` is None.
    """
    found = []
    for at, gate in enumerate(gates):
        if isinstance(gate, ScoreGate):
            found.append(_evaluate_gate(gate, candidate, live, baseline, no_live))
        elif isinstance(gate, Calibrated):
            found.append(_evaluate_calibration(gate, candidate))
        elif isinstance(gate, FactGate):
            assert facts is not None
            from tidemill.models.recorded_facts import judge_facts

            found.append(judge_facts(gate, facts))
        else:
            missing = GateResult(gate=str(gate), passed=False, evidence="it wasn't evaluated")
            found.append(measured.get(at, missing))
    return tuple(found)


def _evaluate_calibration(gate: Calibrated, candidate: Mapping[str, Scores]) -> GateResult:
    wanted, metric = split_metric(gate.metric)
    evaluation = wanted or next(iter(candidate), "")
    scores = candidate.get(evaluation)
    if scores is None:
        return GateResult(gate=str(gate), passed=False, evidence=f"{evaluation} has no scores")
    from tidemill.models.calibration_gate import judge_calibration

    return judge_calibration(gate, metric, scores)


def _evaluate_gate(
    gate: ScoreGate,
    candidate: Mapping[str, Scores],
    live: Mapping[str, Scores] | None,
    baseline: Mapping[str, Scores],
    no_live: str,
) -> GateResult:
    # Only a candidate needs them; plans ask for the decisions on those before.
    from tidemill.models.comparison import (
        NO_LIVE,
        GateScores,
        compare_figures,
        compare_slices,
        without_live,
    )

    wanted, metric = split_metric(gate.metric)
    evaluation = wanted or next(iter(candidate), "")
    scores = candidate.get(evaluation)
    if scores is None:
        return GateResult(gate=str(gate), passed=False, evidence=f"{evaluation} has no scores")
    why = no_live or NO_LIVE
    mine, other = GateScores(metric, scores), (live or {}).get(evaluation)
    if isinstance(gate, NoSliceWorse):
        return compare_slices(gate, mine, other, is_first=live is None, why=why)
    if isinstance(gate, BeatsBaseline):
        return compare_figures(gate, mine, baseline.get(evaluation), "the baseline")
    if live is None:
        return without_live(gate, mine, why)
    return compare_figures(gate, mine, other, "live")


CANDIDATE, LIVE, BASELINE, BACKTEST = "candidate", "live", "baseline", "backtest"


def is_live(live: Artifact | None, artifact: Artifact) -> bool:
    """Whether a model is already live, trained on the same contract."""
    return live is not None and (live.id, live.reads) == (artifact.id, artifact.reads)
