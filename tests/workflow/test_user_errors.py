"""Exceptions of user code become errors that point at the user's line."""

from __future__ import annotations

import polars as pl
import pytest
from polars.exceptions import ColumnNotFoundError, PanicException

from tidemill.core.partition import WHOLE
from tidemill.workflow import partition_mapping
from tidemill.workflow.stage import Kind, Stage
from tidemill.workflow.user_errors import user_error

STAGE = Stage(
    name="daily", kind=Kind.TRANSFORM, function=None, inputs=(), output=None, place="flow.py:1"
)


def _caught(call: object) -> BaseException:
    assert callable(call)
    with pytest.raises(BaseException) as raised:  # noqa: PT011 - any exception will do
        call()
    return raised.value


def _own() -> None:
    raise ValueError("no such month")


def _through_the_engine() -> None:
    partition_mapping.sortable_end("never", "1d")


def _through_polars() -> None:
    pl.DataFrame({"a": [1]}).select("b")


@pytest.mark.parametrize(
    ("partition", "start"),
    [
        ("2026-03-01", "daily 2026-03-01 raised ValueError: no such month at test_user_errors.py:"),
        (WHOLE, "daily raised ValueError: no such month at test_user_errors.py:"),
    ],
)
def test_the_message_says_what_and_where(partition: str, start: str) -> None:
    error = user_error(STAGE, partition, _caught(_own))

    assert str(error).startswith(start)
    assert (error.stage, error.partition) == ("daily", partition)
    assert error.trace.endswith("ValueError: no such month")


@pytest.mark.parametrize("call", [_through_the_engine, _through_polars])
def test_the_traceback_has_only_frames_of_users(call: object) -> None:
    trace = user_error(STAGE, WHOLE, _caught(call)).trace

    assert "test_user_errors.py" in trace
    assert "/tidemill/workflow/" not in trace
    assert "/polars/" not in trace


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (
            ColumnNotFoundError("no `b`\n\nResolved plan until failure:\n\nFILTER x"),
            "daily raised ColumnNotFoundError: no `b` in the query at flow.py:1",
        ),
        (
            PanicException("it broke"),
            "daily raised PanicException: it broke in the query at flow.py:1",
        ),
    ],
)
def test_an_error_of_a_query_names_the_stage_that_returned_it(
    error: BaseException, message: str
) -> None:
    assert str(user_error(STAGE, WHOLE, error)) == message


def test_an_exception_without_frames_has_no_line() -> None:
    assert str(user_error(STAGE, WHOLE, KeyError("a"))) == "daily raised KeyError: 'a'"
