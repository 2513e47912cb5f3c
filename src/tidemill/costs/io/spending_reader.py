"""Read from the ledger what was spent, and keep what was read for the next command.

Losing the file in which it is kept costs only the time to read the events again.
"""

from __future__ import annotations

import os
import uuid
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path

import msgspec

from tidemill.costs.price_history import PriceHistories, price_histories
from tidemill.costs.spending import SPENDING_EVENTS, Spending
from tidemill.ledger.cost_events import PricesSet
from tidemill.ledger.io.home_files import make_private_folder, open_private
from tidemill.ledger.price import PriceBook
from tidemill.ports.ledger import Ledger

# Changes with the meaning of what is kept.
_FORMAT = 1
# New events that are worth writing the file, and after how many it is written while more are read.
_WORTH_KEEPING, _SAVED_AT = 200, 100_000
_DIGEST_BYTES = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class _KeptSpending:
    """Sums, and the books that price what is in them, by environment, and was before any book."""

    spending: Spending
    firsts: dict[str, PriceBook] = field(default_factory=dict)


class SpendingReader:
    """Reads what the environments of a workflow spent; each call reads only events that are new.

    Months are those of the time `zone`; `settings` price what no recorded book does. `kept` is the file in
    which it is kept; where that can't be written, each reader begins with the first event.
    """

    def __init__(
        self,
        ledger: Ledger,
        *,
        zone: str = "UTC",
        settings: PriceBook | None = None,
        kept: Path | None = None,
    ) -> None:
        self._ledger = ledger
        self._zone = zone
        self._settings = settings or PriceBook()
        self._kept = kept
        self._known: _KeptSpending | None = None

    def read(self) -> Spending:
        """What was spent up to now; the caller must not change it."""
        books = self._ledger.events(kinds=(PricesSet.__name__,))
        prices = price_histories(books, settings=self._settings)
        found = self._go_on(self._known or self._load(), prices)
        before = found.events
        for fact in self._ledger.events(kinds=SPENDING_EVENTS, after=found.seq):
            found.note(fact, prices)
            if found.events - before >= _SAVED_AT:
                # A long history that is interrupted goes on there.
                self._save(_with_firsts(found, prices))
                before = found.events
        self._known = _with_firsts(found, prices)
        if found.events - before >= _WORTH_KEEPING:
            self._save(self._known)
        return found

    def _go_on(self, kept: _KeptSpending | None, prices: PriceHistories) -> Spending:
        """The sums to go on with: those that are kept, if they are of this ledger and these prices."""
        if kept is not None and kept.spending.zone == self._zone:
            same = all(prices.of(name).first == book for name, book in kept.firsts.items())
            if same and self._is_recorded(kept.spending):
                return kept.spending
        return Spending(zone=self._zone)

    def _is_recorded(self, found: Spending) -> bool:
        """Whether the last event that was read is in the ledger: it may be another, or an older copy."""
        facts = self._ledger.events(kinds=SPENDING_EVENTS, after=found.seq - 1, limit=1)
        last = next(iter(facts), None)
        return not found.seq or (last is not None and (last.seq, last.at) == (found.seq, found.at))

    def _load(self) -> _KeptSpending | None:
        if self._kept is None:
            return None
        try:
            stored = self._kept.read_bytes()
            digest, body = stored[:_DIGEST_BYTES], stored[_DIGEST_BYTES:]
            if digest != _digest(body):
                return None
            version, found = msgspec.msgpack.decode(body, type=tuple[int, _KeptSpending])
        except (OSError, msgspec.DecodeError):
            return None
        return found if version == _FORMAT else None

    def _save(self, found: _KeptSpending) -> None:
        if self._kept is None:
            return
        body = msgspec.msgpack.encode((_FORMAT, found))
        beside = self._kept.with_name(f"{self._kept.name}.{uuid.uuid4().hex}")
        try:
            make_private_folder(self._kept.parent, below=self._kept.parent.parent)
            with open(beside, "xb", opener=open_private) as file:
                file.write(_digest(body) + body)
            os.replace(beside, self._kept)
        except OSError:
            # Who may only read the home reads the events.
            with suppress(OSError):
                beside.unlink(missing_ok=True)


def _with_firsts(found: Spending, prices: PriceHistories) -> _KeptSpending:
    priced = {*found.months, *(run.environment for run in found.open_runs.values())}
    return _KeptSpending(spending=found, firsts={name: prices.of(name).first for name in priced})


def _digest(body: bytes) -> bytes:
    return blake2b(body, digest_size=_DIGEST_BYTES).digest()
