"""Workers of a run as jobs of Slurm: submitted in arrays, never started again, and gone with the run."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from queue import Empty, SimpleQueue
from subprocess import TimeoutExpired
from typing import TypeAlias

from tidemill.adapters.clusters.worker_shape import WorkerShape
from tidemill.adapters.slurm.commands import ControllerAway, find_nodes, leash, run_command
from tidemill.adapters.slurm.job_connection import JobConnection, WorkerError
from tidemill.adapters.slurm.job_script import JobTerms, batch_options, batch_script
from tidemill.adapters.slurm.job_states import (
    STATE_FORMAT,
    JobState,
    explain_end,
    explain_no_start,
    parse_job,
    parse_states,
    parse_submitted,
)
from tidemill.adapters.slurm.listener import WorkerListener
from tidemill.adapters.slurm.node_protocol import TOKEN_VARIABLE
from tidemill.core.counts import plural
from tidemill.core.errors import UsageError

# Workers that are asked for within this time are one array.
_GATHER_S = 0.02
# Slurm's own default, which few clusters lower.
_MOST_IN_ARRAY = 1000
# How old the states of jobs may be, and how long Slurm may take to learn that a job has ended.
_FRESH_S, _LEARN_S = 2.0, 5.0
# Slurm's own commands are given up before.
_SUBMIT_S, _CLOSE_S = 90.0, 10.0

_Request: TypeAlias = tuple[WorkerShape, "Future[str]"]


class SlurmCluster:
    """The cluster to which this machine submits jobs; UsageError if it can't be reached.

    All jobs have a name of their own, by which they are cancelled when this is closed, or this process ends.
    """

    name = "slurm"

    def __init__(self, terms: JobTerms) -> None:
        self._nodes = find_nodes()
        self._terms, self._token = terms, secrets.token_hex(32)
        self._job_name = f"tidemill-{secrets.token_hex(4)}"
        self._listener = WorkerListener(terms.address, self._token)
        self._leash = leash(["scancel", "--quiet", f"--name={self._job_name}"])
        self._lock = threading.Lock()
        self._states: Mapping[str, JobState] = {}
        self._looked_at = 0.0
        self._requests: SimpleQueue[_Request | None] = SimpleQueue()
        self._submitter = threading.Thread(
            target=self._submit_all, name="tidemill-slurm", daemon=True
        )
        self._submitter.start()

    def describe(self, shape: WorkerShape) -> str:
        """How many nodes there are; UsageError, in Slurm's words, if it would refuse a worker."""
        options = batch_options(shape, self._terms, name=self._job_name, number=1)
        run_command("sbatch", "--test-only", *options, script=self._script())
        return f"{plural(len(self._nodes), 'node')}; a worker of {shape} fits"

    def start(self, shape: WorkerShape) -> JobConnection:
        """Submit a worker, together with others that are asked for at the same time."""
        asked: Future[str] = Future()
        self._requests.put((shape, asked))
        return JobConnection(asked.result(_SUBMIT_S), self._listener, self._refuse_end)

    def end(self, worker: JobConnection) -> None:
        """End a worker by its connection, or, if that doesn't help, by its job."""
        if not worker.hang_up():
            with suppress(UsageError):
                run_command("scancel", "--quiet", worker.job)

    def explain_pending(self, worker: JobConnection, shape: WorkerShape, waited_s: float) -> str:
        """What Slurm says of the job of a worker that didn't start."""
        found = self._look_up(worker.job)
        return (
            f"no worker of {shape} was placed within {waited_s:g} s: job {worker.job} is "
            f"{found or 'unknown to Slurm'}; ask for less in [tool.tidemill.slurm], or wait longer (pending)"
        )

    def explain_loss(self, worker: JobConnection | None, error: Exception) -> str:
        """What Slurm says of a job that ended while its worker had work."""
        if worker is None or isinstance(error, WorkerError | JobEnded):
            return str(error)
        found, end = self._look_up(worker.job), time.monotonic() + _LEARN_S
        while found is not None and not found.has_ended and time.monotonic() < end:
            time.sleep(0.2)
            found = self._look_up(worker.job)
        return explain_end(worker.job, found)

    def close(self, *, idle: bool = True) -> None:
        """Cancel all jobs that haven't ended."""
        self._requests.put(None)
        self._submitter.join(_CLOSE_S)
        self._listener.close()
        with suppress(TimeoutExpired):
            self._leash.communicate(timeout=_CLOSE_S)

    def _script(self) -> str:
        return batch_script(self._terms, self._listener.host, self._listener.port)

    def _submit_all(self) -> None:
        """Submit what is asked for, until the end."""
        batch: list[_Request | None] = []
        while None not in batch:
            batch = [self._requests.get()]
            time.sleep(_GATHER_S)
            with suppress(Empty):
                while True:
                    batch.append(self._requests.get_nowait())
            wanted = [*filter(None, batch)]
            for shape in dict.fromkeys(shape for shape, _ in wanted):
                same = [asked for other, asked in wanted if other == shape]
                for first in range(0, len(same), _MOST_IN_ARRAY):
                    self._submit(shape, same[first : first + _MOST_IN_ARRAY])

    def _submit(self, shape: WorkerShape, asked: Sequence[Future[str]]) -> None:
        """Submit an array of workers of a shape, and tell the names of its jobs, or why there are none."""
        options = batch_options(shape, self._terms, name=self._job_name, number=len(asked))
        try:
            said = run_command(
                "sbatch",
                *options,
                script=self._script(),
                environment={TOKEN_VARIABLE: self._token},
                # If this process is killed meanwhile, jobs are cancelled only after they were submitted.
                held=(self._leash.stdin.fileno(),) if self._leash.stdin else (),
            )
            array = parse_submitted(said)
        except UsageError as error:
            # What may go by is tried again, as a worker that was lost.
            is_away = isinstance(error, ControllerAway)
            for each in asked:
                each.set_exception(RuntimeError(str(error)) if is_away else error)
            return
        for index, each in enumerate(asked):
            each.set_result(f"{array}_{index}")

    def _refuse_end(self, job: str) -> None:
        """Raise JobEnded if a job, which hasn't connected, has ended."""
        with self._lock:
            if time.monotonic() - self._looked_at > _FRESH_S:
                # If the controller doesn't answer for a while, jobs go on.
                with suppress(UsageError):
                    said = run_command(
                        "squeue",
                        "--noheader",
                        "--array",
                        "--states=all",
                        f"--name={self._job_name}",
                        f"--format={STATE_FORMAT}",
                    )
                    self._states = parse_states(said)
                self._looked_at = time.monotonic()
            found = self._states.get(job)
        if found is not None and found.has_ended:
            address = f"{self._listener.host} port {self._listener.port}"
            raise JobEnded(explain_no_start(job, self._look_up(job), address))

    def _look_up(self, job: str) -> JobState | None:
        try:
            return parse_job(run_command("scontrol", "show", "job", "--oneliner", job))
        except UsageError:
            return None


class JobEnded(Exception):
    """A job ended before its worker was ready; the message says why."""
