"""Only the proxy names users: whoever else sends its headers is refused."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.governance.permissions import Actor, ActorKind
from tidemill.ledger.access_token import TokenScope
from tidemill.serving.errors import Refusal
from tidemill.serving.proxied_user import (
    ProxiedUsers,
    ProxyTrust,
    secret_digest,
    secret_fault,
)
from tidemill.serving.proxy_settings import ProxySettings

SECRET = b"Ab" * 16
USER = (b"x-forwarded-user", b"ana@example.com")
PROOF = (b"tidemill-proxy-secret", SECRET)
OTHER = (b"host", b"localhost")


def users(secret: bytes = SECRET, **settings: str) -> ProxiedUsers:
    digest = secret_digest(secret) if secret else ""
    return ProxiedUsers(ProxyTrust(ProxySettings(**settings), digest))


def test_the_proxy_names_the_user() -> None:
    assert users().find([OTHER, USER, PROOF]) == Actor(
        name="ana@example.com",
        kind=ActorKind.PROXY,
        scopes=frozenset((TokenScope.PREDICT, TokenScope.READ)),
        origin="user whom the proxy names in X-Forwarded-User",
        is_local=False,
    )
    found = users(b"", user_header="Remote-User").find([(b"remote-user", "josé".encode())])
    assert found is not None
    assert found.name == "josé"


@pytest.mark.parametrize(
    "headers",
    [
        [OTHER],
        # A program that has a token may come through the proxy as well.
        [OTHER, PROOF],
        [OTHER, PROOF, (b"x-forwarded-user", b"")],
        [OTHER, PROOF, (b"x-forwarded-user", b"  ")],
        # Other headers, whatever some programs would take them for.
        [(b"x_forwarded_user", b"eve")],
        [(b"x-forwarded-user ", b"eve"), (b" x-forwarded-user", b"eve")],
        [(b"x-forwarded-groups", b"leads")],
    ],
)
def test_nobody_is_named(headers: list[tuple[bytes, bytes]]) -> None:
    assert users().find(headers) is None


@pytest.mark.parametrize(
    "proof",
    [
        [],
        [(b"tidemill-proxy-secret", b"")],
        [(b"tidemill-proxy-secret", SECRET.swapcase())],
        [(b"tidemill-proxy-secret", SECRET[:-1])],
        [(b"tidemill-proxy-secret", SECRET + b"x")],
        [(b"tidemill-proxy-secret", b" " + SECRET)],
        [(b"tidemill-proxy-secret", secret_digest(SECRET).encode())],
        [(b"tidemill_proxy_secret", SECRET)],
        [(b"tidemill-proxy-secret", b"\xff" * 32)],
    ],
)
@pytest.mark.parametrize("claim", [[USER], [(b"groups", b"leads")], [(b"x-forwarded-user", b"")]])
def test_who_has_not_the_secret_is_refused(
    claim: list[tuple[bytes, bytes]], proof: list[tuple[bytes, bytes]]
) -> None:
    with pytest.raises(Refusal) as caught:
        users(groups_header="Groups").find([OTHER, *claim, *proof])
    assert caught.value.status == 401
    assert caught.value.message == "only the proxy may say who asks: its secret is missing or wrong"


@pytest.mark.parametrize(
    ("headers", "says"),
    [
        ([USER, USER], "the X-Forwarded-User header occurs twice"),
        # That of the client, and that which the proxy appended.
        ([(b"x-forwarded-user", b"mallory"), USER], "the X-Forwarded-User header occurs twice"),
        ([USER, PROOF], "the Tidemill-Proxy-Secret header occurs twice"),
        ([USER, (b"groups", b"a"), (b"groups", b"b")], "the Groups header occurs twice"),
        ([(b"x-forwarded-user", b"ana, mallory")], "names several users"),
        ([(b"x-forwarded-user", b"x" * 257)], "has more than 256 bytes"),
        ([(b"x-forwarded-user", b"jos\xe9")], "the X-Forwarded-User header is not text in UTF-8"),
        ([USER, (b"groups", b"l\xe9ads")], "the Groups header is not text in UTF-8"),
        # What stands for something else in roles and records.
        ([(b"x-forwarded-user", b"*")], "names nobody"),
        ([(b"x-forwarded-user", b"@leads")], "names nobody"),
        ([(b"x-forwarded-user", b"role:admin")], "names nobody"),
        ([(b"x-forwarded-user", b"uid:0")], "names nobody"),
        ([(b"x-forwarded-user", b"ana\x00")], "names nobody"),
        ([(b"x-forwarded-user", "ana\u200b".encode())], "names nobody"),
        ([(b"x-forwarded-user", "\u202eana".encode())], "names nobody"),
        ([(b"x-forwarded-user", "\xa0".encode())], "names nobody"),
    ],
)  # fmt: skip
def test_names_that_nobody_can_have_are_refused(
    headers: list[tuple[bytes, bytes]], says: str
) -> None:
    with pytest.raises(Refusal, match=says) as caught:
        users(groups_header="Groups").find([PROOF, *headers])
    assert caught.value.status == 400
    assert "mallory" not in caught.value.message


def test_spaces_around_a_name_do_not_count() -> None:
    found = users().find([PROOF, (b"x-forwarded-user", b"\t ana ")])
    assert found is not None
    assert found.name == "ana"


def test_groups_are_listed() -> None:
    headers = [PROOF, USER, (b"groups", b"leads, /night ,, ")]
    found = users(groups_header="Groups").find(headers)
    assert found is not None
    assert found.groups == {"leads", "/night"}
    # A header that isn't one of the proxy's names no groups.
    found = users().find(headers)
    assert found is not None
    assert not found.groups


@given(st.lists(st.tuples(st.sampled_from([USER[0], PROOF[0], b"groups"]), st.binary(max_size=40))))
def test_nobody_is_named_without_the_secret(headers: list[tuple[bytes, bytes]]) -> None:
    with suppress(Refusal):
        assert users(groups_header="Groups").find(headers) is None
        assert not headers or SECRET in dict(headers).values()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is empty"),
        ("x" * 31, "has fewer than 32 characters"),
        ("x" * 32 + "é", "has characters that a header can't have"),
        ("x" * 20 + " " + "x" * 20, "has characters that a header can't have"),
        ("x" * 20 + "\n" + "x" * 20, "has characters that a header can't have"),
        ("x" * 32, ""),
    ],
)
def test_a_secret_can_be_sent_and_not_guessed(text: str, says: str) -> None:
    fault = secret_fault(text)
    assert fault.startswith(says) if says else not fault
