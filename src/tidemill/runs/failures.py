"""What went wrong in a run, by cause: which partitions, why, what waits for them, and what to do next."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from tidemill.core.errors import ContractError
from tidemill.core.partition import WHOLE
from tidemill.ledger.run import Action, Attempt, Failure, Outcome
from tidemill.planning.plan import Step
from tidemill.workflow.retry_policy import TRANSIENT

_FAILED = frozenset({Outcome.FAILED, Outcome.REFUSED})
# A cause is told in about three lines of a table; `tidemill runs RUN` has all of it.
_LONGEST = 240
_RAISED = re.compile(r"raised (\w+)")
_AT = re.compile(r" at \S+:\d+$")
_CONTRACT = re.compile(r"^breaks its contract \(contract (.+?)\): ")
_GATE = re.compile(r"(?:^|; )([^;]+?) FAILED: ")
# Figures and samples differ from partition to partition where the cause is one.
_FIGURES = re.compile(r"(?<!\w)'[^']*'|\d[\d.,:-]*")
# Messages say what is wrong, then what to do.
_ADVICE = re.compile(r"(?:add|change|declare|find|fix|make|name|remove|repair|run|say|`tidemill) ")
# Names of errors that mostly pass by themselves.
_BUILTIN = frozenset({"BrokenPipeError", "ConnectionAbortedError", "ConnectionRefusedError",
                      "ConnectionResetError", *(kind.__name__ for kind in TRANSIENT)})  # fmt: skip
_PASSING = re.compile(r"Connection|Disconnected|Timeout|HTTPError|URLError|Unavailable|Throttl")

# By the causes of a stage, what makes two failures one; and what a step makes.
_Cause = tuple[str, ...]
_Made = tuple[str, str]


def failures_of(attempts: Sequence[Attempt], steps: Iterable[Step] = ()) -> tuple[Failure, ...]:
    """The failures of a run, in the order in which they came, one for all partitions with the same cause.

    A try that was tried again is none, nor is a step that was skipped: with the `steps` of the plan it
    is counted at the failure that it waits for.
    """
    groups: dict[_Cause, list[Attempt]] = {}
    for attempt in attempts:
        if attempt.outcome in _FAILED:
            groups.setdefault(_cause(attempt), []).append(attempt)
    skipped = {
        _made(a.stage, a.partition, a.action) for a in attempts if a.outcome is Outcome.SKIPPED
    }
    waiting = _waiting(groups, steps, skipped)
    return tuple(
        replace(_failure(group), skipped=waiting.get(cause, 0)) for cause, group in groups.items()
    )


def _cause(attempt: Attempt) -> _Cause:
    what = _what(attempt)
    raised, at = _RAISED.match(what), _AT.search(what)
    if attempt.trace and raised and at:
        # The same error at the same line of the user's code is one, whatever its text names.
        what = raised[0] + at[0]
    elif attempt.partition != WHOLE:
        what = _FIGURES.sub("0", what)
    return attempt.stage, attempt.action, str(attempt.outcome), attempt.fate, what


def _what(attempt: Attempt) -> str:
    """The message without where it happened."""
    text = " ".join(attempt.message.split())
    for place in (f"{attempt.stage} {attempt.partition}", attempt.stage):
        if text.startswith((f"{place} ", f"{place}:")):
            return text[len(place) :].lstrip(": ")
    return text


def _failure(group: Sequence[Attempt]) -> Failure:
    first = group[0]
    why, advice = _told(first)
    if len(group) > 1 and len({_what(attempt) for attempt in group}) > 1:
        why = f"in {first.partition}: {why}"
    if first.number > 1:
        why = f"{why} (tried {first.number} times)"
    said = {attempt.partition: attempt.message for attempt in group}
    judged = first.outcome is Outcome.REFUSED
    return Failure(
        stage=first.stage,
        partitions=tuple(sorted(said)),
        why=why,
        advice=advice,
        messages=() if judged else tuple(said[key] for key in sorted(said)),
    )


def _told(attempt: Attempt) -> tuple[str, str]:
    """Why an attempt failed, in one line, and what to do about it."""
    what = _what(attempt)
    if attempt.fate in _FATES:
        told = not attempt.peak_rss or "it held" in what
        held = "" if told else f"it held {attempt.peak_rss / 1e6:,.0f} MB: "
        return _short(what), _FATES[attempt.fate].format(held=held)
    if attempt.outcome is Outcome.REFUSED:
        gates = _GATE.findall(what.partition("refused: ")[2])
        why = f"refused by {', '.join(gates)}" if gates else what
        return _short(why), "the live model stays; train on better data or with other parameters"
    if attempt.trace:
        return _short(what.removeprefix("raised ")), _after_error(attempt, what)
    return _split(attempt, what)


_FATES: Mapping[str, str] = {
    "oom": "{held}allow more with resources=tm.resources(memory=...), or make partitions smaller",
    "timeout": "allow more with resources=tm.resources(timeout=...), or find what it waits for",
    "lost": "look at its output; if memory ran out, make partitions smaller, or say what a step needs "
    "with resources=tm.resources(memory=...)",
    "cancelled": "it was stopped; run again",
}


def _after_error(attempt: Attempt, what: str) -> str:
    """What to do after the user's code raised."""
    found = _RAISED.match(what)
    name = found[1] if found else ""
    if name in _BUILTIN or _PASSING.search(name):
        if attempt.number > 1:
            return "find out why it lasts, then run again: only what failed is done"
        on = "" if name in _BUILTIN else f", on=({name},)"
        return f"run again; with retries=tm.retries(3{on}) the stage tries again by itself"
    if attempt.action != Action.RUN:
        return "correct the code, then run again"
    place = "" if attempt.partition == WHOLE else f" {attempt.partition}"
    alone = f"`tidemill run {attempt.stage}{place} --debug` tries it alone"
    return f"correct the code, then run again; {alone}"


def _split(attempt: Attempt, what: str) -> tuple[str, str]:
    """A message of ours in what is wrong and what to do."""
    what = _CONTRACT.sub(r"breaks \1: ", what)
    parts = what.split("; ")
    advice = list(dict.fromkeys(part for part in parts[1:] if _ADVICE.match(part)))
    why = "; ".join([parts[0], *(part for part in parts[1:] if part not in advice)])
    if not advice:
        data = attempt.exit_code == ContractError.exit_code
        advice = [
            "fix the data, or the contract" if data else "repair what it names, then run again"
        ]
    return _short(why), "; ".join(advice)


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1].rstrip() + "…"


def _made(stage: str, partition: str, action: str) -> _Made:
    return stage, "(gate)" if action == Action.GATE else partition


def _waiting(
    groups: Mapping[_Cause, Sequence[Attempt]], steps: Iterable[Step], skipped: set[_Made]
) -> dict[_Cause, int]:
    """By cause, how many steps were skipped because what they read wasn't made, or what that reads."""
    blame: dict[_Made, set[_Cause]] = {}
    for cause, group in groups.items():
        for attempt in group:
            made = _made(attempt.stage, attempt.partition, attempt.action)
            blame.setdefault(made, set()).add(cause)
    count: dict[_Cause, int] = {}
    for step in steps:
        made = _made(step.stage, step.partition, step.action)
        if made in skipped:
            causes = {cause for need in _needs(step) for cause in blame.get(need, ())}
            blame[made] = causes
            for cause in causes:
                count[cause] = count.get(cause, 0) + 1
    return count


def _needs(step: Step) -> Iterable[_Made]:
    for name, keys in step.reads.items():
        # A model is read without saying which partition: it has only one.
        yield from ((name, key) for key in (*keys, WHOLE))
    if step.action is Action.GATE:
        yield step.stage, WHOLE
