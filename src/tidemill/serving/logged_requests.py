"""Requests that are logged with what was predicted for them, and which requests these are."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import NamedTuple

from tidemill.core.lazy_dataclass import dataclass
from tidemill.serving.answers import ModelAnswer, OutputTensor, ServedVersion
from tidemill.serving.input_schema import InputSchema
from tidemill.serving.rows import InferRequest

_RANGE = 1 << 64


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LoggedVersion:
    """A version as the log names it, and how its requests are read; `carrying` if they may carry columns."""

    served: ServedVersion
    outputs: Sequence[OutputTensor]
    schema: InputSchema
    carrying: InputSchema | None = None


class LoggedRequest(NamedTuple):
    """A request that was answered at `at` (Unix seconds) by the version that had this `arm`."""

    at: float
    id: bytes
    arm: str
    version: LoggedVersion
    request: InferRequest
    answer: ModelAnswer


class LogSample:
    """The requests of an endpoint that are logged: a share, by a hash of their key.

    All processes and restarts choose the same keys; other endpoints choose independently.
    """

    def __init__(self, endpoint: str, share: float) -> None:
        self.is_full = share >= 1
        self._limit = int(share * _RANGE)
        salt = blake2b(b"log " + endpoint.encode(), digest_size=32).digest()
        self._hash = blake2b(digest_size=8, key=salt)

    def has(self, key: bytes) -> bool:
        """Whether requests with this key are logged."""
        if self.is_full:
            return True
        hashed = self._hash.copy()
        hashed.update(key)
        return int.from_bytes(hashed.digest(), "big") < self._limit
