"""Send HTTP requests to a server with wrk, and read what the processes of the server used."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bench.processes import PROC, children

_TICK_S = 1 / os.sysconf("SC_CLK_TCK")
_UNITS = {"us": 1e-3, "ms": 1.0, "s": 1e3, "m": 6e4}
# Stands in a body for a number that is another one in each request.
COUNT = b"__COUNT__"
_JSON = {"Content-Type": "application/json"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A running server, and the request that is sent to it."""

    name: str
    process: int
    port: int
    path: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=lambda: _JSON)

    @property
    def url(self) -> str:
        """Where the requests go."""
        return f"http://127.0.0.1:{self.port}{self.path}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What wrk saw: times in milliseconds, and the server's CPU time per request in microseconds.

    `failed` counts replies other than 200, and errors of the socket.
    """

    requests: int
    failed: int
    p50_ms: float
    p99_ms: float
    each_us: float


def send(target: Target, work: Path, connections: int, seconds: int) -> Load:
    """Send requests as fast as they are answered; RuntimeError if most of them fail."""
    script = work / f"{re.sub('[^a-z0-9]+', '-', target.name.lower())}.lua"
    script.write_bytes(_script(target))
    before = tree_cpu_s(target.process)
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "20s"]
    found = subprocess.run(
        [*command, "--latency", "-s", str(script), target.url],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    used = tree_cpu_s(target.process) - before
    requests = int(_number(found, r"(\d+) requests in"))
    failed = int(_number(found, r"Non-2xx or 3xx responses: (\d+)"))
    errors = re.search(
        r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", found
    )
    failed += sum(map(int, errors.groups())) if errors else 0
    if not requests or failed > requests // 2:
        raise RuntimeError(
            f"{target.name} answers {failed} of {requests} requests with errors:\n{found}"
        )
    return Load(
        requests=requests,
        failed=failed,
        p50_ms=_milliseconds(found, "50%"),
        p99_ms=_milliseconds(found, "99%"),
        each_us=used / requests * 1e6,
    )


def _script(target: Target) -> bytes:
    lines = ['wrk.method = "POST"', f"wrk.body = {_quoted(target.body)}"]
    lines += [f'wrk.headers["{name}"] = "{value}"' for name, value in target.headers.items()]
    if COUNT in target.body:
        before, after = map(_quoted, target.body.split(COUNT))
        lines += [
            "local count = 0",
            "function request()",
            "  count = count + 1",
            f"  return wrk.format(nil, nil, nil, {before} .. count .. {after})",
            "end",
        ]
    return "\n".join(lines).encode()


def _quoted(body: bytes) -> str:
    """Bytes as a string of Lua."""
    escaped = "".join(
        chr(byte) if 32 <= byte < 127 and byte not in b'"\\' else f"\\{byte:03}" for byte in body
    )
    return f'"{escaped}"'


def _number(text: str, pattern: str) -> float:
    found = re.search(pattern, text)
    return float(found[1]) if found else 0.0


def _milliseconds(text: str, share: str) -> float:
    found = re.search(rf"{share}\s+([\d.]+)(us|ms|s|m)\b", text)
    return float(found[1]) * _UNITS[found[2]] if found else float("nan")


def tree_cpu_s(process: int) -> float:
    """The CPU seconds of a process and all that it started, with those that have ended."""
    found = 0
    for each in {process, *children(process)}:
        try:
            fields = (PROC / str(each) / "stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        # Those of the process, and of its children that were waited for.
        found += sum(int(value) for value in fields[11:15])
    return found * _TICK_S


def memory_mb(process: int) -> tuple[float, float]:
    """The memory of a process and all that it started: its proportional share, and what is only its own."""
    shared = private = 0
    for each in {process, *children(process)}:
        try:
            lines = (PROC / str(each) / "smaps_rollup").read_text().splitlines()
        except (FileNotFoundError, ProcessLookupError):
            continue
        for line in lines[1:]:
            name, size = line.split()[:2]
            shared += int(size) if name == "Pss:" else 0
            private += int(size) if name in ("Private_Clean:", "Private_Dirty:") else 0
    return shared / 1000, private / 1000


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        port: int = found.getsockname()[1]
        return port


@contextmanager
def running(
    command: Sequence[str | Path],
    folder: Path,
    port: int,
    *,
    variables: Mapping[str, str] | None = None,
    ready: str = "/",
    within_s: float = 90,
) -> Iterator[tuple[int, float]]:
    """Run a server until the end of the block; yield its process, and the seconds until it answered.

    It is ready when `GET ready` has a status below 400. RuntimeError with its output if it ends before, or
    takes longer.
    """
    log = folder / f"server-{port}.log"
    with log.open("wb") as output:
        begun = time.perf_counter()
        process = subprocess.Popen(
            [str(part) for part in command], cwd=folder, env={**os.environ, **(variables or {})},
            stdout=output, stderr=output, stdin=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        try:
            while not _answers(port, ready):
                if process.poll() is not None or time.perf_counter() - begun > within_s:
                    raise RuntimeError(f"{command[0]} doesn't serve:\n{log.read_text()[-2000:]}")
                time.sleep(0.01)
            yield process.pid, time.perf_counter() - begun
        finally:
            _end(process)


def _answers(port: int, path: str) -> bool:
    request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n"
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as stream:
            stream.sendall(request.encode())
            status = stream.recv(100).split()
    except OSError:
        return False
    return len(status) > 1 and status[1].isdigit() and int(status[1]) < 400


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a server with all that it started; they are a process group of their own."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            break
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            print(f"process {process.pid} doesn't end, so it is killed", file=sys.stderr)
            continue
    process.wait()
