"""One job of `execution` in a process of its own, from the folder of the project: a line of JSON.

python -m bench.inside_lane JOB [ARGUMENT...]
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable

from bench import lane_bursts, lane_faults, lane_serving, lane_speed

JOBS: dict[str, Callable[..., object]] = {
    "overhead": lane_speed.overhead,
    "tiny": lane_speed.tiny,
    "table": lane_speed.table,
    "bursts": lane_bursts.bursts,
    "growth": lane_bursts.growth,
    "recovery": lane_faults.recovery,
    "chaos": lane_faults.chaos,
    "leaks": lane_faults.leaks,
    "orphans": lane_faults.orphans,
    "abandon": lane_faults.abandon,
    "serving": lane_serving.serving,
    "serve": lane_serving.serve,
}

# Pools that spawn import this module in their workers.
if __name__ == "__main__":
    print(json.dumps(JOBS[sys.argv[1]](*sys.argv[2:])))
