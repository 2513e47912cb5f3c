"""The settings of workers on a Slurm cluster: `[tool.tidemill.slurm]`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import field
from typing import Any

from tidemill.adapters.clusters.worker_shape import WorkerShape
from tidemill.adapters.slurm.job_script import JobTerms
from tidemill.core.lazy_dataclass import dataclass
from tidemill.project.cluster_settings import (
    SHARED,
    ClusterSettings,
    Readers,
    count,
    duration,
    memory,
    read_values,
    read_workers,
    refuse_unknown,
)

_NAME = re.compile(r"[\w.+-]+(,[\w.+-]+)*")
_FEATURES = re.compile(r"[\w.+*&|()\[\]-]+")
_HOST = re.compile(r"([\w.-]+|\[[0-9a-fA-F:]+\])(:\d{1,5})?")
# Tidemill sets these itself, or couldn't find its jobs with them.
_OWN_OPTIONS = (
    "array", "clusters", "export", "export-file", "hold", "job-name", "no-requeue", "nodes", "ntasks",
    "parsable", "requeue", "test-only", "wait", "wrap",
)  # fmt: skip
_LEAST_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SlurmSettings(ClusterSettings):
    """The settings of all clusters, and how `job`s start workers."""

    job: JobTerms = field(default_factory=JobTerms)


def parse_slurm_settings(table: Mapping[str, Any], place: str) -> SlurmSettings:
    """Read the table; `place` names it in messages. UsageError names the setting, its value and what fits."""
    refuse_unknown(table, place, SHARED, _WORKER, _JOB)
    job = read_values({k: v for k, v in table.items() if k in _JOB}, place, _JOB)
    return SlurmSettings(**read_workers(table, place, _WORKER, _shape), job=JobTerms(**job))


def _shape(own: Mapping[str, Any]) -> WorkerShape:
    labels = tuple((name, own[name]) for name in _LABELS if name in own)
    return WorkerShape(
        cpus=own.get("cpus", 1),
        memory=own.get("memory", 0),
        gpus=own.get("gpus", 0),
        labels=labels,
        lifetime_s=own.get("time_limit", 0.0),
    )


def _text(form: re.Pattern[str], example: str) -> Callable[[object], str]:
    def read(value: object) -> str:
        if not isinstance(value, str) or not form.fullmatch(value):
            raise ValueError(f"{value!r} is no text such as {example}")
        return value

    return read


def _time_limit(value: object) -> float:
    seconds = duration(value)
    if seconds < _LEAST_S:
        raise ValueError(f"{value!r} is too short: Slurm counts in minutes")
    return seconds


def _address(value: object) -> str:
    text = _text(_HOST, '"login1.example" or "10.0.0.1:7711"')(value)
    port = text.rpartition(":")[2]
    if port.isdecimal() and not 0 < int(port) < 65_536:
        raise ValueError(f"{value!r} has no port from 1 to 65,535")
    return text


def _lines(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(line, str) for line in value):
        raise ValueError(f'{value!r} is no list of texts, such as ["module load python/3.12"]')
    return tuple(value)


def _options(value: object) -> tuple[str, ...]:
    options = _lines(value)
    for option in options:
        if not option.startswith("--"):
            raise ValueError(f'{option!r} is no option such as "--reservation=team"')
        # Slurm takes the beginning of a name for it.
        if any(own.startswith(option[2:].partition("=")[0]) for own in _OWN_OPTIONS):
            raise ValueError(f"{option!r} is set by Tidemill")
    return options


_LABELS = ("partition", "account", "qos", "constraint")
_WORKER: Readers = {
    "cpus": count(1),
    "memory": memory,
    "gpus": count(0),
    "time_limit": _time_limit,
    **dict.fromkeys(_LABELS[:3], _text(_NAME, '"short"')),
    "constraint": _text(_FEATURES, '"avx512&ssd"'),
}
_JOB: Readers = {
    "address": _address,
    "python": _text(re.compile(r"[^\s'\"]+"), '"/opt/python/bin/python"'),
    "setup": _lines,
    "options": _options,
}
