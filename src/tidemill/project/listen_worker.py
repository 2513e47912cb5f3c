"""A process that listens to notifications of databases, so that the supervisor imports no driver.

It is started as a module, with a socket on which it is told what to listen to; it ends when that is closed.
"""

from __future__ import annotations

import socket
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress

from tidemill.adapters.databases.postgres_notifications import listen
from tidemill.core.errors import SourceError
from tidemill.operations.io.job_channel import ChildMessage, ListenTo, decode_line, encode_line
from tidemill.operations.supervision import ListenNews, ListenState

# Seconds until a lost connection is tried again: twice as long each time.
_FIRST_S, _LONGEST_S = 1.0, 60.0
Tell = Callable[[Iterable[str], ListenState, str], None]


def main(descriptor: int) -> None:
    """Listen until the other side closes the socket."""
    lock = threading.Lock()
    with socket.socket(fileno=descriptor) as stream, stream.makefile("rb") as lines:

        def tell(stages: Iterable[str], state: ListenState, why: str) -> None:
            # Whoever asked may be gone.
            with lock, suppress(OSError):
                for stage in stages:
                    news = ListenNews(stage=stage, state=state, why=why)
                    stream.sendall(encode_line(ChildMessage(news=news)))

        wanted = decode_line(lines.readline(), ListenTo)
        urls: defaultdict[str, defaultdict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
        for place in wanted.places:
            urls[place.url][place.channel].append(place.stage)
        for url, stages in urls.items():
            threading.Thread(target=_follow, args=(url, stages, tell), daemon=True).start()
        lines.read()


def _follow(url: str, stages: Mapping[str, Sequence[str]], tell: Tell) -> None:
    """Tell what a database notifies of, by channel, and connect again when the connection is lost."""
    every = [stage for names in stages.values() for stage in names]
    wait = _FIRST_S
    while True:
        try:
            for channel in listen(url, stages):
                wait = _FIRST_S
                if channel:
                    tell(stages[channel], ListenState.NOTIFIED, f"a notification on {channel}")
                else:
                    tell(every, ListenState.LISTENING, "")
        except SourceError as error:
            tell(every, ListenState.LOST, str(error))
        time.sleep(wait)
        wait = min(2 * wait, _LONGEST_S)


if __name__ == "__main__":
    main(int(sys.argv[1]))
