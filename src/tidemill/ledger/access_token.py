"""Tokens that let people and programs act, as recorded: never with their secret."""

from __future__ import annotations

from enum import StrEnum

from tidemill.core.lazy_dataclass import dataclass

# The environment variable with the token of who acts.
TOKEN_VARIABLE = "TIDEMILL_TOKEN"


class TokenScope(StrEnum):
    """A kind of action that a token allows its holder, as far as the holder's role does.

    `predict` asks endpoints, which needs no role. Each of `run`, `review`, `deliver` and `admin` includes
    `read`, and none includes another one.
    """

    PREDICT = "predict"
    READ = "read"
    RUN = "run"
    REVIEW = "review"
    DELIVER = "deliver"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessToken:
    """A token of `holder`; `digest` is the SHA-256 of its whole text, in hexadecimal digits.

    With the scope `predict` it opens the named `endpoints`, or all if there are none. Its other `scopes`
    count for the workflows whose names match one of the patterns `workflows`. It is valid until `expires`
    (Unix seconds), or without end. `rate` is how many requests a second it allows, 0 for as many as the
    settings allow. `actor` created it in a process of `user` ("" over a network), and may have left a `note`.
    Those who made the token that `actor` had then, if any, are in `vouched_by`.
    """

    id: str
    digest: str
    holder: str
    endpoints: tuple[str, ...] = ()
    expires: float | None = None
    rate: float = 0.0
    actor: str = ""
    scopes: tuple[TokenScope, ...] = (TokenScope.PREDICT,)
    workflows: tuple[str, ...] = ()
    note: str = ""
    user: str = ""
    vouched_by: tuple[str, ...] = ()

    def has_expired(self, now: float) -> bool:
        """Whether the token has expired."""
        return self.expires is not None and self.expires <= now

    @property
    def predicts(self) -> bool:
        """Whether the token opens endpoints."""
        return TokenScope.PREDICT in self.scopes

    def opens(self, endpoint: str) -> bool:
        """Whether the token opens an endpoint."""
        return self.predicts and (not self.endpoints or endpoint in self.endpoints)
