"""The replies to named rows: the predictions row by row, and which version made them."""

from __future__ import annotations

from typing import Any

import msgspec

from tidemill.serving.answers import AnswerForm, ModelAnswer, ServedVersion, as_list
from tidemill.serving.oip import Reply, rejected_document
from tidemill.serving.rows import InferRequest

_encode = msgspec.json.encode


class RowsReplies:
    """Writes the replies of one version of a model to requests with named rows."""

    def __init__(self, served: ServedVersion, form: AnswerForm) -> None:
        self._names = [output.name for output in form.outputs]
        self._head = _encode(
            {"model": served.model, "version": served.version, **served.parameters()}
        )[:-1]

    def reply(self, answer: ModelAnswer, request: InferRequest) -> Reply:
        """Return the reply: a prediction per row, in order; rejected rows are null."""
        parts = [self._head]
        columns = [as_list(values) for values in answer.columns]
        rows: list[Any] = [
            dict(zip(self._names, row, strict=True)) for row in zip(*columns, strict=True)
        ]
        if request.rejected is not None:
            found = dict(zip(request.rejected.kept, rows, strict=True))
            rows = [found.get(number) for number in range(request.rejected.rows)]
            parts += (b',"rejected":', _encode(rejected_document(request.rejected)))
        if answer.parameters:
            parts += (b',"lookups":', _encode(dict(answer.parameters)))
        parts += (b',"predictions":', _encode(rows), b"}")
        return Reply(b"".join(parts))
