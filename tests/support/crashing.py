"""A Parquet file with one flipped bit, at which Polars aborts the process."""

from __future__ import annotations

import base64
import subprocess
import sys
import zlib
from pathlib import Path

# Three rows of the contract `Raw` in `tests.support.tides`: day, id and value. Bit 304 is in a page's header.
_PACKED = (
    "eNqdVM9rE0EUfjvZbpbSQ4XOsCuLRKFLSkubrNYkJdpO0ppKk5oEpdRTt242rcZGmv68+QeIR8lZ8JaDCP4H4qF4VA+ePHvqyZOC"
    "b2Z/FJQe7CPMe2/eN9/75s2SOm9mqUp1erlKCQWA9PuZ3yn1KkClBkCBjtJrUzSJTqOadRPSqtg35BqhdQ5AMNEUSFBizoI2ahoJ"
    "zz2mI0xje6yv2EVb/+cwts3QuSoSR0TGG4ANAEWyCSOw8V3ZUFDGGLWnEBnL0COIocOZSZbhRiSHJDTsEgoi257U81ZhnxT7hNg/"
    "lXOJsGGR3hENIW4YVPSFCHc6HzW88gWgHw4AdxciJKr/OPSCDpvjoJnG0IHb2W9JCS8VMZOBWjyP17xEzGBMoaNgsnA7lokhifX+"
    "XT6dj0N9ISxbrEg9BjI6IfQoDAcq7SsixrerLqu73e4exbmRcSIfcXyk2pGvhTnOEOgwBsFlgGmmZRbtz4r1H+/OvibpGBtodBrs"
    "V6p1oQdiP5KUsW8avQ32hyHrIjNmz3VqsH4SKdi7BNNsnf1KjImJGCO82by3Ntd7tNV66hoDMiOs0OZoS2LJH2B+1AhzubXCeY+X"
    "pW/wyTrWDw/F/l3Oo3M1dKWeSFbFwsX5ck1QL4u0xEO8KNV4YOUVUQ8oHgiQs752lH0ojlYfYyXfjUUFoFLg0Or3hWget8JCuSGg"
    "7QBa6TzhfLEn+GW3skSuB/i21LPURrzwjUDXYkg9Ke6P1yu1eUWSi6tWmlutBr8Fxmq923F3e6n0s+O9re7OROqgtdvb7u6knOns"
    "dCaV3tzf7nipnF/IOJvedd/3nJzv5x0ve8PJ5d1MwXUKs77v+Dm35RWcCbNoAQQ/eI3fQh3/sf4AMSfU0Q=="
)
CRASHING = zlib.decompress(base64.b64decode(_PACKED))


def ends_a_process(path: Path) -> bool:
    """Whether Polars, in the version that is installed, dies of a Parquet file."""
    program = "import sys, polars as pl; pl.scan_parquet(sys.argv[1]).collect()"
    done = subprocess.run([sys.executable, "-c", program, path], capture_output=True, check=False)
    return done.returncode < 0
