"""Write numbers of things, and amounts of money, in sentences."""

from __future__ import annotations

from collections.abc import Sequence

_LISTED = 10
# Below this, money keeps two significant digits.
_CENT = 0.01


def plural(number: int, noun: str) -> str:
    """`1 step`, `2 steps`, `2 deliveries`."""
    if number == 1:
        return f"1 {noun}"
    many = f"{noun[:-1]}ies" if noun.endswith("ry") else f"{noun}s"
    return f"{number:,} {many}"


def are(number: int, noun: str) -> str:
    """`1 row is`, `2 rows are`."""
    return f"{plural(number, noun)} {'is' if number == 1 else 'are'}"


def listed(numbers: Sequence[int]) -> str:
    """`3, 4, 7`; the first ten of many."""
    more = f" and {len(numbers) - _LISTED:,} more" if len(numbers) > _LISTED else ""
    return ", ".join(map(str, numbers[:_LISTED])) + more


def money_text(amount: float, currency: str) -> str:
    """`1,234.50 USD`; amounts below 0.01 keep two significant digits."""
    if abs(amount) >= _CENT or not amount:
        return f"{amount:,.2f} {currency}".rstrip()
    return f"{float(f'{amount:.2g}'):.12f}".rstrip("0").rstrip(".") + f" {currency}".rstrip()
