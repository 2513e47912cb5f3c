"""Render plans and receipts as text; what only a plan needs isn't imported for a receipt."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from tidemill.cli.render.figures import (
    approximate_seconds,
    count,
    plain_text,
    plural,
    seconds,
    size,
)
from tidemill.cli.render.off_peak import saving_line
from tidemill.core.counts import money_text
from tidemill.core.printable import printable
from tidemill.core.text_table import drop_empty_columns, markdown_table, text_table
from tidemill.ledger.price import Price
from tidemill.ledger.run import ASKED, Receipt, StageTotals
from tidemill.planning.plan import Plan, Step
from tidemill.workflow.incremental_fold import FoldUsage
from tidemill.workflow.memo import MemoUsage

if TYPE_CHECKING:
    from tidemill.planning.step_groups import StepGroup

# Columns that are shown only if a row has something in them.
RECHECKED, REMOVED, _ASKED = ">rechecked", ">removed", f">{ASKED}"
_RECEIPT = (
    *("stage", ">ran", ">reused", RECHECKED, ">up to date", REMOVED, ">failed", _ASKED, ">skipped"),
    *(">rows in", ">rows out", ">quarantined", ">bytes read", ">CPU s"),
)
_ABOUT = ">about"
_PLAN = ("stage", "action", ">steps", _ABOUT, ">up to date", REMOVED, "partitions", "why")
FREE = Price()
NO_PRICE = "no price set: [tool.tidemill] cpu_hour"


def render_receipt(receipt: Receipt, width: int = 120) -> str:
    """Render what a run did and cost: a line per stage, totals, failures and messages.

    The table of failures is fitted into `width` columns.
    """
    asked = receipt.asked
    lines = [_receipt_row(tally, asked[tally.stage]) for tally in receipt.stages]
    if len(lines) > 1:
        lines.append(_receipt_row(_sum(receipt.stages), asked.total()))
    parts = [
        text_table(*drop_empty_columns(_RECEIPT, lines, RECHECKED, REMOVED, _ASKED)),
        "",
        _totals(receipt),
    ]
    parts += [render_memo(receipt.memo, receipt.currency)] if receipt.memo is not None else []
    parts += [_fold(receipt.fold)] if receipt.fold is not None else []
    parts += [saving_line(receipt.off_peak)] if receipt.off_peak is not None else []
    if receipt.failures:
        from tidemill.cli.render.failures import render_failures

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


def _receipt_row(tally: StageTotals, asked: int) -> list[str]:
    return [
        tally.stage,
        *map(count, (tally.ran - tally.removed, tally.bound, tally.rechecked)),
        *map(count, (tally.current, tally.removed, tally.failed - asked, asked, tally.skipped)),
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
    return f"run {receipt.run} {receipt.word}: {', '.join(figures)}"


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
    from tidemill.planning.plan_remarks import plan_remarks

    for title, lines in plan_remarks(plan).items():
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
    from tidemill.planning.plan_remarks import without_history

    left_out = without_history(plan)
    return f"{subject}: {', '.join(figures)}{f'; {left_out}' if left_out else ''}"


def _cost_text(plan: Plan, price: Price) -> str:
    cpu = plan.estimate.cpu_s or 0.0
    cost = price.of(cpu) if plan.cost is None else plan.cost
    least = "at least " if plan.estimate.unknown else ""
    return (
        f"{approximate_seconds(cpu)} CPU"
        f"{f', cost {least}{money_text(cost, price.currency)}' if cost else ''}"
    )


def _plan_table(plan: Plan) -> tuple[list[str], list[list[str]]]:
    from tidemill.planning.step_groups import planned_stages, step_groups

    groups: dict[str, list[StepGroup]] = {name: [] for name in planned_stages(plan)}
    for group in step_groups(plan):
        groups[group.stage].append(group)
    rows = []
    for name, own in groups.items():
        first, *others = _plan_rows(own, plan.current.get(name, 0))
        rows += [[name, *first[1:]], *others]
    headers, rows = drop_empty_columns(_PLAN, rows, REMOVED)
    if any(step.wall_s for step in plan.steps):
        return headers, rows
    at = headers.index(_ABOUT)
    return [h for h in headers if h != _ABOUT], [[*row[:at], *row[at + 1 :]] for row in rows]


def _about(wall_s: float | None) -> str:
    """The estimated duration of steps; `?` when none of the kind ever ran."""
    return "?" if wall_s is None else approximate_seconds(wall_s) if wall_s else "-"


def _plan_rows(groups: Iterable[StepGroup], current: int) -> list[list[str]]:
    """The rows of a stage; what is only done if removals are allowed is in parentheses."""
    rows = []
    for group in groups:
        why, gone = "; ".join(group.reasons), count(group.removed)
        if group.is_held:
            gone = f"({gone})" if group.removed else gone
            rows.append(["", f"({group.action})", "-", "-", "", gone, group.partitions, why])
            continue
        does = f"may {group.action}" if group.may_follow else group.action
        steps, about = count(group.steps), _about(group.wall_s)
        rows.append(["", does, steps, about, "", gone, group.partitions, why])
    rows = rows or [["", "-", "-", "-", "", "-", "", ""]]
    rows[0][_PLAN.index(">up to date")] = count(current)
    return rows


def _why(steps: Iterable[Step]) -> str:
    return "\n".join(
        f"{'may ' if step.unlikely else ''}{printable(step.id)}: {'; '.join(step.reasons)}"
        for step in steps
    )


def remark_lines(plan: Plan, titles: Iterable[str] = ()) -> Iterator[str]:
    """Render what a plan notes besides steps: a block per title, of all titles or of `titles`."""
    from tidemill.planning.plan_remarks import plan_remarks

    for title, lines in plan_remarks(plan).items():
        if lines and (not titles or title in titles):
            yield from ("", f"{title}:", *(f"  {line}" for line in lines))
