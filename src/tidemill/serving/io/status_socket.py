"""Let commands on the same machine read the status of a running server, through a socket in its home.

The socket is a file in a folder that only its owner may enter, so no token is needed, wherever the server
listens for others.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import secrets
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from tidemill.ledger.io.home_files import make_private_folder

_SUFFIX = ".sock"
# Seconds that a server has to reply: a busy one replies between two requests.
_PATIENCE_S = 2.0
_log = logging.getLogger("tidemill.serving")


class StatusSocket:
    """Replies with `status` to whoever connects to a socket in a folder, until it is closed."""

    def __init__(self, folder: Path, status: Callable[[], bytes]) -> None:
        self._folder = folder
        self._name = f"{os.getpid()}-{secrets.token_hex(3)}{_SUFFIX}"
        self._status = status
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Begin to reply; a folder that can't have sockets is logged, and stops nothing."""
        try:
            make_private_folder(self._folder, below=self._folder.parent.parent)
            with _socket_in(self._folder, self._name) as (sock, place):
                sock.bind(place)
                os.chmod(self._folder / self._name, 0o600)
                sock.setblocking(False)
                self._server = await asyncio.start_unix_server(self._reply, sock=sock)
        except OSError as error:
            _log.warning("`tidemill endpoints` can't ask this server: %s", error)

    async def close(self) -> None:
        """Remove the socket."""
        if self._server is not None:
            self._server.close()
        with contextlib.suppress(OSError):
            (self._folder / self._name).unlink()

    async def _reply(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            writer.write(self._status())
            await writer.drain()
        writer.close()


def read_statuses(folder: Path) -> tuple[list[bytes], list[str]]:
    """Ask all servers with a socket in a folder; return their replies, and why others don't reply.

    What a server left that was killed is removed.
    """
    found, faults = [], []
    try:
        names = sorted(path.name for path in folder.iterdir() if path.suffix == _SUFFIX)
    except FileNotFoundError:
        return [], []
    except OSError as error:
        return [], [f"the servers in {folder} can't be asked: {error.strerror or error}"]
    for name in names:
        process = name.partition("-")[0]
        try:
            found.append(_ask(folder, name))
        except (ConnectionRefusedError, FileNotFoundError):
            with contextlib.suppress(OSError):
                (folder / name).unlink(missing_ok=True)
        except OSError as error:
            faults.append(
                f"the server in process {process} doesn't reply: {error.strerror or error}"
            )
    return found, faults


def _ask(folder: Path, name: str) -> bytes:
    with _socket_in(folder, name) as (sock, place), sock:
        sock.settimeout(_PATIENCE_S)
        sock.connect(place)
        parts = []
        while part := sock.recv(65_536):
            parts.append(part)
    return b"".join(parts)


@contextlib.contextmanager
def _socket_in(folder: Path, name: str) -> Iterator[tuple[socket.socket, str]]:
    """A socket, and the path of a file in a folder as it may be bound or connected to.

    Paths of sockets have some 100 bytes at most. On Linux a descriptor of the folder makes any path short.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        short = sys.platform == "linux" and len(os.fsencode(folder / name)) > 100
        yield sock, f"/proc/self/fd/{descriptor}/{name}" if short else str(folder / name)
    except BaseException:
        sock.close()
        raise
    finally:
        os.close(descriptor)
