"""When the steps of a run ran, as its page draws it."""

from __future__ import annotations

import re
from html import unescape

from tidemill.console.io.drawn_pages import page_url
from tidemill.console.run_timeline import run_timeline


def test_each_bar_leads_to_the_log_of_its_step() -> None:
    bar = {
        "stage": "sales & more",
        "partition": "a/b",
        "begun": 1.0,
        "wall_s": 2.0,
        "outcome": "ok",
    }
    drawn = run_timeline({"run": {"id": "r1"}, "timeline": [bar]}, page_url("dev"))
    [link] = re.findall('href="([^"]*)"', drawn)
    assert unescape(link) == "/runs/r1/log?stage=sales+%26+more&partition=a%2Fb&env=dev"
