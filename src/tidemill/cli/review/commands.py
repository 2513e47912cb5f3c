"""`tidemill review list`, `approve`, `reject` and `changes`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from tidemill.cli.lazy_group import project_options
from tidemill.cli.project_option import project_session
from tidemill.cli.render.figures import local_time
from tidemill.cli.render.json_document import json_option, print_result
from tidemill.cli.terminal.output import print_text
from tidemill.core.errors import GateError
from tidemill.core.text_table import drop_empty_columns, text_table
from tidemill.governance.review_vote import asked_text, missing_text
from tidemill.governance.vote_text import voted_text

if TYPE_CHECKING:
    from tidemill.governance.review_state import ReviewState
    from tidemill.project.reviews import Reviews, ReviewVoted

_reason = click.option("--reason", default="", metavar="TEXT",
                       help="Say why; asked for in a terminal.")  # fmt: skip
_note = click.option("--note", default="", metavar="TEXT",
                     help="Record more, such as whom you asked.")  # fmt: skip


@click.command("list")
@click.option("--all", "everything", is_flag=True, help="List also the reviews that ended.")
@click.option("--limit", default=100, show_default=True, type=click.IntRange(min=1), metavar="N",
              help="With --all, list those that ended only among the last N.")  # fmt: skip
@json_option
@project_options
def list_(everything: bool, limit: int, as_json: bool) -> None:
    """List what waits for people, whom it waits for, and until when."""
    with project_session() as project:
        if everything:
            found, has_more = _last(project.reviews.list("all", limit + 1), limit)
        else:
            found, has_more = project.reviews.list(), False
        overtaken = {
            state.review.id: what for state in found if (what := project.reviews.overtaken(state))
        }
        _print_problems(project.reviews.notify())
    text = _table(found, overtaken, everything=everything)
    for id, what in overtaken.items():
        text += f"\n\n{id} can't be approved any more: {what}"
    if has_more:
        text += f"\n\nearlier ones aren't listed: see them with --limit {10 * limit}"
    print_result(
        text,
        as_json,
        "tidemill.reviews/1",
        lambda: {
            "reviews": [entry(state) for state in found],
            "overtaken": overtaken,
            "more": has_more,
        },
    )


def _last(found: Sequence[ReviewState], limit: int) -> tuple[Sequence[ReviewState], bool]:
    """The open reviews and the last ones, of those and one more; and whether there are others."""
    ended = [state for state in found if not state.is_open]
    if len(found) <= limit or not ended:
        return found, False
    return [state for state in found if state is not ended[0]], True


def _table(found: Sequence[ReviewState], overtaken: Collection[str], *, everything: bool) -> str:
    if not found:
        return "nothing waits for a review" if not everything else "there are no reviews"
    headers = ("review", "waits", "since", "until", "asked", "approvals", "outcome")
    rows = [
        [
            state.review.id,
            f"{state.review.kind} {state.review.label}",
            local_time(state.review.opened),
            local_time(state.expires) if state.expires is not None and state.is_open else "-",
            asked_text(state) if state.is_open else "-",
            missing_text(state) if state.is_open else "-",
            _outcome(state, overtaken),
        ]
        for state in found
    ]
    rare = ("until", "asked", "approvals", "outcome")
    return text_table(*drop_empty_columns(headers, rows, *rare))


def _outcome(state: ReviewState, overtaken: Collection[str]) -> str:
    if state.outcome is not None:
        return str(state.outcome)
    return "superseded" if state.review.id in overtaken else "-"


def entry(state: ReviewState) -> Mapping[str, Any]:
    """A review in a document, without what only the ledger needs."""
    return {
        "review": state.review,
        "environment": state.environment,
        "votes": state.votes,
        "outcome": state.outcome,
        "reason": state.reason,
        "closed_by": state.closed_by,
        "closed": state.closed,
        "expires": state.expires,
        "escalated_to": state.escalated_to,
        "open": state.is_open,
    }


@click.command()
@click.argument("review")
@_reason
@_note
@json_option
@project_options
def approve(review: str, reason: str, note: str, as_json: bool) -> None:
    """Approve the change that REVIEW asks about, named by a unique prefix of its id.

    With the last approval that is needed a model goes live at once; other changes go on with the next run.
    Exit codes: 4 while further approvals are needed, or if the review ended; 6 if the change has moved on;
    7 if you aren't asked.
    """
    done = _vote(lambda reviews: reviews.approve(review, _why(reason), note=note))
    _finish(done, as_json)
    if done.state.is_open:
        click.get_current_context().exit(GateError.exit_code)


@click.command()
@click.argument("review")
@_reason
@_note
@json_option
@project_options
def reject(review: str, reason: str, note: str, as_json: bool) -> None:
    """Reject the change that REVIEW asks about, or withdraw it if you asked for it.

    Exit codes: 4 if the review ended, 7 if you aren't asked.
    """
    _finish(_vote(lambda reviews: reviews.reject(review, _why(reason), note=note)), as_json)


@click.command()
@click.argument("review")
@_reason
@_note
@json_option
@project_options
def changes(review: str, reason: str, note: str, as_json: bool) -> None:
    """Ask for changes to what REVIEW is about, which ends it: what is changed gets a review of its own.

    Exit codes: 4 if the review ended, 7 if you aren't asked.
    """
    _finish(_vote(lambda reviews: reviews.ask_changes(review, _why(reason), note=note)), as_json)


def _vote(cast: Callable[[Reviews], ReviewVoted]) -> ReviewVoted:
    with project_session() as project:
        done = cast(project.reviews)
        _print_problems(project.reviews.notify())
        return done


def _print_problems(messages: Iterable[str]) -> None:
    for message in messages:
        print_text(f"- {message}", err=True)


def _why(reason: str) -> str:
    if reason.strip():
        return reason
    if not is_terminal():
        raise click.UsageError('say why: --reason "TEXT"')
    answer: str = click.prompt("why", err=True)
    return answer


def is_terminal() -> bool:
    """Whether somebody can be asked."""
    return sys.stdin.isatty()


def _finish(done: ReviewVoted, as_json: bool) -> None:
    text = voted_text(done.state, done.vote, went_live=done.went_live, notes=done.notes)
    print_result(text, as_json, "tidemill.review/1", lambda: entry(done.state))
