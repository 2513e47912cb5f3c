"""The result of a load test as text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from tidemill.cli.render.figures import plural
from tidemill.core.text_table import text_table

if TYPE_CHECKING:
    from tidemill.project.load_tests import LoadReport

_COLUMNS = ("p50", "p90", "p99", "p99.9", "max")


def render_load_report(report: LoadReport) -> str:
    """How requests were sent, what was answered, and a table of latencies in milliseconds."""
    is_open = report.loop == "open"
    how = (
        f"{report.rate:,g}/s (open loop)"
        if is_open
        else f"{plural(report.callers, 'caller')}, waiting for each reply (closed loop)"
    )
    errors = ", ".join(f"{count:,} {name}" for name, count in report.errors.items()) or "none"
    lines = [
        f"{report.endpoint}: {how}, {plural(report.rows_per_request, 'row')} each, to {report.url}",
        f"{report.throughput:,.1f} answers a second in {report.seconds:.1f} s: {report.answered:,} of "
        f"{report.sent:,}; errors: {errors}",
        "",
        text_table(["ms", *(f">{name}" for name in _COLUMNS)], _rows(report)),
        "",
        *_notes(report),
        *(f"warning: {each}" for each in report.warnings),
    ]
    return "\n".join(lines)


def _rows(report: LoadReport) -> list[list[str]]:
    if report.loop == "open":
        rows = [
            ("latency, from when it was due", report.latency_ms),
            ("of that, after it was sent", report.service_ms),
            ("sent later than planned", report.lateness_ms),
        ]
    else:
        rows = [("latency, from when it was sent", report.latency_ms)]
        if report.interval_ms is not None:
            head = f"as seen if sent every {report.interval_ms:.3g} ms"
            rows.append((head, report.corrected_ms))
    return [[name, *_cells(found)] for name, found in rows]


def _cells(found: Mapping[str, float]) -> list[str]:
    return [f"{found[name]:,.3f}" if name in found else "-" for name in _COLUMNS]


def _notes(report: LoadReport) -> list[str]:
    found = []
    if report.loop == "closed":
        found.append(
            "callers who wait send nothing while the server stalls, so the first line leaves these requests "
            "out (coordinated omission); --rate doesn't"
        )
    if report.server_cpu_us is not None:
        whole = report.server_process_cpu_us
        rest = f", {whole:,.0f} µs with all that the server did meanwhile" if whole else ""
        found.append(f"CPU of the server: {report.server_cpu_us:,.0f} µs a request{rest}")
    found.append(f"CPU of this program: {report.generator_cpu:.0%} of a core")
    return found
