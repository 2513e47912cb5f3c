"""A request that is refused because of who sent it, before it is read."""

from __future__ import annotations

from collections.abc import Sequence

from tidemill.serving.errors import RequestError


class Refusal(RequestError):
    """The caller may not ask this: 400, 401, 403, 421 or 429."""

    def __init__(
        self, status: int, message: str, *, headers: Sequence[tuple[str, str]] = ()
    ) -> None:
        super().__init__(message, headers=headers)
        self.status = status
