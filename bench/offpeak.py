"""How much of the possible saving the timetable gets, and how many jobs it makes late, in a simulated week.

About 115 jobs of five kinds arrive over a week. Each hour, and whenever something changes, the timetable is
made anew from prices that are forecast with an error of 15 % (but for the current hour) and durations that
are known to 25 %. The bound is a linear program that knows all jobs, their true durations and the true
prices, and may interrupt every job at no cost. `python -m bench.offpeak`
"""

from __future__ import annotations

import math
import random
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import fmean

import numpy as np
from scipy.optimize import linprog
from scipy.sparse import coo_array

from bench.common import Row, drive
from tidemill.offpeak.price_curve import PriceCurve, PricePiece
from tidemill.offpeak.timetable import SLOT_S, PlannedTime, WaitingJob, make_timetable

SEEDS, DAYS, CAPACITY = 20, 7, 24.0
# Slots of the week, and of the days after it, in which what was asked late in the week ends.
WEEK, SLOTS = DAYS * 96, (DAYS + 3) * 96
PRICE_ERROR, DURATION_ERROR = 0.15, 0.25
# How far prices are forecast.
HORIZON = 48 * 4
# The 0.99 quantile of a normal distribution: logarithms of durations are distributed so.
QUANTILE = 2.326
_ROUNDING = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """A job as it is; lengths and times are in slots. `guess` is its median duration."""

    id: str
    arrives: int
    deadline: float
    length: float
    guess: float
    cpus: float
    urgent: bool = False
    divisible: bool = False

    @property
    def last(self) -> float:
        """When it ends at the latest, if everything is known."""
        return max(self.deadline, self.arrives + self.length)


@dataclass(slots=True)
class Progress:
    """How far a job is: the work that is done, what it cost, and when it began and ended."""

    done: float = 0.0
    spent: float = 0.0
    began: float | None = None
    ended: float | None = None
    planned: float = 0.0
    changed: bool = False


def week_of(seed: int) -> list[Work]:
    """The jobs of a week: experiments, feature refreshes, retrainings, backfills, urgent fixes."""
    chance = random.Random(seed)
    found: list[Work] = []

    def add(kind: str, count: int, hours: tuple[float, float], cpus: float, within: float) -> None:
        for number in range(count):
            day, hour = chance.randrange(DAYS), chance.uniform(*_ARRIVALS[kind])
            arrives = int(day * 96 + hour * 4)
            guess = 4 * chance.uniform(*hours)
            length = guess * math.exp(chance.gauss(0, DURATION_ERROR))
            # Experiments are looked at the next morning.
            due = (day + 1) * 96 + 32 if kind == "experiment" else arrives + within * 4
            found.append(
                Work(
                    id=f"{kind} {number}",
                    arrives=arrives,
                    deadline=max(due, arrives + 2 * guess + 2) + 0.0,
                    length=length,
                    guess=guess,
                    cpus=cpus,
                    urgent=kind == "fix",
                    divisible=kind in ("experiment", "backfill"),
                )
            )

    add("experiment", 55, (0.5, 3.0), 2, 0)
    add("refresh", 28, (0.25, 0.75), 1, 8)
    add("retraining", 7, (2.0, 5.0), 8, 24)
    add("backfill", 7, (6.0, 14.0), 4, 72)
    add("fix", 18, (0.25, 1.0), 2, 0)
    return found


_ARRIVALS = {
    "experiment": (9, 19),
    "refresh": (0, 24),
    "retraining": (0, 24),
    "backfill": (9, 17),
    "fix": (8, 20),
}


def market(seed: int) -> list[float]:
    """Prices of each hour: a dip while the sun shines and a peak in the evening, different each day."""
    chance = random.Random(seed)
    found: list[float] = []
    for day in range(SLOTS // 96):
        sun, peak = chance.uniform(0.4, 1.2), chance.uniform(0.5, 1.4)
        weekend = -12 if day % 7 >= 5 else 0
        for hour in range(24):
            dip = 70 * sun * math.exp(-(((hour + 0.5 - 13) / 3) ** 2))
            rise = 60 * peak * math.exp(-(((hour + 0.5 - 19) / 2) ** 2))
            night = 10 * math.cos((hour - 8) / 24 * 2 * math.pi)
            found += [max(-5.0, 80 + weekend + night - dip + rise)] * 4
    return found


def two_rates(_: int) -> list[float]:
    """A day and a night rate."""
    return [30.0 if 6 <= slot % 96 / 4 < 22 else 18.0 for slot in range(SLOTS)]


def flat(_: int) -> list[float]:
    """One price."""
    return [25.0] * SLOTS


def forecast(prices: Sequence[float], chance: random.Random) -> list[float]:
    """Prices with an error for each hour."""
    errors = [chance.gauss(0, PRICE_ERROR) for _ in range(SLOTS // 4)]
    return [price * (1 + errors[slot // 4]) for slot, price in enumerate(prices)]


def online(week: Sequence[Work], prices: Sequence[float], seed: int) -> dict[str, Progress]:
    """Do a week's work as the timetable says, which is made anew when something changed."""
    chance = random.Random(seed)
    progress = {work.id: Progress() for work in week}
    arrivals = {work.arrives for work in week}
    seen: list[float] = []
    table: Mapping[str, PlannedTime] = {}
    for slot in range(SLOTS):
        if slot % 96 == 0:
            seen = forecast(prices, chance)
        works = [w for w in week if w.arrives <= slot and progress[w.id].ended is None]
        if slot % 4 == 0 or slot in arrivals or any(progress[w.id].changed for w in works):
            # The price of this hour is known, and that of later ones as it is forecast.
            hour = slot // 4 * 4
            known = [*seen[:hour], *prices[hour : hour + 4], *seen[hour + 4 :]]
            jobs = [_waiting(work, progress[work.id], slot) for work in works]
            table = make_timetable(jobs, _curve(known, slot), now=slot * SLOT_S, capacity=CAPACITY)
        for work in works:
            _advance(work, progress[work.id], table[work.id], slot, prices[slot])
    return progress


def _curve(prices: Sequence[float], slot: int) -> PriceCurve:
    """The prices of the hours from a slot on."""
    hours = range(slot // 4 * 4, min(SLOTS, slot + HORIZON), 4)
    return PriceCurve(
        tuple(
            PricePiece(start=at * SLOT_S, end=(at + 4) * SLOT_S, price=prices[at]) for at in hours
        )
    )


def _waiting(work: Work, known: Progress, slot: int) -> WaitingJob:
    """What is left of a job, as far as that is known; only a divisible one can be moved while it runs."""
    runs = known.began is not None and not work.divisible
    # A job of many steps shows how fast it is: what is left is as uncertain as its share.
    seen = known.done / work.length if work.divisible else 0.0
    guess = work.guess * (work.length / work.guess) ** seen
    error = DURATION_ERROR * (1 - seen)
    known.changed = False
    known.planned = max(guess * math.exp(error**2 / 2), known.done + 1.0)
    safe = guess * math.exp(QUANTILE * error)
    return WaitingJob(
        id=work.id,
        seconds=(known.planned - known.done) * SLOT_S,
        reserve=(1 + max(0.0, safe - known.planned)) * SLOT_S,
        deadline=slot * SLOT_S if work.urgent or runs else work.deadline * SLOT_S,
        cpus=work.cpus,
        divisible=work.divisible,
    )


def _advance(work: Work, known: Progress, planned: PlannedTime, slot: int, price: float) -> None:
    """Do what the timetable says for a slot; a job that takes longer than planned goes on."""
    at = slot * SLOT_S
    spans = [(start, end) for start, end in planned.spans if start < at + SLOT_S and end > at]
    runs = known.began is not None and not work.divisible
    if not spans and not runs:
        return
    start = slot if runs else max(slot, spans[0][0] / SLOT_S)
    end = (
        slot + 1.0 if not work.divisible or planned.forced else min(slot + 1, spans[-1][1] / SLOT_S)
    )
    share = min(end - start, work.length - known.done)
    known.began = start if known.began is None else known.began
    known.done += share
    known.spent += share * work.cpus * price
    if known.done >= work.length - _ROUNDING:
        known.ended, known.changed = start + share, True
    elif known.done >= known.planned - _ROUNDING:
        known.changed = True


def bound(week: Sequence[Work], prices: Sequence[float]) -> float:
    """The least that the week may cost for one that knows everything, and interrupts at no cost."""
    pieces = [
        (number, slot, min(1.0, end - slot))
        for number, work in enumerate(week)
        for end in [work.arrives + work.length if work.urgent else work.last]
        for slot in range(work.arrives, math.ceil(end))
    ]
    owner, slots = (np.array([piece[at] for piece in pieces]) for at in (0, 1))
    cpus = np.array([work.cpus for work in week])[owner]
    every = np.arange(len(pieces))
    found = linprog(
        cpus * np.array(prices)[slots],
        A_ub=coo_array((cpus, (slots, every)), shape=(SLOTS, len(pieces))).tocsr(),
        b_ub=np.full(SLOTS, CAPACITY),
        A_eq=coo_array(
            (np.ones(len(pieces)), (owner, every)), shape=(len(week), len(pieces))
        ).tocsr(),
        b_eq=[work.length for work in week],
        bounds=[(0.0, room) for _, _, room in pieces],
        method="highs",
    )
    if not found.success:
        raise RuntimeError(found.message)
    return float(found.fun)


def at_once(week: Sequence[Work], prices: Sequence[float]) -> float:
    """What the week costs if every job begins when it arrives."""
    total = 0.0
    for work in week:
        end, at = work.arrives + work.length, work.arrives
        while at < end:
            total += work.cpus * prices[at] * (min(end, at + 1) - at)
            at += 1
    return total


def late_jobs(week: Sequence[Work], progress: Mapping[str, Progress]) -> int:
    """How many jobs ended after their deadline."""
    return sum((progress[work.id].ended or math.inf) > work.deadline + _ROUNDING for work in week)


def figures(name: str, prices_of: Callable[[int], list[float]]) -> list[Row]:
    """The share of the possible saving, and of late jobs, over all seeds."""
    shares, saved, late, dearer = list[float](), list[float](), list[float](), 0
    for seed in range(SEEDS):
        week, prices = week_of(seed), prices_of(seed)
        progress = online(week, prices, seed)
        spent = sum(one.spent for one in progress.values())
        now, least = at_once(week, prices), bound(week, prices)
        dearer += spent > now * (1 + _ROUNDING)
        saved.append(100 * (now - spent) / now)
        if now - least > _ROUNDING * now:
            shares.append(100 * (now - spent) / (now - least))
        late.append(100 * late_jobs(week, progress) / len(week))
    rows = [Row(name=f"late jobs, {name}", value=fmean(late), unit="%", goal=1.0, runs=tuple(late)),
            Row(name=f"weeks dearer than at once, {name}", value=dearer, unit="weeks", goal=0)]  # fmt: skip
    if not shares:
        return rows
    told = f"saves {fmean(saved):.1f} % of doing all at once"
    return [
        Row(
            name=f"share of the possible saving, {name}",
            value=fmean(shares),
            unit="%",
            goal=85,
            least=True,
            baseline=f"a linear program that knows everything; {told}",
            runs=tuple(shares),
        ),
        *rows,
    ]


def parts_of(_: Path) -> Mapping[str, Callable[[], list[Row]]]:
    """The parts by name."""
    return {
        "market": partial(figures, "market prices", market),
        "tariff": partial(figures, "two rates", two_rates),
        "flat": partial(figures, "a flat price", flat),
    }


if __name__ == "__main__":
    drive("offpeak", sys.argv[1:], parts_of)
