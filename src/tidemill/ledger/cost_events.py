"""Events about what work costs."""

from __future__ import annotations

from dataclasses import dataclass

from tidemill.ledger.price import PriceBook


@dataclass(frozen=True, slots=True, kw_only=True)
class PricesSet:
    """From now on the work of an environment is priced by a book; what was before the first one as well."""

    environment: str
    book: PriceBook
