"""The messages between a run and a worker on a node; frames are those of the process lane."""

from __future__ import annotations

from typing import Any

import msgspec

# The environment variable by which a job gets the token of its run.
TOKEN_VARIABLE = "TIDEMILL_SLURM_TOKEN"
# Calls with this number aren't answered.
UNANSWERED = -1


class NodeCall(msgspec.Struct, array_like=True, gc=False):
    """A call of a method of the worker."""

    number: int
    method: str
    arguments: list[Any]


class NodeAnswer(msgspec.Struct, array_like=True, gc=False):
    """The answer to the call of the same number; `error` is (type, message).

    The first answer of a worker has as result the name of its job.
    """

    number: int
    result: Any = None
    error: tuple[str, str] | None = None


call_decoder = msgspec.msgpack.Decoder(NodeCall)
answer_decoder = msgspec.msgpack.Decoder(NodeAnswer)
