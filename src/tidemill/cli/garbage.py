"""Spare the process of a command the search for garbage in what it keeps until its end.

When it ends, Python looks several times through all objects that there are, for 30 ms each time.
"""

from __future__ import annotations

import gc
import threading

# The thousands of small records that a plan reads all stay alive: collecting garbage every 700 of them costs
# as much as reading them.
THRESHOLDS = (150_000, 20, 100)

# Set in a process that ends with its command.
ends_with_command = threading.Event()


def leave_out_all() -> None:
    """Leave all objects that there are now out of each search, if the process ends with the command.

    From then on garbage is searched for every 150,000 objects.
    """
    if ends_with_command.is_set():
        gc.freeze()
        gc.set_threshold(*THRESHOLDS)
