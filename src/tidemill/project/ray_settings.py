"""The settings of workers on a Ray cluster: `executor`, and `[tool.tidemill.ray]`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from tidemill.adapters.clusters.worker_shape import WorkerShape
from tidemill.core.errors import UsageError
from tidemill.project.cluster_settings import (
    SHARED,
    SLURM,
    ClusterSettings,
    Readers,
    count,
    memory,
    positive,
    read_workers,
    refuse_unknown,
)

_ADDRESS = re.compile(r"(ray://)?([\w.-]+|\[[0-9a-fA-F:]+\]):(\d{1,5})")


def parse_executor(text: object, place: str) -> str:
    """The address of a Ray cluster, always an explicit one, or "slurm"; "" is this machine.

    UsageError for other text.
    """
    if text in ("", SLURM):
        return str(text)
    found = _ADDRESS.fullmatch(text) if isinstance(text, str) else None
    if found is None or not 0 < int(found[3]) < 65_536:
        raise UsageError(
            f'{place} executor = {text!r} is no address of a cluster: use "ray://HOST:10001" from anywhere, '
            'or "HOST:6379" on a machine of the cluster; a token belongs into RAY_AUTH_TOKEN; "slurm" is the '
            "Slurm cluster of this machine"
        )
    return str(text)


def parse_ray_settings(table: Mapping[str, Any], place: str) -> ClusterSettings:
    """Read the table; `place` names it in messages. UsageError names the setting, its value and what fits."""
    refuse_unknown(table, place, SHARED, _WORKER)
    return ClusterSettings(**read_workers(table, place, _WORKER, lambda own: WorkerShape(**own)))


def _labels(value: object) -> tuple[tuple[str, str], ...]:
    if not isinstance(value, dict) or not all(isinstance(held, str) for held in value.values()):
        raise ValueError(f'{value!r} is no table of texts, such as {{ pool = "spot" }}')
    return tuple(sorted(value.items()))


_WORKER: Readers = {"cpus": positive, "memory": memory, "gpus": count(0), "labels": _labels}
