"""Measure replicas behind nginx on a shared home: `python -m bench.replicas [PART...]`.

Three servers, PostgreSQL, an object store, the training and the callers (100 requests a second) share the
CPUs of this machine, which in earnest are several. Prints a table, and writes it to results/replicas.json.
"""

from __future__ import annotations

import os
import signal
import statistics
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from bench.common import Row, drive
from tests.support.nginx import Proxy, proxied
from tests.support.replicas import Checkout, Replica, checking, predictions_of, running
from tests.support.waiting import until
from tidemill.ledger.event import Delivered
from tools import object_store, postgres

REPLICAS, DELIVERIES, AWAY_S = 3, 7, 20.0


def parts_of(
    work: Path, database: postgres.Server, store: object_store.Server
) -> dict[str, Callable[[], list[Row]]]:
    """What is measured, in one go: the replicas run all the time."""
    return {"replicas": lambda: _replicas(work, database, store)}


def _replicas(work: Path, database: postgres.Server, store: object_store.Server) -> list[Row]:
    place = database.url, "s3://bucket/bench"
    source = Checkout(work / "ci", *place)
    versions = [source.deliver()]
    replicas = [Replica(work / f"replica-{number}", *place) for number in range(REPLICAS)]
    (work / "nginx").mkdir()
    places = {f"10.0.0.{n}:8000": f"127.0.0.1:{r.port}" for n, r in enumerate(replicas, 1)}
    with (
        running(replicas),
        proxied(Proxy(work / "nginx", "nginx-replicas.conf", places)) as proxy,
    ):
        with checking(proxy.port) as callers:
            swaps = []
            for rounds in range(6, 6 + DELIVERIES):
                version, took_s = _deliver(source, replicas, rounds)
                versions.append(version)
                swaps.append(took_s)
        swapped, lost = sum(callers.answers.values()), len(callers.lost)
        wrong = len(callers.wrong(predictions_of(source, versions)))
        with checking(proxy.port) as callers:
            database.stop()
            store.stop()
            time.sleep(AWAY_S)
            back_s = _come_back(replicas, database, store)
        away, failed = sum(callers.answers.values()), len(callers.lost)
        with checking(proxy.port) as callers:
            for number in (signal.SIGTERM, signal.SIGKILL):
                for each in replicas:
                    each.end(number)
                    each.start()
                    each.wait_until_ready()
        ended, gone = sum(callers.answers.values()), len(callers.lost)
    return [
        Row(name=f"delivery until all of {REPLICAS} replicas serve it, median", unit="s", goal=1.0,
            value=statistics.median(swaps), runs=tuple(swaps)),
        Row(name=f"requests lost during {DELIVERIES} deliveries", unit="", value=lost, goal=0,
            baseline=f"of {swapped:,}"),
        Row(name="answers that aren't those of the version that they name", unit="", value=wrong, goal=0),
        Row(name="requests failed while ledger and store are away", unit="", value=failed, goal=0,
            baseline=f"of {away:,}, for {AWAY_S:.0f} s"),
        Row(name="until the replicas are up to date once these are back", unit="s", value=back_s),
        Row(name="requests lost while each replica is restarted, and killed", unit="", value=gone, goal=0,
            baseline=f"of {ended:,}"),
    ]  # fmt: skip


def _deliver(source: Checkout, replicas: Sequence[Replica], rounds: int) -> tuple[str, float]:
    """Deliver a version; the seconds until the last replica answers with it."""
    before, seen = replicas[0].version, list[float]()

    def watch(replica: Replica) -> None:
        until(lambda: replica.version != before)
        seen.append(time.time())

    watching = [threading.Thread(target=watch, args=(each,)) for each in replicas]
    for thread in watching:
        thread.start()
    version = source.deliver(rounds)
    for thread in watching:
        thread.join()
    with source.open() as project:
        [fact] = project.tools.ledger.events(kinds=(Delivered.__name__,), newest=True, limit=1)
    return version, max(seen) - fact.at


def _come_back(
    replicas: Sequence[Replica], database: postgres.Server, store: object_store.Server
) -> float:
    database.start()
    store.start()
    began = time.monotonic()
    until(lambda: all(each.status["stale_since"] is None for each in replicas))
    return time.monotonic() - began


if __name__ == "__main__":
    with postgres.stoppable() as database, object_store.stoppable() as store:
        os.environ.update(store.environment)
        drive("replicas", sys.argv[1:], lambda work: parts_of(work, database, store))
