"""Plans and receipts as text: pure functions, for the commands and whoever else shows one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tidemill.cli.tables import count, markdown_table, money, plural, seconds, size, table
from tidemill.domain.partition import WHOLE
from tidemill.domain.plan import Action, ModelState, Plan, Step, spread
from tidemill.domain.run import Receipt, Tally

_RECEIPT = (
    *("stage", ">ran", ">bound", ">current", ">failed", ">skipped"),
    *(">rows in", ">rows out", ">quarantined", ">bytes read", ">CPU s"),
)
NO_PRICE = "no price set: [tool.tidemill] cpu_hour"


def render_receipt(receipt: Receipt) -> str:
    """What a run did and cost: a line a stage, the totals, and what has to be said."""
    lines = [_receipt_row(tally) for tally in receipt.stages]
    if len(lines) > 1:
        lines.append(_receipt_row(_sum(receipt.stages)))
    parts = [table(_RECEIPT, lines), "", _totals(receipt)]
    parts += [_bullet(message) for message in receipt.messages]
    if any(tally.failed for tally in receipt.stages):
        parts.append(f"attempts and traces: tidemill runs {receipt.run}")
    return "\n".join(parts)


def _receipt_row(tally: Tally) -> list[str]:
    return [
        tally.stage,
        *map(count, (tally.ran, tally.bound, tally.current, tally.failed, tally.skipped)),
        *map(count, (tally.rows_in, tally.rows_out, tally.quarantined)),
        size(tally.bytes_in),
        f"{tally.cpu_s:.2f}" if tally.cpu_s >= 0.005 else "-",
    ]


def _sum(stages: Sequence[Tally]) -> Tally:
    return Tally(
        stage="total",
        ran=sum(s.ran for s in stages),
        bound=sum(s.bound for s in stages),
        current=sum(s.current for s in stages),
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
        return f"cost {money(receipt.cost, receipt.currency)}"
    # A run with nothing to do names no currency: whatever the price, it is nothing.
    return NO_PRICE if receipt.currency else "cost nothing"


def _bullet(message: str) -> str:
    return "- " + message.replace("\n", "\n  ")


def render_plan(plan: Plan, *, why: bool = False) -> str:
    """What would run, a line a stage and reason; with `why` a line a step."""
    parts = [_headline(plan), ""]
    if why:
        parts += [_why(plan.steps)] if plan.steps else []
    else:
        parts.append(
            table(_PLAN, [row for name in _stages(plan) for row in _plan_rows(plan, name)])
        )
    for title, lines in _remarks(plan).items():
        if lines:
            parts += ["", f"{title}:", *(f"  {line}" for line in lines)]
    return "\n".join(parts).rstrip()


def markdown_plan(plan: Plan) -> str:
    """The same for a pull request."""
    parts = [f"### {_headline(plan)}"]
    rows = [row for name in _stages(plan) for row in _plan_rows(plan, name)]
    parts.append(markdown_table(_PLAN, rows))
    for title, lines in _remarks(plan).items():
        if lines:
            parts.append(f"**{title}**\n\n" + "\n".join(f"- {line}" for line in lines))
    return "\n\n".join(parts)


_PLAN = ("stage", "does", ">steps", ">current", "partitions", "why")


def _headline(plan: Plan) -> str:
    subject = f"{plan.workflow} in {plan.environment}"
    if plan.empty:
        return f"{subject}: nothing to do"
    rows, read = sum(s.rows for s in plan.steps), sum(s.bytes for s in plan.steps)
    told = f", reads at least {plural(rows, 'row')}, {size(read)}" if rows else ""
    return f"{subject}: {plural(len(plan.steps), 'step')}{told}"


def _stages(plan: Plan) -> list[str]:
    """In the order in which they run first; those that only stay as they are stand where they belong."""
    return list(dict.fromkeys((*plan.current, *plan.by_stage())))


def _plan_rows(plan: Plan, stage: str) -> list[list[str]]:
    current = count(plan.current.get(stage, 0))
    groups: dict[tuple[Action, tuple[str, ...]], list[Step]] = {}
    for step in plan.by_stage().get(stage, ()):
        groups.setdefault((step.action, _common(step)), []).append(step)
    if not groups:
        return [[stage, "-", "-", current, "", ""]]
    rows = []
    for number, ((action, reasons), steps) in enumerate(groups.items()):
        name, kept = (stage, current) if number == 0 else ("", "")
        where = spread({s.partition for s in steps} - {WHOLE})
        rows.append([name, str(action), count(len(steps)), kept, where, "; ".join(reasons)])
    return rows


def _common(step: Step) -> tuple[str, ...]:
    """The reasons of a step without the partition that each names, so that equal steps fall together."""
    return tuple(reason.partition(" (")[0] if " runs first (" in reason else reason
                 for reason in step.reasons)  # fmt: skip


def _why(steps: Iterable[Step]) -> str:
    return "\n".join(f"{step.id}: {'; '.join(step.reasons)}" for step in steps)


def _remarks(plan: Plan) -> dict[str, list[str]]:
    waiting: dict[tuple[str, str], list[str]] = {}
    for item in plan.waiting:
        key = (item.stage, item.reason.replace(f" {item.partition} ", " "))
        waiting.setdefault(key, []).append(item.partition)
    return {
        "models": [_model(model) for model in plan.models],
        "waiting": [
            " ".join(filter(None, (stage, spread(set(keys) - {WHOLE, ""})))) + f": {reason}"
            for (stage, reason), keys in waiting.items()
        ],
        "can't be read": [
            f"{stage}: {text}" for stage, files in plan.broken.items() for text in files.values()
        ],
        "notes": list(plan.notes),
    }


def _model(model: ModelState) -> str:
    outdated = f"outdated ({'; '.join(model.outdated)})" if model.outdated else ""
    due = f"due ({'; '.join(model.due)})" if model.due else "not due"
    trigger = f"; trained again when {model.trigger}" if model.trigger and not model.due else ""
    # A model that was never trained, or is asked for, is due without being outdated.
    state = ", ".join(filter(None, (outdated or ("" if model.due else "up to date"), due)))
    return f"{model.stage}: {state}{trigger}"
