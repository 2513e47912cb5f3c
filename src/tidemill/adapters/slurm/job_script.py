"""What is submitted to Slurm: the options and the script of an array of jobs, each of which is a worker."""

from __future__ import annotations

import shlex
import sys
from math import ceil

from tidemill.adapters.clusters.worker_shape import WorkerShape
from tidemill.core.lazy_dataclass import dataclass

NODE_MODULE = "tidemill.adapters.slurm.node_main"
_MIB = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class JobTerms:
    """How workers are started on nodes, and reach this machine at `address`, which is HOST or HOST:PORT.

    The job's script has the lines `setup` before it starts `python` ("": this one, by its path). `options`
    are further options of `sbatch`.
    """

    address: str = ""
    python: str = ""
    setup: tuple[str, ...] = ()
    options: tuple[str, ...] = ()


def batch_options(shape: WorkerShape, terms: JobTerms, *, name: str, number: int) -> list[str]:
    """The options of `sbatch` for so many workers of a shape; Slurm never starts one again."""
    options = [
        "--parsable",
        f"--job-name={name}",
        f"--array=0-{number - 1}",
        "--nodes=1",
        "--ntasks=1",
        f"--cpus-per-task={ceil(shape.cpus)}",
        "--no-requeue",
        "--export=ALL",
        "--output=/dev/null",
    ]
    options += [f"--{label}={value}" for label, value in shape.labels]
    options += [f"--mem={ceil(shape.memory / _MIB)}M"] if shape.memory else []
    options += [f"--gres=gpu:{shape.gpus}"] if shape.gpus else []
    options += [f"--time={ceil(shape.lifetime_s / 60)}"] if shape.lifetime_s else []
    return [*options, *terms.options]


def batch_script(terms: JobTerms, host: str, port: int) -> str:
    """The script of each job; the worker takes the place of the shell, so that it gets its signals."""
    python = terms.python or sys.executable
    lines = [
        "#!/bin/sh",
        *terms.setup,
        f"exec {shlex.quote(python)} -P -m {NODE_MODULE} '{host}' {port}",
    ]
    return "\n".join(lines) + "\n"
