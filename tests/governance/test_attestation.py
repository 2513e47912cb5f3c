"""Attestations are refused unless a trusted key signed exactly what they say."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.governance.test_dsse import PlainKey
from tests.governance.test_in_toto import good
from tidemill.core.errors import AttestationError
from tidemill.governance.attestation import AttestationReport, VerifiedFile, open_attestation
from tidemill.governance.dsse import signed_envelope
from tidemill.governance.in_toto import PAYLOAD_TYPE
from tidemill.governance.json_text import canonical_json


class OtherKey(PlainKey):
    """A key whose signatures differ."""

    id = "other"

    def sign(self, message: bytes) -> bytes:
        return b"other" + message

    def verifies(self, signature: bytes, message: bytes) -> bool:
        return signature == b"other" + message


def signed(
    payload: bytes, *, form: str = PAYLOAD_TYPE, key: PlainKey | None = None, hint: str = ""
) -> str:
    key = key or PlainKey()
    return signed_envelope(form, payload, key, hint or key.id).text


PAYLOAD = canonical_json(good())
TEXT = signed(PAYLOAD)


def test_what_a_trusted_key_signed_is_opened() -> None:
    document, signers = open_attestation(TEXT.encode(), [OtherKey(), PlainKey()])
    assert document == good()
    assert signers == ("plain",)


def edited(change: Callable[[dict[str, Any]], object]) -> bytes:
    document = json.loads(TEXT)
    change(document)
    return json.dumps(document).encode()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (PAYLOAD, "no list of signatures"),
        (edited(lambda it: it.update(signatures=[])), "it isn't signed"),
        (edited(lambda it: it.update(payload="e30=")), "was changed"),
        (edited(lambda it: it.update(payload=it["payload"][:-1])), "isn't base64"),
        (edited(lambda it: it.update(payloadType="text/plain")), "was changed"),
        (edited(lambda it: it["signatures"][0].update(sig="eA==")), "was changed"),
        (edited(lambda it: it["signatures"][0].update(sig="eA==", keyid="")), "it names no key"),
        (signed(PAYLOAD, key=OtherKey()).encode(), "by a trusted key: it names other, trusted is plain"),
        (signed(PAYLOAD, key=OtherKey(), hint="plain").encode(), "was changed"),
        (signed(PAYLOAD, form="application/json").encode(), "payloadType is 'application/json'"),
        (signed(b"{}").encode(), "isn't one of provenance"),
        (signed(b"[]").encode(), "isn't a JSON object"),
        (signed(b"{").encode(), "its payload isn't JSON"),
        (signed(PAYLOAD.replace(b'"subject":', b'"subject":[],"subject":')).encode(), "'subject' twice"),
        (TEXT.replace('"payload":', '"payload": "e30=", "payload":').encode(), "'payload' twice"),
        (TEXT[:-30].encode(), "isn't JSON"),
    ],
)  # fmt: skip
def test_anything_else_is_refused(text: bytes, message: str) -> None:
    with pytest.raises(AttestationError, match=message):
        open_attestation(text, [PlainKey()])


@given(st.data())
def test_no_edit_of_what_is_signed_is_accepted(data: st.DataObject) -> None:
    """Whatever bytes are replaced, the attestation says the same as before, or is refused."""
    text = TEXT.encode()
    at = data.draw(st.integers(0, len(text)))
    until = data.draw(st.integers(at, min(len(text), at + 40)))
    other = text[:at] + data.draw(st.binary(max_size=40)) + text[until:]
    try:
        document, signers = open_attestation(other, [PlainKey()])
    except AttestationError:
        return
    assert (document, signers) == (good(), ("plain",))


@given(st.data())
def test_no_statement_signed_by_nobody_is_accepted(data: st.DataObject) -> None:
    """A statement with any value changed, in the envelope of the original."""
    document = good()
    name = data.draw(st.sampled_from(["a", "b"]))
    digest = data.draw(st.text("0123456789abcdef", min_size=64, max_size=64))
    document["subject"][0] |= {"name": name, "digest": {"sha256": digest}}
    payload = canonical_json(document)
    forged = json.loads(TEXT)
    forged["payload"] = json.loads(signed(payload, key=OtherKey()))["payload"]
    if payload == PAYLOAD:
        return
    with pytest.raises(AttestationError):
        open_attestation(json.dumps(forged).encode(), [PlainKey()])


def test_a_report_is_valid_without_faults() -> None:
    file = VerifiedFile(name="a", sha256="0")
    assert AttestationReport(name="x", files=(file,)).is_valid
    assert not AttestationReport(name="x", fault="it isn't signed").is_valid
    bad = VerifiedFile(name="a", sha256="0", fault="differs")
    assert not AttestationReport(name="x", files=(file, bad)).is_valid
