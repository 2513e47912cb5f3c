"""Costs in words: what a line used and cost, and what has to be said beside a report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tidemill.core.counts import money_text, plural
from tidemill.core.figures import count, seconds, size
from tidemill.core.local_day import local_day
from tidemill.core.printable import printable
from tidemill.costs.cost_line import CostLine
from tidemill.costs.report import CostReport
from tidemill.ledger.price import GB, HOUR_S, MONTH_S, Price

NOTHING = "-"
# Less would be written as a power of ten.
_LEAST_GB_S = 0.001
# What `cost_cells` are about; those that begin with `>` are numbers.
COST_HEADERS = (
    *(">attempts", ">CPU", ">memory", ">GPU", ">storage", ">sent", ">units", ">of it failed"),
    *(">of it shared", ">cost"),
)
NO_PRICE = (
    "no price is set, so only quantities are known: set one with cpu_hour = 0.04 in [tool.tidemill] of "
    "pyproject.toml"
)


def cost_cells(line: CostLine) -> tuple[str, ...]:
    """What a line used and cost, as texts under `COST_HEADERS`; "-" stands for nothing."""
    used = line.used
    units = (f"{number:,.10g} {printable(name)}" for name, number in sorted(used.units.items()))
    return (
        count(line.events),
        seconds(used.cpu_s) if used.cpu_s else NOTHING,
        _gb_hours(used.memory_gb_s),
        seconds(used.gpu_s) if used.gpu_s else NOTHING,
        f"{used.storage_gb_s / MONTH_S:.3g} GB months" if used.storage_gb_s else NOTHING,
        size(round(used.egress_gb * GB)) if used.egress_gb else NOTHING,
        ", ".join(units) or NOTHING,
        *(amounts_text(amounts) for amounts in (line.failed, line.shared, line.amounts)),
    )


def amounts_text(amounts: Mapping[str, float]) -> str:
    """Amounts of money by currency, which are never added up: `1.20 EUR + 0.40 USD`."""
    found = (money_text(value, name) for name, value in sorted(amounts.items()) if value)
    return " + ".join(found) or NOTHING


def days_text(found: CostReport) -> str:
    """The days of a report: "since 2013-03-01" if they last until now, else from the first to the last."""
    days = found.days
    if days.last >= local_day(found.now, found.zone):
        return f"since {days.first}"
    return f"from {days.first} to {days.last}"


def cost_notes(found: CostReport) -> Iterator[str]:
    """What has to be said beside a report: what isn't priced, and how far estimates were off."""
    if not found.is_priced:
        yield NO_PRICE
    if len(found.total.amounts) > 1:
        yield "prices were in several currencies: amounts of one are never added to those of another"
    if found.unpriced:
        yield f"no price is set for {', '.join(map(printable, found.unpriced))}: they cost nothing"
    if found.is_priced and found.total.shared:
        yield "metered: CPU, GPUs, units; estimated: memory, as the peak of each process all the time"
    errors = found.estimates
    if errors.median_error is not None and errors.bias is not None:
        runs, side = plural(errors.runs, "run"), "low" if errors.bias < 0 else "high"
        yield (
            f"of the last {runs} half were estimated within {errors.median_error:.0%} of their costs; the "
            f"estimate in the middle was {abs(errors.bias):.0%} too {side}"
        )


def price_lines(price: Price) -> Iterator[tuple[str, str]]:
    """What has a price, and which: ("an hour of a CPU", "0.04 EUR"); nothing that is free."""
    priced = (
        ("an hour of a CPU", price.cpu_hour),
        ("a gigabyte of memory for an hour", price.memory_gb_hour),
        ("an hour of a GPU", price.gpu_hour),
        ("a gigabyte stored for a month", price.storage_gb_month),
        ("a gigabyte sent", price.egress_gb),
        *((f"one of {printable(name)}", amount) for name, amount in sorted(price.units.items())),
    )
    return ((what, money_text(amount, price.currency)) for what, amount in priced if amount)


def _gb_hours(gb_s: float) -> str:
    if not gb_s:
        return NOTHING
    return (
        f"{gb_s / HOUR_S:,.1f} GB h"
        if gb_s >= HOUR_S
        else f"{gb_s:,.3g} GB s"
        if gb_s >= _LEAST_GB_S
        else "<0.001 GB s"
    )
