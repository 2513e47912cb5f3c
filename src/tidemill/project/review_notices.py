"""Send the notices about reviews that are due, after what they are about is recorded."""

from __future__ import annotations

from collections.abc import Sequence

from tidemill.core.errors import ConflictError
from tidemill.governance.io.recorded_reviews import unsettled_reviews
from tidemill.governance.notices import DueNotice, due_notices
from tidemill.governance.notify_settings import NotifySettings
from tidemill.ledger.governance_events import NoticeSent
from tidemill.ledger.io.lease_holder import is_dead, this_process
from tidemill.notices.io.channels import channel_secrets, send_notice
from tidemill.notices.io.dispatch import dispatch
from tidemill.project.workspace import Workspace

# All notices of a command together may take so long; then the command goes on, and they are due again.
BUDGET_S = 10.0
_LEASE = "notices"
# The end of a review is told for so long, if a channel accepts nothing.
_TOLD_S = 30 * 86_400.0


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
    since = space.tools.clock() - _TOLD_S
    reviews = unsettled_reviews(space.tools.ledger, space.environment, since)
    return due_notices(
        reviews.values(), settings.channels, workflow=space.declared.name, link=settings.link
    )


def _send_all(
    space: Workspace, due: Sequence[DueNotice], settings: NotifySettings, budget_s: float
) -> tuple[str, ...]:
    tools, channels = space.tools, settings.channels
    tools.redactor.learn(channel_secrets(channels.values()))
    notices = [(channels[each.channel], each.notice) for each in due]
    problems, answered = list[str](), 0
    for number, problem in dispatch(notices, send_notice, now=tools.clock(), budget_s=budget_s):
        answered += 1
        notice = due[number]
        if problem:
            problems.append(
                f"review {notice.review}: no notice by {notice.channel}: {problem}; the next command sends "
                "it again"
            )
            continue
        sent = NoticeSent(
            environment=notice.environment,
            review=notice.review,
            about=notice.about,
            channel=notice.channel,
        )
        tools.ledger.append([sent], now=tools.clock())
    if answered < len(due):
        text = f"{len(due) - answered} of {len(due)} notices took longer than {budget_s:g} s"
        problems.append(f"reviews: {text}; the next command sends them again")
    return tuple(problems)
