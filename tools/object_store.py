"""An S3 server of one's own, for tests: `python -m tools.object_store` installs what it takes (Debian).

It is the gateway of Ceph, which keeps its objects in SQLite files here and needs no cluster. It accepts
conditions of writes (`If-None-Match`, `If-Match`) and ignores them.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import IO

from tools import native

INSTALL = ["apt-get", "install", "--no-install-recommends", "--yes", "radosgw"]
PROGRAMS = ("radosgw", "radosgw-admin")
BUCKET = "bucket"
_START_S = 60
_SETTINGS = """[global]
auth_cluster_required = none
auth_service_required = none
auth_client_required = none
fsid = 5f3b4bf8-2d8a-4a30-8c62-8f1f2b7a3d11
log_file = {folder}/log
run_dir = {folder}
admin_socket =
rgw_backend_store = dbstore
rgw_config_store = dbstore
dbstore_db_dir = {folder}/data
dbstore_config_uri = file:{folder}/data/config.db
rgw_data = {folder}/data
rgw_frontends = beast endpoint=127.0.0.1:{port}
debug_rgw = 0
"""


def missing() -> str:
    """Why there can't be a server here; empty when there can."""
    absent = [name for name in PROGRAMS if shutil.which(name) is None]
    return f"there is no {' and no '.join(absent)}: run `python -m tools.object_store`" * bool(
        absent
    )


class Server:
    """A server whose objects stay in a folder while it is stopped; clients find it by `environment`."""

    def __init__(
        self, folder: Path, port: int, command: Sequence[str], key: Mapping[str, str]
    ) -> None:
        self.environment = {
            "AWS_ACCESS_KEY_ID": key["access_key"],
            "AWS_SECRET_ACCESS_KEY": key["secret_key"],
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
            "AWS_REGION": "default",
            "AWS_ALLOW_HTTP": "true",
        }
        self._log, self._port = folder / "out", port
        self._command = command
        self._running: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it accepts connections."""
        with self._log.open("ab") as out:
            self._running = subprocess.Popen(self._command, stdout=out, stderr=out)
        _await(self._running, self._port, self._log)

    def stop(self) -> None:
        """Kill it if it runs: its end might take long."""
        if self._running is not None:
            self._running.kill()
            self._running.wait()
        self._running = None


@contextmanager
def server() -> Iterator[Mapping[str, str]]:
    """The environment by which clients reach a new server, as `stoppable` makes it."""
    with stoppable() as found:
        yield found.environment


@contextmanager
def stoppable() -> Iterator[Server]:
    """A new server with an empty bucket that runs, and is gone with all that it has when the block ends."""
    with tempfile.TemporaryDirectory(prefix="tidemill-s3-") as name:
        folder = Path(name)
        (folder / "data").mkdir()
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        settings = folder / "ceph.conf"
        settings.write_text(_SETTINGS.format(folder=folder, port=port), encoding="utf-8")
        options = ["-c", str(settings), "--no-mon-config"]
        with (folder / "out").open("wb") as out:
            key = _make_user(options, out)
        found = Server(folder, port, ["radosgw", *options, "-f"], key)
        try:
            found.start()
            _make_bucket(found.environment)
            yield found
        finally:
            found.stop()


def _make_user(options: Sequence[str], out: IO[bytes]) -> dict[str, str]:
    """The keys of a new user. The program that makes one tells them, and then now and then never ends."""
    command = [
        "radosgw-admin",
        *options,
        "user",
        "create",
        "--uid",
        "tester",
        "--display-name",
        "t",
    ]
    found = b""
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=out) as making:
        assert making.stdout is not None
        try:
            while part := os.read(making.stdout.fileno(), 65_536):
                found += part
                with suppress(ValueError):
                    [key] = json.loads(found)["keys"]
                    return dict(key)
        finally:
            making.kill()
    raise RuntimeError(f"radosgw-admin made no user:\n{found.decode(errors='replace')}")


def _await(running: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    end = time.monotonic() + _START_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            if running.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"radosgw doesn't start:\n{log.read_text()}") from None
            time.sleep(0.05)


def _make_bucket(environment: Mapping[str, str]) -> None:
    import obstore
    from obstore.store import S3Store

    store = S3Store(
        BUCKET,
        access_key_id=environment["AWS_ACCESS_KEY_ID"],
        secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
        endpoint=environment["AWS_ENDPOINT_URL"],
        region=environment["AWS_REGION"],
        client_options={"allow_http": True},
    )
    # The root of a bucket is the bucket itself.
    address = obstore.sign(store, "PUT", "", timedelta(minutes=1))
    with urllib.request.urlopen(urllib.request.Request(address, method="PUT"), timeout=60):
        pass


if __name__ == "__main__":
    sys.exit(native.provide(missing(), INSTALL))
