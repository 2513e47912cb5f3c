"""The replies to named rows: as JSON, CSV or an Arrow IPC stream."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import msgspec
import polars as pl

from tidemill.serving.answers import AnswerForm, ModelAnswer, ServedVersion, as_list
from tidemill.serving.errors import NotAcceptable, UnsupportedMediaType
from tidemill.serving.oip import JSON, ROW, Reply, rejected_document
from tidemill.serving.rows import InferRequest

CSV, ARROW = "text/csv", "application/vnd.apache.arrow.stream"
MEDIA_TYPES = (JSON, CSV, ARROW)
_FORM = "application/x-www-form-urlencoded"
# The types of outputs in frames, by their data types in the Open Inference Protocol.
OUTPUT_TYPES: Mapping[str, type[pl.DataType]] = {
    "FP64": pl.Float64,
    "INT64": pl.Int64,
    "BOOL": pl.Boolean,
    "BYTES": pl.String,
}


def media_type(content_type: str) -> str:
    """Return the media type of a request's rows; JSON if it has none, as some clients send none.

    Raises UnsupportedMediaType for one that isn't read.
    """
    found = content_type.partition(";")[0].strip().lower() or JSON
    if found in MEDIA_TYPES:
        return found
    # curl sends it with -d alone. It isn't read as JSON, because pages of other sites may send it unasked.
    hint = f"; with curl: -H 'Content-Type: {JSON}'" if found == _FORM else ""
    raise UnsupportedMediaType(
        f"Content-Type {content_type!r} isn't read here: send one of {', '.join(MEDIA_TYPES)}{hint}"
    )


def reply_type(accept: str, request_type: str) -> str:
    """Return the media type of a reply: that of the request, if the caller accepts it.

    `accept` is the header of the request, or empty. Raises NotAcceptable.
    """
    if not accept:
        return request_type
    accepted = [_accepted(part) for part in accept.split(",")]
    wanted = [media for media, weight in accepted if weight > 0]
    for media in (request_type, *MEDIA_TYPES):
        if media in wanted or "*/*" in wanted or f"{media.partition('/')[0]}/*" in wanted:
            return media
    raise NotAcceptable(f"Accept {accept!r} has none of {', '.join(MEDIA_TYPES)}")


def _accepted(part: str) -> tuple[str, float]:
    """Return a media range, and its weight."""
    media, *parameters = (item.strip().lower() for item in part.split(";"))
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return media, float(value)
            except ValueError:
                return media, 0.0
    return media, 1.0


class PredictReplies:
    """Writes the replies of one version of a model to named rows."""

    def __init__(self, served: ServedVersion, form: AnswerForm) -> None:
        self._served = served
        self._names = [output.name for output in form.outputs]
        self._dtypes = [OUTPUT_TYPES[output.datatype] for output in form.outputs]
        about = {"model": served.model, "version": served.version, **served.parameters()}
        self._about = msgspec.json.encode(about)[:-1] + b',"predictions":'
        self._headers = tuple((f"tidemill-{name}", _header(value)) for name, value in about.items())

    def reply(self, answer: ModelAnswer, request: InferRequest, media: str = JSON) -> Reply:
        """Return the reply in a media type; rows that are left out are named in JSON, counted in others."""
        if media == JSON:
            return self._json(answer, request)
        return self._csv(answer, request) if media == CSV else self._arrow(answer, request)

    def _json(self, answer: ModelAnswer, request: InferRequest) -> Reply:
        columns = [as_list(values) for values in answer.columns]
        names = self._names
        rows = [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)]
        if answer.explanations is not None:
            rows = [
                {**row, "contributions": found}
                for row, found in zip(rows, answer.explanations, strict=True)
            ]
        more: dict[str, Any] = dict(answer.parameters)
        if request.rejected is not None:
            for row, number in zip(rows, request.rejected.kept, strict=True):
                row[ROW.name] = number
            more["rejected"] = rejected_document(request.rejected)
        body = self._about + msgspec.json.encode(rows)
        return Reply(body + (b"," + msgspec.json.encode(more)[1:] if more else b"}"))

    def _frame(self, answer: ModelAnswer, request: InferRequest) -> pl.DataFrame:
        frame = pl.DataFrame(
            [
                pl.Series(name, values, dtype=dtype)
                for name, values, dtype in zip(
                    self._names, answer.columns, self._dtypes, strict=True
                )
            ]
        )
        if request.rejected is None:
            return frame
        numbers = pl.Series(ROW.name, request.rejected.kept, dtype=pl.Int64)
        return frame.insert_column(0, numbers)

    def _more_headers(
        self, answer: ModelAnswer, request: InferRequest
    ) -> tuple[tuple[str, str], ...]:
        headers = self._headers
        for name, value in answer.parameters.items():
            headers += ((f"tidemill-{name.replace('_', '-')}", _header(str(value))),)
        if request.rejected is not None:
            rejected = request.rejected.rows - len(request.rejected.kept)
            headers += (("tidemill-rejected", str(rejected)),)
        return headers

    def _csv(self, answer: ModelAnswer, request: InferRequest) -> Reply:
        text = self._frame(answer, request).write_csv()
        return Reply(text.encode(), f"{CSV}; charset=utf-8", self._more_headers(answer, request))

    def _arrow(self, answer: ModelAnswer, request: InferRequest) -> Reply:
        stream = io.BytesIO()
        # The first version of the format is read by all libraries.
        self._frame(answer, request).write_ipc_stream(stream, compat_level=pl.CompatLevel.oldest())
        return Reply(stream.getvalue(), ARROW, self._more_headers(answer, request))


def _header(value: str) -> str:
    """Return text that may stand in a header: without characters beyond ASCII, and without line ends."""
    return "".join(mark if 32 <= ord(mark) < 127 else "?" for mark in value)
