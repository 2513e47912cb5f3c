"""Which checks of the Open Inference Protocol a server passes, and whether KServe's client works with it.

`python -m bench.protocol --peers` installs KServe and MLServer under build/peers, checks them as well, and
asks our server with KServe's client. KServe can't be installed beside what the tests need; the clients of
Triton and of the protocol itself are among the tests.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from bench import peers
from bench.common import BENCH, Row, drive
from bench.http_load import Target
from bench.protocol_checks import Server, failures
from bench.serving_targets import infer_body, model_file, ours, project

ROWS = 2
CLIENT = BENCH / "peer_clients" / "kserve_client.py"


def parts_of(work: Path) -> Mapping[str, Callable[[], list[Row]]]:
    """The parts by name."""
    return {
        "checks": partial(checks, work),
        "client": partial(client, work),
        "others": partial(others, work),
    }


def checks(work: Path) -> list[Row]:
    """The checks that our server passes."""
    with ours(project(work, "plain"), "tidemill") as (target, _):
        return _passed(_server(target), "tidemill", goal=True)


def client(work: Path) -> list[Row]:
    """The calls of KServe's client that work unchanged."""
    if not peers.is_installed("KServe"):
        return [_missing("KServe's client", "it is not installed: --peers does")]
    python = peers.python_of("KServe")
    with ours(project(work, "plain"), "tidemill") as (target, _):
        server = _server(target)
        arguments = [f"http://127.0.0.1:{target.port}", "demand", server.version]
        body = json.dumps(server.request())
        done = subprocess.run(
            [python, CLIENT, *arguments, body], cwd=work, capture_output=True, text=True,
            env={"PATH": "/usr/bin:/bin"}, check=False,
        )  # fmt: skip
    if done.returncode:
        return [_missing("KServe's client", done.stderr.strip().splitlines()[-1])]
    found = json.loads(done.stdout.splitlines()[-1])
    return _rows("calls of KServe's client that work", len(found), _failed(found), goal=True)


def others(work: Path) -> list[Row]:
    """The checks that other servers pass."""
    model, rows = model_file(project(work, "plain")), []
    for name in ("KServe", "MLServer"):
        if not peers.is_installed(name):
            rows.append(_missing(name, "it is not installed: --peers does"))
            continue
        try:
            with peers.peer(name, model, work) as (target, _):
                rows += _passed(_peer(target), name, goal=False)
        except (OSError, RuntimeError) as error:
            rows.append(_missing(name, str(error).strip().splitlines()[-1]))
    return rows


def _server(target: Target) -> Server:
    tensors = json.loads(infer_body(ROWS))["inputs"]
    return Server(port=target.port, model="demand", tensors=tensors)


def _peer(target: Target) -> Server:
    tensor = {
        "name": "rows",
        "shape": [ROWS, len(peers.ROW)],
        "datatype": "FP64",
        "data": peers.ROW * ROWS,
    }
    return Server(port=target.port, model="demand", tensors=[tensor])


def _passed(server: Server, name: str, *, goal: bool) -> list[Row]:
    count, failed = failures(server)
    return _rows(f"protocol checks that {name} passes", count, failed, goal=goal)


def _rows(what: str, count: int, failed: Mapping[str, str], *, goal: bool) -> list[Row]:
    for name, why in failed.items():
        print(f"{what}: not {name}: {why}", file=sys.stderr)
    missing = f"; not {', '.join(failed)}" if failed else ""
    return [
        Row(
            name=what,
            value=count - len(failed),
            unit="",
            goal=count if goal else None,
            least=True,
            baseline=f"of {count}{missing}",
        )
    ]


def _failed(found: Mapping[str, str]) -> dict[str, str]:
    return {name: why for name, why in found.items() if why}


def _missing(name: str, why: str) -> Row:
    return Row(name=f"{name} was not checked", value=0, unit="", baseline=why)


if __name__ == "__main__":
    chosen = [argument for argument in sys.argv[1:] if argument != "--peers"]
    with_peers = len(chosen) < len(sys.argv) - 1
    if with_peers:
        peers.install(("KServe", "MLServer"))
    drive("protocol", chosen, parts_of, asked=() if with_peers else ("client", "others"))
