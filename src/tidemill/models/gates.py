"""Evaluate gates: may a model go live, given its scores? Missing evidence fails a gate."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from datetime import datetime

from tidemill.core.counts import plural
from tidemill.core.fingerprint import fingerprint
from tidemill.ledger.delivery import GATES, Decision
from tidemill.workflow.gate import BeatsBaseline, BeatsLive, Gate, GateResult, NoSliceWorse, Scores
from tidemill.workflow.model import Artifact
from tidemill.workflow.stage import Approval


def subject_of(artifact: str, approval: Approval, evaluation: str) -> str:
    """Return the digest of what is decided on: the artifact, the gates, and the evaluation's recipe."""
    return fingerprint("decision", artifact, [repr(gate) for gate in approval.gates], evaluation)


def last_decision(decisions: Iterable[Decision], artifact: str) -> Decision | None:
    """Return the last decision on an artifact, by whatever gates and evaluation; None if there is none."""
    own = [decision for decision in decisions if decision.artifact == artifact]
    return max(own, key=lambda decision: decision.at, default=None)


def refusal_message(model: str, decision: Decision) -> str:
    """Say when a candidate was refused by gates or withdrawn by a person, and how to undo that."""
    day = datetime.fromtimestamp(decision.at).astimezone().strftime("%Y-%m-%d")
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
    gates: Sequence[Gate], candidate: Scores, live: Scores | None, baseline: Scores | None
) -> tuple[GateResult, ...]:
    """Evaluate each gate on the candidate's scores, compared with the live model (if any) and baseline."""
    return tuple(_evaluate_gate(gate, candidate, live, baseline) for gate in gates)


def _evaluate_gate(
    gate: Gate, candidate: Scores, live: Scores | None, baseline: Scores | None
) -> GateResult:
    if isinstance(gate, NoSliceWorse):
        passed, evidence = _slices(gate, candidate, live)
    elif isinstance(gate, BeatsBaseline):
        passed, evidence = _compare(gate, candidate, baseline, "the baseline")
    elif live is None:
        value = candidate.metrics.get(gate.metric, math.nan)
        passed, evidence = not math.isnan(value), f"{value:.4g}, no live model to compare with"
    else:
        passed, evidence = _compare(gate, candidate, live, "live")
    return GateResult(gate=str(gate), passed=passed, evidence=evidence)


def _compare(
    gate: BeatsLive | BeatsBaseline, candidate: Scores, other: Scores | None, name: str
) -> tuple[bool, str]:
    if other is None:
        return False, f"{name} has no scores"
    if gate.metric not in candidate.metrics:
        return False, f"there is no metric {gate.metric!r} among {', '.join(candidate.metrics)}"
    mine, theirs = candidate.metrics[gate.metric], other.metrics.get(gate.metric, math.nan)
    evidence = f"{mine:.4g} against {theirs:.4g} of {name}"
    gain = abs(theirs) * gate.by if gate.by else 0.0
    limit = theirs + gain if gate.higher_is_better else theirs - gain
    if mine == limit:
        # A model as good as the live one may replace it; one that only equals the baseline is useless.
        return isinstance(gate, BeatsLive), evidence
    return (mine > limit if gate.higher_is_better else mine < limit), evidence


def _slices(gate: NoSliceWorse, candidate: Scores, live: Scores | None) -> tuple[bool, str]:
    if candidate.by != gate.over:
        return False, f"the evaluation splits by {candidate.by or 'nothing'}, not by {gate.over}"
    if live is None:
        return True, "no live model to compare with"
    theirs = {part.value: part for part in live.slices}
    worse: list[str] = []
    compared = 0
    for part in candidate.slices:
        other = theirs.get(part.value)
        if other is None or part.rows < gate.min_rows:
            continue
        compared += 1
        mine, reference = (s.metrics.get(gate.metric, math.nan) for s in (part, other))
        slack = abs(reference) * gate.by
        limit = reference - slack if gate.higher_is_better else reference + slack
        if not (mine >= limit if gate.higher_is_better else mine <= limit):
            worse.append(f"{part.value}: {mine:.4g} against {reference:.4g}")
    if worse:
        return (
            False,
            f"worse by more than {gate.by:.0%} in {len(worse)} of {compared} ({'; '.join(worse[:5])})",
        )
    if not compared:
        return False, f"no slice of at least {plural(gate.min_rows, 'row')} to compare"
    return True, f"none of {plural(compared, 'slice')} is worse by more than {gate.by:.0%}"


CANDIDATE, LIVE, BASELINE = "candidate", "live", "baseline"


def is_live(live: Artifact | None, artifact: Artifact) -> bool:
    """Whether a model is already live, trained on the same contract."""
    return live is not None and (live.id, live.reads) == (artifact.id, artifact.reads)
