"""nginx in front of servers on loopback, by the examples."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.serving import Reply, served_at
from tests.support.waiting import until
from tools import programs

EXAMPLES = Path(__file__).parents[2] / "examples" / "serving"


def program(name: str) -> Path:
    """A program of the system; the test is skipped where it isn't."""
    found = programs.find(name)
    if found is None:
        pytest.skip(programs.missing(name))
    return found


@contextmanager
def proxied(proxy: Proxy) -> Iterator[Proxy]:
    """Run nginx until the end of the block."""
    folder = proxy.folder
    nginx = str(program("nginx"))
    command = [nginx, "-p", str(folder), "-e", "stderr", "-c", str(folder / "nginx.conf")]
    env = programs.environment(Path(nginx))
    done = subprocess.run([*command, "-t"], capture_output=True, text=True, check=False, env=env)
    assert done.returncode == 0, done.stderr
    running = subprocess.Popen(command, stderr=subprocess.DEVNULL, env=env)
    try:
        until(proxy.is_up, running)
        yield proxy
    finally:
        running.terminate()
        running.wait(30)


class Proxy:
    """nginx in front of a server on loopback, by an example in which places are replaced."""

    def __init__(self, folder: Path, example: str, places: Mapping[str, str]) -> None:
        self.folder = folder
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = int(free.getsockname()[1])
        site = (EXAMPLES / example).read_text()
        for old, new in {**places, "listen 80;": f"listen 127.0.0.1:{self.port};"}.items():
            assert site.count(old) == 1
            site = site.replace(old, new)
        (folder / "site.conf").write_text(site)
        kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        paths = "\n".join(f"{kind}_temp_path {folder}/{kind};" for kind in kinds)
        (folder / "nginx.conf").write_text(
            f"daemon off;\nmaster_process off;\npid {folder}/pid;\nevents {{}}\n"
            f"http {{\naccess_log off;\n{paths}\ninclude {folder}/site.conf;\n}}\n"
        )

    def is_up(self) -> bool:
        """Whether it accepts connections."""
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def ask(
        self,
        body: Any,
        token: str = "",
        headers: Mapping[str, str] | None = None,
        *,
        path: str = "/predict/demand",
    ) -> Reply:
        """Send a request as callers do."""
        asked = {"Host": "ml.example.com", **(headers or {})}
        if token:
            asked["Authorization"] = f"Bearer {token}"
        return served_at(f"http://127.0.0.1:{self.port}").ask(path, body, headers=asked)
