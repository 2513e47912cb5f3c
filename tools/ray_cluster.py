"""A Ray cluster of one's own on 127.0.0.1, for tests: `cluster()` in a `with` statement.

Its processes belong to this one, and are ended by their ids: `ray stop` would end every Ray of the machine.
Nodes are added and removed by lines on the program's standard input: `add {"num_cpus": 2}`, `remove NODE`.
"""

from __future__ import annotations

import json
import os
import secrets
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
TOKEN_VARIABLE = "RAY_AUTH_TOKEN"
# Ray reads the token once in a process, so all clusters of one have the same.
_TOKEN = secrets.token_hex(32)
_MB = 1 << 20
# How long the cluster may take to answer, and to end; then all its processes are ended.
_ANSWER_S, _END_S = 90.0, 30.0
# What a cluster that grows has to say, though it is nothing.
_EMPTY_LISTS = (
    *("initialization_commands", "setup_commands", "head_setup_commands", "worker_setup_commands"),
    *("head_start_ray_commands", "worker_start_ray_commands"),
    *("cluster_synced_files", "rsync_exclude", "rsync_filter"),
)
# On a busy machine a node takes longer to start than the 30 s that Ray allows.
_TRIES = 3
_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AUTH_MODE": "token",
    "RAY_task_oom_retries": "0",
    # The server for a client may take longer to start than the 30 s that Ray allows.
    "RAY_CLIENT_SERVER_CHECK_CHANNEL_TIMEOUT_S": "90",
    # Without it Ray looks for an address that other machines could reach.
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
}


def missing() -> str:
    """Why there can't be a cluster here; empty when there can."""
    absent = [name for name in ("ray", "grpc") if find_spec(name) is None]
    return f"there is no {' and no '.join(absent)}: run `make test-ray`" * bool(absent)


class NotStarted(Exception):
    """Ray doesn't start here; the message says why."""


class Cluster:
    """A running cluster: its addresses, and the environment in which programs reach it."""

    def __init__(self, running: subprocess.Popen[str], log: Path) -> None:
        self._running, self._log = running, log
        try:
            found = self._reply()
        except RuntimeError as error:
            raise NotStarted(str(error)) from None
        self.address, self.client = found["address"], found["client"]
        # The node of the head, and those that were added: the ids of their raylets, by that of the node.
        self.nodes: dict[str, int] = {found["node"]: found["raylet"]}
        self.environment = {**_ENVIRONMENT, TOKEN_VARIABLE: _TOKEN}

    def add(self, **options: Any) -> str:
        """Add a node, such as one with `num_cpus=2`; return its id."""
        found = self._ask("add", json.dumps(options))
        self.nodes[found["node"]] = found["raylet"]
        return str(found["node"])

    def remove(self, node: str) -> None:
        """End all processes of a node at once, as when its machine is taken away."""
        self._ask("remove", node)
        del self.nodes[node]

    def raylets(self) -> list[int]:
        """The processes of its nodes, also of those that it added itself, counted in /proc."""
        found: dict[bytes, int] = {}
        for pid in sorted(int(folder.name) for folder in Path("/proc").glob("[0-9]*")):
            with suppress(OSError):
                line = Path(f"/proc/{pid}/cmdline").read_bytes()
                program, *words = line.split(b"\0")
                own = f"--gcs-address={self.address}".encode() in words
                if own and program.endswith(b"/raylet"):
                    # What it forks has the same line until it becomes something else.
                    found.setdefault(line, pid)
        return [*found.values()]

    def _ask(self, *words: str) -> Mapping[str, Any]:
        assert self._running.stdin is not None
        self._running.stdin.write(f"{' '.join(words)}\n")
        self._running.stdin.flush()
        return self._reply()

    def _reply(self) -> Mapping[str, Any]:
        assert self._running.stdout is not None
        ready, _, _ = select.select([self._running.stdout], [], [], _ANSWER_S)
        line = self._running.stdout.readline() if ready else ""
        if not line:
            state = "ended" if ready else f"didn't answer for {_ANSWER_S:g} s"
            raise RuntimeError(f"the Ray cluster {state}:\n{self._log.read_text()[-3000:]}")
        found = json.loads(line)
        assert isinstance(found, dict)
        return found


@contextmanager
def cluster(**head: Any) -> Iterator[Cluster]:
    """A new cluster with one node, such as one with `num_cpus=2`, gone when the block ends.

    With `grows={"num_cpus": 2, "most": 1, "idle_s": 5}` it adds up to so many nodes like that where workers
    wait for one, and removes those that were idle for so long.
    """
    for more in reversed(range(_TRIES)):
        with ExitStack() as stack:
            try:
                found = Cluster(*_start(stack, head))
            except NotStarted:
                if more:
                    continue
                raise
            yield found
            return


def _start(stack: ExitStack, head: Mapping[str, Any]) -> tuple[subprocess.Popen[str], Path]:
    """Start the program of a cluster, which ends with the stack; and its log."""
    # The paths of sockets have to be short.
    folder = Path(tempfile.mkdtemp(prefix="tm-ray-"))
    stack.callback(shutil.rmtree, folder, ignore_errors=True)
    (folder / "ray").mkdir()
    log = folder / "out"
    environment = {
        **os.environ,
        **_ENVIRONMENT,
        TOKEN_VARIABLE: _TOKEN,
        # Where Ray notes which cluster programs without an address attach to.
        "RAY_TMPDIR": str(folder),
        "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)]),
    }
    command = [sys.executable, "-m", "tools.ray_cluster", str(folder), json.dumps(head)]
    with log.open("w") as out:
        running = stack.enter_context(
            subprocess.Popen(
                command,
                cwd=ROOT,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=out,
                text=True,
                start_new_session=True,
            )
        )
    stack.callback(_end, running)
    return running, log


def _end(running: subprocess.Popen[str]) -> None:
    """Let a cluster end, or end its processes, which are in a session of their own."""
    assert running.stdin is not None
    running.stdin.close()
    with suppress(subprocess.TimeoutExpired):
        running.wait(_END_S)
    # Nodes that the cluster added itself don't end with it.
    with suppress(ProcessLookupError):
        os.killpg(running.pid, signal.SIGKILL)


def main(folder: str, head: str) -> None:
    """Run a cluster until the standard input ends."""
    asked = json.loads(head)
    if (grows := asked.pop("grows", None)) is not None:
        asked |= _growing(Path(folder), grows)
    utils: Any = import_module("ray.cluster_utils")
    # Ray prints, and lines on the standard output are answers here.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    client = _free_port()
    few: dict[str, Any] = {
        "object_store_memory": 80 * _MB,
        "min_worker_port": 0,
        "max_worker_port": 0,
    }
    first = {
        "include_dashboard": False,
        "include_log_monitor": False,
        "temp_dir": folder,
        "ray_client_server_port": client,
    }
    options = {**few, **first, **asked}
    made = utils.Cluster(initialize_head=True, head_node_args=options)

    def answer(node: Any = None, **others: str) -> None:
        known = {} if node is None else {"node": node.node_id, "raylet": _raylet(node)}
        print(json.dumps({**others, **known}), file=answers, flush=True)

    answer(made.head_node, address=made.address, client=f"ray://127.0.0.1:{client}")
    try:
        for line in sys.stdin:
            verb, _, words = line.strip().partition(" ")
            if verb == "add":
                answer(made.add_node(**{**few, **json.loads(words)}))
            else:
                [node] = [each for each in made.list_all_nodes() if each.node_id == words]
                made.remove_node(node, allow_graceful=False)
                answer()
    finally:
        made.shutdown()


def _growing(folder: Path, grows: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a head that adds nodes, which are processes too: what each has, `most` and `idle_s`."""
    port, config = _free_port(), folder / "growing.json"
    os.environ |= {"RAY_FAKE_CLUSTER": "1", "AUTOSCALER_UPDATE_INTERVAL_S": "1"}
    fake: Any = import_module("ray.autoscaler._private.fake_multi_node.node_provider")
    # The head is of the provider's own type; another one would be taken for missing, and added.
    head = fake.FAKE_HEAD_NODE_TYPE
    kinds = {
        head: {"resources": {}, "node_config": {}, "max_workers": 0},
        "node": {
            "resources": {"CPU": grows["num_cpus"], "object_store_memory": 80 * _MB},
            "node_config": {},
            "min_workers": 0,
            "max_workers": grows["most"],
        },
    }
    provider = {
        "type": "fake_multinode",
        "gcs_address": f"127.0.0.1:{port}",
        # The nodes have one address.
        "use_node_id_as_ip": True,
        "disable_node_updaters": True,
        "disable_launch_config_check": True,
    }
    known: dict[str, Any] = {name: [] for name in _EMPTY_LISTS}
    known |= {name: {} for name in ("auth", "docker", "file_mounts")}
    known |= {
        "cluster_name": "growing",
        "max_workers": grows["most"],
        "idle_timeout_minutes": grows["idle_s"] / 60,
        "upscaling_speed": 1.0,
        "file_mounts_sync_continuously": False,
        "provider": provider,
        "available_node_types": kinds,
        "head_node_type": head,
    }
    config.write_text(json.dumps(known))
    return {
        "gcs_server_port": port,
        "autoscaling_config": str(config),
        "env_vars": {
            "RAY_OVERRIDE_NODE_ID_FOR_TESTING": fake.FAKE_HEAD_NODE_ID,
            "RAY_NODE_TYPE_NAME": head,
        },
    }


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def _raylet(node: Any) -> int:
    [process] = node.all_processes["raylet"]
    return int(process.process.pid)


if __name__ == "__main__":
    main(*sys.argv[1:])
