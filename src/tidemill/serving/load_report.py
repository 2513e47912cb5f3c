"""The result of a load test: throughput, latencies without coordinated omission, errors, CPU time.

A load generator that waits for a slow reply before it sends the next request doesn't measure the requests
that it didn't send meanwhile, which would have waited, too. So the latency of a request counts from the
moment at which it should have been sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from tidemill.core.lazy_dataclass import dataclass
from tidemill.serving.latencies import Latencies
from tidemill.serving.load_plan import LoadPlan

_OK = "200"
# A generator that uses more than this share of a core measures itself.
_BUSY = 0.9
_MS = 1e6
QUANTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p99.9": 0.999}


class LoadTally:
    """Counts what became of requests; times are nanoseconds after the start.

    Only requests that were answered with 200, or not at all, have a latency: quick refusals would make a
    server look fast.
    """

    def __init__(self) -> None:
        self.latencies = Latencies()
        self.service = Latencies()
        self.lateness = Latencies()
        self.outcomes: dict[str, int] = {}

    def answer(self, due: int, sent: int, answered: int, status: int) -> None:
        """Count a reply."""
        self._count(str(status))
        self.lateness.add(sent - due)
        if status == 200:
            self.latencies.add(answered - due)
            self.service.add(answered - sent)

    def lose(self, due: int, sent: int | None, given_up: int, reason: str) -> None:
        """Count a request without a reply; it took at least until it was given up.

        `reason` is such as "timeout"; `sent` is None for one that was never sent.
        """
        self._count(reason)
        self.latencies.add(given_up - due)
        if sent is not None:
            self.lateness.add(sent - due)
            self.service.add(given_up - sent)

    def _count(self, outcome: str) -> None:
        self.outcomes[outcome] = self.outcomes.get(outcome, 0) + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerUsage:
    """The usage that a server reports: CPU seconds of requests and of all its processes, and requests."""

    requests: int
    request_cpu_s: float
    process_cpu_s: float
    processes: int = 1

    def since(self, earlier: ServerUsage) -> ServerUsage:
        """The usage between two looks."""
        return ServerUsage(
            requests=self.requests - earlier.requests,
            request_cpu_s=self.request_cpu_s - earlier.request_cpu_s,
            process_cpu_s=self.process_cpu_s - earlier.process_cpu_s,
            processes=self.processes,
        )

    @property
    def cpu_us(self) -> float | None:
        """The CPU time of a request in microseconds, without what the server uses when it is idle."""
        return 1e6 * self.request_cpu_s / self.requests if self.requests > 0 else None


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadReport:
    """The result of a test; latencies are in milliseconds, by quantile.

    In an open loop `latency_ms` counts from when a request should have been sent. In a closed loop it counts
    from when it was sent, and `corrected_ms` is what callers see who send every `interval_ms` and don't wait.
    `lateness_ms` is how much later than planned requests were sent. `generator_cpu` is the share of a core
    that the test itself used. `server_cpu_us` is the CPU time of a request by the server's metrics.
    """

    endpoint: str
    url: str
    loop: str
    rate: float
    callers: int
    rows_per_request: int
    seconds: float
    sent: int
    answered: int
    errors: Mapping[str, int]
    throughput: float
    latency_ms: Mapping[str, float]
    service_ms: Mapping[str, float]
    lateness_ms: Mapping[str, float]
    generator_cpu: float
    interval_ms: float | None = None
    corrected_ms: Mapping[str, float] = field(default_factory=dict)
    server_cpu_us: float | None = None
    server_process_cpu_us: float | None = None

    @property
    def warnings(self) -> list[str]:
        """Why the figures may not be those of the server."""
        found = []
        if self.generator_cpu > _BUSY:
            found.append(
                f"the generator used {self.generator_cpu:.0%} of a core: part of the latency is its own; "
                "send less, or from another machine"
            )
        if self.loop == "open" and self.throughput < 0.95 * self.rate and not self.errors:
            found.append(
                f"{self.throughput:,.0f} of {self.rate:,.0f} requests a second were answered: this is more "
                "than the server, or the connections, can take"
            )
        return found


def load_report(
    plan: LoadPlan,
    tally: LoadTally,
    *,
    endpoint: str,
    url: str,
    seconds: float,
    generator_cpu_s: float,
    usage: ServerUsage | None = None,
) -> LoadReport:
    """Sum up a test that took `seconds` from the first request to the last reply."""
    answered = tally.outcomes.get(_OK, 0)
    sent = sum(tally.outcomes.values())
    interval = None if plan.is_open or not tally.service.count else tally.service.quantile(0.5)
    corrected = None if interval is None else tally.service.as_if_sent_every(round(interval))
    process_us = 1e6 * usage.process_cpu_s / usage.requests if usage and usage.requests else None
    return LoadReport(
        endpoint=endpoint,
        url=url,
        loop="open" if plan.is_open else "closed",
        rate=plan.rate,
        callers=plan.callers,
        rows_per_request=plan.rows_per_request,
        seconds=seconds,
        sent=sent,
        answered=answered,
        errors={name: count for name, count in sorted(tally.outcomes.items()) if name != _OK},
        throughput=answered / seconds if seconds else 0.0,
        latency_ms=_quantiles(tally.latencies),
        service_ms=_quantiles(tally.service),
        lateness_ms=_quantiles(tally.lateness),
        generator_cpu=generator_cpu_s / seconds if seconds else 0.0,
        interval_ms=None if interval is None else interval / _MS,
        corrected_ms={} if corrected is None else _quantiles(corrected),
        server_cpu_us=None if usage is None else usage.cpu_us,
        server_process_cpu_us=process_us,
    )


def _quantiles(latencies: Latencies) -> dict[str, float]:
    if not latencies.count:
        return {}
    found = {name: latencies.quantile(share) / _MS for name, share in QUANTILES.items()}
    return {**found, "max": latencies.longest / _MS, "mean": latencies.mean / _MS}
