"""Conformance tests for ledgers: mean costs of steps."""

from __future__ import annotations

from typing import Any

from tidemill.ledger.event import Event
from tidemill.ledger.run import Outcome
from tidemill.ports.ledger import Ledger
from tidemill.testing.records import PROD, attempted_event, cost


class CostSuite:
    """The mean cost of a stage's actions, from the recorded attempts."""

    def test_costs_are_means_by_stage_and_action(self, ledger: Ledger) -> None:
        def took(seconds: float, rows: int, **of: Any) -> Event:
            of |= {"rows_in": rows, "bytes_in": 8 * rows, "rows_out": rows}
            return attempted_event(wall_s=seconds, cpu_s=2 * seconds, **of)

        ledger.append([took(1.0, 10), took(3.0, 20), took(9.0, 5, stage="labels")], now=1.0)
        ledger.append([took(5.0, 60, environment="dev"), took(4.0, 8, action="recheck")], now=2.0)
        costs = {
            "features": {"run": cost(3, 3.0, rows=30), "recheck": cost(1, 4.0, rows=8)},
            "labels": {"run": cost(1, 9.0, rows=5)},
        }
        for environment in (PROD, "dev", "unheard"):
            assert ledger.state(environment).costs == costs

    def test_only_attempts_that_did_their_action_count(self, ledger: Ledger) -> None:
        others = (Outcome.CURRENT, Outcome.FAILED, Outcome.REFUSED, Outcome.SKIPPED)
        ledger.append([attempted_event(outcome=outcome, wall_s=9.0) for outcome in others], now=1.0)
        ledger.append([attempted_event(action="bind", wall_s=9.0)], now=1.0)  # had to be computed
        assert ledger.state(PROD).costs == {}
        for action, seconds in (("bind", 1.0), ("run", 3.0)):  # the second found a known result
            bound = attempted_event(
                action=action, outcome=Outcome.BOUND, wall_s=seconds, cpu_s=2 * seconds
            )
            ledger.append([bound], now=1.0)
        assert ledger.state(PROD).costs == {"features": {"bind": cost(2, 2.0)}}

    def test_newer_attempts_weigh_more(self, ledger: Ledger) -> None:
        ledger.append([attempted_event(wall_s=1.0, cpu_s=2.0) for _ in range(100)], now=1.0)
        assert ledger.state(PROD).costs["features"]["run"] == cost(100, 1.0)
        ledger.append([attempted_event(wall_s=17.0, cpu_s=34.0)], now=1.0)
        assert ledger.state(PROD).costs["features"]["run"] == cost(101, 2.0)
        ledger.append([attempted_event(wall_s=17.0, cpu_s=34.0) for _ in range(99)], now=1.0)
        assert 16.9 < ledger.state(PROD).costs["features"]["run"].wall_s < 17.0
