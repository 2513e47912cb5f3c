"""Events about what work costs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from tidemill.core.lazy_dataclass import dataclass
from tidemill.ledger.price import PriceBook


@dataclass(frozen=True, slots=True, kw_only=True)
class PricesSet:
    """From now on the work of an environment is priced by a book; what was before the first one as well."""

    environment: str
    book: PriceBook


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageMetered:
    """What an environment keeps, in bytes by stage, and `shared` bytes that belong to none.

    It is taken to have kept that since `since` (Unix seconds), when this was recorded before.
    """

    environment: str
    since: float
    stages: Mapping[str, int] = field(default_factory=dict)
    shared: int = 0
