"""What the supervisor gives to its processes, gets back from them, and knows of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import field
from enum import StrEnum
from typing import TypeAlias

from tidemill.core.lazy_dataclass import dataclass
from tidemill.operations.duty import Due, DutyTask
from tidemill.operations.watch import Backlog, SourceChange


@dataclass(frozen=True, slots=True, kw_only=True)
class SourcePlace:
    """Where the source of a stage can be watched.

    `pattern` is a glob of files, relative to the project. The database at `url` notifies of changes on a
    `channel`. A source with neither is asked now and then.
    """

    stage: str
    pattern: str = ""
    # Not in the repr: it may contain a password.
    url: str = field(default="", repr=False)
    channel: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowDescription:
    """What the supervisor has to know of a workflow, of which it imports nothing.

    `code` are the files that the workflow was imported from, `dues` the times at which something is due, and
    `notes` say what won't be done, such as a schedule with a fault.
    """

    workflow: str
    sources: tuple[SourcePlace, ...] = ()
    code: tuple[str, ...] = ()
    has_endpoints: bool = False
    dues: tuple[Due, ...] = ()
    notes: tuple[str, ...] = ()

    def unwatched(self, told: Collection[str]) -> list[str]:
        """The stages whose sources no file tells about, nor a database that has `told` it would."""
        return [p.stage for p in self.sources if not p.pattern and p.stage not in told]


@dataclass(frozen=True, slots=True, kw_only=True)
class UpJob:
    """A task for a process, the reasons for it, and the changes that it takes care of.

    `look_first` plans before it runs: it may have nothing to do, or too much to do at once. A job that
    `makes_room` is interrupted when work comes up that can't wait.
    """

    task: DutyTask
    because: tuple[str, ...]
    changes: Mapping[str, SourceChange] = field(default_factory=dict)
    look_first: bool = False
    makes_room: bool = False


class ListenState(StrEnum):
    """Whether a database is listened to, notified of a change, or can't be reached."""

    LISTENING = "listening"
    NOTIFIED = "notified"
    LOST = "lost"


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenNews:
    """What the process that listens has to tell of the source of a stage, and why."""

    stage: str
    state: ListenState
    why: str = ""


class Ending(StrEnum):
    """How a job ended. HELD: changed code waits for a person; BUSY: another run has the environment."""

    OK = "ok"
    FAILED = "failed"
    HELD = "held"
    BUSY = "busy"
    INTERRUPTED = "interrupted"


@dataclass(frozen=True, slots=True, kw_only=True)
class JobAnswer:
    """What a job did, in a line; `run` is the run that it was, if any.

    `failures` are the causes of failed stages. With `backlog` there is more to do of the same. `seq` is the
    number of the last event of the ledger that it saw.
    """

    ending: Ending
    summary: str = ""
    run: str = ""
    exit_code: int = 0
    failures: tuple[str, ...] = ()
    backlog: Backlog | None = None
    dues: tuple[Due, ...] = ()
    notes: tuple[str, ...] = ()
    seq: int = 0


class ChildPhase(StrEnum):
    """What a child process is doing."""

    STARTING = "starting"
    READY = "ready"
    BUSY = "busy"
    ENDING = "ending"


@dataclass(frozen=True, slots=True, kw_only=True)
class Child:
    """A child process since when it is in its phase; `code` counts the versions of the user's code."""

    number: int
    phase: ChildPhase
    since: float
    code: int
    job: UpJob | None = None
    jobs: int = 0


@dataclass(frozen=True, slots=True)
class StartChild:
    """Start a process that imports the workflow and waits for jobs."""

    number: int


@dataclass(frozen=True, slots=True)
class GiveJob:
    """Give a job to a process that is ready."""

    number: int
    job: UpJob


@dataclass(frozen=True, slots=True)
class EndChild:
    """Let a process end that has no job."""

    number: int


@dataclass(frozen=True, slots=True)
class InterruptChild:
    """Interrupt the job of a process, as Ctrl-C does."""

    number: int


@dataclass(frozen=True, slots=True)
class YieldChild:
    """Ask a process whose job can wait to make room for work that can't."""

    number: int


@dataclass(frozen=True, slots=True)
class KillChild:
    """Kill a process and those that it started."""

    number: int


@dataclass(frozen=True, slots=True)
class StartServer:
    """Start the server of the endpoints."""


@dataclass(frozen=True, slots=True)
class EndServer:
    """Let the server answer what it has begun, and end."""


Order: TypeAlias = (
    StartChild
    | GiveJob
    | EndChild
    | InterruptChild
    | YieldChild
    | KillChild
    | StartServer
    | EndServer
)
