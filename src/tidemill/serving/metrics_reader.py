"""Read the metrics of a server in the text format of Prometheus."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tidemill.serving.load_report import ServerUsage

_LINE = re.compile(r"([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)(?: -?\d+)?")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


def server_usage(text: str, endpoint: str) -> ServerUsage | None:
    """The usage of an endpoint and its server until now; None without the metrics of Tidemill."""
    requests, cpu, process, processes = 0.0, 0.0, None, 1.0
    for name, labels, value in _points(text):
        is_ours = labels.get("endpoint") == endpoint
        if name == "tidemill_requests_total" and is_ours:
            requests += value
        elif name == "tidemill_request_cpu_seconds_total" and is_ours:
            cpu += value
        elif name == "process_cpu_seconds_total":
            process = value
        elif name == "tidemill_processes":
            processes = value
    if process is None:
        return None
    return ServerUsage(
        requests=int(requests),
        request_cpu_s=cpu,
        process_cpu_s=process,
        processes=int(processes),
    )


def _points(text: str) -> Iterator[tuple[str, dict[str, str], float]]:
    for line in text.splitlines():
        found = _LINE.fullmatch(line)
        if found is None:
            continue
        try:
            value = float(found[3])
        except ValueError:
            continue
        yield found[1], dict(_LABEL.findall(found[2] or "")), value
