"""Draw parts of pages once for all who see the same."""

from __future__ import annotations

import secrets
from collections.abc import Callable

_MOST = 16


class SharedParts:
    """Keeps what was drawn last. All that differs for people who see the same are the keys of their forms."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, ...], bytes] = {}
        # Nobody knows it, so it is in no data.
        self._form_key = secrets.token_urlsafe(32)

    def draw(self, shown: tuple[str, ...], form_key: str, draw: Callable[[str], bytes]) -> bytes:
        """What `draw` draws with the key of forms; all else of it follows from what is `shown`."""
        found = self._known.get(shown)
        if found is None:
            found = draw(self._form_key)
            while len(self._known) >= _MOST:
                del self._known[next(iter(self._known))]
            self._known[shown] = found
        return found.replace(self._form_key.encode(), form_key.encode())
