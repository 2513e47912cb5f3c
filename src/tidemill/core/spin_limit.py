"""Limit how long idle threads of numeric libraries spin, for programs on a machine that others use, too.

A thread of GNU OpenMP that waits for others keeps its CPU busy for about a millisecond by default, and one
of OpenBLAS for about 25. Where more threads want to run than there are CPUs, it takes the CPU from the
thread that it waits for. NumPy starts those of OpenBLAS when it is imported, for a step that has no work
for them.
"""

from __future__ import annotations

from collections.abc import Mapping

# Each variable and its value, unless the environment has one of the names after it.
_LIMITS = (
    # GNU OpenMP takes the same where it has started more threads than there are CPUs itself.
    ("GOMP_SPINCOUNT", "1000", ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")),
    # 2 to the power of this, in cycles of the CPU: less than half a millisecond.
    ("OPENBLAS_THREAD_TIMEOUT", "20", ("OPENBLAS_THREAD_TIMEOUT",)),
)


def spin_limit(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables to add to an environment; none for a library of which it says how threads wait."""
    return {
        name: value for name, value, choices in _LIMITS if environment.keys().isdisjoint(choices)
    }
