"""Port: a server that tracks runs and registers models, as MLflow defines it by HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from tidemill.core.payload import Payload


class TrackingServer(Protocol):
    """Asks one server, one request after the other.

    All raise SendError if the server can't be reached, doesn't answer in time or is overloaded, and
    RefusedError, which is one, if it refuses the request.
    """

    @property
    def place(self) -> str:
        """The URL of the server, without credentials."""

    def call(
        self, method: str, name: str, fields: Mapping[str, Any] | None = None
    ) -> Mapping[str, Any]:
        """Call a method of the API by its name, such as "runs/create", and return its answer."""

    def list_files(self, uri: str) -> Mapping[str, int | None]:
        """Return the names in a folder of files that the server keeps, with their sizes (None: a folder).

        RefusedError, as for a file, if its URI isn't one of the server: it doesn't pass these files on.
        """

    def read_file(self, uri: str) -> bytes:
        """Return a file that the server keeps, by its URI."""

    def write_file(self, uri: str, payload: Payload) -> None:
        """Have the server keep a file; one of that URI is replaced."""

    def close(self) -> None:
        """Close the connection; a later request opens it again."""
