"""The clock of a project: the system's, or one that stands still until its file is written."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from math import isfinite
from pathlib import Path

from tidemill.core.errors import UsageError

# Names the file of a clock for demos and rehearsals, which holds the time in Unix seconds.
VARIABLE = "TIDEMILL_CLOCK"


def project_clock(shared: Callable[[], float] = time.time) -> Callable[[], float]:
    """The clock by which everything of a project happens, in Unix seconds.

    It is the system's, or that which machines share, unless the environment variable TIDEMILL_CLOCK names a
    file with the time. UsageError, also of each later call, if that can't be read.
    """
    name = os.environ.get(VARIABLE)
    if not name:
        return shared
    file = Path(name)
    read_clock(file)
    return lambda: read_clock(file)


def read_clock(file: Path) -> float:
    """The time that a file holds; UsageError if it holds none."""
    try:
        now = float(file.read_text(encoding="ascii"))
    except (OSError, ValueError) as error:
        raise UsageError(f"{VARIABLE} names {file}, which holds no time: {error}") from error
    if not (isfinite(now) and now > 0):
        raise UsageError(f"{VARIABLE} names {file}, which holds {now}: not a time in Unix seconds")
    return now


def set_clock(file: Path, now: float) -> None:
    """Write the time to a file; whoever reads it meanwhile gets the time before or this one."""
    written = file.with_name(f"{file.name}.new")
    written.write_text(repr(now), encoding="ascii")
    os.replace(written, file)
