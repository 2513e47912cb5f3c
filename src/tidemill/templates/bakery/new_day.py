"""The bakery's tills and its thermometer: writes the files of the next day, the same ones every time.

    python new_day.py        the day after the newest in data/sales
    python new_day.py 7      a week

Put your own files in their place when you have seen enough.
"""

import csv
import math
import random
import sys
from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from pathlib import Path

FIRST = date(2026, 1, 5)
SHOPS = {"harbour": 14.0, "market": 22.0, "station": 30.0}


def add_days(folder: Path, count: int) -> list[Path]:
    """Write the files of the next `count` days below `folder`; their paths."""
    days = sorted(path.stem for path in (folder / "sales").glob("*.csv"))
    day = date.fromisoformat(days[-1]) + timedelta(days=1) if days else FIRST
    written: list[Path] = []
    for offset in range(count):
        written += _write_day(folder, day + timedelta(days=offset))
    return written


def _write_day(folder: Path, day: date) -> list[Path]:
    chance = random.Random(day.toordinal())
    season = math.sin((day.timetuple().tm_yday - 105) / 365 * 2 * math.pi)
    temperature = round(9 + 11 * season + chance.gauss(0, 3), 1)
    rain = round(max(0.0, chance.gauss(-1, 4)), 1)
    rows = [
        (day, shop, hour, _sold(usual, hour, day, temperature, rain, chance))
        for shop, usual in SHOPS.items()
        for hour in range(7, 19)
    ]
    # Tills are not perfect: on Mondays one loses a count, on Saturdays one sends a row twice.
    if day.isoweekday() == 1:
        spot = chance.randrange(len(rows))
        rows[spot] = (*rows[spot][:3], -1)
    if day.isoweekday() == 6:
        rows.append(chance.choice(rows))
    return [
        _write(folder / "sales" / f"{day}.csv", ("date", "shop", "hour", "sold"), rows),
        _write(
            folder / "weather" / f"{day}.csv",
            ("date", "temperature", "rain"),
            [(day, temperature, rain)],
        ),
    ]


def _sold(
    usual: float, hour: int, day: date, temperature: float, rain: float, chance: random.Random
) -> int:
    rush = math.exp(-(((hour - 8) / 1.5) ** 2)) + 0.6 * math.exp(-(((hour - 17) / 1.5) ** 2))
    weekend = 1.3 if day.isoweekday() >= 6 else 1.0
    mean = usual * (0.4 + rush) * weekend * (1 - min(rain, 10) / 25) * (1 - temperature / 200)
    return max(0, round(chance.gauss(mean, math.sqrt(mean) / 2)))


def _write(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)
    return path


if __name__ == "__main__":
    for path in add_days(Path(__file__).parent / "data", int(sys.argv[1]) if sys.argv[1:] else 1):
        sys.stdout.write(f"{path.relative_to(Path(__file__).parent)}\n")
