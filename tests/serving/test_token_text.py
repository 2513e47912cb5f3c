from __future__ import annotations

from tidemill.core.redaction import Redactor, redact
from tidemill.serving.token_text import (
    ID_LENGTH,
    SECRET_LENGTH,
    token_digest,
    token_id,
    token_text,
)

TEXT = token_text("4kq0z7c2wm", "aB3" * 14 + "x")


def test_a_token_has_an_id_and_256_bits() -> None:
    assert TEXT == "tm_4kq0z7c2wm_" + "aB3" * 14 + "x"
    assert len(TEXT) == len("tm__") + ID_LENGTH + SECRET_LENGTH
    assert 62**SECRET_LENGTH > 2**256
    assert token_id(TEXT.encode()) == "4kq0z7c2wm"


def test_other_text_has_no_id_of_a_token() -> None:
    for text in (b"", b"tm_", b"\xff\xfe", b"x" * 5000):
        assert len(token_id(text)) <= ID_LENGTH


def test_the_digest_is_that_of_the_whole_text() -> None:
    assert token_digest(b"abc").startswith("ba7816bf")
    assert token_digest(TEXT.encode()) != token_digest(TEXT.replace("4", "5", 1).encode())


def test_every_token_is_masked() -> None:
    assert redact(f"GET /?t={TEXT} failed") == "GET /?t=tm_4kq0z7c2wm_*** failed"
    assert Redactor().mask(f"x{TEXT}") == "xtm_4kq0z7c2wm_***"
