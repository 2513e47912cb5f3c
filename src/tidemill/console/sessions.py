"""People who are logged in to the console: by a link that works once, or by a token."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import field
from hashlib import sha256

from tidemill.console.refused_form import RefusedForm
from tidemill.core.lazy_dataclass import dataclass
from tidemill.serving.token_bucket import TokenBucket

# So many sessions there may be, and of one token; the first is ended.
_MOST, _MOST_OF_TOKEN = 1_000, 20
# Attempts to log in from one address: some at once, then one in so many seconds.
_BURST, _EVERY_S = 5.0, 10.0
_MOST_ADDRESSES = 10_000
LINK_S = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """Somebody who logged in: with `token`, or without one as the user of this process, until `expires`."""

    id: str = field(repr=False)
    token: str = field(default="", repr=False)
    expires: float

    @property
    def form_key(self) -> str:
        """The text that forms of this session carry, which no other site knows."""
        return hmac.new(self.id.encode(), b"form", sha256).hexdigest()


class Sessions:
    """The sessions of a server, in memory; `new_id` makes ids that can't be guessed."""

    def __init__(self, new_id: Callable[[], str], lifetime: float) -> None:
        self._new_id, self._lifetime = new_id, lifetime
        self._known: dict[str, Session] = {}
        self._notices: dict[str, str] = {}
        self._refused: dict[str, RefusedForm] = {}
        self._answers: dict[str, tuple[str, bytes]] = {}

    def begin(self, now: float, token: str = "") -> Session:
        """Log somebody in."""
        session = Session(id=self._new_id(), token=token, expires=now + self._lifetime)
        self._known = {
            key: each for key, each in self._known.items() if each.expires > now
        }  # fmt: skip
        same = [key for key, each in self._known.items() if each.token == token]
        if len(same) >= _MOST_OF_TOKEN:
            self.end(same[0])
        elif len(self._known) >= _MOST:
            self.end(next(iter(self._known)))
        self._known[session.id] = session
        self._refused = {key: form for key, form in self._refused.items() if key in self._known}
        self._answers = {key: page for key, page in self._answers.items() if key in self._known}
        return session

    def find(self, id: str, now: float) -> Session | None:
        """The session of that id, unless it is over."""
        found = self._known.get(id)
        return found if found is not None and found.expires > now else None

    def end(self, id: str) -> None:
        """Log somebody out."""
        self._known.pop(id, None)
        self._notices.pop(id, None)
        self._refused.pop(id, None)
        self._answers.pop(id, None)

    def leave_notice(self, id: str, text: str) -> None:
        """Keep what the next page of a session tells."""
        if id in self._known:
            self._notices[id] = text

    def take_notice(self, id: str) -> str:
        """What the page tells that is shown now; it isn't told again."""
        return self._notices.pop(id, "")

    def leave_answer(self, id: str, address: str, page: bytes) -> None:
        """Keep the page that an address shows to a session next."""
        if id in self._known:
            self._answers[id] = address, page

    def take_answer(self, id: str, address: str) -> bytes:
        """The page that was kept for an address, once; b"" if none was."""
        kept = self._answers.get(id, ("", b""))[0] == address
        return self._answers.pop(id)[1] if kept else b""

    def leave_refused(self, id: str, form: RefusedForm) -> None:
        """Keep a form of a session that was refused, for its page."""
        if id in self._known:
            self._refused[id] = form

    def take_refused(self, id: str, path: str, query: str) -> RefusedForm | None:
        """The form of the page at an address that was just refused; it isn't filled in again."""
        found = self._refused.get(id)
        return self._refused.pop(id) if found is not None and found.is_on(path, query) else None


class LoginLinks:
    """Links that log the user of this process in, each once and for some minutes.

    Whoever knows the `secret` can make one: a file that only this user can read has it.
    """

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self._used: dict[str, float] = {}

    def make(self, nonce: str, now: float) -> str:
        """The code of a new link."""
        return self._signed(f"{nonce}.{int(now + LINK_S)}")

    def use(self, code: str, now: float) -> bool:
        """Whether a code is good; from now on it isn't."""
        said, _, _ = code.rpartition(".")
        expires = said.rpartition(".")[2]
        signed = self._signed(said).encode()
        if not expires.isdecimal() or not hmac.compare_digest(signed, code.encode()):
            return False
        self._used = {each: until for each, until in self._used.items() if until > now}
        if int(expires) < now or code in self._used:
            return False
        self._used[code] = float(expires)
        return True

    def _signed(self, said: str) -> str:
        return f"{said}.{hmac.new(self._secret, said.encode(), sha256).hexdigest()}"


class LoginLimit:
    """Limits how often an address may try to log in."""

    def __init__(self) -> None:
        self._buckets: dict[str, TokenBucket] = {}

    def wait(self, address: str, now: float) -> float:
        """Count an attempt; return 0.0, or the seconds until there may be one."""
        if address not in self._buckets and len(self._buckets) >= _MOST_ADDRESSES:
            del self._buckets[next(iter(self._buckets))]
        bucket = self._buckets.setdefault(address, TokenBucket(_BURST, now))
        return bucket.take(now, rate=1 / _EVERY_S, burst=_BURST)

    def give_back(self, address: str) -> None:
        """Count an attempt no more: it succeeded, and others may come from the same address."""
        if (bucket := self._buckets.get(address)) is not None:
            bucket.level += 1.0
