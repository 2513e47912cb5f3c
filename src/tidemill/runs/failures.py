"""Group the failures of a run by cause: which partitions failed, why, and what to do next."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from tidemill.core.errors import ContractError
from tidemill.core.extras import install_command, missing_module
from tidemill.core.partition import WHOLE
from tidemill.ledger.run import FAILURES, Action, Attempt, Failure, Outcome
from tidemill.planning.plan import Step
from tidemill.workflow.retry_policy import TRANSIENT
from tidemill.workflow.user_errors import IN_QUERY

# About three lines of a table; `tidemill runs RUN` shows the whole message.
_LONGEST = 240
# Characters of a message that tell causes apart; some messages are very long.
_COMPARED = 1_000
_RAISED = re.compile(r"raised (\w+)")
_AT = re.compile(rf"(?:{IN_QUERY})? at \S+:\d+$")
_CONTRACT = re.compile(r"^breaks its contract \(contract (.+?)\): ")
_GATE = re.compile(r"^(FAILED|UNDECIDED) ([^:(\n]+|.+?\)): ", re.MULTILINE)
# The line with which rules and reviews say what to do.
_HELD = re.compile(
    r"^(?:change what the rule asks for, or|look at it with:|it isn't asked about again) .*",
    re.MULTILINE,
)
# Figures, samples, values and files differ between partitions that failed for the same cause.
_PARTICULARS = re.compile(
    r"""(?<!\w)'[^']*'|\[(?:"(?:\\.|[^"\\])*"|[^\]"])*\]|[^\s'"(]{0,200}[/\\][^\s'"),;]*|\d[\d.,:-]*"""
)
# The parts of a message that say what to do; they come last.
_ADVICE = re.compile(
    r"(?:add|change|check|correct|create|declare|delete|filter|find|fix|make|mark|name|remove|rename|repair"
    r"|retrain|run|say|set|use|wait|write|(?:then )?`tidemill) "
)
# Names of errors that are mostly transient.
_BUILTIN = frozenset({"BrokenPipeError", "ConnectionAbortedError", "ConnectionRefusedError",
                      "ConnectionResetError", *(kind.__name__ for kind in TRANSIENT)})  # fmt: skip
_PASSING = re.compile(r"Connection|Disconnected|Timeout|HTTPError|URLError|Unavailable|Throttl")

# What is equal for failures of the same cause; and the stage and partition of a step's output.
_Cause = tuple[str, ...]
_Output = tuple[str, str]


def group_failures(attempts: Sequence[Attempt], steps: Iterable[Step] = ()) -> tuple[Failure, ...]:
    """Group the failures of a run by cause, in the order in which they came.

    Attempts that were retried don't count. Steps that were skipped are counted at the first failure that
    they wait for, if `steps` of the plan are given.
    """
    groups = {_cause(group[0]): group for group in group_attempts(attempts, FAILURES)}
    skipped = {
        _output_of(a.stage, a.partition, a.action) for a in attempts if a.outcome is Outcome.SKIPPED
    }
    waiting = _count_skipped(groups, steps, skipped)
    return tuple(
        replace(_failure(group), skipped=waiting.get(cause, 0)) for cause, group in groups.items()
    )


def group_attempts(
    attempts: Iterable[Attempt], outcomes: Collection[Outcome]
) -> list[list[Attempt]]:
    """Group the attempts with one of these outcomes by cause, in the order in which they came."""
    groups: dict[_Cause, list[Attempt]] = {}
    for attempt in attempts:
        if attempt.outcome in outcomes:
            groups.setdefault(_cause(attempt), []).append(attempt)
    return list(groups.values())


def _cause(attempt: Attempt) -> _Cause:
    what = _what(attempt)
    raised, at = _RAISED.match(what), _AT.search(what)
    if attempt.trace and raised and at and IN_QUERY not in at[0]:
        # The same error at the same line of the user's code is one cause, whatever its text.
        what = raised[0] + at[0]
    elif attempt.partition != WHOLE:
        what = _without_particulars(what, attempt.partition)
    return attempt.stage, attempt.action, str(attempt.outcome), attempt.fate, what


def _without_particulars(text: str, partition: str) -> str:
    """The text without what differs between partitions: the partition's key, files, figures, values."""
    text = re.sub(rf"(?<!\w){re.escape(partition)}(?!\w)", "0", text[:_COMPARED])
    return _PARTICULARS.sub("0", text)


def _what(attempt: Attempt) -> str:
    """The message without the step that it names."""
    text = " ".join(attempt.message.split())
    for place in (f"{attempt.stage} {attempt.partition}", attempt.stage):
        if text.startswith((f"{place} ", f"{place}:")):
            return text[len(place) :].lstrip(": ")
    return text


def _failure(group: Sequence[Attempt]) -> Failure:
    first = group[0]
    why, advice = _why_and_advice(first)
    if len(group) > 1 and len({_what(attempt) for attempt in group}) > 1:
        why = f"in {first.partition}: {why}"
    if first.number > 1:
        why = f"{why} (tried {first.number} times)"
    messages = {attempt.partition: attempt.message for attempt in group}
    judged = first.outcome is Outcome.REFUSED
    return Failure(
        stage=first.stage,
        partitions=tuple(sorted(messages)),
        why=why,
        advice=advice,
        messages=() if judged else tuple(messages[key] for key in sorted(messages)),
        findings=first.findings,
    )


def _why_and_advice(attempt: Attempt) -> tuple[str, str]:
    """Why an attempt failed, in one line, and what to do."""
    what = _what(attempt)
    if attempt.fate in _FATES:
        is_said = not attempt.peak_rss or "it held" in what
        held = "" if is_said else f"it held {attempt.peak_rss / 1e6:,.0f} MB: "
        return _short(what), _FATES[attempt.fate].format(held=held)
    if to_do := _HELD.search(attempt.message):
        said = attempt.message[: to_do.start()].splitlines()
        return _short("; ".join(said).removeprefix(f"{attempt.stage}: ")), to_do[0]
    if attempt.outcome is Outcome.REFUSED:
        gates = {gate: word for word, gate in _GATE.findall(attempt.message)}
        why = f"refused by {', '.join(gates)}" if gates else what
        return _short(why), f"the live model stays; {_advice_on_gates(gates)}"
    if attempt.trace:
        return _short(what.removeprefix("raised ")), _after_error(attempt, what)
    return _split(attempt, what)


def _advice_on_gates(gates: Mapping[str, str]) -> str:
    """What to do about gates that refused a model, by the word for their outcome."""
    if not all(gate.startswith(_ON_SCORES) for gate in gates):
        return "what its gates found says what to change"
    if gates and "FAILED" not in gates.values():
        return "score more days, or declare gates without confidence"
    return "train on better data or with other parameters"


# Gates that compare scores; only they are helped by a better model.
_ON_SCORES = ("beats_", "no_slice_worse", "calibrated")
_FATES: Mapping[str, str] = {
    "oom": "{held}allow more with resources=tm.resources(memory=...), or make partitions smaller",
    "timeout": "allow more with resources=tm.resources(timeout=...), or find what it waits for",
    "lost": "check its output; if memory ran out, make partitions smaller, or declare what a step needs "
    "with resources=tm.resources(memory=...)",
    "cancelled": "it was cancelled; run again",
}


def _after_error(attempt: Attempt, what: str) -> str:
    """Advice on an error in the user's code."""
    found = _RAISED.match(what)
    name = found[1] if found else ""
    if name == ModuleNotFoundError.__name__ and (module := missing_module(what)):
        return f"`{install_command(module)}`, then run again"
    if name in _BUILTIN or _PASSING.search(name):
        if attempt.number > 1:
            return "find out why it persists, then run again: only failed steps are rerun"
        on = "" if name in _BUILTIN else f", on=({name},)"
        return f"run again; with retries=tm.retries(3{on}) the stage retries by itself"
    if attempt.action != Action.RUN:
        return "correct the code, then run again"
    place = "" if attempt.partition == WHOLE else f" {attempt.partition}"
    alone = f"`tidemill run {attempt.stage}{place} --debug` runs it alone"
    return f"correct the code, then run again; {alone}"


def _split(attempt: Attempt, what: str) -> tuple[str, str]:
    """Split a message of Tidemill into what is wrong and what to do."""
    what = _CONTRACT.sub(r"breaks \1: ", what)
    parts = what.split("; ")
    advice = list(dict.fromkeys(part for part in parts[1:] if _ADVICE.match(part)))
    why = "; ".join([parts[0], *(part for part in parts[1:] if part not in advice)])
    if not advice:
        data = attempt.exit_code == ContractError.exit_code
        advice = ["fix the data, or the contract" if data else "fix the cause, then run again"]
    return _short(why), "; ".join(advice)


def _short(text: str) -> str:
    """The text, cut in front of the place in the user's code if it is too long."""
    if len(text) <= _LONGEST:
        return text
    found = _AT.search(text)
    at = found[0] if found and len(found[0]) < _LONGEST // 2 else ""
    return f"{text[: _LONGEST - 1 - len(at)].rstrip()}…{at}"


def _output_of(stage: str, partition: str, action: str) -> _Output:
    return stage, "(gate)" if action == Action.GATE else partition


def _count_skipped(
    groups: Mapping[_Cause, Sequence[Attempt]], steps: Iterable[Step], skipped: set[_Output]
) -> dict[_Cause, int]:
    """Count by cause the steps that were skipped because something upstream failed.

    A step that waits for several failures counts at the first, so that the counts add up.
    """
    blame: dict[_Output, _Cause] = {}
    for cause, group in groups.items():
        for attempt in group:
            made = _output_of(attempt.stage, attempt.partition, attempt.action)
            blame.setdefault(made, cause)
    count: dict[_Cause, int] = {}
    for step in steps:
        made = _output_of(step.stage, step.partition, step.action)
        if made in skipped:
            first = next((blame[need] for need in _needs(step) if need in blame), None)
            if first is not None:
                blame[made] = first
                count[first] = count.get(first, 0) + 1
    return count


def _needs(step: Step) -> Iterable[_Output]:
    for name, keys in step.reads.items():
        # A model has only one partition, which reads don't name.
        yield from ((name, key) for key in (*keys, WHOLE))
    if step.action is Action.GATE:
        yield step.stage, WHOLE
