"""What the executor needs of a cluster: it places workers, carries calls to them, and explains losses."""

from __future__ import annotations

from typing import Any, Protocol

from tidemill.adapters.clusters.worker_shape import WorkerShape


class WorkerConnection(Protocol):
    """A worker that was asked for; its methods are those of `Host`, once it runs."""

    def call(self, method: str, *arguments: Any, timeout_s: float) -> Any:
        """Call a method and wait for its result; TimeoutError if it takes longer.

        Any other error that isn't one of Tidemill means that the worker is lost.
        """

    def post(self, method: str, *arguments: Any) -> None:
        """Call a method without waiting; nothing happens if the worker is lost."""


class Cluster(Protocol):
    """Places workers; `name` is the one that users know, and that of the table of its settings."""

    name: str

    def describe(self, shape: WorkerShape) -> str:
        """What the cluster has, and whether it can hold a worker, for people; UsageError as from `start`."""

    def start(self, shape: WorkerShape) -> WorkerConnection:
        """Ask for a worker; UsageError if the cluster refuses, or can't be reached."""

    def end(self, worker: Any) -> None:
        """End a worker at once, with its processes, also one that waits; one that is gone is ignored."""

    def explain_pending(self, worker: Any, shape: WorkerShape, waited_s: float) -> str:
        """Why a worker wasn't placed in this time."""

    def explain_loss(self, worker: Any, error: Exception) -> str:
        """Why a worker was lost, from the error of a call to it, as one line."""

    def close(self, *, idle: bool = True) -> None:
        """Disconnect; it isn't `idle` if calls are under way that don't return."""
