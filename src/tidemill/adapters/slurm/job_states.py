"""What Slurm says of jobs, and what that means for who waits for them."""

from __future__ import annotations

import re
from collections.abc import Mapping

from tidemill.core.errors import UsageError
from tidemill.core.lazy_dataclass import dataclass

# The format of `squeue` that `parse_states` reads.
STATE_FORMAT = "%i|%T|%r"
# How the process of a job ends if it doesn't reach the run.
UNREACHABLE_CODE = 3
_ACTIVE = (
    "PENDING", "CONFIGURING", "RUNNING", "SUSPENDED", "STOPPED", "SIGNALING", "RESIZING", "STAGE_OUT",
    "COMPLETING",
)  # fmt: skip
# Behind the number there may be the name of the cluster.
_SUBMITTED = re.compile(r"^(\d+)(;\S+)?\s*$", re.MULTILINE)
_FIELD = re.compile(r"\b(JobState|Reason|ExitCode)=(\S*)")
_MEANINGS = {
    "TIMEOUT": "its time limit was over; set time_limit in [tool.tidemill.slurm]",
    "OUT_OF_MEMORY": "it used more than was reserved; set memory in [tool.tidemill.slurm]",
    "NODE_FAIL": "its node failed",
    "PREEMPTED": "another job took its place",
    "CANCELLED": "somebody cancelled it",
    "DEADLINE": "its deadline was over",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class JobState:
    """The state of a job, why it is in it, and its exit code (0: none); all in Slurm's words."""

    state: str
    reason: str = ""
    exit_code: int = 0

    @property
    def has_ended(self) -> bool:
        """Whether it won't run any more."""
        return self.state not in _ACTIVE

    def __str__(self) -> str:
        reason = self.reason if self.reason != "None" else ""
        return f"{self.state} ({reason})" if reason else self.state


def parse_submitted(text: str) -> str:
    """Read what `sbatch --parsable` prints, perhaps among other lines: the number of the array."""
    found = _SUBMITTED.search(text)
    if found is None:
        raise UsageError(
            f"executor = 'slurm': sbatch printed no number of a job, but {text[:200]!r}"
        )
    return found[1]


def parse_states(text: str) -> Mapping[str, JobState]:
    """Read what `squeue` prints with `STATE_FORMAT`, by the jobs' names."""
    lines = (line.split("|", 2) for line in text.splitlines() if line.count("|") >= 2)
    return {name: JobState(state=state, reason=reason) for name, state, reason in lines}


def parse_job(text: str) -> JobState | None:
    """Read what `scontrol show job --oneliner` prints of one job; None if it knows no such job."""
    found = dict(_FIELD.findall(text))
    if "JobState" not in found:
        return None
    code = found.get("ExitCode", "0:0").partition(":")[0]
    return JobState(
        state=found["JobState"],
        reason=found.get("Reason", "").replace("_", " "),
        exit_code=int(code) if code.isdecimal() else 0,
    )


def explain_end(job: str, found: JobState | None) -> str:
    """Why a worker that ran is gone."""
    if found is None or not found.has_ended:
        return f"its worker on Slurm was lost: job {job} doesn't answer any more"
    meaning = _MEANINGS.get(found.state, f"exit code {found.exit_code}" * bool(found.exit_code))
    said = f"job {job} ended as {found}"
    return f"its worker on Slurm was lost: {said}{f': {meaning}' if meaning else ''}"


def explain_no_start(job: str, found: JobState | None, address: str) -> str:
    """Why a job ended before its worker could be reached."""
    said = f"job {job} ended before its worker was ready: {found or 'Slurm forgot it'}"
    match found.exit_code if found else 0:
        case 126 | 127:
            return f"{said}: its node has no such Python; set python in [tool.tidemill.slurm]"
        case code if code == UNREACHABLE_CODE:
            return (
                f"{said}: its node can't connect to {address}; set address in [tool.tidemill.slurm] to a "
                "name and a port of this machine that nodes reach"
            )
        case 1:
            return (
                f"{said}: its Python can't import Tidemill, or a line of setup failed; its output tells, "
                'with options = ["--output=FILE"] in [tool.tidemill.slurm]'
            )
    return said
