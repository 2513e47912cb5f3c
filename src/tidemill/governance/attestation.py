"""Attestations: signed statements about models and tables, and what verification found."""

from __future__ import annotations

from collections.abc import Sequence

from tidemill.core.errors import AttestationError
from tidemill.core.lazy_dataclass import dataclass
from tidemill.governance.dsse import Envelope, Verifier, parse_envelope
from tidemill.governance.in_toto import PAYLOAD_TYPE, Json, statement_faults
from tidemill.governance.json_text import parse_json


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedFile:
    """What was found of a file that a statement is about; `fault` says what differs, "" if nothing."""

    name: str
    sha256: str
    fault: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AttestationReport:
    """What verification found: the keys that signed, and each file.

    `fault` says why the attestation itself isn't valid; nothing else is known then.
    """

    name: str
    stage: str = ""
    run: str = ""
    keys: tuple[str, ...] = ()
    files: tuple[VerifiedFile, ...] = ()
    fault: str = ""

    @property
    def is_valid(self) -> bool:
        """Whether the attestation is valid and all of its files are what it says."""
        return not self.fault and not any(file.fault for file in self.files)


def open_attestation(text: bytes, keys: Sequence[Verifier]) -> tuple[Json, tuple[str, ...]]:
    """The statement of an attestation, and the ids of the keys that signed it.

    AttestationError says why it isn't valid: no envelope, not signed by one of the `keys`, of another type,
    or no statement of provenance.
    """
    envelope = parse_envelope(text)
    if not envelope.signatures:
        raise AttestationError("it isn't signed")
    signers = envelope.signers(keys)
    if not signers:
        raise AttestationError(_unknown_signer(envelope, keys))
    if envelope.payload_type != PAYLOAD_TYPE:
        raise AttestationError(f"its payloadType is {envelope.payload_type!r}, not {PAYLOAD_TYPE}")
    document = parse_json(envelope.payload, "its payload")
    if faults := statement_faults(document):
        raise AttestationError(f"its statement isn't one of provenance: {'; '.join(faults)}")
    return document, signers


def _unknown_signer(envelope: Envelope, keys: Sequence[Verifier]) -> str:
    trusted = {key.id for key in keys}
    named = ", ".join(each.key_id[:12] or "no key" for each in envelope.signatures)
    if trusted & {each.key_id for each in envelope.signatures}:
        return f"its signature by {named} doesn't fit: the payload or the signature was changed"
    own = ", ".join(sorted(key[:12] for key in trusted))
    return f"no signature is by a trusted key: it names {named}, trusted is {own}"
