"""Secrets are masked in URLs, parameters and logs, and the text around them stays readable."""

from __future__ import annotations

import json
import random
import string
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.core.redaction import MASK, Redactor, known_pattern, redact, url_secrets
from tidemill.core.url_syntax import url_ambiguity

EXAMPLES = 10_000
HOST = "db.example.com"
SPECIAL = "#?/@:%&=+ ;,!$^*()[]{}<>|~`'\"\\-_.é€"


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        # What was reproduced: `#`, `?`, `/` and `@` that weren't encoded.
        ("postgresql://alice:hunter2#secret@host/db", "postgresql://***@host/db"),
        ("postgresql://alice:hun?ter@2/x@host:5/db", "postgresql://***@host:5/db"),
        ("at postgresql://alice@host/db, twice", "at postgresql://***@host/db, twice"),
        # Parameters with secret names, also with an `@` in the value.
        ("https://h/x?page=2&token=abc&limit=5", "https://h/x?page=2&token=***&limit=5"),
        ("https://h/x?X-Amz-Signature=abc", "https://h/x?X-Amz-Signature=***"),
        ("see https://h/x?key=abc, then go on", "see https://h/x?key=***, then go on"),
        ("postgresql://h/db?password=hun@ter2 down", "postgresql://*** down"),
        ("postgresql://u:p@h/db?password=b&sslmode=x", "postgresql://***@h/db?password=***&sslmode=x"),
        ("https://u:a?token=b@h/x", "https://***"),
        # Quotes around a URL end it; quotes in a password don't.
        ('{"url":"mysql://u:p@h/db","mail":"a@b.c"}', '{"url":"mysql://***@h/db","mail":"a@b.c"}'),
        ('open "mysql://u:p"w@h/db" now', 'open "mysql://***@h/db" now'),
        ('open "mysql://u:p\\"w@h/db" now', 'open "mysql://***@h/db" now'),
        ("mysql://u:my word@h/db is down", "mysql://***@h/db is down"),
        ("mysql://u:my word is down", "mysql://u:*** word is down"),
        ("https://h/x?next=https://u:p@b/c is gone", "https://***@b/c is gone"),
        ("two: a://u:p@h/1 and b://u:q@h/2", "two: a://***@h/1 and b://***@h/2"),
        # No credentials: nothing changes.
        ("http://localhost:8080/x?page=5 and a@b.c", "http://localhost:8080/x?page=5 and a@b.c"),
        ("https://[::1]:80/ and h1:1", "https://[::1]:80/ and h1:1"),
        ("postgresql://h1:1,h2:2/db?x=y", "postgresql://h1:1,h2:2/db?x=y"),
        ("s3://bucket/key=5/x.parquet", "s3://bucket/key=5/x.parquet"),
        ("sqlite:////home/x.db", "sqlite:////home/x.db"),
        # Lists of keywords, in the forms of libpq, ODBC, Python, JSON and HTTP.
        ("host=h password=hunter2 dbname=d", "host=h password=*** dbname=d"),
        (r"password='it\'s mine' dbname=d", "password='***' dbname=d"),
        ('password = "a ""b""", then', 'password = "***", then'),
        ("password='cut off", "password='***"),
        ("password=", "password="),
        ("Server=h;Pwd=my word;Database=d", "Server=h;Pwd=***;Database=d"),
        ("Password=my word;Server=h", "Password=***;Server=h"),
        ("AccountKey=abc==;EndpointSuffix=x", "AccountKey=***"),
        ("connect(password=abc, host=h)", "connect(password=***, host=h)"),
        ("f(signature=q(a, b), host=h)", "f(signature=***, host=h)"),
        ("signature=q(a, f(b, c)), then", "signature=***, then"),
        ("token=[1, 2] secret={'a': 1, 'b': {}}.", "token=*** secret=***"),
        ("password=a(b, then", "password=***, then"),
        ("grant_type=x&client_secret=a&user=b", "grant_type=x&client_secret=***&user=b"),
        ("{'password': 'a\"b', 'user': 'x'}", "{'password': '***', 'user': 'x'}"),
        ("Authorization: Bearer abc.def", "Authorization: Bearer ***"),
        ("sent Bearer abcdefghijklmnopqrst", "sent Bearer ***"),
        # Words that only look like it.
        ("key=['id'] is missing", "key=['id'] is missing"),
        ("column token: 3 rows", "column token: 3 rows"),
        ("password authentication failed for user 'bob'", "password authentication failed for user 'bob'"),
        ("max_tokens=512 and password == x", "max_tokens=512 and password == x"),
        ("basic arithmetic, compass=3", "basic arithmetic, compass=3"),
    ],
)  # fmt: skip
def test_what_is_masked(text: str, masked: str) -> None:
    assert redact(text) == masked
    assert redact(masked) == masked


def secret_of(draw: random.Random, special: str = SPECIAL) -> tuple[str, list[str]]:
    """A secret, and the words in it that must not be seen."""
    words = ["".join(draw.choices(string.ascii_letters + string.digits, k=6)) for _ in range(3)]
    words = words[: draw.randint(1, 3)]
    joints = ["".join(draw.choices(special, k=draw.randint(1, 2))) for _ in words[1:]]
    pairs = zip(words, [*joints, ""], strict=True)
    return "".join(word + joint for word, joint in pairs), words


def quoted(draw: random.Random, text: str) -> str:
    mark = draw.choice(["", *(mark for mark in "'\"`" if mark not in text)])
    return f"{mark}{text}{mark}"


def raw_url(draw: random.Random) -> tuple[str, list[str]]:
    """A URL whose password was pasted as it is."""
    secret, words = secret_of(draw, SPECIAL.replace(" ", ""))
    return quoted(draw, f"postgresql://alice:{secret}@{HOST}:5432/shop?sslmode=require"), words


def encoded_url(draw: random.Random) -> tuple[str, list[str]]:
    secret, words = secret_of(draw)
    return quoted(draw, f"mysql://alice:{quote(secret, safe='')}@{HOST}/shop"), words


def url_with_parameters(draw: random.Random) -> tuple[str, list[str]]:
    secret, words = secret_of(draw)
    names = ("token", "api_key", "sig", "X-Amz-Signature", "password", "access_token", "apikey")
    value = quote_plus(secret)
    url = f"https://{HOST}/v1/shop?page=2&{draw.choice(names)}={value}&limit=5"
    return quoted(draw, url), words


def libpq_list(draw: random.Random) -> tuple[str, list[str]]:
    secret, words = secret_of(draw)
    value = secret.replace("\\", "\\\\").replace("'", "\\'")
    return f"host={HOST} user=alice password='{value}' dbname=shop", words


def bare_list(draw: random.Random) -> tuple[str, list[str]]:
    secret, words = secret_of(draw, "-_.!$*()@:/#?%+")
    return f"host={HOST} PASSWORD = {secret} dbname=shop", words


def odbc_list(draw: random.Random) -> tuple[str, list[str]]:
    secret, words = secret_of(draw, SPECIAL.translate(dict.fromkeys(map(ord, ";\"'`"))))
    return f"Server={HOST};Uid=alice;Pwd={secret};Database=shop", words


def python_log(draw: random.Random) -> tuple[str, list[str]]:
    secret, words = secret_of(draw)
    return repr({"host": HOST, "db_password": secret, "dbname": "shop"}), words


def json_log(draw: random.Random) -> tuple[str, list[str]]:
    secret, words = secret_of(draw)
    record = {"host": HOST, "api_token": secret, "dbname": "shop"}
    return json.dumps(record, ensure_ascii=draw.random() < 0.5), words


def http_log(draw: random.Random) -> tuple[str, list[str]]:
    secret, words = secret_of(draw, "-_./+~")
    return f"GET {HOST}/shop Authorization: {draw.choice(['Bearer', 'Basic'])} {secret}", words


KINDS = (raw_url, encoded_url, url_with_parameters, libpq_list, bare_list, odbc_list, python_log,
         json_log, http_log)  # fmt: skip


def test_no_secret_is_seen_in_urls_lists_and_logs_and_the_rest_stays_readable() -> None:
    draw = random.Random(16)
    for number in range(EXAMPLES):
        kind: Callable[[random.Random], tuple[str, list[str]]] = KINDS[number % len(KINDS)]
        text, words = kind(draw)
        line = f"2026-11-27 09:30 ERROR first: {text} last: try 3"
        masked = redact(line)
        assert not [word for word in words if word in masked], line
        assert masked.startswith("2026-11-27 09:30 ERROR first: "), line
        assert masked.endswith(" last: try 3"), line
        assert HOST in masked, line
        assert "shop" in masked, line
        assert redact(masked) == masked, line


def test_no_configured_secret_is_seen_however_a_driver_writes_it() -> None:
    draw = random.Random(17)
    for _ in range(1000):
        secret, words = secret_of(draw)
        url = f"postgresql://alice:{quote(secret, safe='')}@{HOST}/shop"
        mask = Redactor(url_secrets(url)).mask
        spellings = (
            *(secret, repr(secret), json.dumps(secret), quote(secret), quote(secret, safe="")),
            *(quote_plus(secret), secret.replace("'", "''")),
        )
        for spelling in spellings:
            said = f"first <{spelling}> last"
            masked = mask(said)
            assert not [word for word in words if word in masked], said
            assert (masked[:7], masked[-6:]) == ("first <", "> last")


def test_a_short_or_ordinary_secret_is_masked_only_where_it_stands_alone() -> None:
    redactor = Redactor(["postgres", "abc"])
    assert redactor.mask("postgresql: postgres abcd abc") == f"postgresql: {MASK} abcd {MASK}"


def test_a_redactor_learns_and_masks_the_longest_value_first() -> None:
    redactor = Redactor()
    assert redactor.mask("hunter22 hunter2-more") == "hunter22 hunter2-more"
    redactor.learn(["hunter2", "hunter2-more"])
    redactor.learn(["hunter2"])
    assert redactor.secrets == {"hunter2", "hunter2-more"}
    assert redactor.redact("hunter2-more https://u:p@h") == f"{MASK} https://{MASK}@h"


def test_nothing_is_no_secret() -> None:
    assert known_pattern(["", MASK]) is None


@pytest.mark.parametrize(
    ("url", "secrets"),
    [
        ("postgresql://alice:hunter2@host/db?sslmode=x&sslpassword=y", {"hunter2", "y"}),
        ("postgresql://alice:a/b#c?d@e@host/db", {"a/b#c?d@e"}),
        ("postgresql://alice@host/db", set()),
        ("sqlite:///shop.db", set()),
        ("", set()),
    ],
)
def test_secrets_of_a_url(url: str, secrets: set[str]) -> None:
    assert url_secrets(url) == secrets


@given(st.text(max_size=200))
def test_any_text_is_masked_once(text: str) -> None:
    masked = redact(text)
    assert redact(masked) == masked


@given(st.text(min_size=1, max_size=30))
def test_a_url_with_an_encoded_password_is_unambiguous_and_keeps_its_host(password: str) -> None:
    url = f"postgresql://alice:{quote(password.encode(errors='replace'), safe='')}@host:5/db"
    assert url_ambiguity(url) == ""
    assert redact(url) == "postgresql://***@host:5/db"
