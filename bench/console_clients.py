"""Clients of the console that are no browsers, but ask for what the page of runs asks for."""

from __future__ import annotations

import gzip
import json
import threading
import time
from http.client import HTTPConnection, HTTPResponse
from queue import Queue
from socket import SHUT_RDWR
from types import TracebackType
from urllib.parse import urlsplit

from tests.support.running_console import RunningConsole

_FETCHED = {"Accept-Encoding": "gzip", "HX-Request": "true"}


class RunsClient:
    """Holds a stream of changes, and fetches the page of runs again whenever it may have changed."""

    def __init__(self, running: RunningConsole) -> None:
        link = urlsplit(running.new_link())
        self._host = link.netloc
        logged_in = self._open(f"/?{link.query}")
        logged_in.read()
        cookie = logged_in.headers["Set-Cookie"].partition(";")[0]
        self._headers = {"Cookie": cookie, **_FETCHED}
        self._stream = HTTPConnection(self._host)
        self._stream.request("GET", "/events", headers={"Cookie": cookie})
        self._changes = self._stream.getresponse()
        # The run that is waited for, and the milliseconds that those before took to be shown.
        self.awaited = ""
        self.took: list[float] = []
        self._shown: Queue[float] = Queue()
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()

    def __enter__(self) -> RunsClient:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._stream.sock is not None:
            self._stream.sock.shutdown(SHUT_RDWR)
        self._thread.join()

    def note_shown(self, recorded: float) -> None:
        """Note how long after it was recorded the run that is waited for was on the page."""
        self.took.append(self._shown.get(timeout=60.0) - recorded)

    def _open(self, path: str) -> HTTPResponse:
        connection = HTTPConnection(self._host)
        connection.request("GET", path)
        return connection.getresponse()

    def _follow(self) -> None:
        page = HTTPConnection(self._host)
        for line in self._changes:
            # Other messages say which ledger it is.
            if not line.startswith(b"data: {"):
                continue
            topics = json.loads(line.removeprefix(b"data: "))["topics"]
            if not {"runs", "*"}.intersection(topics):
                continue
            page.request("GET", "/runs", headers=self._headers)
            text = gzip.decompress(page.getresponse().read()).decode()
            if self.awaited and self.awaited in text:
                self._shown.put(time.time() * 1e3)
                self.awaited = ""
