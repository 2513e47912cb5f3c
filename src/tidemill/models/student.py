"""Student's t distribution: probabilities and quantiles, for any number of degrees of freedom."""

from __future__ import annotations

import math
from functools import lru_cache

# Lentz's method needs some ten steps where the fraction converges quickly, which is ensured below.
_STEPS, _PRECISION, _TINY = 500, 1e-15, 1e-300
# With more degrees of freedom, t is normal to 7 digits, and logs of gamma functions cancel out.
_NORMAL = 1e8


def t_upper_tail(t: float, df: float) -> float:
    """Return the probability that a t variable with `df` degrees of freedom exceeds `t`."""
    square = t * t
    if math.isinf(square):
        return 0.0 if t > 0 else 1.0
    x, rest = df / (df + square), square / (df + square)
    if df > _NORMAL:
        return 0.5 * math.erfc(t / math.sqrt(2))
    tail = 0.5 * _regularized_beta(x, rest, df / 2, 0.5)
    return tail if t >= 0 else 1 - tail


@lru_cache(maxsize=1024)
def t_quantile(probability: float, df: float) -> float:
    """Return the t that a t variable stays below with `probability`, which is between 0.5 and 1."""
    low, high = 0.0, 1.0
    while t_upper_tail(high, df) > 1 - probability:
        low, high = high, high * 2
    for _ in range(200):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        if t_upper_tail(middle, df) > 1 - probability:
            low = middle
        else:
            high = middle
    return high


def _regularized_beta(x: float, rest: float, a: float, b: float) -> float:
    """Return the regularized incomplete beta function at `x`, which is 1 less `rest` (A&S 26.5.8)."""
    if x <= 0 or rest <= 0:
        return 0.0 if x <= 0 else 1.0
    if x > (a + 1) / (a + b + 2):
        return 1 - _regularized_beta(rest, x, b, a)
    log_front = a * math.log(x) + b * math.log(rest)
    log_front += math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
    return math.exp(log_front) * _continued_fraction(x, a, b) / a


def _continued_fraction(x: float, a: float, b: float) -> float:
    """Evaluate the continued fraction of the incomplete beta function by Lentz's method."""
    c, d = 1.0, 1 / _away_from_zero(1 - (a + b) * x / (a + 1))
    value = d
    m, change = 0, math.inf
    while abs(change - 1) >= _PRECISION and m < _STEPS:
        m += 1
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for term in (even, odd):
            d = 1 / _away_from_zero(1 + term * d)
            c = _away_from_zero(1 + term / c)
            change = c * d
            value *= change
    return value


def _away_from_zero(value: float) -> float:
    return value if abs(value) > _TINY else _TINY
