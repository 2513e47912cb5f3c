"""Several servers on one home: they change together, and serve on while their home is away."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from tests.support.nginx import Proxy, program, proxied
from tests.support.replicas import (
    CheckingCallers,
    Checkout,
    Replica,
    checking,
    predictions_of,
    running,
)
from tests.support.waiting import until
from tidemill.ledger.event import Served
from tools import object_store, postgres


@pytest.fixture
def database() -> Iterator[postgres.Server]:
    if reason := postgres.missing():
        pytest.skip(reason)
    with postgres.stoppable() as found:
        yield found


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[object_store.Server]:
    if reason := object_store.missing():
        pytest.skip(reason)
    with object_store.stoppable() as found:
        for name, value in found.environment.items():
            monkeypatch.setenv(name, value)
        yield found


def all_serve(replicas: list[Replica], version: str) -> None:
    until(lambda: all(each.version == version for each in replicas))


def all_are_fresh(replicas: list[Replica], *, fresh: bool) -> None:
    until(lambda: all((each.status["stale_since"] is None) is fresh for each in replicas))


def test_replicas_serve_on_without_their_ledger_and_follow_it_again(
    database: postgres.Server, tmp_path: Path
) -> None:
    place = database.url, f"file://{tmp_path}/store"
    source = Checkout(tmp_path / "ci", *place)
    first = source.deliver()
    replicas = [Replica(tmp_path / name, *place) for name in ("one", "two")]
    with running(replicas):
        one, two = replicas
        all_serve(replicas, first)
        assert one.status["stale_since"] is None
        second = source.deliver(rounds=6)
        all_serve(replicas, second)
        database.stop()
        all_are_fresh(replicas, fresh=False)
        since = one.status["stale_since"]
        assert "can't be reached" in one.status["faults"][0]
        metrics = one.server.ask("/metrics").body.decode()
        assert "tidemill_ledger_stale_seconds 0\n" not in metrics
        # One that starts meanwhile knows what was live.
        assert two.end() == 0
        two.start()
        two.wait_until_ready()
        assert two.version == second
        assert one.status["stale_since"] == since
        new = Replica(tmp_path / "new", *place)
        new.start()
        assert new.process.wait(120) == 1
        assert "can't be reached" in new.log.read_text()
        database.start()
        all_are_fresh(replicas, fresh=True)
        third = source.deliver(rounds=7)
        all_serve(replicas, third)


@pytest.mark.slow
def test_a_ledger_that_hangs_is_stale_and_keeps_no_server_from_stopping(
    database: postgres.Server, tmp_path: Path
) -> None:
    place = database.url, f"file://{tmp_path}/store"
    first = Checkout(tmp_path / "ci", *place).deliver()
    [one] = [Replica(tmp_path / "one", *place)]
    with running([one]), database.hanging():
        all_are_fresh([one], fresh=False)
        assert "doesn't answer" in one.status["faults"][0] or "reached" in one.status["faults"][0]
        assert one.version == first
        assert one.end() == 0


@pytest.mark.slow
def test_nothing_that_happens_to_replicas_behind_a_proxy_loses_a_request(
    database: postgres.Server, store: object_store.Server, tmp_path: Path
) -> None:
    program("nginx")
    place = database.url, "s3://bucket/shop"
    source = Checkout(tmp_path / "ci", *place)
    versions = [source.deliver()]
    replicas = [Replica(tmp_path / name, *place) for name in ("one", "two", "three")]
    with running(replicas), in_front_of(replicas, tmp_path / "nginx") as proxy:
        with checking(proxy.port) as callers:
            for rounds in (6, 7, 8):
                versions.append(source.deliver(rounds))
                all_serve(replicas, versions[-1])
                wait_for_answers(callers, versions[-1])
            database.stop()
            store.stop()
            all_are_fresh(replicas, fresh=False)
            kill_and_restart(replicas[2])
            wait_for_answers(callers, versions[-1])
            database.start()
            store.start()
            all_are_fresh(replicas, fresh=True)
            versions.append(source.deliver(9))
            all_serve(replicas, versions[-1])
            # Each is restarted in turn, as an upgrade does.
            for each in replicas:
                assert each.end() == 0
                each.start()
                each.wait_until_ready()
            kill_and_restart(replicas[0])
            wait_for_answers(callers, versions[-1])
        assert callers.lost == []
        assert set(callers.answers) == set(versions)
        assert callers.wrong(predictions_of(source, versions)) == []
        for each in replicas:
            assert each.end() == 0
    usages = recorded_requests(source)
    # What a killed server had not recorded is lost; nothing is counted twice.
    assert 0 < usages <= sum(callers.answers.values())


def wait_for_answers(callers: CheckingCallers, version: str) -> None:
    """Wait until a version has answered more."""
    before = callers.answers[version]
    until(lambda: callers.answers[version] >= before + 200)


def kill_and_restart(replica: Replica) -> None:
    replica.end(signal.SIGKILL)
    replica.start()
    replica.wait_until_ready()


def in_front_of(replicas: list[Replica], folder: Path) -> AbstractContextManager[Proxy]:
    """nginx in front of replicas, by the example for them."""
    folder.mkdir()
    places = {
        f"10.0.0.{number}:8000": f"127.0.0.1:{each.port}" for number, each in enumerate(replicas, 1)
    }
    return proxied(Proxy(folder, "nginx-replicas.conf", places))


def recorded_requests(checkout: Checkout) -> int:
    """The requests that servers recorded."""
    with checkout.open() as project:
        events = [fact.event for fact in project.tools.ledger.events(kinds=(Served.__name__,))]
        usages = [usage for event in events if isinstance(event, Served) for usage in event.usages]
        return sum(usage.requests for usage in usages)
