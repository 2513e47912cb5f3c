"""What the processes of a server tell each other: reports of the further ones, views of the first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from tidemill.core.lazy_dataclass import dataclass
from tidemill.governance.permissions import Actor
from tidemill.serving.counters import Snapshot
from tidemill.serving.endpoint_state import EndpointCourse
from tidemill.serving.proxied_user import ProxyTrust
from tidemill.serving.rollout_counts import Observed
from tidemill.serving.serve_settings import ServeSettings
from tidemill.serving.worker_scaling import ProcessLoad


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerJob:
    """The project that a process opens, how it serves it and for whom; `path` is searched for modules.

    `proxy` may name users: its secret may change in a file, but not for the processes of one server.
    """

    root: str
    workflow: str
    environment: str
    path: tuple[str, ...]
    argv: tuple[str, ...]
    settings: ServeSettings
    actor: Actor
    proxy: ProxyTrust | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StepObserved:
    """What requests did in the step of a rollout that began at `since` (Unix seconds)."""

    since: float
    observed: Observed


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerReport:
    """What a process did since its last report, and what it is like now.

    `live` is the version that answers at each endpoint, `held` are all that are loaded there.
    """

    load: ProcessLoad
    snapshot: Snapshot
    observed: Mapping[str, StepObserved] = field(default_factory=dict)
    live: Mapping[str, str] = field(default_factory=dict)
    held: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    faults: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointView:
    """What an endpoint does; versions in `prepare` are loaded because it needs them soon."""

    course: EndpointCourse = field(default_factory=EndpointCourse)
    prepare: tuple[str, ...] = ()

    @property
    def needed(self) -> tuple[str, ...]:
        """The versions that must be loaded."""
        rollout = self.course.rollout
        candidate = "" if rollout is None else rollout.candidate
        named = (self.course.serving, candidate, *self.prepare)
        return tuple(dict.fromkeys(name for name in named if name))


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerView:
    """What a process knows of the others, and what it does for them.

    So many `processes` answer. `others` are the counters of all others, with those that ended, and `status`
    is the status document. It closes so many connections now, or all of them if it is to `drain`, and ends.
    """

    processes: int = 1
    endpoints: Mapping[str, EndpointView] = field(default_factory=dict)
    others: Snapshot = field(default_factory=lambda: Snapshot(processes=0))
    status: bytes = b"{}"
    close_connections: int = 0
    drain: bool = False
