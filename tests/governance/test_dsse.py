"""Envelopes: the published test vector, what is written is read, and what was changed is refused."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from hypothesis import given
from hypothesis import strategies as st

from tests.support.mutated_json import mutated_bytes
from tidemill.core.errors import AttestationError
from tidemill.governance.dsse import (
    Envelope,
    Signature,
    parse_envelope,
    pre_authentication_encoding,
    signed_envelope,
)

# https://github.com/secure-systems-lab/dsse, protocol.md 1.0.0, "Test Vectors": ECDSA over NIST P-256 and
# SHA-256, the signature as the concatenation of r and s.
VECTOR_TYPE, VECTOR_BODY = "http://example.com/HelloWorld", b"hello world"
VECTOR_ENCODING = b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
VECTOR_X = 46950820868899156662930047687818585632848591499744589407958293238635476079160
VECTOR_Y = 5640078356564379163099075877009565129882514886557779369047442380624545832820
VECTOR_ENVELOPE = b"""\
{"payload": "aGVsbG8gd29ybGQ=",
 "payloadType": "http://example.com/HelloWorld",
 "signatures": [{"sig":
   "A3JqsQGtVsJ2O2xqrI5IcnXip5GToJ3F+FnZ+O88SjtR6rDAajabZKciJTfUiHqJPcIAriEGAHTVeCUjW2JIZA=="}]}
"""


class VectorKey:
    """The public key of the test vector."""

    id = "vector"

    def verifies(self, signature: bytes, message: bytes) -> bool:
        key = ec.EllipticCurvePublicNumbers(VECTOR_X, VECTOR_Y, ec.SECP256R1()).public_key()
        r, s = (int.from_bytes(half) for half in (signature[:32], signature[32:]))
        try:
            key.verify(encode_dss_signature(r, s), message, ec.ECDSA(hashes.SHA256()))
        except InvalidSignature:
            return False
        return True


class PlainKey:
    """A signer and verifier that needs no library: the signature is the message, reversed."""

    id = "plain"

    def sign(self, message: bytes) -> bytes:
        return message[::-1]

    def verifies(self, signature: bytes, message: bytes) -> bool:
        return signature[::-1] == message


def test_the_encoding_is_that_of_the_published_vector() -> None:
    assert pre_authentication_encoding(VECTOR_TYPE, VECTOR_BODY) == VECTOR_ENCODING


def test_the_published_envelope_is_read_and_verified() -> None:
    found = parse_envelope(VECTOR_ENVELOPE)
    assert (found.payload_type, found.payload) == (VECTOR_TYPE, VECTOR_BODY)
    assert found.signers([VectorKey()]) == ("vector",)
    other = Envelope(payload_type=VECTOR_TYPE, payload=b"hello worle", signatures=found.signatures)
    assert other.signers([VectorKey()]) == ()


def test_lengths_count_bytes() -> None:
    assert pre_authentication_encoding("ü", "é".encode()) == b"DSSEv1 2 \xc3\xbc 2 \xc3\xa9"


@given(st.tuples(st.text(), st.binary()), st.tuples(st.text(), st.binary()))
def test_no_two_messages_share_their_encoding(
    one: tuple[str, bytes], other: tuple[str, bytes]
) -> None:
    same = pre_authentication_encoding(*one) == pre_authentication_encoding(*other)
    assert same == (one == other)


@given(st.text(), st.binary(), st.lists(st.tuples(st.text(), st.binary(max_size=80)), max_size=3))
def test_what_is_written_is_read(
    name: str, payload: bytes, signatures: list[tuple[str, bytes]]
) -> None:
    made = Envelope(
        payload_type=name,
        payload=payload,
        signatures=tuple(Signature(key_id=key, value=value) for key, value in signatures),
    )
    assert parse_envelope(made.text.encode()) == made


@given(st.binary(max_size=60))
def test_both_alphabets_of_base64_are_read(payload: bytes) -> None:
    document: dict[str, Any] = {"payloadType": "t", "signatures": [], "more": 1}
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        document["payload"] = encode(payload).decode()
        assert parse_envelope(json.dumps(document).encode()).payload == payload


def test_any_of_several_signatures_counts_whatever_its_key_id_says() -> None:
    made = signed_envelope("t", b"x", PlainKey(), "another id")
    [own] = made.signatures
    wrong = Signature(key_id="plain", value=b"")
    both = Envelope(payload_type="t", payload=b"x", signatures=(wrong, own))
    assert both.signers([PlainKey()]) == ("plain",)
    assert Envelope(payload_type="t", payload=b"x").signers([PlainKey()]) == ()


GOOD = {"payload": "eA==", "payloadType": "t", "signatures": [{"sig": "eA==", "keyid": None}]}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "isn't JSON"),
        (b"\xff", "isn't UTF-8"),
        (b"[]", "isn't a JSON object"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"payload": NaN}', "has NaN"),
        (b'{"payload": ' + b"1" * 5_000 + b"}", "too long a number"),
        (b'{"payload": "eA==", "payload": "eQ=="}', "has the key 'payload' twice"),
        ({**GOOD, "payload": None}, "no text 'payload'"),
        ({**GOOD, "payload": "eA="}, "isn't base64"),
        ({**GOOD, "payload": "eA"}, "isn't base64"),
        ({**GOOD, "payload": "eB=="}, "as an encoder writes it"),
        ({**GOOD, "payload": "e A=="}, "isn't base64"),
        ({**GOOD, "payload": "+-=="}, "isn't base64"),
        ({**GOOD, "payload": "ü"}, "isn't base64"),
        ({**GOOD, "payloadType": 3}, "no text 'payloadType'"),
        ({**GOOD, "payloadType": "\ud800"}, "the envelope has half of a surrogate pair"),
        ({**GOOD, "more": {"\udfff": 1}}, "half of a surrogate pair"),
        (b'{"payload": "\xed\xa0\x80"}', "isn't UTF-8"),
        ({**GOOD, "signatures": {}}, "no list of signatures"),
        ({**GOOD, "signatures": ["x"]}, "a signature isn't a JSON object"),
        ({**GOOD, "signatures": [{"sig": 1}]}, "a signature has no text 'sig'"),
        ({**GOOD, "signatures": [{"sig": "eA==", "keyid": 1}]}, "isn't text"),
    ],
)
def test_what_is_no_envelope_is_refused(text: bytes | dict[str, Any], message: str) -> None:
    assert parse_envelope(json.dumps(GOOD).encode()).payload == b"x"
    with pytest.raises(AttestationError, match=message):
        parse_envelope(text if isinstance(text, bytes) else json.dumps(text).encode())


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(text: bytes) -> None:
    try:
        parse_envelope(text)
    except AttestationError:
        return


SIGNED = signed_envelope("t", b'{"a": 1}', PlainKey(), "plain")


@given(mutated_bytes(json.loads(SIGNED.text)))
def test_no_change_of_an_envelope_is_signed(text: bytes) -> None:
    """What isn't signed may differ: the id of the key, the alphabet, more fields."""
    try:
        found = parse_envelope(text)
    except AttestationError:
        return
    if found.signers([PlainKey()]):
        assert (found.payload_type, found.payload) == ("t", b'{"a": 1}')
