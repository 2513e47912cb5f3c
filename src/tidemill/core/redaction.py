"""Remove secrets from text that leaves the process: messages, logs, the ledger, JSON documents.

Two kinds of secrets are removed: the values that a project is configured with (the credentials of its
source URLs), and whatever stands where credentials stand: before the `@` of a URL, and as the value of a
parameter with a secret name. The second kind needs no configuration, but is limited to one URL or one
`name=value`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from typing import TypeAlias

MASK = "***"
Redact: TypeAlias = Callable[[str], str]


def _pattern(text: str, flags: re.RegexFlag = re.NOFLAG) -> Callable[[], re.Pattern[str]]:
    """A pattern that is compiled at first use: most commands print nothing that needs it."""
    return cache(lambda: re.compile(text, flags))


# Shorter values, and ordinary words, are masked only where they stand alone.
_DISTINCT = 6
_SCHEME = _pattern(r"[A-Za-z][A-Za-z0-9+.\-]*://")
_NAME = r"[A-Za-z_][\w.\-]*"
# In a name of a parameter, separators and case don't count.
_SECRET_NAME = _pattern(
    r"pass(word|wd|phrase|code)|^pass$|pwd|secret|token(?!s)|credential|signature|^x?sig$|^sas$|^auth$|"
    r"authorization|^bearer$|^code$|key$|^jwt$|session"
)
# Parts of names that mark a secret outside of a URL, where `key=` and `code=` have other meanings.
_PAIR_START = _pattern(
    r"(?P<name>(?:pass(?:word|wd|phrase|code)|pwd|secret|token(?!s)|credential|signature|authorization|"
    r"(?:api|access|account|private|shared)[_-]?key)[\w.\-]{0,40})"
    r"(?P<quote>[\"']?)[^\S\n]*(?P<sign>=(?!=)|:)[^\S\n]*(?:(?:Bearer|Basic|Token)[^\S\n]+)?",
    re.IGNORECASE,
)
# One of these is in every text that `_PAIR_START` matches, in lower case.
_MARKS = (
    *("pass", "pwd", "secret", "token", "credential", "signature", "authorization"),
    *("apikey", "api_key", "api-key", "accesskey", "access_key", "access-key", "accountkey"),
    *("account_key", "account-key", "privatekey", "private_key", "private-key", "sharedkey"),
    *("shared_key", "shared-key"),
)
_PARAMETER = _pattern(
    rf"[?&;#](?P<name>{_NAME})=(?P<value>.*?)(?=[&;](?:amp;)?{_NAME}=|[,;.)\]}}'\"`]*$)", re.DOTALL
)
# A token of `tidemill tokens create`; its id is no secret.
_TOKEN = _pattern(r"(tm_[0-9a-z]{10}_)[0-9A-Za-z]{16,}")
_BEARER = _pattern(r"\b((?:Bearer|Basic)\s+)([A-Za-z0-9._~+/\-]{16,}=*)")
_QUOTES = "\"'`"
# The parameters that often follow a password in a list that is separated by `;` or `&`.
_NEXT = (
    r"\s*(?:server|host|hostaddr|port|user(?:[ _]?(?:id|name))?|uid|data(?:base|[ _]source)|db(?:name)?|"
    r"initial catalog|driver|encrypt|trusted_connection|sslmode)\s*="
)
# The end of an unquoted value: a space, or a separator before a space, a known name, or the end; none of
# them within brackets.
_BRACKETS = (
    r"\((?:[^()\n]|\([^()\n]*\))*\)|\[(?:[^\[\]\n]|\[[^\[\]\n]*\])*\]|\{(?:[^{}\n]|\{[^{}\n]*\})*\}"
)
_BARE = _pattern(
    rf"(?:\\.|{_BRACKETS}|[^\s;,&\\]|,(?!\s|$)|[;&](?!\s|$|{_NEXT})|\\$)+", re.IGNORECASE
)
_ESCAPED = {mark: _pattern(rf"(?:\\.|{mark}{mark}|[^{mark}\\\n])*") for mark in _QUOTES}
_TO_SEMICOLON = _pattern(r"[^;\n]*(?=;)")
_BEFORE_NEXT = _pattern(rf"[^;=\n]*(?=;{_NEXT})", re.IGNORECASE)
_MASKED = _pattern(rf"{re.escape(MASK)}(?![\w*])")
_ENCODED = _pattern(r"(?:%[0-9A-Fa-f]{2})+")
_TO_SPACE = _pattern(r"\S*")
_HOST = r"(?:\[[0-9A-Fa-f:.]*\]|[^:\[\],]*)(?::\d*)?"
_HOSTS = _pattern(rf"{_HOST}(?:,{_HOST})*$")


def redact(text: str, known: Iterable[re.Pattern[str]] = ()) -> str:
    """Mask the credentials in URLs and the values of secret parameters in `text`, and the `known` values.

    The text around them stays as it is. Hosts, paths and other parameters of URLs stay as well.
    """
    if not text:
        return text
    for values in known:
        text = values.sub(MASK, text)
    text = mask_tokens(text)
    if "://" in text:
        text = _redact_urls(text)
    lowered = text.lower()
    if any(word in lowered for word in _MARKS):
        text = _redact_pairs(text)
    return _BEARER().sub(rf"\1{MASK}", text) if "bearer" in lowered or "basic" in lowered else text


def mask_tokens(text: str) -> str:
    """Mask the secrets of all tokens that `tidemill tokens create` made, here or elsewhere."""
    return _TOKEN().sub(rf"\1{MASK}", text) if "tm_" in text else text


class Redactor:
    """Masks secrets: `redact` in messages; `mask` in text of users, only known values and tokens."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self.secrets: frozenset[str] = frozenset()
        self._known: re.Pattern[str] | None = None
        self.learn(secrets)

    def learn(self, secrets: Iterable[str]) -> None:
        """Mask these values as well from now on."""
        found = self.secrets.union(secrets)
        if found != self.secrets:
            self.secrets, self._known = found, known_pattern(found)

    def mask(self, text: str) -> str:
        """Mask the known values, and tokens."""
        return mask_tokens(text if self._known is None else self._known.sub(MASK, text))

    def redact(self, text: str) -> str:
        """Mask the known values, and whatever stands where credentials stand."""
        return redact(text, () if self._known is None else (self._known,))


def known_pattern(secrets: Iterable[str]) -> re.Pattern[str] | None:
    """A pattern that finds each of the values, also percent-encoded, decoded and escaped; None for none."""
    spellings = {text for secret in {*secrets} - {"", MASK} for text in _spellings(secret)} - {""}
    if not spellings:
        return None
    # The longest first, so that no end of a value that begins with another one remains.
    ordered = sorted(spellings, key=lambda text: (-len(text), text))
    return re.compile("|".join(map(_bounded, ordered)))


def url_secrets(url: str) -> frozenset[str]:
    """The secrets of a URL: its password, and the values of its parameters with secret names."""
    scheme = _SCHEME().match(url)
    rest = url[scheme.end() :] if scheme else url
    user, at, after = rest.rpartition("@")
    found = {user.partition(":")[2]} if at else set()
    for pair in _PARAMETER().finditer(after):
        if _is_secret(pair["name"]):
            found.add(pair["value"])
    return frozenset(found - {""})


def _spellings(secret: str) -> Iterator[str]:
    for plain in {secret, _decoded(secret), _decoded(secret.replace("+", " "))}:
        yield plain
        # Which characters are encoded differs between libraries.
        for kept in ("", "/", "~", "!$&'()*+,;=:@/?~"):
            encoded = _encoded(plain, kept)
            yield from (encoded, encoded.replace("%20", "+"), _lower_hex(encoded))
        # As drivers quote a value in their messages.
        quoted = plain.replace("\\", "\\\\").replace('"', '\\"')
        yield from (quoted, _json_escaped(quoted))
        yield from (repr(plain)[1:-1], plain.replace("'", "\\'"), plain.replace("'", "''"))


def _decoded(text: str) -> str:
    """The text without percent-encoding; `urllib` isn't pure."""
    return _ENCODED().sub(
        lambda found: bytes.fromhex(found[0].replace("%", "")).decode(errors="replace"), text
    )


def _json_escaped(text: str) -> str:
    units = text.encode("utf-16-be", "surrogatepass")
    numbers = (int.from_bytes(units[at : at + 2]) for at in range(0, len(units), 2))
    return "".join(chr(unit) if unit < 128 else f"\\u{unit:04x}" for unit in numbers)


def _encoded(text: str, kept: str) -> str:
    return "".join(
        letter
        if letter.isascii() and (letter.isalnum() or letter in "_.-" or letter in kept)
        else "".join(f"%{byte:02X}" for byte in letter.encode(errors="surrogatepass"))
        for letter in text
    )


def _lower_hex(text: str) -> str:
    return _ENCODED().sub(lambda found: found[0].lower(), text)


def _bounded(text: str) -> str:
    """Match a value; one that could be part of an ordinary word only where it stands alone."""
    pattern = re.escape(text)
    ordinary = text.isalpha() and text in (text.lower(), text.upper(), text.capitalize())
    if len(text) >= _DISTINCT and not ordinary:
        return pattern
    before = r"(?<!\w)" if text[0].isalnum() else ""
    return before + pattern + (r"(?!\w)" if text[-1].isalnum() else "")


def _is_secret(name: str) -> bool:
    return bool(_SECRET_NAME().search(re.sub(r"[_.\-]", "", name.lower())))


def _redact_urls(text: str) -> str:
    parts: list[str] = []
    end = 0
    for scheme in _SCHEME().finditer(text):
        if scheme.start() < end:
            continue
        after = _url_end(text, scheme)
        parts += (text[end : scheme.end()], _redact_rest(text[scheme.end() : after]))
        end = after
    return "".join([*parts, text[end:]])


def _url_end(text: str, scheme: re.Match[str]) -> int:
    """The end of a URL: a space, or the quote that was opened before it.

    A URL that breaks off inside of its credentials continues: a space or a quote in them wasn't encoded.
    """
    begin = scheme.end()
    end = _space(text, begin)
    opened = text[scheme.start() - 1] if scheme.start() else ""
    if opened and opened in _QUOTES:
        closed = _end_of_quote(text, begin, end, opened)
        # Without an `@`, the quote may belong to a password.
        if closed >= 0 and ("@" in text[begin:closed] or not _breaks_off(text[begin:closed])):
            return closed
    if "@" in text[begin:end] or not _breaks_off(text[begin:end]):
        return end
    line = text.find("\n", end)
    at = text.find("@", end, line if line >= 0 else len(text))
    return end if at < 0 else _space(text, at)


def _end_of_quote(text: str, begin: int, end: int, mark: str) -> int:
    """The index of the quote that closes, or -1; a quote after a backslash doesn't."""
    at = text.find(mark, begin, end)
    while at > 0 and text[at - 1] == "\\":
        at = text.find(mark, at + 1, end)
    return at


def _space(text: str, at: int) -> int:
    found = _TO_SPACE().match(text, at)
    assert found is not None
    return found.end()


def _breaks_off(rest: str) -> bool:
    """Whether `rest`, after the scheme of a URL, begins with `user:password` but has no `@`."""
    place = re.split(r"[/?#]", rest, maxsplit=1)[0]
    return ":" in place and not _HOSTS().match(place.rstrip(",;.)]}"))


def _redact_rest(rest: str) -> str:
    """Mask the credentials of a URL, whose scheme is already cut off."""
    at = rest.rfind("@")
    if at < 0 and _breaks_off(rest):
        return f"{rest.partition(':')[0]}:{MASK}"
    parts = [MASK] if at > 0 else []
    end = max(at, 0)
    for pair in _PARAMETER().finditer(rest):
        if _is_secret(pair["name"]) and pair.end() > end:
            # The value may hold an `@` that wasn't encoded: then nothing before it is shown.
            parts += [rest[end : pair.start("value")], MASK] if pair.start() >= end else []
            end = pair.end()
    return "".join([*parts, rest[end:]])


def _redact_pairs(text: str) -> str:
    parts: list[str] = []
    end = 0
    for pair in _PAIR_START().finditer(text):
        if pair.start() < end or not _is_pair(pair):
            continue
        begin, after = _value(text, pair)
        if begin < after and not _MASKED().match(text, begin):
            parts += (text[end:begin], MASK)
            end = after
    return "".join([*parts, text[end:]])


def _is_pair(pair: re.Match[str]) -> bool:
    """Whether it is `name=value`, a header, or an entry of a dictionary, and not a sentence with a colon."""
    return (
        pair["sign"] == "=" or bool(pair["quote"]) or pair["name"].lower().endswith("authorization")
    )


def _value(text: str, pair: re.Match[str]) -> tuple[int, int]:
    begin = pair.end()
    opened = text[begin : begin + 1]
    if opened and opened in _QUOTES:
        return begin + 1, _end_of(_ESCAPED[opened](), text, begin + 1)
    # `Server=h;Password=with spaces;Database=d`
    listed = ";" in text[max(0, pair.start() - 40) : pair.start()]
    found = (_TO_SEMICOLON if listed else _BEFORE_NEXT)().match(text, begin)
    return begin, found.end() if found else _end_of(_BARE(), text, begin)


def _end_of(pattern: re.Pattern[str], text: str, begin: int) -> int:
    found = pattern.match(text, begin)
    return found.end() if found else begin
