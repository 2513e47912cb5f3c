"""Divide what belongs to nothing alone."""

from __future__ import annotations

from collections.abc import Mapping

from tidemill.costs.quantities import Quantities


def divide_quantities(shared: Quantities, among: Mapping[str, Quantities]) -> dict[str, Quantities]:
    """Divide CPU time and memory in proportion to what each used of it; the parts add up to the whole.

    Where nobody used any of one, it is divided in proportion to the other; {} if neither was used.
    """
    cpu = {name: used.cpu_s for name, used in among.items()}
    memory = {name: used.memory_gb_s for name, used in among.items()}
    by_cpu, by_memory = _shares(cpu), _shares(memory)
    if not by_cpu and not by_memory:
        return {}
    return {
        name: Quantities(
            cpu_s=shared.cpu_s * (by_cpu or by_memory)[name],
            memory_gb_s=shared.memory_gb_s * (by_memory or by_cpu)[name],
        )
        for name in among
    }


def _shares(amounts: Mapping[str, float]) -> dict[str, float]:
    total = sum(amounts.values())
    return {name: amount / total for name, amount in amounts.items()} if total > 0 else {}
