"""The connection to a Ray cluster: always by an explicit address, quiet, and without retries by Ray."""

from __future__ import annotations

import atexit
import logging
import os
import re
import signal
import socket
import threading
import time
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

from tidemill.adapters.clusters.host import Host
from tidemill.adapters.clusters.worker_shape import WorkerShape
from tidemill.adapters.ray.nodes import NodeFacts, explain_pending
from tidemill.core.errors import UsageError

# Without their types, which only those have who use Ray.
grpc: Any = import_module("grpc")
ray: Any = import_module("ray")
# What Ray raises when a worker, or the connection, is gone.
LOSSES: tuple[type[Exception], ...] = (ray.exceptions.RayError, ConnectionError)
TOKEN_VARIABLE = "RAY_AUTH_TOKEN"
CLIENT = "ray://"
# Ray itself tries for minutes to reach an address where nothing listens.
_REACH_S, _CLOSE_S = 5.0, 10.0
_SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_task_oom_retries": "0",
    "RAY_LOG_TO_DRIVER": "0",
    # Else Ray ends this program when its cluster has been gone for a minute.
    "RAY_gcs_rpc_server_reconnect_timeout_s": "1000000",
}
# The head starts a server for each client by a fork of a program with many threads, in which the new process
# dies at times before it does anything; the next one lives.
_CLIENT_TRIES, _CLIENT_PAUSE_S = 4, 1.0
# Calls of one worker that may be served at once: a report is awaited while tasks come and go.
_CALLS = 4
_HIDDEN = re.compile(r"\s*(class_name|actor_id|namespace|pid|ip): .*")

# What follows is for those who have Ray's logs.
_RESTS = (" Some common causes", " Owner Id: ", " Worker exit detail: ")

_lock = threading.Lock()
_users, _address = 0, ""


class RayCluster:
    """A connection of this process to the cluster at an address; UsageError if it can't be made.

    All share one, so those of a process at a time are to the same address.
    """

    name = "ray"

    def __init__(self, address: str) -> None:
        global _users, _address
        require_reachable(address)
        require_token(address)
        with _lock:
            if not _users:
                _connect(address)
                _address = address
            elif address != _address:
                raise UsageError(
                    f"executor = {address!r}: this program uses the cluster at {_address!r}, and Ray "
                    "connects to one at a time: wait until that run has ended"
                )
            _users += 1
        self._remote, self._address = ray.remote(Host), address

    def start(self, shape: WorkerShape) -> RayWorker:
        """Ask for a worker.

        UsageError if the cluster is gone, as of `nodes`: calls of Ray would never return then.
        """
        require_reachable(self._address)
        options: dict[str, Any] = {"label_selector": dict(shape.labels)} if shape.labels else {}
        if shape.memory:
            options["memory"] = shape.memory
        asked = self._remote.options(
            num_cpus=shape.cpus,
            num_gpus=shape.gpus,
            max_restarts=0,
            max_task_retries=0,
            max_concurrency=_CALLS,
            **options,
        )
        return RayWorker(asked.remote(TOKEN_VARIABLE))

    def nodes(self) -> list[NodeFacts]:
        """The nodes that are alive."""
        require_reachable(self._address)
        return [
            NodeFacts(
                address=node["NodeManagerAddress"],
                resources=node["Resources"],
                labels=node.get("Labels") or {},
            )
            for node in ray.nodes()
            if node["Alive"]
        ]

    def describe(self, shape: WorkerShape) -> str:
        """What the cluster has, and whether it can hold a worker."""
        nodes = self.nodes()
        able = sum(node.can_hold(shape) for node in nodes)
        return f"{len(nodes)} nodes, of which {able} can hold a worker of {shape}"

    def explain_pending(self, worker: RayWorker, shape: WorkerShape, waited_s: float) -> str:
        """Compare what a worker asks for with what the cluster has."""
        return explain_pending(shape, self.nodes(), waited_s)

    def explain_loss(self, worker: RayWorker, error: Exception) -> str:
        """What Ray says of a worker that was lost."""
        return explain_loss(error)

    def end(self, worker: RayWorker) -> None:
        """End a worker at once, with its processes; one that is gone is ignored."""
        with suppress(*LOSSES, ValueError, UsageError):
            require_reachable(self._address)
            ray.kill(worker.actor, no_restart=True)

    def close(self, *, idle: bool = True) -> None:
        """Disconnect, when nobody else in this process uses the connection.

        If it isn't `idle`, because calls to a cluster that is gone don't return, it is left as it is: who
        disconnects during a call crashes the process.
        """
        global _users
        with _lock:
            _users -= 1
            if _users:
                return
            ending = threading.Thread(target=ray.shutdown, daemon=True)
            if idle:
                ending.start()
                ending.join(_CLOSE_S)
            if not idle or ending.is_alive():
                # Nor can it be told when this program ends.
                atexit.unregister(ray.shutdown)


class RayWorker:
    """A worker, which is an actor of Ray."""

    def __init__(self, actor: Any) -> None:
        self.actor = actor

    def call(self, method: str, *arguments: Any, timeout_s: float) -> Any:
        """Call a method and wait for its result; TimeoutError if it takes longer."""
        # GetTimeoutError is a TimeoutError.
        return ray.get(getattr(self.actor, method).remote(*arguments), timeout=timeout_s)

    def post(self, method: str, *arguments: Any) -> None:
        """Call a method without waiting."""
        with suppress(*LOSSES):
            getattr(self.actor, method).remote(*arguments)


def explain_loss(error: BaseException) -> str:
    """What Ray says of a worker that was lost, as one line without ids."""
    lines = [line.strip() for line in str(error).splitlines() if not _HIDDEN.fullmatch(line)]
    text = " ".join(filter(None, lines))
    if "node has died" in text or "node was terminated" in text:
        return f"its node was lost: {text.rpartition('terminated ')[2]}"
    for rest in _RESTS:
        text = text.partition(rest)[0]
    return f"its worker on Ray was lost: {text}"


def require_reachable(address: str) -> None:
    """Raise UsageError, with the reason, unless something listens at an address."""
    host, _, port = address.removeprefix(CLIENT).rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), _REACH_S).close()
    except OSError as error:
        reason = error.strerror or str(error)
        raise UsageError(
            f"executor = {address!r}: nothing answers at {host} port {port} ({reason}); start the cluster, "
            "or leave `executor` out to run on this machine"
        ) from error


def require_token(address: str) -> None:
    """Raise UsageError if the cluster asks for a token, or for another one; Ray itself would try for long."""
    client = address.startswith(CLIENT)
    method = "RayletDriver/ClusterInfo" if client else "NodeInfoGcsService/GetClusterId"
    token = _find_token()
    metadata = (("authorization", f"Bearer {token}"),) if token else ()
    with grpc.insecure_channel(address.removeprefix(CLIENT)) as channel:
        try:
            channel.unary_unary(f"/ray.rpc.{method}")(b"", timeout=_REACH_S, metadata=metadata)
        except grpc.RpcError as error:
            # Whatever else is wrong, Ray says it better.
            if error.code() is grpc.StatusCode.UNAUTHENTICATED:
                raise UsageError(
                    f"executor = {address!r}: the cluster asks for {'another' if token else 'a'} token: set "
                    f"the variable {TOKEN_VARIABLE} to what `ray get-auth-token` shows on its head"
                ) from None


def _find_token() -> str:
    """The token, where Ray looks for it: in a variable, or in a file of this user."""
    if token := os.environ.get(TOKEN_VARIABLE, "").strip():
        return token
    path = os.environ.get(f"{TOKEN_VARIABLE}_PATH") or "~/.ray/auth_token"
    with suppress(OSError):
        return Path(path).expanduser().read_text(encoding="utf-8").strip()
    return ""


def _connect(address: str) -> None:
    if ray.is_initialized():
        raise UsageError(
            "this program is connected to a Ray cluster already; Tidemill makes a connection of its own"
        )
    os.environ.update({name: os.environ.get(name, value) for name, value in _SETTINGS.items()})
    if os.environ.get(TOKEN_VARIABLE):
        os.environ.setdefault("RAY_AUTH_MODE", "token")
    _mute()
    # Ray takes over a signal that ends runs in order.
    in_main = threading.current_thread() is threading.main_thread()
    before = signal.getsignal(signal.SIGTERM) if in_main else None
    try:
        _initialize(address)
    except Exception as error:
        raise UsageError(f"executor = {address!r}: {explain_refusal(error)}") from error
    finally:
        if before is not None:
            signal.signal(signal.SIGTERM, before)


def _initialize(address: str) -> None:
    """Connect; once more if the head had no server for a client, but not without end."""
    for left in reversed(range(_CLIENT_TRIES)):
        try:
            ray.init(address=address, log_to_driver=False, logging_level=logging.CRITICAL)
        except ConnectionAbortedError:
            if not left or not address.startswith(CLIENT):
                raise
            time.sleep(_CLIENT_PAUSE_S)
        else:
            return


class _NoLogs:
    """Instead of a client's stream of logs: who ends it waits for a server that couldn't be started."""

    def __init__(self, *_: object) -> None:
        self.set_logstream_level = self.disable_logs = self.close = lambda *_: None


def _mute() -> None:
    """Keep Ray from printing what happens to workers of the cluster, of which steps tell."""
    worker = import_module("ray._private.worker")
    if hasattr(worker, "listen_error_messages"):
        worker.__dict__["listen_error_messages"] = lambda *_: None
    client = import_module("ray.util.client.worker")
    if hasattr(client, "LogstreamClient"):
        client.__dict__["LogstreamClient"] = _NoLogs


def explain_refusal(error: BaseException) -> str:
    """Why a cluster can't be used, from what Ray raised."""
    text = " ".join(str(error).split())
    if isinstance(error, ConnectionAbortedError):
        last = str(error).strip().splitlines()[-1]
        return (
            f"its head started no server for this client, {_CLIENT_TRIES} times in a row: {last[:500]} The "
            "address of a node, such as HOST:6379, needs no such server"
        )
    if "version" in text.lower():
        return f"the cluster has another version of Ray or Python: {text}"
    return f"the connection failed: {type(error).__name__}: {text[:500]}"
