"""Pass what each server counted of a rollout to the one that judges, through the ledger."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Mapping
from typing import Protocol

import msgspec

from tidemill.core.errors import TidemillError
from tidemill.core.lazy_dataclass import dataclass
from tidemill.serving.observed_steps import ObservedSteps
from tidemill.serving.worker_messages import StepObserved

# Predictions of an arm in a message: those beyond tell little more of their distribution.
MOST_OUTPUTS = 500

_log = logging.getLogger("tidemill.serving")


class EvidenceMail(Protocol):
    """A place for one message to the server that judges."""

    def post(self, message: str) -> bool:
        """Leave a message; False while another one waits."""

    def take(self) -> str:
        """Take the message that waits; "" if there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceMessage:
    """What a server observed since its last message, which it numbers."""

    server: str
    number: int
    observed: Mapping[str, StepObserved]


_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(EvidenceMessage)


class SharedEvidence:
    """One server's part: it sends what it counted, or receives what others did.

    Each message counts once, though a ledger that doesn't answer may have it. One that is lost is lost for
    all gates alike. Only one thread at a time calls the methods.
    """

    def __init__(self, mail: EvidenceMail) -> None:
        self._mail = mail
        self._server = secrets.token_hex(8)
        self._number = 0
        self._own = ObservedSteps(MOST_OUTPUTS)
        self._under_way = ""
        self._known: dict[str, int] = {}

    def add(self, endpoint: str, step: StepObserved) -> None:
        """Have a step's counts sent with the next message."""
        self._own.add(endpoint, step)

    def send(self) -> None:
        """Try to send what was added; it stays for the next call while that isn't possible."""
        observed = dict(self._own)
        if not self._under_way and observed:
            self._number += 1
            message = EvidenceMessage(server=self._server, number=self._number, observed=observed)
            self._under_way, self._own = (
                _ENCODER.encode(message).decode(),
                ObservedSteps(MOST_OUTPUTS),
            )
        try:
            if self._under_way and self._mail.post(self._under_way):
                self._under_way = ""
        except TidemillError as error:
            _log.debug("evidence can't be sent now: %s", error)

    def receive(self) -> Mapping[str, StepObserved]:
        """What another server observed; nothing if there is no message, or none that can be read."""
        try:
            text = self._mail.take()
            message = _DECODER.decode(text) if text else None
        except (TidemillError, msgspec.DecodeError) as error:
            _log.debug("evidence can't be received now: %s", error)
            return {}
        if message is None or self._known.get(message.server, 0) >= message.number:
            return {}
        self._known[message.server] = message.number
        return message.observed
