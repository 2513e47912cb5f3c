"""Render what the working tree changes against a git ref: for a terminal, and for a pull request."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from tidemill.cli.render.contract_changes import render_comparison
from tidemill.cli.render.figures import approximate_seconds, plain_text
from tidemill.cli.render.plan_and_receipt import render_plan
from tidemill.core.counts import plural
from tidemill.core.markdown import markdown_block, markdown_code, markdown_text
from tidemill.core.partition import summarize_keys
from tidemill.core.printable import printable, printable_lines
from tidemill.core.text_table import markdown_table, text_table
from tidemill.ledger.price import Price
from tidemill.ledger.run import Action
from tidemill.lineage.version_changes import StageEdit
from tidemill.planning.plan import Plan, estimate_of
from tidemill.project.change_review import ChangeReview

# GitHub refuses comments of more than 65,536 characters, and they may take several bytes.
MAX_BYTES = 60_000
# Programs find the comment by it that they update.
MARK = "<!-- tidemill plan --against -->"
_CUT = "\n\n(cut: the rest is in `tidemill plan --against`)"
# What computes nothing again.
_REUSE = (Action.BIND, Action.RECHECK, Action.REMOVE)
_EDITS = ("stage", "kind", "change", "why", ">reruns")
_ROWS = (
    *("stage", "partitions", ">rows before", ">rows now", ">added", ">removed", ">changed"),
    *("columns that differ", ">quarantined"),
)
_MODELS = (*("model", ">trained on", ">rows predicted", ">differ", ">mean difference", ">largest"),)
_WORDS = {
    "new": "new",
    "removed": "removed",
    "renamed": "renamed",
    "changed": "changed",
    "terms": "terms",
    "reads": "downstream",
}
# Columns that are named; more are only counted.
_NAMED = 4
# Stages in the table of a comment.
_MAX_EDITS = 100


def render_change_review(found: ChangeReview, price: Price) -> str:
    """Render a review of changes as text."""
    parts = [f"{_title(found, printable)}", *(f"- {line}" for line in _summary(found, printable))]
    blocks = ["\n".join(parts)]
    for title, body in _sections(found, price):
        blocks.append(f"{title}:\n{_indent(body)}")
    return "\n\n".join(blocks)


def render_change_review_markdown(found: ChangeReview, price: Price) -> str:
    """Render a review of changes as Markdown of at most `MAX_BYTES`, for a pull request."""
    head = [MARK, f"### {_title(found, markdown_code)}", ""]
    head += [f"- {line}" for line in _summary(found, markdown_code)]
    text = "\n".join(head)
    if found.edits:
        text += "\n\n" + _markdown_edits(found)
    for title, body in _sections(found, price):
        if title == "stages":
            continue
        text = _appended(text, title, body)
    return text


def _appended(text: str, title: str, body: str) -> str:
    """The text with a section that can be opened, cut where it gets too long."""
    room = MAX_BYTES - len(text.encode()) - 400
    if room <= 0:
        return text
    if len(body.encode()) > room:
        body = body.encode()[:room].decode("utf-8", "ignore").rpartition("\n")[0] + _CUT
    block = markdown_block(body)
    # A line of many backticks makes its fence longer.
    if len(block.encode()) > room + 200:
        block = markdown_text(_CUT)
    summary = f"<summary>{markdown_text(title[:1].upper() + title[1:])}</summary>"
    return f"{text}\n\n<details>{summary}\n\n{block}\n\n</details>"


def _title(found: ChangeReview, named: Callable[[str], str]) -> str:
    return (
        f"{named(found.workflow)} in {named(found.environment)} against {named(found.ref)} "
        f"({named(found.commit[:10])})"
    )


def _summary(found: ChangeReview, named: Callable[[str], str]) -> Iterator[str]:
    if found.base_error:
        yield f"the version at {named(found.ref)} can't be loaded, so only the plan is shown"
    else:
        yield _edits_line(found, named)
    for edit in found.edits:
        if edit.terms:
            yield f"{named(edit.stage)}: {named('; '.join(edit.terms))}"
    if found.changes.contracts:
        many = plural(len(found.changes.contracts), "contract")
        failed = sum(item.failed for item in found.changes.contracts)
        yield f"{many} changed" + (f", {failed} in a way that isn't allowed" if failed else "")
    yield _plan_line(found, named)
    if found.rules:
        listed = ", ".join(f"{named(name)} ({how})" for name, how in found.rules[:_NAMED])
        more = len(found.rules) - _NAMED
        yield f"policy rules: {listed}{f' and {more} more' if more > 0 else ''}"
    if found.held_by:
        yield f"rules or people will hold it back ({len(found.held_by)})"
    elif found.foreseen:
        yield "rules: nothing that is known before a run holds it back; what moves is judged in the run"
    if found.owner != found.owner_before and not found.base_error:
        yield f"the owner was {named(found.owner_before or 'nobody')}, is {named(found.owner or 'nobody')}"


def _edits_line(found: ChangeReview, named: Callable[[str], str]) -> str:
    own = [edit for edit in found.edits if edit.what != "reads"]
    reached = len(found.edits) - len(own)
    if not own:
        return "no stage changed"
    names = ", ".join(named(edit.stage) for edit in own[:_NAMED])
    more = f" and {len(own) - _NAMED} more" if len(own) > _NAMED else ""
    rest = f"; {plural(reached, 'stage')} downstream of them" if reached else ""
    return f"{plural(len(own), 'stage')} changed: {names}{more}{rest}"


def _plan_line(found: ChangeReview, named: Callable[[str], str]) -> str:
    if found.plan is None:
        return f"what would rerun isn't known: {named(found.no_plan)}"
    return f"plan: {_headline(found.plan)}"


def _headline(plan: Plan) -> str:
    if plan.empty:
        return "nothing to do"
    many = plural(len(plan.steps), "step")
    return f"{many} of {plural(len(plan.by_stage()), 'stage')}"


def _sections(found: ChangeReview, price: Price) -> Iterator[tuple[str, str]]:
    """The sections of a review, each with its title and its lines."""
    if found.base_error:
        yield f"why {printable(found.ref)} can't be loaded", printable_lines(found.base_error)
    if found.edits:
        yield "stages", text_table(_EDITS, _edit_rows(found))
    if found.changes.contracts:
        yield "contracts", "\n\n".join(map(render_comparison, found.changes.contracts))
    if found.plan is not None:
        yield "plan", render_plan(found.plan, price=price)
    yield from _row_sections(found)
    if found.held_by:
        who = [f"{what} by {people}" for what, people in found.people.items()]
        yield "rules and people", "\n".join(map(plain_text, (*found.held_by, *who)))


def _edit_rows(found: ChangeReview) -> list[tuple[str, ...]]:
    return [
        (
            f"{edit.was} -> {edit.stage}" if edit.was else edit.stage,
            edit.kind,
            _WORDS[edit.what],
            "; ".join((*edit.reasons, *edit.terms)) or "-",
            _reruns(found.plan, edit),
        )
        for edit in found.edits
    ]


def _markdown_edits(found: ChangeReview) -> str:
    rows = [
        [cell if cell == "-" else markdown_text(cell) for cell in row] for row in _edit_rows(found)
    ]
    shown = markdown_table(_EDITS, rows[:_MAX_EDITS])
    more = len(rows) - _MAX_EDITS
    return shown + (f"\n\nand {plural(more, 'more stage')}" if more > 0 else "")


def _reruns(plan: Plan | None, edit: StageEdit) -> str:
    if plan is None:
        return "?"
    steps = [step for step in plan.by_stage().get(edit.stage, []) if step.action not in _REUSE]
    if not steps:
        return "-"
    wall = estimate_of(steps).wall_s
    return f"{len(steps):,}" + (f" ({approximate_seconds(wall)})" if wall else "")


def _row_sections(found: ChangeReview) -> Iterator[tuple[str, str]]:
    if found.rows is None:
        if found.edits:
            yield "rows on a sample", f"not compared: {found.no_rows}"
        return
    tables = found.rows.tables
    lines = []
    if tables:
        lines.append(text_table(_ROWS, _table_rows(found)))
    lines += [
        f"{stage}: not compared: {printable(why)}" for stage, why in found.rows.skipped.items()
    ]
    if lines:
        yield "rows on a sample", "\n".join(lines)
    if found.rows.models:
        yield "predictions on a sample", text_table(_MODELS, _model_rows(found))


def _table_rows(found: ChangeReview) -> list[tuple[str, ...]]:
    assert found.rows is not None
    return [
        (
            item.stage,
            summarize_keys(item.partitions) or "-",
            "-" if item.new else f"{item.before:,}",
            f"{item.after:,}",
            *(f"{n:,}" if n else "-" for n in (item.added, item.removed, item.changed)),
            ", ".join(_columns(item.columns, item.largest, item.unlike))
            or ("new" if item.new else "none"),
            f"{item.quarantined_before:,} -> {item.quarantined_after:,}"
            if item.quarantined_before != item.quarantined_after
            else "-",
        )
        for item in found.rows.tables
    ]


def _columns(
    counts: Mapping[str, int], largest: Mapping[str, float], unlike: Sequence[str]
) -> Iterator[str]:
    for name in unlike[:_NAMED]:
        yield f"{name} (only in one, or of another type)"
    for name, many in [*counts.items()][:_NAMED]:
        most = f", by at most {largest[name]:.3g}" if name in largest else ""
        yield f"{name} ({plural(many, 'row')}{most})"
    more = max(0, len(unlike) - _NAMED) + max(0, len(counts) - _NAMED)
    if more:
        yield f"{more} more"


def _model_rows(found: ChangeReview) -> list[tuple[str, ...]]:
    assert found.rows is not None
    return [
        (
            item.model,
            f"{item.trained_before:,} -> {item.trained_after:,}"
            if item.trained_before != item.trained_after
            else f"{item.trained_after:,}",
            f"{item.rows:,}",
            f"{item.differing:,}",
            *("-" if figure is None else f"{figure:.3g}" for figure in (item.mean, item.largest)),
        )
        for item in found.rows.models
    ]


def _indent(text: str) -> str:
    return "\n".join(f"  {line}" if line else line for line in text.split("\n"))


def review_body(found: ChangeReview, plan: Mapping[str, Any] | None) -> dict[str, Any]:
    """A review in a document, with the document of its plan."""
    return {
        "workflow": found.workflow,
        "environment": found.environment,
        "ref": found.ref,
        "commit": found.commit,
        "base_error": found.base_error,
        "owner": found.owner,
        "owner_before": found.owner_before,
        "edits": found.edits,
        "stages": found.changes.stages,
        "contracts": found.changes.contracts,
        "rules": [{"rule": name, "change": how} for name, how in found.rules],
        "foreseen": found.foreseen,
        "held_by": found.held_by,
        "people": found.people,
        "rows": found.rows,
        "no_rows": found.no_rows,
        "plan": plan,
        "no_plan": found.no_plan,
        "exit_code": found.exit_code,
    }
