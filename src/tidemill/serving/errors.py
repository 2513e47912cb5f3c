"""The answers to requests that can't be served: an HTTP status, a message, and what else the caller needs.

RequestError                     a request that isn't answered with predictions
├── BadRequest             400   the body or a header isn't what the protocol says
├── NotFound               404   no such route, endpoint or version
├── MethodNotAllowed       405   the route has other methods
├── NotAcceptable          406   no answer in the media types that the caller accepts
├── PayloadTooLarge        413   more bytes or rows than the server accepts
├── UnsupportedMediaType   415   a content type or an encoding that the route doesn't read
├── BrokenRows             422   rows break the contract of the endpoint
├── Unavailable            503   overloaded, or no version can serve
└── Refusal                401   who sent it may not ask; also 400, 403, 421 and 429
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tidemill.core.errors import TidemillError
from tidemill.core.printable import shorten
from tidemill.serving.rows import RowFinding

_LONGEST = 2_000


class RequestError(TidemillError):
    """A request that isn't answered with predictions; the message says what to change."""

    status = 400

    def __init__(self, message: str, *, headers: Sequence[tuple[str, str]] = ()) -> None:
        # Text of a body may hold halves of surrogate pairs, which no reply can.
        text = message.encode(errors="backslashreplace").decode()
        self.message = shorten(text, _LONGEST)
        self.headers = tuple(headers)
        super().__init__(self.message)

    def document(self) -> dict[str, Any]:
        """Return the body of the reply."""
        return {"error": self.message}


class BadRequest(RequestError):
    """The body or a header isn't what the protocol says."""


class NotFound(RequestError):
    """There is no such route, endpoint or version."""

    status = 404
    exit_code = 2


class MethodNotAllowed(RequestError):
    """The route has other methods."""

    status = 405

    def __init__(self, method: str, allowed: Sequence[str]) -> None:
        listed = ", ".join(allowed)
        super().__init__(
            f"{method} isn't a method of this route; use {listed}", headers=(("allow", listed),)
        )


class NotAcceptable(RequestError):
    """The caller accepts none of the media types of the answer."""

    status = 406


class PayloadTooLarge(RequestError):
    """The request has more bytes or rows than the server accepts."""

    status = 413

    @classmethod
    def of_rows(cls, rows: int, most: int) -> PayloadTooLarge:
        """Return the error for a request with too many rows."""
        return cls(
            f"the request has {rows:,} rows, but the server accepts {most:,}: send fewer at once"
        )


class UnsupportedMediaType(RequestError):
    """The route doesn't read this content type or encoding."""

    status = 415


class BrokenRows(RequestError):
    """Rows break the contract: `findings` are the first ones, `count` counts all, `rejected` the rows."""

    status = 422
    exit_code = 3

    def __init__(
        self,
        contract: str,
        *,
        rows: int,
        rejected: int,
        findings: Sequence[RowFinding],
        count: int,
    ) -> None:
        self.contract = contract
        self.rows = rows
        self.rejected = rejected
        self.findings = tuple(findings)
        self.count = count
        broken = f"{rejected} of {rows} row{'s' * (rows != 1)}"
        shown = "; ".join(map(str, self.findings[:3]))
        more = f"; and {count - 3} more" if count > 3 else ""
        verb = "breaks" if rejected == 1 else "break"
        super().__init__(f"{broken} {verb} the contract {contract}: {shown}{more}")

    def document(self) -> dict[str, Any]:
        """Return the body of the reply: row, field, rule and value of the first findings."""
        return {
            "error": self.message,
            "contract": self.contract,
            "rows": self.rows,
            "rejected": self.rejected,
            "count": self.count,
            "findings": [item.document() for item in self.findings],
        }


class Unavailable(RequestError):
    """The server is overloaded or has no version that can serve; the caller may try again later."""

    status = 503

    def __init__(self, message: str, *, retry_after: int = 1) -> None:
        super().__init__(message, headers=(("retry-after", str(retry_after)),))


class Refusal(RequestError):
    """The caller may not ask this: 400, 401, 403, 421 or 429.

    `token` is the id of its token, `user` whom the proxy names, if that is known for certain.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        headers: Sequence[tuple[str, str]] = (),
        token: str = "",
        user: str = "",
    ) -> None:
        super().__init__(message, headers=headers)
        self.status = status
        self.token = token
        self.user = user


class ModelFailed(RequestError):
    """The model raised an error for rows that its contract accepts."""

    status = 500


class ReadingFailed(RequestError):
    """The server raised an error while it read a request, which says nothing about the model."""

    status = 500
