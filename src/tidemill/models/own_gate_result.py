"""Read what a gate of the user returned: only a clear yes passes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from tidemill.core.printable import printable
from tidemill.workflow.gate import GateResult, Interval
from tidemill.workflow.gate_kinds import Gate
from tidemill.workflow.own_gate import OwnGate

_LONGEST = 2_000
_SHOWN = 20
_WANTED = "return True or False, findings as text, or a tm.GateResult"


def result_of(gate: OwnGate, answer: object) -> GateResult:
    """Return the result that a gate's answer means; an answer that means nothing fails."""
    if isinstance(answer, GateResult):
        return _checked(gate, answer)
    if type(answer).__name__ in ("bool", "bool_") and answer in (True, False):
        passed = bool(answer)
        evidence = "it found nothing" if passed else "it returned False"
        return GateResult(gate=gate.name, passed=passed, evidence=evidence)
    if isinstance(answer, str) and answer.strip():
        return refused(gate, answer)
    if isinstance(answer, list | tuple):
        return _of_findings(gate, answer)
    return refused(gate, f"it returned {_shown(answer)}: {_WANTED}")


def refused(gate: Gate, evidence: str) -> GateResult:
    """A failed gate, for a reason that may come from anywhere."""
    text = printable(evidence.strip())
    text = text if len(text) <= _LONGEST else text[:_LONGEST] + " ..."
    return GateResult(gate=str(gate), passed=False, evidence=text)


def _of_findings(gate: OwnGate, answer: Sequence[object]) -> GateResult:
    wrong = next((each for each in answer if not isinstance(each, str) or not each.strip()), None)
    if len(answer) and (wrong is not None or None in answer):
        return refused(gate, f"a finding that it returned is {_shown(wrong)}: {_WANTED}")
    if not len(answer):
        return GateResult(gate=gate.name, passed=True, evidence="no findings")
    texts = [str(each) for each in answer[:_SHOWN]]
    more = [f"and {len(answer) - _SHOWN:,} more findings"] if len(answer) > _SHOWN else []
    return refused(gate, "; ".join([*texts, *more]))


def _checked(gate: OwnGate, answer: GateResult) -> GateResult:
    # Nothing checked the fields of what the user made.
    fields: tuple[object, object, object] = answer.passed, answer.unknown, answer.evidence
    if not all(map(isinstance, fields, (bool, bool, str))):
        shown = ", ".join(map(_shown, fields))
        return refused(gate, f"the passed, unknown and evidence that it returned are {shown}")
    if answer.passed and answer.unknown:
        return refused(gate, f"it passed, and doesn't know: {answer.evidence}")
    if answer.difference is not None and not _is_finite(answer.difference):
        return refused(gate, f"its difference isn't finite: {answer.evidence}")
    shown = refused(gate, answer.evidence or "it gave no evidence").evidence
    return replace(answer, gate=gate.name, evidence=shown)


def _is_finite(found: object) -> bool:
    if not isinstance(found, Interval):
        return False
    return all(
        isinstance(figure, (int, float)) and math.isfinite(figure)
        for figure in (found.value, found.low, found.high)
    )


def _shown(value: object) -> str:
    try:
        text = repr(value)
    except (Exception, SystemExit):  # noqa: BLE001 - a repr of the user may raise anything
        text = "?"
    return text[:100]
