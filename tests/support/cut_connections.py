"""A server between a program and PostgreSQL that cuts the connection at a chosen moment."""

from __future__ import annotations

import re
import socket
import threading
from contextlib import suppress
from pathlib import Path
from typing import Self
from urllib.parse import quote

_CHUNK = 65_536


class CuttingProxy:
    """Forwards connections to the socket of a server in a folder, until `cut_after` pieces were forwarded.

    What is forwarded counts in both directions. Then it cuts all connections, the last piece having reached
    the other side, and accepts new ones unless `stays_away`.
    """

    def __init__(self, server: Path, folder: Path) -> None:
        self._server = str(server / ".s.PGSQL.5432")
        self._own = socket.socket(socket.AF_UNIX)
        self._own.bind(str(folder / ".s.PGSQL.5432"))
        self._own.listen()
        self._lock = threading.Lock()
        self._open: list[socket.socket] = []
        self._left = -1
        self.stays_away = self.is_away = False
        self.has_cut = False
        self.url = f"postgresql://tester@/postgres?host={quote(str(folder), safe='')}"
        self._thread = threading.Thread(target=self._accept, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        # Closing alone wouldn't wake who waits to accept.
        with suppress(OSError):
            self._own.shutdown(socket.SHUT_RDWR)
        self._own.close()
        with self._lock:
            self._cut()
        self._thread.join()

    def cut_after(self, pieces: int, *, stays_away: bool = False) -> None:
        """Cut once so many pieces were forwarded from now on."""
        with self._lock:
            self._left, self.stays_away, self.has_cut = pieces, stays_away, False

    def go_away(self) -> None:
        """Cut all connections, and accept none."""
        with self._lock:
            self.is_away = True
            self._cut()

    def come_back(self) -> None:
        """Accept connections again, and cut none."""
        with self._lock:
            self._left, self.is_away = -1, False

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._own.accept()
            except OSError:
                return
            if self.is_away:
                client.close()
                continue
            server = socket.socket(socket.AF_UNIX)
            server.connect(self._server)
            with self._lock:
                self._open += [client, server]
            for source, target in ((client, server), (server, client)):
                threading.Thread(target=self._forward, args=(source, target), daemon=True).start()

    def _forward(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(_CHUNK):
                with self._lock:
                    target.sendall(data)
                    self._left -= self._left > 0
                    if self._left == 0:
                        self._left, self.has_cut, self.is_away = -1, True, self.stays_away
                        self._cut()
                        return
        self._end(source, target)

    def _end(self, *sockets: socket.socket) -> None:
        for each in sockets:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _cut(self) -> None:
        gone, self._open = self._open, []
        self._end(*gone)


def proxy_to(url: str, folder: Path) -> CuttingProxy:
    """A proxy with its socket in a folder, to the server of a URL."""
    found = re.search(r"host=([^&]*)", url)
    assert found is not None
    return CuttingProxy(Path(found[1]), folder)
