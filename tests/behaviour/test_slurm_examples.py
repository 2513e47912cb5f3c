"""The settings in examples/slurm are read as the page says; `test_slurm` submits the job."""

from __future__ import annotations

import re
from pathlib import Path

from tidemill.project.settings import find_settings

EXAMPLES = Path(__file__).parents[2] / "examples" / "slurm"


def test_the_settings_are_valid(tmp_path: Path) -> None:
    head = '[tool.tidemill]\nworkflow = "bakery:flow"\n'
    text = (EXAMPLES / "settings.toml").read_text()
    (tmp_path / "pyproject.toml").write_text(text.replace("[tool.tidemill]\n", head))
    found = find_settings(tmp_path)
    assert found.executor == "slurm"
    assert (found.slurm.workers, found.slurm.pending) == (16, 1800.0)
    assert str(found.slurm.worker) == "4 CPUs, 16 GB, partition=short, account=team, 120 min"
    assert str(found.slurm.shape("training")) == (
        "4 CPUs, 64 GB, 1 GPUs, partition=gpu, account=team, 720 min"
    )


def test_the_run_ends_in_order_and_isnt_started_again() -> None:
    text = (EXAMPLES / "run.sbatch").read_text()
    options = set(re.findall(r"^#SBATCH (--[\w-]+)", text, re.MULTILINE))
    assert options >= {"--no-requeue", "--signal", "--time", "--mem"}
    # The signal is for the run, so it takes the place of the shell.
    assert text.rstrip().endswith("exec tidemill run")
