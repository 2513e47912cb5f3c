"""Follow the tokens of an environment in the ledger."""

from __future__ import annotations

from collections.abc import Mapping

from tidemill.ports.ledger import Ledger
from tidemill.serving.issued_tokens import TOKEN_EVENTS, IssuedToken, issued_tokens


class TokenReader:
    """Reads the events of tokens once; a server that reads often notices a revocation that soon."""

    def __init__(self, ledger: Ledger, environment: str) -> None:
        self._ledger = ledger
        self._environment = environment
        self._tokens: Mapping[str, IssuedToken] = {}
        self._seq = 0

    def read(self) -> Mapping[str, IssuedToken]:
        """All tokens by id, as of now; the same mapping as before if nothing changed.

        Raises what the ledger raises; the next call continues where this one began.
        """
        facts = list(self._ledger.events(kinds=TOKEN_EVENTS, after=self._seq))
        if facts:
            self._tokens = issued_tokens(facts, self._environment, self._tokens)
            self._seq = facts[-1].seq
        return self._tokens
