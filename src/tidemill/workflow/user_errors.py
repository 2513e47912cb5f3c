"""Turn exceptions of user code into errors that point at the user's line."""

from __future__ import annotations

import importlib
import traceback

from tidemill.core.errors import StepError, describe_error
from tidemill.core.partition import WHOLE
from tidemill.core.redaction import redact
from tidemill.workflow.stage import Stage

# Frames of Tidemill, Polars and the import machinery don't help users, whose code is around them.
_TIDEMILL = __file__.replace("\\", "/").rsplit("/", 2)[0] + "/"
_IMPORTLIB = importlib.__path__[0].replace("\\", "/") + "/"
# Where errors of Polars are defined; those of its Rust code that panics in `pyo3_runtime`.
_POLARS = ("polars.exceptions", "pyo3_runtime")
# Precedes the place of a stage whose query failed without a frame of the user's code.
IN_QUERY = " in the query"
_HIDDEN = (_TIDEMILL, _IMPORTLIB, "/site-packages/polars/", "<frozen ")


def user_error(stage: Stage, partition: str, error: BaseException) -> StepError:
    """Return an exception of user code as a StepError: what, where, and a traceback of user frames only."""
    place = "" if partition == WHOLE else f" {partition}"
    frames = user_frames(error)
    said = describe_error(error)
    trace = redact("".join(traceback.format_list(frames))) + said
    at = f" at {_file(frames[0])}:{frames[0].lineno}" if frames else ""
    if not frames and type(error).__module__ in _POLARS:
        # A query fails when it is collected, after the user's code returned it.
        at = f"{IN_QUERY} at {stage.place}"
    message = f"{stage.name}{place} raised {said}{at}"
    return StepError(message, stage=stage.name, partition=partition, trace=trace)


def user_frames(error: BaseException) -> list[traceback.FrameSummary]:
    """Return the traceback of an error without frames of Tidemill, Polars and the import machinery."""
    return [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not any(part in _path(frame) for part in _HIDDEN)
    ]


def _path(frame: traceback.FrameSummary) -> str:
    return frame.filename.replace("\\", "/")


def _file(frame: traceback.FrameSummary) -> str:
    return _path(frame).rpartition("/")[2]
