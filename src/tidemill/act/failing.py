"""What went wrong in user code, in words that lead to the line."""

from __future__ import annotations

import traceback
from pathlib import Path

from tidemill.domain.errors import StepError, said_by
from tidemill.domain.partition import WHOLE
from tidemill.domain.stage import Stage

# Frames of the engine lead nowhere: what the user wrote is above and below them.
_OURS = ("/tidemill/act/", "/site-packages/polars/")


def failed(stage: Stage, partition: str, error: BaseException) -> StepError:
    """An error of user code as the user should see it: what, where, and only their own frames."""
    place = "" if partition == WHOLE else f" {partition}"
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not any(part in frame.filename.replace("\\", "/") for part in _OURS)
    ]
    said = said_by(error)
    trace = "".join(traceback.format_list(frames)) + said
    at = f" at {Path(frames[0].filename).name}:{frames[0].lineno}" if frames else ""
    message = f"{stage.name}{place} raised {said}{at}"
    return StepError(message, stage=stage.name, partition=partition, trace=trace)
