"""Whenever a connection is cut, an append is recorded whole or not at all, and who asked for it knows."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.cut_connections import CuttingProxy, proxy_to
from tests.support.shared_homes import as_address, copy_on
from tests.support.tables import tables
from tidemill.adapters.postgres import connections
from tidemill.adapters.postgres.ledger import PostgresLedger
from tidemill.adapters.sqlite.integrity import find_damage
from tidemill.core.errors import ConflictError, StorageError
from tidemill.testing.records import PROD, published_event
from tidemill.testing.suites.ledger import nobody_is_dead


@pytest.fixture
def proxy(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> CuttingProxy:
    return proxy_to(postgres_url, tmp_path_factory.mktemp("cut"))


@pytest.mark.parametrize("stays_away", [False, True])
def test_cut_after_every_piece_that_is_sent(
    proxy: CuttingProxy,
    new_home: Callable[[], str],
    tmp_path: Path,
    stays_away: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connections, "_UNKNOWN_S", 0.0)
    schema = new_home().rpartition("=")[2]
    recorded, outcomes = 0, set[str]()
    with proxy:
        one = PostgresLedger(copy_on(tmp_path, "one"), as_address(f"{proxy.url}&schema={schema}"))
        for pieces in range(1, 60):
            events = [published_event(f"{pieces}-{half}") for half in "ab"]
            proxy.cut_after(pieces, stays_away=stays_away)
            try:
                said = str(one.append(events, now=1.0))
            except StorageError as error:
                said = str(error)
            was_cut = proxy.has_cut
            proxy.come_back()
            now = one.state(PROD).seq
            # Two events or none, and none that the caller took for lost.
            if said.isdigit():
                assert now == int(said) == recorded + 2
                outcomes.add("recorded")
            elif "isn't known" in said:
                assert now in (recorded, recorded + 2)
                outcomes.add("unknown")
            else:
                assert "can't be reached" in said
                assert now == recorded
                outcomes.add("refused")
            recorded = now
            if not was_cut:
                break
        else:
            pytest.fail("it was cut again and again")
        other = PostgresLedger(copy_on(tmp_path, "other"), as_address(one_url(proxy, schema)))
        assert [fact.seq for fact in other.events()] == [*range(1, recorded + 1)]
        one.close()
        other.close()
    assert tables(copy_on(tmp_path, "one")) == tables(copy_on(tmp_path, "other"))
    assert find_damage(copy_on(tmp_path, "one")) == []
    assert outcomes >= ({"recorded", "refused", "unknown"} if stays_away else {"recorded"})


def test_a_lease_is_taken_or_not_whenever_the_connection_is_cut(
    proxy: CuttingProxy, new_home: Callable[[], str], tmp_path: Path
) -> None:
    """Others record something at the same time, which says nothing of the lease."""
    schema = new_home().rpartition("=")[2]
    outcomes = set[bool]()
    with proxy:
        one = PostgresLedger(copy_on(tmp_path, "one"), as_address(one_url(proxy, schema)))
        other = PostgresLedger(copy_on(tmp_path, "other"), as_address(one_url(proxy, schema)))
        for pieces in range(1, 40):
            name = f"run:{pieces}"
            proxy.cut_after(pieces)
            try:
                lease = one.acquire(name, {"pid": "1"}, now=1.0, ttl=9.0, dead=nobody_is_dead)
            except StorageError:
                lease = None
            was_cut = proxy.has_cut
            proxy.come_back()
            other.append([published_event(str(pieces))], now=1.0)
            if lease is not None:
                with pytest.raises(ConflictError, match="is held by pid 1"):
                    other.acquire(name, {"pid": "2"}, now=1.0, ttl=9.0, dead=nobody_is_dead)
                one.renew(lease, now=2.0, ttl=9.0)
            outcomes.add(lease is not None)
            if not was_cut:
                break
        one.close()
        other.close()
    assert outcomes == {True, False}


def test_a_server_that_is_away_is_named(
    proxy: CuttingProxy, new_home: Callable[[], str], tmp_path: Path
) -> None:
    schema = new_home().rpartition("=")[2]
    with proxy:
        one = PostgresLedger(copy_on(tmp_path, "one"), as_address(one_url(proxy, schema)))
        one.append([published_event()], now=1.0)
        lease = one.acquire("run", {}, now=1.0, ttl=9.0, dead=nobody_is_dead)
        proxy.cut_after(1, stays_away=True)
        for ask in (
            lambda: one.state(PROD),
            lambda: one.append([published_event("next")], now=1.0),
            lambda: one.renew(lease, now=2.0, ttl=9.0),
            lambda: PostgresLedger(copy_on(tmp_path, "other"), as_address(one_url(proxy, schema))),
        ):
            with pytest.raises(
                StorageError, match=r"ledger postgresql://.* can't be reached .*run again"
            ):
                ask()
        proxy.come_back()
        assert one.state(PROD).seq == 1
        one.close()


def one_url(proxy: CuttingProxy, schema: str) -> str:
    return f"{proxy.url}&schema={schema}"
