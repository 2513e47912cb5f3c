"""What a supervisor says about itself."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from tidemill.core.lazy_dataclass import dataclass
from tidemill.operations.duty import Duty


class UpRole(StrEnum):
    """Whether a supervisor opens its workflow, works, waits for another one to end, or ends itself."""

    STARTING = "starting"
    WORKING = "working"
    STANDING_BY = "standing by"
    STOPPING = "stopping"


@dataclass(frozen=True, slots=True, kw_only=True)
class UpReport:
    """The state of a supervisor of an environment; times are Unix seconds.

    `holder` is its process, `workflow` the name of the workflow once it could be imported, and `place` the
    folder and the `module:name` that it is imported from. `duties` are being done, or due next. `broken` says
    why the workflow can't be opened, `failing` what failed the last time, in the run `failing_run` if one
    began, and `held` which changed code waits for a person. `last` is what the last run did. `notes` say what
    it can't do, such as watch a source.
    """

    environment: str
    holder: Mapping[str, str]
    role: UpRole
    since: float
    workflow: str = ""
    place: str = ""
    duties: tuple[Duty, ...] = ()
    broken: str = ""
    failing: str = ""
    failing_run: str = ""
    held: str = ""
    backlog: str = ""
    last: str = ""
    notes: tuple[str, ...] = ()

    def is_about(self, workflow: str, place: str = "") -> bool:
        """Whether it is about a workflow, which is known by its place until it could be imported."""
        return self.workflow == workflow if self.workflow else bool(place) and self.place == place


def workflow_place(root: str, workflow: str) -> str:
    """The place of a workflow that is imported from a folder as `module:name`."""
    return f"{root}: {workflow}"
