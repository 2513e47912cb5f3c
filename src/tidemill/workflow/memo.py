"""Memoised functions: how they are called, what they cost, and what reuse saved."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import field, fields
from typing import Any, Literal, TypeAlias

from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.units import parse_seconds
from tidemill.workflow.retry_policy import Retries

Unit: TypeAlias = Literal["row", "token"]

_PRICE = r"(\d+(?:\.\d+)?)\s*/\s*(\d+(?:\.\d+)?)?\s*([kM])?\s*(row|token)s?"
_MANY = {"": 1.0, "k": 1e3, "M": 1e6}
_RATE = r"(\d+)\s*/\s*([smhd])"


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoUsage:
    """Use of memos in one or more steps.

    `known` rows came from the cache. `asked` rows were computed, in `calls` calls. `tokens` and `spent`
    (money) are what that cost; `tokens_saved` and `saved` what the known rows would have cost.
    """

    known: int = 0
    asked: int = 0
    calls: int = 0
    tokens: int = 0
    tokens_saved: int = 0
    spent: float = 0.0
    saved: float = 0.0

    def __add__(self, other: MemoUsage) -> MemoUsage:
        names = [item.name for item in fields(MemoUsage)]
        return MemoUsage(**{name: getattr(self, name) + getattr(other, name) for name in names})


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoPrice:
    """The price of a row or a token, in the project's currency."""

    amount: float = 0.0
    unit: Unit = "row"

    def cost(self, rows: int, tokens: int) -> float:
        """Return the cost of these rows and tokens."""
        return self.amount * (rows if self.unit == "row" else tokens)


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoFunction:
    """A memoised function, and how it is called.

    `gives` is the Polars type of its values. Calls start at least `every_s` seconds apart, across all
    processes of the project. A step makes up to `concurrency` calls at once, of `batch` rows each.
    """

    function: Callable[..., Any]
    name: str
    arguments: tuple[str, ...]
    gives: Any
    version: str = ""
    model: str = ""
    price: MemoPrice = MemoPrice()
    batch: int = 100
    concurrency: int = 8
    min_interval_s: float = 0.0
    retries: Retries = field(default_factory=Retries)
    place: str = ""


def parse_price(price: str | float) -> MemoPrice:
    """Parse a price: `0.0001` (per row), `"0.5/1k rows"` or `"0.02/1M tokens"`; ValueError if invalid."""
    if isinstance(price, (int, float)) and not isinstance(price, bool) and price >= 0:
        return MemoPrice(amount=float(price))
    match = re.fullmatch(_PRICE, price.strip()) if isinstance(price, str) else None
    if match is None or not (many := float(match[2] or 1) * _MANY[match[3] or ""]):
        raise ValueError(
            f"{price!r} is not a price: give money per row, or write '0.5/1k rows' or '0.02/1M tokens'"
        )
    return MemoPrice(amount=float(match[1]) / many, unit="row" if match[4] == "row" else "token")


def parse_rate(rate: str | None) -> float:
    """Parse a rate such as `"60/m"` to seconds between calls; 0 for None, ValueError if invalid."""
    if rate is None:
        return 0.0
    match = re.fullmatch(_RATE, rate.strip()) if isinstance(rate, str) else None
    if match is None or not int(match[1]):
        raise ValueError(f"{rate!r} is not a rate of calls: write '5/s' or '60/m'")
    return parse_seconds(f"1{match[2]}") / int(match[1])
