from tidemill.ledger.cost import Cost
from tidemill.ledger.run import Action
from tidemill.ledger.shared_work import SharedStage, shared_work


def cost(attempts: int, cpu_s: float) -> Cost:
    return Cost(attempts=attempts, wall_s=9.0, cpu_s=cpu_s, rows_in=0.0, bytes_in=0.0, rows_out=0.0)


def test_others_are_counted_with_what_their_steps_would_take() -> None:
    found = shared_work(
        "ana@laptop",
        {"raw": {"ci@vm": 2, "ana@laptop": 1}, "model": {"ben@desk": 1}, "new": {"ana@laptop": 1}},
        {
            "raw": {Action.RUN: cost(9, 2.0), Action.BIND: cost(99, 0.001)},
            "model": {Action.BIND: cost(1, 0.001)},
        },
    )
    assert found.stages == (
        SharedStage(stage="raw", partitions=3, by_others=2, cpu_s=4.0),
        SharedStage(stage="model", partitions=1, by_others=1, cpu_s=None),
        SharedStage(stage="new", partitions=1, by_others=0, cpu_s=None),
    )
    assert (found.by_others, found.cpu_s) == (3, 4.0)
    assert [*found.computed_by.items()] == [("ana@laptop", 2), ("ci@vm", 2), ("ben@desk", 1)]


def test_the_same_user_on_another_host_is_another() -> None:
    found = shared_work("ana@laptop", {"raw": {"ana@desk": 1}}, {})
    assert found.by_others == 1


def test_nothing_published_is_nobodys_work() -> None:
    found = shared_work("ana@laptop", {}, {})
    assert (found.by_others, found.cpu_s, dict(found.computed_by)) == (0, 0.0, {})
