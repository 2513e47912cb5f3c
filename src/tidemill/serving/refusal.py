"""A request that is refused because of who sent it, before it is read."""

from __future__ import annotations

from collections.abc import Sequence


class Refusal(Exception):
    """A request is refused: the status and the headers of the reply, and the message for the caller."""

    def __init__(
        self, status: int, message: str, *, headers: Sequence[tuple[str, str]] = ()
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.headers = tuple(headers)

    def document(self) -> dict[str, str]:
        """Return the body of the reply."""
        return {"error": self.message}
