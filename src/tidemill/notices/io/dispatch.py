"""Send several notices within a time, so that a channel that hangs holds up neither a command nor others."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from queue import Empty, SimpleQueue
from typing import TypeAlias

from tidemill.notices.channel_settings import Channel
from tidemill.notices.io.channels import NoticeRefused
from tidemill.notices.notice import Notice

Send: TypeAlias = Callable[[Channel, Notice, float], None]


def dispatch(
    notices: Sequence[tuple[Channel, Notice]], send: Send, *, now: float, budget_s: float
) -> Iterator[tuple[int, str]]:
    """Send notices, and yield for each that was answered its number and why it failed ("": it didn't).

    Channels are sent to at the same time, each its notices in order. What isn't answered within the budget
    isn't yielded, and may have arrived.
    """
    answers = SimpleQueue[tuple[int, str]]()
    deadline = time.monotonic() + budget_s
    channels: dict[str, list[int]] = {}
    for number, (channel, _) in enumerate(notices):
        channels.setdefault(channel.name, []).append(number)
    for name, numbers in channels.items():
        # A server that answers slowly can't be interrupted: the thread is left behind then.
        threading.Thread(
            target=_work, args=(notices, numbers, send, now, answers), name=f"notices to {name}",
            daemon=True,
        ).start()  # fmt: skip
    for _ in notices:
        try:
            yield answers.get(timeout=max(0.0, deadline - time.monotonic()))
        except Empty:
            return


def _work(
    notices: Sequence[tuple[Channel, Notice]],
    numbers: Sequence[int],
    send: Send,
    now: float,
    answers: SimpleQueue[tuple[int, str]],
) -> None:
    for number in numbers:
        channel, notice = notices[number]
        try:
            send(channel, notice, now)
        except NoticeRefused as error:
            answers.put((number, str(error)))
        except Exception as error:  # noqa: BLE001 - the caller waits for an answer to each notice
            # Its text may have the address of the channel, which is a secret.
            answers.put((number, f"it failed with {type(error).__name__}"))
        else:
            answers.put((number, ""))
