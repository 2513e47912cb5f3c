"""Envelopes of signed bytes, which bind a payload to its type (DSSE).

Source: https://github.com/secure-systems-lab/dsse, protocol.md 1.0.0 and envelope.md 1.0.2.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable
from typing import Any, Protocol

from tidemill.core.errors import AttestationError
from tidemill.core.lazy_dataclass import dataclass
from tidemill.governance.json_text import parse_json

_PLAIN_LETTERS, _URL_LETTERS = "+/", "-_"


class Signer(Protocol):
    """A private key: signs messages."""

    def sign(self, message: bytes, /) -> bytes: ...


class Verifier(Protocol):
    """A public key: knows its id, and which signatures were made with its private key."""

    @property
    def id(self) -> str: ...

    def verifies(self, signature: bytes, message: bytes, /) -> bool: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """A signature, and the id of its key: a hint, which isn't signed."""

    key_id: str
    value: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """A payload of a type, with its signatures."""

    payload_type: str
    payload: bytes
    signatures: tuple[Signature, ...] = ()

    @property
    def message(self) -> bytes:
        """The bytes that are signed."""
        return pre_authentication_encoding(self.payload_type, self.payload)

    @property
    def text(self) -> str:
        """The envelope as a document of JSON."""
        document = {
            "payload": _encoded(self.payload),
            "payloadType": self.payload_type,
            "signatures": [
                {"keyid": each.key_id, "sig": _encoded(each.value)} for each in self.signatures
            ],
        }
        return f"{json.dumps(document, indent=2)}\n"

    def signers(self, keys: Iterable[Verifier]) -> tuple[str, ...]:
        """The ids of those `keys` that one of the signatures was made with."""
        message = self.message
        return tuple(
            key.id
            for key in keys
            if any(key.verifies(each.value, message) for each in self.signatures)
        )


def pre_authentication_encoding(payload_type: str, payload: bytes) -> bytes:
    """The bytes to sign: the type and the payload, each with its length (PAE, DSSEv1)."""
    name = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(name), name, len(payload), payload)


def signed_envelope(payload_type: str, payload: bytes, key: Signer, key_id: str) -> Envelope:
    """Sign a payload."""
    value = key.sign(pre_authentication_encoding(payload_type, payload))
    signature = Signature(key_id=key_id, value=value)
    return Envelope(payload_type=payload_type, payload=payload, signatures=(signature,))


def parse_envelope(text: bytes) -> Envelope:
    """Read an envelope; AttestationError says what of it isn't as the specification says.

    Fields that it doesn't know are ignored, as the specification asks.
    """
    document = parse_json(text, "the envelope")
    if not isinstance(document, dict):
        raise AttestationError("the envelope isn't a JSON object")
    listed = document.get("signatures")
    if not isinstance(listed, list):
        raise AttestationError("the envelope has no list of signatures")
    return Envelope(
        payload_type=_text(document, "payloadType", "the envelope"),
        payload=_decoded(_text(document, "payload", "the envelope"), "payload"),
        signatures=tuple(map(_signature, listed)),
    )


def _signature(value: Any) -> Signature:
    if not isinstance(value, dict):
        raise AttestationError("a signature isn't a JSON object")
    key_id = value.get("keyid") or ""
    if not isinstance(key_id, str):
        raise AttestationError("the keyid of a signature isn't text")
    return Signature(key_id=key_id, value=_decoded(_text(value, "sig", "a signature"), "sig"))


def _text(document: dict[str, Any], name: str, place: str) -> str:
    value = document.get(name)
    if not isinstance(value, str):
        raise AttestationError(f"{place} has no text {name!r}")
    return value


def _encoded(value: bytes) -> str:
    return base64.b64encode(value).decode()


def _decoded(text: str, name: str) -> bytes:
    """Decode base64 with either alphabet; only what an encoder writes is accepted."""
    letters = _URL_LETTERS if any(letter in text for letter in _URL_LETTERS) else _PLAIN_LETTERS
    try:
        value = base64.b64decode(text, altchars=letters.encode(), validate=True)
    except (binascii.Error, ValueError) as error:
        raise AttestationError(f"{name!r} of the envelope isn't base64: {error}") from None
    if base64.b64encode(value, altchars=letters.encode()).decode() != text:
        raise AttestationError(f"{name!r} of the envelope isn't base64 as an encoder writes it")
    return value
