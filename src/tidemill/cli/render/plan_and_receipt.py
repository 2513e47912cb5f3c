"""Render plans and receipts as text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from tidemill.cli.render.failures import render_failures
from tidemill.cli.render.figures import (
    approximate_seconds,
    count,
    plain_text,
    plural,
    seconds,
    size,
)
from tidemill.cli.render.off_peak import off_peak_lines, saving_line
from tidemill.core.counts import money_text
from tidemill.core.partition import WHOLE, summarize_keys
from tidemill.core.printable import printable
from tidemill.core.text_table import drop_empty_columns, markdown_table, text_table
from tidemill.ledger.price import Price
from tidemill.ledger.run import Action, Receipt, StageTotals
from tidemill.planning.missing_rows import kept_lines, missing_lines
from tidemill.planning.plan import ModelState, Plan, Step, estimate_of
from tidemill.planning.stage_reasons import (
    planned_partitions,
    reasons_without_partition,
    unlikely_condition,
)
from tidemill.workflow.incremental_fold import FoldUsage
from tidemill.workflow.memo import MemoUsage
from tidemill.workflow.trigger import TriggerEvidence

# Columns that are shown only if a row has something in them.
RECHECKED, REMOVED = ">rechecked", ">removed"
_RECEIPT = (
    *("stage", ">ran", ">reused", RECHECKED, ">up to date", REMOVED, ">failed", ">skipped"),
    *(">rows in", ">rows out", ">quarantined", ">bytes read", ">CPU s"),
)
_ABOUT = ">about"
_PLAN = ("stage", "action", ">steps", _ABOUT, ">up to date", REMOVED, "partitions", "why")
# The words for actions that plans record under another name.
_ACTIONS = {"bind": "reuse"}
# How many stages without history are named; more are only counted.
_NAMED = 3
FREE = Price()
NO_PRICE = "no price set: [tool.tidemill] cpu_hour"


def render_receipt(receipt: Receipt, width: int = 120) -> str:
    """Render what a run did and cost: a line per stage, totals, failures and messages.

    The table of failures is fitted into `width` columns.
    """
    lines = [_receipt_row(tally) for tally in receipt.stages]
    if len(lines) > 1:
        lines.append(_receipt_row(_sum(receipt.stages)))
    parts = [
        text_table(*drop_empty_columns(_RECEIPT, lines, RECHECKED, REMOVED)),
        "",
        _totals(receipt),
    ]
    parts += [render_memo(receipt.memo, receipt.currency)] if receipt.memo is not None else []
    parts += [_fold(receipt.fold)] if receipt.fold is not None else []
    parts += [saving_line(receipt.off_peak)] if receipt.off_peak is not None else []
    if receipt.failures:
        parts += ["", render_failures(receipt.failures, width), ""]
    listed = {message for failure in receipt.failures for message in failure.messages}
    parts += [_bullet(message) for message in receipt.messages if message not in listed]
    if any(tally.failed for tally in receipt.stages):
        parts.append(f"attempts and traces: tidemill runs {receipt.run}")
    if receipt.failures:
        stages = {failure.stage for failure in receipt.failures}
        only = f" {stages.pop()}" if len(stages) == 1 else ""
        parts.append(f"what was printed: tidemill runs logs {receipt.run}{only}")
    return "\n".join(parts)


def _receipt_row(tally: StageTotals) -> list[str]:
    return [
        tally.stage,
        *map(count, (tally.ran - tally.removed, tally.bound, tally.rechecked)),
        *map(count, (tally.current, tally.removed, tally.failed, tally.skipped)),
        *map(count, (tally.rows_in, tally.rows_out, tally.quarantined)),
        size(tally.bytes_in),
        f"{tally.cpu_s:.2f}" if tally.cpu_s >= 0.005 else "-",
    ]


def _sum(stages: Sequence[StageTotals]) -> StageTotals:
    return StageTotals(
        stage="total",
        ran=sum(s.ran for s in stages),
        bound=sum(s.bound for s in stages),
        rechecked=sum(s.rechecked for s in stages),
        current=sum(s.current for s in stages),
        removed=sum(s.removed for s in stages),
        failed=sum(s.failed for s in stages),
        skipped=sum(s.skipped for s in stages),
        rows_in=sum(s.rows_in for s in stages),
        rows_out=sum(s.rows_out for s in stages),
        bytes_in=sum(s.bytes_in for s in stages),
        quarantined=sum(s.quarantined for s in stages),
        cpu_s=sum(s.cpu_s for s in stages),
    )


def _totals(receipt: Receipt) -> str:
    figures = (
        f"wall {seconds(receipt.wall_s)}",
        f"CPU {seconds(receipt.cpu_s)}",
        f"peak RSS {size(receipt.peak_rss)}",
        _cost(receipt),
    )
    return f"run {receipt.run} {receipt.status}: {', '.join(figures)}"


def _cost(receipt: Receipt) -> str:
    if receipt.cost:
        unpriced = receipt.memo is not None and receipt.cost <= receipt.memo.spent
        cost = f"cost {money_text(receipt.cost, receipt.currency)}"
        if receipt.estimated_cost:
            cost = f"{cost} (estimated {money_text(receipt.estimated_cost, receipt.currency)})"
        return f"{cost} without CPU ({NO_PRICE})" if unpriced else cost
    # A run with nothing to do names no currency: it costs nothing at any price.
    return NO_PRICE if receipt.currency else "cost nothing"


def render_memo(used: MemoUsage, currency: str) -> str:
    """Render the use of memos: rows from the cache, rows computed, calls, tokens, money."""
    figures = [
        f"{plural(used.known, 'row')} cached",
        f"{plural(used.asked, 'row')} computed in {plural(used.calls, 'call')}",
    ]
    if used.tokens or used.tokens_saved:
        figures.append(f"{plural(used.tokens, 'token')} ({used.tokens_saved:,} saved)")
    if used.spent or used.saved:
        figures.append(
            f"spent {money_text(used.spent, currency)} ({money_text(used.saved, currency)} saved)"
        )
    return f"memo: {', '.join(figures)}"


def _fold(used: FoldUsage) -> str:
    """Render the use of folds: partitions from the cache, and partitions computed."""
    computed = f"{plural(used.computed, 'partition')} computed from {plural(used.rows, 'row')}"
    return f"fold: {plural(used.kept, 'partition')} cached, {computed}"


def _bullet(message: str) -> str:
    return "- " + plain_text(message).replace("\n", "\n  ")


def render_plan(plan: Plan, *, why: bool = False, price: Price = FREE) -> str:
    """Render what would run and cost: a line per stage and reason, with `why` a line per step."""
    parts = [_headline(plan, price), ""]
    if why:
        parts += [_why(plan.steps)] if plan.steps else []
    else:
        parts.append(text_table(*_plan_table(plan)))
    return "\n".join((*parts, *remark_lines(plan))).rstrip()


def render_plan_markdown(plan: Plan, *, price: Price = FREE) -> str:
    """Render a plan as Markdown, for a pull request."""
    parts = [f"### {_headline(plan, price)}"]
    parts.append(markdown_table(*_plan_table(plan)))
    for title, lines in _remarks(plan).items():
        if lines:
            parts.append(f"**{title}**\n\n" + "\n".join(map(_list_item, lines)))
    return "\n\n".join(parts)


def _list_item(line: str) -> str:
    """A line of a Markdown list; an indented line belongs to the one before."""
    text = line.lstrip()
    return f"{line[: len(line) - len(text)]}- {text}"


def _headline(plan: Plan, price: Price) -> str:
    subject = f"{plan.workflow} in {plan.environment}"
    if plan.empty:
        return f"{subject}: nothing to do{'; removals must be allowed' if plan.removals else ''}"
    sure = [step for step in plan.steps if not step.unlikely]
    rest = len(plan.steps) - len(sure)
    rows, read = sum(s.rows for s in sure), sum(s.bytes for s in sure)
    figures = [plural(len(sure), "step")]
    if rest:
        more = plan.may_follow.wall_s
        figures.append(
            f"{rest:,} may follow{f' (about {approximate_seconds(more)})' if more else ''}"
        )
    if rows:
        figures.append(f"reads at least {plural(rows, 'row')}, {size(read)}")
    if wall := plan.estimate.wall_s:
        figures.append(f"about {approximate_seconds(wall)} ({_cost_text(plan, price)})")
    return f"{subject}: {', '.join(figures)}{_left_out_text(plan)}"


def _cost_text(plan: Plan, price: Price) -> str:
    cpu = plan.estimate.cpu_s or 0.0
    cost = price.of(cpu) if plan.cost is None else plan.cost
    least = "at least " if plan.estimate.unknown else ""
    return (
        f"{approximate_seconds(cpu)} CPU"
        f"{f', cost {least}{money_text(cost, price.currency)}' if cost else ''}"
    )


def _left_out_text(plan: Plan) -> str:
    """The steps that the estimate leaves out."""
    unknown = plan.estimate.unknown
    if not unknown:
        return ""
    if not plan.estimate.wall_s:
        return "; no history to estimate from"
    steps = sum(unknown.values())
    if len(unknown) > _NAMED:
        left_out = f"{plural(steps, 'step')} of {len(unknown)} stages"
    else:
        (first, number), *others = unknown.items()
        left_out = f"{plural(number, 'step')} of {first}"
        left_out += "".join(f", {more:,} of {stage}" for stage, more in others)
    return f"; {left_out} {'has' if steps == 1 else 'have'} no history"


def _stages(plan: Plan) -> list[str]:
    """All stages of a plan, in the order of the workflow."""
    return list(dict.fromkeys((*plan.current, *plan.by_stage())))


def _plan_table(plan: Plan) -> tuple[list[str], list[list[str]]]:
    rows = [row for name in _stages(plan) for row in _plan_rows(plan, name)]
    headers, rows = drop_empty_columns(_PLAN, rows, REMOVED)
    if any(step.wall_s for step in plan.steps):
        return headers, rows
    at = headers.index(_ABOUT)
    return [h for h in headers if h != _ABOUT], [[*row[:at], *row[at + 1 :]] for row in rows]


def _about(steps: Sequence[Step]) -> str:
    """The estimated duration of steps; `?` when none of the kind ever ran."""
    wall = estimate_of(steps).wall_s
    return "?" if wall is None else approximate_seconds(wall) if wall else "-"


def _plan_rows(plan: Plan, stage: str) -> list[list[str]]:
    current = count(plan.current.get(stage, 0))
    groups: dict[tuple[str, tuple[str, ...]], list[Step]] = {}
    steps = planned_partitions(plan)
    for step in plan.by_stage().get(stage, ()):
        reasons = (
            (unlikely_condition(step, steps),) if step.unlikely else reasons_without_partition(step)
        )
        action = _ACTIONS.get(step.action, str(step.action))
        does = f"may {action}" if step.unlikely else action
        groups.setdefault((does, reasons), []).append(step)
    rows = []
    for (does, reasons), some in groups.items():
        where = summarize_keys({s.partition for s in some} - {WHOLE})
        gone = count(sum(s.action is Action.REMOVE for s in some))
        rows.append(["", does, count(len(some)), _about(some), "", gone, where, "; ".join(reasons)])
    rows += _held_rows(plan, stage)
    rows = rows or [["", "-", "-", "-", "", "-", "", ""]]
    rows[0][0], rows[0][_PLAN.index(">up to date")] = stage, current
    return rows


def _held_rows(plan: Plan, stage: str) -> Iterator[list[str]]:
    """Rows, in parentheses, for what is only done if removals are allowed."""
    if plan.removals is None:
        return
    own = any(item.stage == stage for item in plan.missing)
    if removed := plan.removals.removed.get(stage, ()):
        why = "its source lost it" if own else "its input would be removed"
        number, keys = f"({len(removed):,})", summarize_keys({*removed} - {WHOLE})
        yield ["", "(remove)", "-", "-", "", number, keys, why]
    if shrunk := plan.removals.shrunk.get(stage, ()):
        keys = summarize_keys({*shrunk} - {WHOLE})
        yield ["", "(run)", "-", "-", "", "-", keys, "its source lost rows of it"]


def _why(steps: Iterable[Step]) -> str:
    return "\n".join(
        f"{'may ' if step.unlikely else ''}{printable(step.id)}: {'; '.join(step.reasons)}"
        for step in steps
    )


def remark_lines(plan: Plan, titles: Iterable[str] = ()) -> Iterator[str]:
    """Render what a plan notes besides steps: a block per title, of all titles or of `titles`."""
    for title, lines in _remarks(plan).items():
        if lines and (not titles or title in titles):
            yield from ("", f"{title}:", *(f"  {line}" for line in lines))


def _remarks(plan: Plan) -> dict[str, list[str]]:
    waiting: dict[tuple[str, str], list[str]] = {}
    for item in plan.waiting:
        key = (item.stage, item.reason.replace(f" {item.partition} ", " "))
        waiting.setdefault(key, []).append(item.partition)
    return {
        "models": [
            line
            for model in plan.models
            for line in (
                model_line(model, plan),
                *trigger_lines(model.evidence),
                model.refused,
                model.note,
                *model.drift,
            )
            if line
        ],
        "waiting": [
            " ".join(filter(None, (stage, summarize_keys(set(keys) - {WHOLE, ""})))) + f": {reason}"
            for (stage, reason), keys in waiting.items()
        ],
        "off-peak": [*off_peak_lines(plan)],
        "can't be read": [
            f"{stage}: {text}" for stage, files in plan.broken.items() for text in files.values()
        ],
        "missing": missing_lines(plan),
        "notes": [*plan.notes, *kept_lines(plan)],
    }


def trigger_lines(evidence: TriggerEvidence | None, indent: str = "  ") -> Iterator[str]:
    """Describe what each part of a trigger saw, and how far it is from firing."""
    if evidence is None:
        return
    if evidence.parts:
        if evidence.note:
            yield f"{indent}{evidence.note}"
        for part in evidence.parts:
            yield from trigger_lines(part, indent + "  " if part.parts else indent)
        return
    fires = " fires" if evidence.fires else ""
    found = "; ".join(filter(None, (evidence.seen, evidence.figures, evidence.note)))
    yield f"{indent}{evidence.trigger}{fires}: {found}"


def model_line(model: ModelState, plan: Plan) -> str:
    """Describe whether a model is outdated and due for training, and why."""
    trigger = f"; retrained when {model.trigger}" if model.trigger else ""
    lineage = f"; {model.lineage}" if model.lineage else ""
    training = [step for step in plan.steps if step.stage == model.stage and step.unlikely]
    if training:
        outcome = unlikely_condition(training[0], planned_partitions(plan))
        return f"{model.stage}: may be due ({'; '.join(model.due)}), {outcome}{lineage}{trigger}"
    outdated = f"outdated ({'; '.join(model.outdated)})" if model.outdated else ""
    due = f"due ({'; '.join(model.due)})" if model.due else "not due"
    # A model that was never trained, or is asked for, is due without being outdated.
    state = ", ".join(filter(None, (outdated or ("" if model.due else "up to date"), due)))
    return f"{model.stage}: {state}{lineage}{'' if model.due else trigger}"
