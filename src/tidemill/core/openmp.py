"""Limit how long threads of OpenMP spin, for processes that compute on a machine that others use, too.

By default a thread of GNU OpenMP that waits for others keeps its CPU busy for about a millisecond. Where
more threads want to run than there are CPUs, it takes the CPU from the thread that it waits for.
"""

from __future__ import annotations

from collections.abc import Mapping

_VARIABLE = "GOMP_SPINCOUNT"
# GNU OpenMP takes the same where it has started more threads than there are CPUs itself.
_COUNT = "1000"
# Who set one of these has chosen.
_CHOICES = (_VARIABLE, "OMP_WAIT_POLICY")


def spin_limit(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables to add to an environment; none if it says how threads wait."""
    return {} if any(name in environment for name in _CHOICES) else {_VARIABLE: _COUNT}
