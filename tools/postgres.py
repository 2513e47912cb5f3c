"""A PostgreSQL server of one's own, for tests: `python -m tools.postgres` installs what it takes (Debian).

It runs as a user that isn't root, and is reached by a socket in a folder of its own.
"""

import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tools import native

INSTALL = ["apt-get", "install", "--no-install-recommends", "--yes", "postgresql"]
_UNPRIVILEGED = ("postgres", "nobody")
_START_S = 60


def binary(name: str) -> Path | None:
    """Where a program of the server is: on the path, or where Debian puts it."""
    found = shutil.which(name)
    places = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    return Path(found) if found else next(iter(places[::-1]), None)


def missing() -> str:
    """Why there can't be a server here; empty when there can."""
    if os.name != "posix":
        return "PostgreSQL is only started on POSIX systems"
    absent = [name for name in ("initdb", "postgres") if binary(name) is None]
    return f"there is no {' and no '.join(absent)}: run `python -m tools.postgres`" * bool(absent)


class Server:
    """A server whose data stays in a folder while it is stopped; `url` is how it is reached."""

    def __init__(self, folder: Path, command: Sequence[str], options: Mapping[str, Any]) -> None:
        self.url = f"postgresql://tester@/postgres?host={folder}"
        self._log = folder / "log"
        self._command = command
        self._options = options
        self._running: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it answers."""
        with self._log.open("wb") as log:
            options = {**self._options, "stdout": log, "stderr": log}
            self._running = subprocess.Popen(self._command, **options)
        _await(self._running, self._log)

    def stop(self) -> None:
        """Stop it if it runs: whoever is connected is sent away."""
        if self._running is not None:
            self._running.send_signal(signal.SIGINT)
            self._running.wait()
        self._running = None

    @contextmanager
    def hanging(self) -> Iterator[None]:
        """While the block lasts it accepts connections and doesn't answer."""
        assert self._running is not None
        listed = ["ps", "-o", "pid=", "--ppid", str(self._running.pid)]
        children = subprocess.run(listed, capture_output=True, text=True, check=True).stdout
        processes = [self._running.pid, *map(int, children.split())]
        _signal(processes, signal.SIGSTOP)
        try:
            yield
        finally:
            _signal(processes, signal.SIGCONT)


def _signal(processes: Sequence[int], number: int) -> None:
    for each in processes:
        # Those of connections that ended are gone.
        with suppress(ProcessLookupError):
            os.kill(each, number)


@contextmanager
def server(listen: str = "", prefix: Sequence[str] = (), *, durable: bool = False) -> Iterator[str]:
    """The url of a new server, as `stoppable` makes it."""
    with stoppable(listen, prefix, durable=durable) as found:
        yield found.url


@contextmanager
def stoppable(
    listen: str = "", prefix: Sequence[str] = (), *, durable: bool = False
) -> Iterator[Server]:
    """A new server that runs, and is gone with all of its data when the block ends.

    It also listens at the address `listen`, and trusts whoever reaches it there; its command comes after a
    `prefix`, such as one that enters a namespace. Unless it is `durable` it doesn't wait for the disk.
    """
    who = _user()
    # Not in a folder that only its owner may enter: the server is somebody else.
    with tempfile.TemporaryDirectory(prefix="tidemill-postgres-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "data").mkdir(mode=0o700)
        if who:
            shutil.chown(folder, who["user"], who["group"])
            shutil.chown(folder / "data", who["user"], who["group"])
        _make_data(folder, who)
        if listen:
            with (folder / "data" / "pg_hba.conf").open("a") as rules:
                rules.write("host all all all trust\n")
        settings = (
            f"fsync={'on' if durable else 'off'}",
            f"listen_addresses={listen}",
            f"unix_socket_directories={folder}",
        )
        given = [word for setting in settings for word in ("-c", setting)]
        command = [str(binary("postgres")), "-D", "data", *given]
        options: dict[str, Any] = {"cwd": folder, **({} if prefix else who)}
        if prefix:
            # Only root enters one, and becomes the other user there.
            become = [f"--reuid={who['user']}", f"--regid={who['group']}", "--clear-groups"]
            command = [*prefix, "setpriv", *(become if who else ["--clear-groups"]), *command]
        found = Server(folder, command, options)
        try:
            found.start()
            yield found
        finally:
            found.stop()


def _make_data(folder: Path, who: Mapping[str, Any]) -> None:
    command = [str(binary("initdb")), "-D", "data", "-A", "trust", "-U", "tester"]
    with (folder / "log").open("wb") as log:
        options: dict[str, Any] = {"cwd": folder, "stdout": log, "stderr": log, **who}
        made = subprocess.run([*command, "-E", "UTF8", "--no-sync"], check=False, **options)
    if made.returncode:
        raise RuntimeError(f"initdb failed:\n{(folder / 'log').read_text()}")


def _await(running: "subprocess.Popen[bytes]", log: Path) -> None:
    # The log tells; a client would need the driver that is to be tested.
    end = time.monotonic() + _START_S
    while b"ready to accept connections" not in log.read_bytes():
        if running.poll() is not None or time.monotonic() > end:
            raise RuntimeError(f"PostgreSQL doesn't start:\n{log.read_text()}")
        time.sleep(0.05)


def _user() -> dict[str, Any]:
    """Who the server runs as: it refuses root."""
    if os.geteuid() != 0:
        return {}
    known = {entry.pw_name: entry for entry in pwd.getpwall()}
    found = next(known[name] for name in _UNPRIVILEGED if name in known)
    return {"user": found.pw_uid, "group": found.pw_gid, "extra_groups": []}


if __name__ == "__main__":
    sys.exit(native.provide(missing(), INSTALL))
