"""Airflow starts Tidemill each night, in `staging` and then in `prod`.

Airflow decides when, and whether to try again; Tidemill decides what has to be computed. Install Tidemill in
an environment of its own, since the two pin other versions of the same packages.
"""

import json
import signal
import subprocess
import tempfile
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from airflow.sdk import DAG, BaseOperator, Context, CronDataIntervalTimetable, chain
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException

TIDEMILL = "/srv/bakery/.venv/bin/tidemill"
PROJECT = "/srv/bakery"
ENVIRONMENTS = ("staging", "prod")
ZONE = ZoneInfo("Europe/Berlin")

# Exit codes with which another try ends the same: a wrong command, a broken contract, a budget, a role.
FINAL = (2, 3, 5, 7)
# Gates refused a model, or people have to agree: Tidemill asked them, and what is live stays live.
ASKED = 4


class TidemillRun(BaseOperator):
    """`tidemill run` in one environment, up to the day of the DAG run; all days if it has none."""

    def __init__(self, *, environment: str, **options: Any) -> None:
        super().__init__(task_id=f"run_{environment}", **options)
        self.environment = environment
        self.process: subprocess.Popen[str] | None = None

    def execute(self, context: Context) -> dict[str, Any]:
        """Run, and return what was done and what it cost."""
        command = [TIDEMILL, "run", "--project", PROJECT, "--env", self.environment]
        command += ["--wait", "10m", "--json"]
        if start := context.get("data_interval_start"):
            # Airflow's `ds` is the day in UTC, which for a night in Berlin may be the one before.
            command += ["--to", f"{start.astimezone(ZONE):%Y-%m-%d}"]
        with tempfile.TemporaryFile("w+", encoding="utf-8") as document:
            code = self._call(command, document)
            document.seek(0)
            receipt = json.loads(document.read() or "{}").get("receipt", {})
        if code:
            raise failure(code, receipt)
        return summary(receipt)

    def _call(self, command: list[str], document: Any) -> int:
        """Run a command, log what it says, write its document; return its exit code."""
        self.process = subprocess.Popen(
            command, stdout=document, stderr=subprocess.PIPE, encoding="utf-8"
        )
        for line in self.process.stderr or ():
            self.log.info(line.rstrip())
        return self.process.wait()

    def on_kill(self) -> None:
        """Let the run record that it was interrupted; what it published is kept."""
        if self.process is not None:
            self.process.send_signal(signal.SIGINT)


def failure(code: int, receipt: dict[str, Any]) -> AirflowException:
    """The exception that fails a task, skips it, or lets it be tried again."""
    causes = [f"{each['stage']}: {each['why']}" for each in receipt.get("failures", [])]
    text = "; ".join([f"tidemill ended with {code}", *causes, *receipt.get("messages", [])])
    if code == ASKED:
        return AirflowSkipException(text)
    return AirflowFailException(text) if code in FINAL else AirflowException(text)


def summary(receipt: dict[str, Any]) -> dict[str, Any]:
    """What other tasks, and people who look at XCom, want to know of a run."""
    counts = {
        name: sum(stage[field] for stage in receipt["stages"])
        for name, field in (("ran", "ran"), ("reused", "bound"), ("up_to_date", "current"))
    }
    return {"run": receipt["run"], **counts, "cost": receipt["cost"], "wall_s": receipt["wall_s"]}


with DAG(
    "tidemill",
    # In Airflow 3 a plain cron expression has no data interval.
    schedule=CronDataIntervalTimetable("30 2 * * *", timezone=str(ZONE)),
    start_date=datetime(2026, 1, 5, tzinfo=ZONE),
    # A run computes all that is missing up to its day, so runs that were missed needn't be made up for.
    catchup=False,
    max_active_runs=1,
    default_args={
        "retries": 3,
        "retry_delay": timedelta(minutes=5),
        "retry_exponential_backoff": True,
        "execution_timeout": timedelta(hours=6),
    },
):
    # What `staging` computed, `prod` reuses.
    chain(*[TidemillRun(environment=name) for name in ENVIRONMENTS])
