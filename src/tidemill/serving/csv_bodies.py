"""Read rows from a CSV body as text, as an ingest reads files."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence

import polars as pl
from polars.exceptions import PanicException, PolarsError

from tidemill.contracts.column import Column
from tidemill.serving.errors import BadRequest, PayloadTooLarge
from tidemill.serving.rows import RequestLimits

_REPEATED = re.compile(r"(.*)_duplicated_\d+", re.DOTALL)


def read_csv_body(body: bytes, columns: Sequence[Column], limits: RequestLimits) -> pl.DataFrame:
    """Return the rows of a CSV body with a header, all as text, under the contract's names.

    A column may have its name in files. Raises BadRequest and PayloadTooLarge.
    """
    try:
        body.decode()
    except UnicodeDecodeError as error:
        raise BadRequest(f"the body isn't UTF-8: byte {error.start:,} can't be read") from None
    try:
        frame = pl.read_csv(io.BytesIO(body), infer_schema=False)
    except (PolarsError, PanicException) as error:
        raise BadRequest(f"the body can't be read as CSV: {_reason(str(error), body)}") from None
    for name in frame.columns:
        found = _REPEATED.fullmatch(name)
        if found and found[1] in frame.columns:
            raise BadRequest(f"the header has two columns {found[1]!r}")
    if not frame.height:
        raise BadRequest("the request has no rows")
    if frame.height > limits.rows:
        raise PayloadTooLarge.of_rows(frame.height, limits.rows)
    names = {
        column.source: column.name
        for column in columns
        if column.source in frame.columns and column.name not in frame.columns
    }
    return frame.rename(names)


def _reason(message: str, body: bytes) -> str:
    if "more fields" in message:
        header = body.partition(b"\n")[0]
        advice = ": separate fields by commas" if b"," not in header else ""
        return f"a line has more fields than the header{advice}"
    if "empty" in message:
        return "it is empty"
    return "its quotes or its lines are damaged"
