"""Tokens that let callers use endpoints, as recorded: never with their secret."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessToken:
    """A token of `holder`; `digest` is the SHA-256 of its whole text, in hexadecimal digits.

    It opens the named `endpoints`, or all if there are none. It is valid until `expires` (Unix seconds), or
    without end. `rate` is how many requests a second it allows, 0 for as many as the settings allow.
    `actor` created it.
    """

    id: str
    digest: str
    holder: str
    endpoints: tuple[str, ...] = ()
    expires: float | None = None
    rate: float = 0.0
    actor: str = ""

    def has_expired(self, now: float) -> bool:
        """Whether the token has expired."""
        return self.expires is not None and self.expires <= now

    def opens(self, endpoint: str) -> bool:
        """Whether the token opens an endpoint."""
        return not self.endpoints or endpoint in self.endpoints
