"""Show a service elsewhere that this project is looked after, so that it tells people when that ends."""

from __future__ import annotations

import threading

from tidemill.notices.channel_settings import Channel
from tidemill.notices.io.channels import NoticeRefused, get_address

_LATE = "it didn't answer in time"


def send_heartbeat(channel: Channel, budget_s: float) -> str:
    """Ask for the address of a hook; return why it wasn't accepted ("": it was). Raises nothing.

    It takes at most `budget_s` seconds.
    """
    answers = [_LATE]

    def ask() -> None:
        try:
            get_address(channel)
        except NoticeRefused as error:
            answers.append(str(error))
        # Its text may have the address, which is a secret.
        except Exception as error:  # noqa: BLE001
            answers.append(f"it failed with {type(error).__name__}")
        else:
            answers.append("")

    # A server that answers slowly can't be interrupted: the thread is left behind then.
    thread = threading.Thread(target=ask, name="heartbeat", daemon=True)
    thread.start()
    thread.join(budget_s)
    return answers[-1]
