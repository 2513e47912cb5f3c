"""The report on a run: how it ended, what failed and why, what it took, and what it reused."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from tidemill.core.counts import money_text, plural
from tidemill.core.figures import count, seconds, size
from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.partition import WHOLE, shown_key, summarize_keys
from tidemill.core.text_table import drop_empty_columns
from tidemill.costs.quantities import total_quantities
from tidemill.drawing.chart import Chart
from tidemill.drawing.html_file import moment_text
from tidemill.drawing.status import DrawnStatus
from tidemill.drawing.timeline import Timeline, TimelineBar, draw_timeline
from tidemill.governance.page_values import PageTable, page_table
from tidemill.ledger.delivery import Decision
from tidemill.ledger.price import Price
from tidemill.ledger.run import (
    ASKED,
    FAULTS,
    Action,
    Attempt,
    Failure,
    Outcome,
    RunInfo,
    StageTotals,
    Status,
    done_steps,
)
from tidemill.ledger.run_notebook import DRAWN_OUTCOMES, DRAWN_STATUSES
from tidemill.reports.report import Report, ReportPart, ReportText
from tidemill.runs.failures import group_attempts, group_failures
from tidemill.runs.totals import sum_stages
from tidemill.workflow.environment import environment_option

# A timeline of so many bars and lanes is some 100 kB large.
_MOST_BARS, _MOST_LANES = 400, 40
_MOST_TRACES, _NAMED = 5, 12
_STAGES = ("stage", ">ran", ">reused", ">up to date", ">failed", f">{ASKED}", ">retried", ">skipped",
           ">rows in", ">rows out", ">quarantined", ">time", ">CPU", ">cost")  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class RejectedRows:
    """The rows of a stage that broke a rule in a run: how many, in which partitions, with a sample."""

    stage: str
    rule: str
    rows: int
    partitions: tuple[str, ...]
    sample: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """What is recorded about a run of a workflow, as of `now` (Unix seconds).

    Its `attempts` have their ends; its plan had so many `steps`. `decisions` are those of gates by model, and
    `notes` what was recorded after its end. Work costs `price`. `is_lost` says that its process died.
    """

    workflow: str
    info: RunInfo
    attempts: Sequence[tuple[float, Attempt]]
    steps: int
    now: float
    price: Price
    decisions: Sequence[tuple[str, Decision]] = ()
    rejected: Sequence[RejectedRows] = ()
    notes: Sequence[str] = ()
    is_lost: bool = False


def run_report(found: RunRecord) -> Report:
    """The report; of long lists the first rows, with how many are left out."""
    info = found.info
    status = Status.LOST if found.is_lost else info.status
    attempts = [attempt for _, attempt in found.attempts]
    by_stage: dict[str, list[Attempt]] = {}
    for each in attempts:
        by_stage.setdefault(each.stage, []).append(each)
    totals = (
        info.receipt.stages if info.receipt is not None else sum_stages([*by_stage], attempts, {})
    )
    asked = Counter(each.stage for each in attempts if each.review)
    return Report(
        title=f"Run {info.id}",
        about=f"run {info.id} of {found.workflow} in {info.environment}",
        status=DRAWN_STATUSES[status],
        word=str(status),
        state=_state(found, attempts, totals, asked),
        facts=tuple(_facts(found, attempts)),
        parts=(
            _failures(found, attempts),
            _gates(found),
            ReportPart(title="Stages", tables=[_stages(totals, by_stage, asked, found.price)]),
            _timeline(found, by_stage),
            ReportPart(title="Reused", lines=tuple(_reuse_lines(found, totals, attempts))),
            _quarantine(found, totals),
            ReportPart(title="Messages", lines=tuple(_messages(found, attempts))),
            ReportPart(title="See more", commands=tuple(_commands(found))),
        ),
        made=found.now,
    )


def _state(
    found: RunRecord,
    attempts: Sequence[Attempt],
    totals: Sequence[StageTotals],
    asked: Counter[str],
) -> str:
    kinds = {
        "ran": sum(each.ran for each in totals),
        "reused": sum(each.bound for each in totals),
        "failed": sum(each.failed for each in totals) - asked.total(),
        ASKED: asked.total(),
        "skipped": sum(each.skipped for each in totals),
    }
    counts = ", ".join(f"{number:,} {kind}" for kind, number in kinds.items() if number)
    rows = sum(each.quarantined for each in totals)
    more = f"; {plural(rows, 'row')} quarantined" if rows else ""
    ended = found.info.ended
    if ended is None:
        done = len(done_steps(attempts))
        return (
            f"{done:,} of {plural(found.steps, 'step')} done; {counts or 'nothing ran yet'}{more}"
        )
    took = seconds(ended - found.info.started)
    return f"{counts or 'nothing to do'} in {took}{more}"


def _facts(found: RunRecord, attempts: Sequence[Attempt]) -> Iterator[tuple[str, str]]:
    info, receipt = found.info, found.info.receipt
    yield "workflow", f"{found.workflow} in {info.environment}"
    yield "command", info.command
    process = f"process {info.holder.get('pid', '?')} on {info.holder.get('host', '?')}"
    yield "started by", f"{info.actor}, {process}" if info.actor else process
    ended = f" to {moment_text(info.ended)}" if info.ended is not None else ""
    yield "time", f"{moment_text(info.started)}{ended}"
    yield "plan", plural(found.steps, "step")
    if receipt is None:
        yield "CPU", seconds(sum(each.cpu_s for each in attempts))
        return
    yield "CPU", f"{seconds(receipt.cpu_s)}, with imports and plan"
    if receipt.peak_rss:
        yield "peak memory", size(receipt.peak_rss)
    if receipt.cost:
        estimate = receipt.estimated_cost
        expected = f" (expected: {money_text(estimate, receipt.currency)})" if estimate else ""
        yield "cost", f"{money_text(receipt.cost, receipt.currency)}{expected}"


def _failures(found: RunRecord, attempts: Sequence[Attempt]) -> ReportPart:
    """The failures by cause with advice, and a trace of each of the first causes."""
    receipt = found.info.receipt
    failures = receipt.failures if receipt is not None else group_failures(attempts)
    causes = group_attempts(attempts, FAULTS)
    texts = [
        ReportText(caption=_caption(group), text=each.trace.rstrip() or each.message)
        for group in causes
        if (each := group[0]).trace or each.message not in {one.why for one in failures}
    ]
    broken = [
        (each.stage, found_rule.rule, f"{found_rule.rows:,}", found_rule.sample)
        for each in failures
        for found_rule in each.findings
    ]
    hidden = len(texts) - _MOST_TRACES
    return ReportPart(
        title="What people were asked"
        if failures and all(each.review for each in failures)
        else "What failed, and why",
        lines=(f"messages of {hidden:,} more causes: `tidemill runs {found.info.id}`",)
        if hidden > 0
        else (),
        tables=(
            page_table(
                ("stage", "partitions", ">skipped", "why", "what to do"),
                [_failure_row(each) for each in failures],
            ),
            page_table(
                ("stage", "rule", ">bad rows", "first values"), broken, "Rules that rows broke"
            ),
        ),
        texts=texts[:_MOST_TRACES],
    )


def _failure_row(failure: Failure) -> tuple[str, ...]:
    partitions = summarize_keys({*failure.partitions} - {WHOLE}) or "-"
    return failure.stage, partitions, count(failure.skipped), failure.why, failure.advice


def _caption(group: Sequence[Attempt]) -> str:
    first = group[0]
    place = "" if first.partition == WHOLE else f" {shown_key(first.partition)}"
    more = f" (and {plural(len(group) - 1, 'more attempt')})" if len(group) > 1 else ""
    return f"{first.action} {first.stage}{place} {ASKED if first.review else first.outcome}{more}"


def _gates(found: RunRecord) -> ReportPart:
    tables = [
        page_table(
            ("gate", "outcome", "evidence"),
            [(result.gate, result.word, result.evidence) for result in decision.results],
            f"{model} {decision.artifact}: {decision.verdict}",
        )
        for model, decision in found.decisions
        if decision.results
    ]
    return ReportPart(
        title="Verdicts of gates", tables=tables[:_NAMED], lines=_more(tables, "model")
    )


def _more(items: Sequence[object], noun: str) -> tuple[str, ...]:
    hidden = len(items) - _NAMED
    return (f"and {plural(hidden, f'more {noun}')}",) if hidden > 0 else ()


def _stages(
    totals: Sequence[StageTotals],
    by_stage: Mapping[str, Sequence[Attempt]],
    asked: Counter[str],
    price: Price,
) -> PageTable:
    rows = [
        (
            each.stage,
            *map(count, (each.ran, each.bound + each.rechecked, each.current)),
            *map(count, (each.failed - asked[each.stage], asked[each.stage], each.retried)),
            *map(count, (each.skipped, each.rows_in, each.rows_out)),
            count(each.quarantined),
            seconds(each.wall_s),
            seconds(each.cpu_s),
            _cost(by_stage.get(each.stage, ()), price),
        )
        for each in sorted(totals, key=lambda each: not (each.failed or each.ran))
    ]
    return page_table(*drop_empty_columns(_STAGES, rows, *_STAGES[2:]))


def _cost(attempts: Iterable[Attempt], price: Price) -> str:
    amount = total_quantities(attempts).cost(price)
    return money_text(amount, price.currency) if amount else "-"


def _timeline(found: RunRecord, by_stage: Mapping[str, Sequence[Attempt]]) -> ReportPart:
    """When each step ran; of many stages those that took longest."""
    took = {stage: sum(each.wall_s for each in some) for stage, some in by_stage.items()}
    longest = {*sorted(took, key=lambda stage: -took[stage])[:_MOST_LANES]}
    bars = [
        TimelineBar(
            lane=each.stage,
            label=each.stage if each.partition == WHOLE else shown_key(each.partition),
            start=at - each.wall_s,
            end=at,
            status=DrawnStatus.WAITING if each.review else DRAWN_OUTCOMES[each.outcome],
            outcome=ASKED if each.review else str(each.outcome),
        )
        for at, each in found.attempts
        if each.stage in longest and each.outcome is not Outcome.SKIPPED
    ]
    if not bars:
        return ReportPart(title="Timeline")
    lanes = [stage for stage in by_stage if stage in longest]
    drawing = draw_timeline(
        Timeline(bars=bars, now=found.now, lanes=lanes, width=1_000, most_bars=_MOST_BARS)
    )
    hidden = len(took) - len(lanes)
    chart = Chart(
        title="Steps over time",
        drawing=drawing,
        description=f"{plural(len(bars), 'attempt')} at steps of {plural(len(lanes), 'stage')}",
        notes=(f"The {len(lanes)} stages that took longest, of {len(took):,}.",) if hidden else (),
    )
    return ReportPart(title="Timeline", charts=(chart,))


def _reuse_lines(
    found: RunRecord, totals: Sequence[StageTotals], attempts: Sequence[Attempt]
) -> Iterator[str]:
    bound, current = (sum(getattr(each, kind) for each in totals) for kind in ("bound", "current"))
    if bound:
        yield f"{plural(bound, 'result')} of earlier steps reused"
    if current:
        yield f"{plural(current, 'partition')} up to date already"
    if rechecked := sum(each.rechecked for each in totals):
        yield f"{plural(rechecked, 'partition')} only checked again, because only rules changed"
    partly = [each for each in attempts if each.columns]
    if partly:
        yield f"{plural(len(partly), 'step')} recomputed only the columns that changed"
    receipt = found.info.receipt
    if receipt is not None and (memo := receipt.memo) is not None:
        saved = f", which saved {money_text(memo.saved, receipt.currency)}" if memo.saved else ""
        yield f"memos: {plural(memo.known, 'row')} known, {memo.asked:,} computed{saved}"


def _quarantine(found: RunRecord, totals: Sequence[StageTotals]) -> ReportPart:
    rejected = sorted(found.rejected, key=lambda each: (-each.rows, each.stage, each.rule))
    rows = [
        (each.stage, each.rule, f"{each.rows:,}", summarize_keys({*each.partitions} - {WHOLE}) or "-",
         each.sample)
        for each in rejected
    ]  # fmt: skip
    stages = [each.stage for each in totals if each.quarantined]
    return ReportPart(
        title="Quarantined rows",
        tables=[page_table(("stage", "rule", ">rows", "partitions", "first values"), rows)],
        commands=[
            f"tidemill quarantine list{_place(found)} {shlex.quote(stage)}" for stage in stages[:3]
        ]
        if rows
        else (),
    )


def _messages(found: RunRecord, attempts: Sequence[Attempt]) -> Iterator[str]:
    """What the run said that other parts don't say."""
    receipt = found.info.receipt
    said = {
        each.message for each in attempts if each.outcome in FAULTS or each.action == Action.GATE
    }
    messages = [each for each in (receipt.messages if receipt else ()) if each not in said]
    messages += found.notes
    yield from messages[:_NAMED]
    yield from _more(messages, "message")


def _commands(found: RunRecord) -> Iterator[str]:
    run, place = found.info.id, _place(found)
    yield f"tidemill runs{place} {run}"
    yield f"tidemill runs logs{place} {run}"
    receipt = found.info.receipt
    failed = dict.fromkeys(one.stage for one in receipt.failures) if receipt is not None else {}
    yield from (f"tidemill explain{place} {shlex.quote(stage)}" for stage in [*failed][:3])


def _place(found: RunRecord) -> str:
    return environment_option(found.info.environment)
