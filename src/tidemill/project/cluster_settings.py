"""The settings of workers on a cluster, as far as all kinds of clusters have the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field
from typing import Any, TypeAlias

from tidemill.adapters.clusters.worker_shape import WorkerShape
from tidemill.core.errors import UsageError, did_you_mean
from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.units import is_number, parse_bytes, parse_seconds
from tidemill.planning.placement import DEFERRABLE, ORDINARY, TRAINING

# The value of `executor` that stands for the Slurm cluster of which this machine is a part.
SLURM = "slurm"
CLASSES = (ORDINARY, TRAINING, DEFERRABLE)
# What reads the value of a setting; ValueError says what is wrong with it.
Readers: TypeAlias = Mapping[str, Callable[[object], Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterSettings:
    """Up to `workers` workers, as `worker` says or the one of a step's class.

    A step for which no worker was placed within `pending` seconds fails.
    """

    workers: int = 8
    pending: float = 300.0
    worker: WorkerShape = field(default_factory=WorkerShape)
    classes: Mapping[str, WorkerShape] = field(default_factory=dict)

    def shape(self, worker_class: str) -> WorkerShape:
        """What a worker for the steps of a class asks for."""
        return self.classes.get(worker_class, self.worker)


def read_workers(
    table: Mapping[str, Any],
    place: str,
    own: Readers,
    made: Callable[[Mapping[str, Any]], WorkerShape],
) -> dict[str, Any]:
    """Read the settings that all clusters have; the `own` ones of a worker are `made` into a shape.

    `place` names the table in messages. UsageError names the setting, its value and what fits.
    """
    asked = read_values({k: v for k, v in table.items() if k in own}, place, own)
    shapes: dict[str, WorkerShape] = {}
    classes = table.get("classes", {})
    if not isinstance(classes, dict):
        raise UsageError(f"{place} classes = {classes!r} is not a table")
    for name, more in classes.items():
        if name not in CLASSES:
            raise UsageError(f"{place} classes.{name}: {did_you_mean(name, CLASSES)}")
        if not isinstance(more, dict):
            raise UsageError(f"{place} classes.{name} = {more!r} is not a table")
        others = read_values(more, f"{place} classes.{name}:", own)
        shapes[name] = made({**asked, **others})
    shared = {k: v for k, v in table.items() if k in SHARED}
    return {"worker": made(asked), "classes": shapes, **read_values(shared, place, SHARED)}


def read_values(table: Mapping[str, Any], place: str, readers: Readers) -> dict[str, Any]:
    """Read the values of a table; UsageError for a setting or a value that can't be."""
    found = {}
    for name, value in table.items():
        if name not in readers:
            raise UsageError(f"{place} {name}: {did_you_mean(name, readers)}")
        try:
            found[name] = readers[name](value)
        except ValueError as error:
            raise UsageError(f"{place} {name} = {error}") from None
    return found


def refuse_unknown(table: Mapping[str, Any], place: str, *readers: Readers) -> None:
    """Raise UsageError for a setting that no reader reads."""
    known = {"classes", *(name for each in readers for name in each)}
    for name in table:
        if name not in known:
            raise UsageError(f"{place} {name}: {did_you_mean(name, known)}")


def positive(value: object) -> float:
    """A number above 0."""
    if not is_number(value) or not value > 0:
        raise ValueError(f"{value!r} is not a number above 0")
    return float(value)


def count(least: int) -> Callable[[object], int]:
    """What reads a whole number of `least` or more."""

    def read(value: object) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise ValueError(f"{value!r} is not a whole number of {least} or more")
        return value

    return read


def memory(value: object) -> int:
    """An amount of bytes."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError(f'{value!r} is no amount such as "4GB"')
    return parse_bytes(value)


def duration(value: object) -> float:
    """Seconds."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(f'{value!r} is no time such as "5m"')
    return parse_seconds(value)


SHARED: Readers = {"workers": count(1), "pending": duration}
