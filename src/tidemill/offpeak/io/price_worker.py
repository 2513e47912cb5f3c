"""Call a function that returns prices, and print them as JSON: `price_worker MODULE:NAME FOLDER`."""

from __future__ import annotations

import importlib
import json
import os
import sys
from collections.abc import Iterator
from datetime import datetime
from typing import Any


def main(function: str, folder: str) -> None:
    """Print what the function returns on the standard output, and whatever it prints elsewhere."""
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as out:
        # What the user's code prints is no price.
        os.dup2(2, 1)
        sys.path.insert(0, folder)
        module, _, name = function.partition(":")
        prices = getattr(importlib.import_module(module), name)()
        json.dump([*_entries(prices)], out)


def _entries(prices: Any) -> Iterator[list[object]]:
    for start, price in prices:
        at = start.isoformat() if isinstance(start, datetime) else start
        yield [at, None if price is None else float(price)]


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
