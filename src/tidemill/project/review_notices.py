"""Send the notices about reviews that are due, after what they are about is recorded."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from queue import Empty, SimpleQueue
from typing import NamedTuple

from tidemill.core.errors import ConflictError
from tidemill.governance.io.notice_channels import NoticeRefused, channel_secrets, send_notice
from tidemill.governance.notices import DueNotice, due_notices
from tidemill.governance.notify_settings import NotifySettings
from tidemill.governance.review_state import REVIEW_EVENTS, fold_reviews
from tidemill.ledger.governance_events import NoticeSent
from tidemill.ledger.io.lease_holder import is_dead, this_process
from tidemill.project.workspace import Workspace

# All notices of a command together may take so long; then the command goes on, and they are due again.
BUDGET_S = 10.0
_LEASE = "notices"


class _Answer(NamedTuple):
    """What became of a notice; `problem` is "" if it was accepted."""

    due: DueNotice
    problem: str


def send_notices(space: Workspace, budget_s: float = BUDGET_S) -> tuple[str, ...]:
    """Send what is due, and return what wasn't accepted and why; it is sent again by the next command.

    At least once: a notice that was accepted is recorded, and not sent again. Never takes longer than the
    budget, and raises nothing of a channel.
    """
    settings = space.settings.notify
    if not settings.channels:
        return ()
    if not _due(space, settings):
        return ()
    tools = space.tools
    holder, now = this_process("notices"), tools.clock()
    try:
        lease = tools.ledger.acquire(_LEASE, holder, now=now, ttl=2 * budget_s, dead=is_dead)
    except ConflictError:
        # Another process sends them.
        return ()
    try:
        return _send_all(space, _due(space, settings), settings, budget_s)
    finally:
        tools.ledger.release(lease)


def _due(space: Workspace, settings: NotifySettings) -> tuple[DueNotice, ...]:
    facts = space.tools.ledger.events(kinds=REVIEW_EVENTS)
    reviews = fold_reviews(facts, space.environment)
    return due_notices(
        reviews.values(), settings.channels, workflow=space.declared.name, link=settings.link
    )


def _send_all(
    space: Workspace, due: Sequence[DueNotice], settings: NotifySettings, budget_s: float
) -> tuple[str, ...]:
    tools, answers = space.tools, SimpleQueue[_Answer]()
    tools.redactor.learn(channel_secrets(settings))
    deadline = time.monotonic() + budget_s
    # A server that answers slowly can't be interrupted: the thread is left behind then.
    sender = threading.Thread(
        target=_work, args=(due, settings, tools.clock(), answers), name="notices", daemon=True
    )
    sender.start()
    problems, waiting = list[str](), len(due)
    while waiting:
        try:
            answer = answers.get(timeout=max(0.0, deadline - time.monotonic()))
        except Empty:
            text = f"{waiting} of {len(due)} notices took longer than {budget_s:g} s"
            return (*problems, f"reviews: {text}; the next command sends them again")
        waiting -= 1
        notice = answer.due.notice
        if answer.problem:
            problems.append(
                f"review {notice.review}: no notice by {answer.due.channel}: {answer.problem}; the next "
                "command sends it again"
            )
            continue
        sent = NoticeSent(
            environment=notice.environment,
            review=notice.review,
            about=notice.about,
            channel=answer.due.channel,
        )
        tools.ledger.append([sent], now=tools.clock())
    return tuple(problems)


def _work(
    due: Sequence[DueNotice], settings: NotifySettings, now: float, answers: SimpleQueue[_Answer]
) -> None:
    for each in due:
        try:
            send_notice(each.channel, each.notice, settings, now)
        except NoticeRefused as error:
            answers.put(_Answer(each, str(error)))
        except Exception as error:  # noqa: BLE001 - the command waits for an answer to each notice
            # Its text may have the address of the channel, which is a secret.
            answers.put(_Answer(each, f"it failed with {type(error).__name__}"))
        else:
            answers.put(_Answer(each, ""))
