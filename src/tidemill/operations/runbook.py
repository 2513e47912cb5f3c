"""Write the runbook of a workflow as Markdown, from facts: who answers, what runs, what failed, what to do.

The text stays the same while the facts do, so that it can be committed: it has no time at which it was
written, and durations are rounded to steps that seldom change from run to run.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Sequence

from tidemill.core.counts import plural
from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.markdown import markdown_code, markdown_text
from tidemill.core.text_table import markdown_table

# Durations are rounded up to these, in seconds.
_STEPS = (
    *((0.1, "0.1 s"), (0.5, "0.5 s"), (1.0, "1 s"), (5.0, "5 s"), (15.0, "15 s"), (60.0, "1 min")),
    *((300.0, "5 min"), (900.0, "15 min"), (3600.0, "1 h"), (4 * 3600.0, "4 h")),
    (86_400.0, "1 day"),
)
_STAGES = (
    *("stage", "kind", "reads", "contract", "partitions", "a step takes at most about", ">retries"),
)
_NO_PROMISE = (
    "Nothing is promised: no contract has a rule about freshness or rows, and no objective is set."
)
_LONGER = "more than a day"
_PRODUCTION = "prod"
# Incidents that are listed; the oldest are only counted.
_INCIDENTS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class RunbookStage:
    """A stage: what it reads and promises, how long a step takes, and who answers for it.

    `needs` are its rules about freshness and rows, `gates` those of a model, `approval` says who has to
    agree. `wall_s` is the 95th percentile of its steps' durations; `fails` if some of the last steps failed.
    """

    name: str
    kind: str
    owner: str
    reads: tuple[str, ...] = ()
    contract: str = ""
    partitions: str = ""
    needs: tuple[str, ...] = ()
    gates: tuple[str, ...] = ()
    approval: str = ""
    retries: int = 0
    sink: str = ""
    model: str = ""
    wall_s: float | None = None
    fails: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RunbookIncident:
    """An incident of the past or one that lasts: what it was about, and how it ended.

    `day` is the one on which it began, in UTC. `took_s` are the seconds until it was well again, None while
    it lasts.
    """

    id: str
    day: str
    title: str
    stage: str = ""
    ended: str = ""
    took_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunbookEndpoint:
    """An endpoint, its model, and whether a new version takes over step by step."""

    name: str
    model: str
    rollout: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RunbookFacts:
    """What a runbook tells of a workflow in an environment.

    `people` says who may do what, `alerts` where alerts go, `schedules` when stages run, `objectives` and
    `rules` what is held to what, `costs` what may be spent, what waits until it is cheap, and what the four
    numbers should be; each pair is a name and a description. `keeps` says how long data is kept. A home that
    machines share is backed up with its database.
    """

    workflow: str
    environment: str
    owner: str
    stages: tuple[RunbookStage, ...]
    endpoints: tuple[RunbookEndpoint, ...] = ()
    incidents: tuple[RunbookIncident, ...] = ()
    people: tuple[tuple[str, str], ...] = ()
    alerts: tuple[tuple[str, str], ...] = ()
    schedules: tuple[tuple[str, str], ...] = ()
    objectives: tuple[tuple[str, str], ...] = ()
    rules: tuple[tuple[str, str], ...] = ()
    costs: tuple[tuple[str, str], ...] = ()
    keeps: tuple[tuple[str, str], ...] = ()
    written: str = ""
    is_shared: bool = False


def render_runbook(facts: RunbookFacts) -> str:
    """Render a runbook as Markdown; text from outside has no effect on it."""
    place = f"in {markdown_code(facts.environment)}"
    head = [f"# Runbook: {markdown_text(facts.workflow)}", ""]
    head.append(
        f"How {markdown_code(facts.workflow)} works {place}, and what to do when it doesn't. Written by "
        "`tidemill runbook` from the workflow, the settings and the ledger: change those, not this page."
    )
    if facts.written:
        head.append(f"\nWritten on {markdown_text(facts.written)}.")
    parts = ["\n".join(head)]
    for title, body in _sections(facts):
        if body:
            parts.append(f"## {title}\n\n{body}")
    return "\n\n".join(parts) + "\n"


def _sections(facts: RunbookFacts) -> Iterator[tuple[str, str]]:
    yield "Who answers", _who(facts)
    yield "Stages", _stages(facts.stages)
    yield "When it runs", _pairs(facts.schedules) or _unscheduled(facts)
    yield "What it promises", _promises(facts)
    yield "What it may cost, and its targets", _pairs(facts.costs)
    yield "What failed, and how it ended", _failures(facts)
    yield "Look first", _commands(_looks(facts), facts.environment)
    yield "Run again", _commands(_reruns(facts.stages), facts.environment)
    yield "Bad rows", _commands(_quarantine(facts.stages), facts.environment)
    yield "Roll back", _commands(_rollbacks(facts), facts.environment)
    yield "Gates and approvals", _gates(facts)
    yield "Alerts", _pairs(facts.alerts) or "No channel is set: `[tool.tidemill.alerts]`."
    yield "What is kept", _pairs(facts.keeps)
    yield "Back up and restore", _commands(_restores(is_shared=facts.is_shared), _PRODUCTION)


def _who(facts: RunbookFacts) -> str:
    owner = markdown_text(facts.owner) if facts.owner else "nobody: `tm.Workflow(..., owner=...)`"
    lines = [f"- **The workflow**: {owner}"]
    others: dict[str, list[str]] = {}
    for stage in facts.stages:
        if stage.owner != facts.owner:
            others.setdefault(stage.owner, []).append(stage.name)
    lines += [
        f"- **{', '.join(map(markdown_text, names))}**: {markdown_text(who) or 'nobody'}"
        for who, names in others.items()
    ]
    lines += [f"- **To {markdown_text(what)}**: {markdown_text(who)}" for what, who in facts.people]
    return "\n".join(lines)


def _stages(stages: Sequence[RunbookStage]) -> str:
    rows = [
        (
            markdown_code(stage.name),
            stage.kind,
            ", ".join(map(markdown_code, stage.reads)) or "-",
            markdown_text(stage.contract) or "-",
            markdown_text(stage.partitions) or "-",
            _duration(stage.wall_s) if stage.wall_s is not None else "-",
            f"{stage.retries}" if stage.retries else "-",
        )
        for stage in stages
    ]
    return markdown_table(_STAGES, rows)


def _duration(seconds: float) -> str:
    return next((text for most, text in _STEPS if seconds <= most), _LONGER)


def _unscheduled(facts: RunbookFacts) -> str:
    return (
        "No schedule is declared. `tidemill up` runs what changed; without it `tidemill run"
        f"{_option(facts.environment)}` does."
    )


def _promises(facts: RunbookFacts) -> str:
    needs = [
        f"- {markdown_code(stage.name)}: {markdown_text(need)}"
        for stage in facts.stages
        for need in stage.needs
    ]
    needs += [
        f"- objective {markdown_code(name)}: {markdown_text(text)}"
        for name, text in facts.objectives
    ]
    return "\n".join(needs) or _NO_PROMISE


def _failures(facts: RunbookFacts) -> str:
    parts = []
    if facts.incidents:
        shown = facts.incidents[:_INCIDENTS]
        rows = [
            (
                markdown_code(each.id),
                each.day,
                markdown_code(each.stage) if each.stage else "-",
                markdown_text(each.title),
                markdown_text(each.ended) or "it lasts",
                "-" if each.took_s is None else _duration(each.took_s),
            )
            for each in shown
        ]
        headers = ("incident", "began on", "stage", "what", "how it ended", "well again within")
        parts.append(markdown_table(headers, rows))
        more = len(facts.incidents) - len(shown)
        if more:
            parts.append(f"And {plural(more, 'earlier incident')}: `tidemill incidents`.")
    failing = [markdown_code(stage.name) for stage in facts.stages if stage.fails]
    if failing:
        parts.append(
            f"Steps of {', '.join(failing)} failed in the last runs: `tidemill runs stages"
            f"{_option(facts.environment)}`."
        )
    return "\n\n".join(parts) or "No incident is recorded, and no step failed in the last runs."


def _looks(facts: RunbookFacts) -> Iterator[tuple[str, str]]:
    yield "what is wrong, waits, runs and is due", "tidemill status"
    yield "what would run, and why", "tidemill plan"
    yield "the last run and its failures", "tidemill runs last"
    yield "what a step printed", "tidemill runs logs last"
    yield "open incidents", "tidemill incidents"
    if any(stage.kind == "model" for stage in facts.stages):
        yield "versions of models, and which is live", "tidemill models list"
    if facts.endpoints:
        yield "what answers at each endpoint", "tidemill endpoints"


def _reruns(stages: Sequence[RunbookStage]) -> Iterator[tuple[str, str]]:
    yield "what failed, and all that changed", "tidemill run"
    for stage in stages:
        name = shlex.quote(stage.name)
        if stage.kind == "model":
            yield f"train {stage.name} now", f"tidemill run --train {name}"
        elif stage.kind in ("ingest", "transform", "deliver"):
            if stage.partitions:
                yield f"one partition of {stage.name}", f"tidemill run {name} PARTITION --again"
            else:
                yield f"all of {stage.name}", f"tidemill run {name} --again"
    if any(
        stage.partitions.startswith("by ") and "value" not in stage.partitions for stage in stages
    ):
        yield "a span of time of a stage", "tidemill run STAGE --from 2026-01 --to 2026-03 --again"


def _quarantine(stages: Sequence[RunbookStage]) -> Iterator[tuple[str, str]]:
    if any(stage.kind in ("ingest", "transform") for stage in stages):
        yield "rows that a contract kept out", "tidemill show STAGE --bad"
        yield "export them, correct them", "tidemill quarantine export STAGE --to rows.csv"
        yield "let them in", "tidemill quarantine release STAGE PARTITION --all --reason TEXT"
        yield (
            "withdraw a ruling",
            "tidemill quarantine undo STAGE PARTITION --ruling N --reason TEXT",
        )


def _rollbacks(facts: RunbookFacts) -> Iterator[tuple[str, str]]:
    for stage in facts.stages:
        name = shlex.quote(stage.name)
        if stage.kind == "model":
            served = [each.name for each in facts.endpoints if each.model == stage.name]
            where = f" (answers at {', '.join(served)})" if served else ""
            yield f"the model {stage.name}{where}", f"tidemill rollback {name} --reason TEXT"
        elif stage.kind == "deliver":
            where = f" in {stage.sink}" if stage.sink else ""
            yield f"the table {stage.name}{where}", f"tidemill restore {name} RUN"
    for endpoint in facts.endpoints:
        if endpoint.rollout:
            name = shlex.quote(endpoint.name)
            yield f"hold the rollout at {endpoint.name}", f"tidemill endpoints hold {name}"


def _restores(*, is_shared: bool) -> Iterator[tuple[str, str]]:
    if not is_shared:
        yield "back the home up", "tidemill home backup FOLDER"
        yield "restore it", "tidemill home restore FOLDER"
    else:
        yield "see that the database of the home can be reached", "tidemill doctor --connect"
    yield "check what is stored", "tidemill verify"


def _commands(found: Iterable[tuple[str, str]], environment: str) -> str:
    rows = [
        (markdown_text(what), markdown_code(command + _option(environment)))
        for what, command in found
    ]
    return markdown_table(("to see or do", "command"), rows) if rows else ""


def _option(environment: str) -> str:
    return "" if environment == _PRODUCTION else f" --env {environment}"


def _gates(facts: RunbookFacts) -> str:
    lines = []
    for stage in facts.stages:
        if stage.gates:
            gates = ", ".join(map(markdown_code, stage.gates))
            lines.append(f"- {markdown_code(stage.name)} goes live if it passes {gates}")
        if stage.approval:
            lines.append(f"- {markdown_code(stage.name)}: {markdown_text(stage.approval)}")
    lines += [f"- rule {markdown_code(name)} {markdown_text(text)}" for name, text in facts.rules]
    return "\n".join(lines)


def _pairs(found: Iterable[tuple[str, str]]) -> str:
    return "\n".join(f"- **{markdown_text(name)}**: {markdown_text(text)}" for name, text in found)
