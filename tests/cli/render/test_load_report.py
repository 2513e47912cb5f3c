from __future__ import annotations

from tidemill.cli.render.load_report import render_load_report
from tidemill.serving.load_plan import LoadPlan
from tidemill.serving.load_report import LoadTally, ServerUsage, load_report


def rendered(plan: LoadPlan, tally: LoadTally, usage: ServerUsage | None = None) -> str:
    return render_load_report(
        load_report(
            plan,
            tally,
            endpoint="demand",
            url="http://127.0.0.1:8000",
            seconds=2.0,
            generator_cpu_s=0.5,
            usage=usage,
        )
    )


def test_an_open_loop() -> None:
    tally = LoadTally()
    tally.answer(0, 100_000, 2_100_000, 200)
    tally.answer(0, 0, 100, 503)
    usage = ServerUsage(requests=2, request_cpu_s=0.0001, process_cpu_s=0.0002)
    assert rendered(LoadPlan(rate=1, duration=2), tally, usage) == (
        "demand: 1/s (open loop), 1 row each, to http://127.0.0.1:8000\n"
        "0.5 answers a second in 2.0 s: 1 of 2; errors: 1 503\n"
        "\n"
        "ms                               p50    p90    p99  p99.9    max\n"
        "latency, from when it was due  2.100  2.100  2.100  2.100  2.100\n"
        "of that, after it was sent     2.000  2.000  2.000  2.000  2.000\n"
        "sent later than planned        0.000  0.100  0.100  0.100  0.100\n"
        "\n"
        "CPU of the server: 50 µs a request, 100 µs with all that the server did meanwhile\n"
        "CPU of this program: 25% of a core"
    )


def test_a_closed_loop_without_any_answer() -> None:
    tally = LoadTally()
    tally.lose(0, None, 1_000_000, "refused")
    found = rendered(LoadPlan(callers=1, duration=2), tally)
    assert "demand: 1 caller, waiting for each reply (closed loop), 1 row each" in found
    assert "errors: 1 refused" in found
    assert "latency, from when it was sent  1.000" in found
    assert "as seen" not in found
