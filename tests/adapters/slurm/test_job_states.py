"""What Slurm prints of jobs, as people read it."""

from __future__ import annotations

import pytest

from tidemill.adapters.slurm.job_states import (
    JobState,
    explain_end,
    explain_no_start,
    parse_job,
    parse_states,
    parse_submitted,
)
from tidemill.core.errors import UsageError

SHOWN = (
    "JobId=12 ArrayJobId=11 ArrayTaskId=1 JobName=tidemill-1 UserId=ana(1000) JobState={} "
    "Reason={} Dependency=(null) Requeue=0 ExitCode={} RunTime=00:00:01 DerivedExitCode=0:0\n"
)


@pytest.mark.parametrize("text", ["11\n", "11;east\n", "Welcome to 2 clusters\n11 \n"])
def test_the_number_of_an_array_is_found_among_what_a_site_adds(text: str) -> None:
    assert parse_submitted(text) == "11"


@pytest.mark.parametrize("text", ["", "slurm-wlm 24.11.5\n", "Submitted batch job 11\n"])
def test_a_submission_without_a_number_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="sbatch printed no number of a job"):
        parse_submitted(text)


def test_states_are_read_by_job() -> None:
    text = "11_0|RUNNING|None\n11_1|PENDING|Nodes required for job are DOWN, or a|b\nnonsense\n"
    found = parse_states(text)
    assert found == {
        "11_0": JobState(state="RUNNING", reason="None"),
        "11_1": JobState(state="PENDING", reason="Nodes required for job are DOWN, or a|b"),
    }
    assert str(found["11_0"]) == "RUNNING"
    assert str(found["11_1"]).startswith("PENDING (Nodes required")


@pytest.mark.parametrize(
    ("state", "has_ended"),
    [("PENDING", False), ("COMPLETING", False), ("FAILED", True), ("NODE_FAIL", True)],
)
def test_a_job_runs_until_it_has_ended(state: str, has_ended: bool) -> None:
    assert JobState(state=state).has_ended is has_ended


@pytest.mark.parametrize(
    ("state", "reason", "code", "says"),
    [
        ("TIMEOUT", "TimeLimit", "0:0", r"TIMEOUT (TimeLimit): its time limit was over; set time_limit"),
        ("OUT_OF_MEMORY", "OutOfMemory", "0:125", "set memory in [tool.tidemill.slurm]"),
        ("NODE_FAIL", "NodeDown", "1:0", "NODE_FAIL (NodeDown): its node failed"),
        ("FAILED", "NonZeroExitCode", "9:0", "FAILED (NonZeroExitCode): exit code 9"),
        ("FAILED", "RaisedSignal:9(Killed)", "0:9", "FAILED (RaisedSignal:9(Killed))"),
        ("RUNNING", "None", "0:0", "doesn't answer any more"),
    ],
)  # fmt: skip
def test_the_end_of_a_worker_is_explained(state: str, reason: str, code: str, says: str) -> None:
    found = parse_job(SHOWN.format(state, reason, code))
    assert explain_end("11_1", found).startswith("its worker on Slurm was lost: job 11_1 ")
    assert says in explain_end("11_1", found)


def test_a_job_that_slurm_has_forgotten_is_explained() -> None:
    assert parse_job("slurm_load_jobs error: Invalid job id specified") is None
    assert "job 11_1 doesn't answer" in explain_end("11_1", None)
    assert explain_no_start("11_1", None, "here").endswith("Slurm forgot it")


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("127:0", "its node has no such Python"),
        ("3:0", "its node can't connect to login port 7711; set address"),
        ("1:0", 'options = ["--output=FILE"]'),
        ("9:0", "FAILED (NonZeroExitCode)"),
    ],
)
def test_a_failed_start_says_what_to_do(code: str, says: str) -> None:
    found = parse_job(SHOWN.format("FAILED", "NonZeroExitCode", code))
    assert says in explain_no_start("11_1", found, "login port 7711")
