"""Find out why a URL with credentials can't be taken apart in one way only."""

from __future__ import annotations

import re

_PARTS = re.compile(r"[A-Za-z][\w+.\-]*://(?P<place>[^/?#]*)(?P<rest>.*)", re.DOTALL)
_HOST = r"(?:\[[^\[\]]*\]|[^:\[\],]*)(?::\d*)?"
_HOSTS = re.compile(rf"{_HOST}(?:,{_HOST})*")
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")

ENCODING_ADVICE = (
    "percent-encode special characters in the user, the password and parameters, such as %23 for #: "
    "urllib.parse.quote(password, safe='')"
)


def url_ambiguity(url: str) -> str:
    """Say what makes the URL ambiguous, without a part of it; empty if nothing does, or it names no host.

    A `/`, `?`, `#` or `@` in a password that isn't percent-encoded ends the password early, so that
    the rest of it would be taken for a host, a database or a parameter.
    """
    parts = _PARTS.match(url)
    if parts is None or not parts["place"]:
        return ""
    place, rest = parts["place"], parts["rest"]
    user, _, host = place.rpartition("@")
    faults = (
        ("@" in rest, "an @ after the first /, ? or #"),
        ("@" in user, "more than one @"),
        ("#" in rest, "a #"),
        (re.search(r"[\s\x00-\x1f\x7f]", url), "a space or a control character"),
        (re.search(r"[\[\]]", user), "a bracket before the @"),
        (_BAD_ESCAPE.search(place + rest), "a % that two hexadecimal digits don't follow"),
        (_HOSTS.fullmatch(host) is None, "a port that isn't a number"),
    )
    return next((words for found, words in faults if found), "")
