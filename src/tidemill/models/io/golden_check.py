"""Load a stored model, and compare its predictions of the golden rows with those of the model in memory."""

from __future__ import annotations

import io

import polars as pl

from tidemill.core.errors import TidemillError
from tidemill.models.golden_rows import golden_difference
from tidemill.ports.formats import GoldenCheck, ModelFormat
from tidemill.workflow.model import Artifact

# Of a message: a pipe holds 64 kB until it is read.
_LONGEST = 8_000


def check_golden_rows(
    form: ModelFormat, artifact: Artifact, payload: bytes, golden: bytes
) -> GoldenCheck:
    """Load a file and predict its golden rows; only in a process that may die.

    `artifact` says how the model is fed. Without golden rows it is only loaded.
    """
    try:
        function = form.load(payload)
        if not golden:
            return GoldenCheck()
        stored = pl.read_parquet(io.BytesIO(golden))
        fault, difference = golden_difference(function, artifact, stored)
    except TidemillError as error:
        return GoldenCheck(fault=str(error)[:_LONGEST])
    # Whatever a library raises for a damaged file; SystemExit would end the process without a reason.
    except (Exception, SystemExit) as error:  # noqa: BLE001
        return GoldenCheck(fault=f"{type(error).__name__}: {str(error)[:500]}")
    return GoldenCheck(fault=fault[:_LONGEST], difference=difference)
