"""Plans and receipts as text."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest

from tidemill.cli.render.plan_and_receipt import (
    NO_PRICE,
    render_plan,
    render_plan_markdown,
    render_receipt,
)
from tidemill.core.partition import WHOLE
from tidemill.ledger.price import Price
from tidemill.ledger.run import Action, Failure, Receipt, StageTotals, Status
from tidemill.planning.plan import MissingRows, ModelState, Plan, Removals, Step, Waiting
from tidemill.sources.missing import Missing
from tidemill.workflow.memo import MemoUsage

DAYS = ("2026-01-01", "2026-01-02", "2026-01-03")


def lines(text: str) -> list[str]:
    """The lines with every run of spaces as one, so that widths don't matter."""
    return [" ".join(line.split()) for line in text.split("\n")]


def receipt(**changes: object) -> Receipt:
    known = {
        "run": "r1",
        "status": Status.OK,
        "stages": (
            StageTotals(
                stage="sales", ran=3, rows_in=1234, rows_out=1230, bytes_in=5600, quarantined=4
            ),
            StageTotals(stage="features", bound=2, current=1, failed=0, skipped=5, cpu_s=1.234),
        ),
        "wall_s": 2.0,
        "cpu_s": 3.0,
        "peak_rss": 138_000_000,
        "currency": "USD",
    }
    return Receipt(**{**known, **changes})  # type: ignore[arg-type]


class TestReceipt:
    def test_a_line_a_stage_and_the_sums(self) -> None:
        assert lines(render_receipt(receipt()))[:5] == [
            "stage ran reused up to date failed skipped rows in rows out quarantined bytes read CPU s",
            "sales 3 - - - - 1,234 1,230 4 5.6 kB -",
            "features - 2 1 - 5 - - - - 1.23",
            "total 3 2 1 - 5 1,234 1,230 4 5.6 kB 1.23",
            "",
        ]

    def test_what_was_judged_again_is_shown_if_there_is_any(self) -> None:
        stages = (
            StageTotals(stage="sales", rechecked=28),
            StageTotals(stage="features", current=28),
        )
        assert lines(render_receipt(receipt(stages=stages)))[:4] == [
            "stage ran reused rechecked up to date failed skipped rows in rows out quarantined "
            "bytes read CPU s",
            "sales - - 28 - - - - - - - -",
            "features - - - 28 - - - - - - -",
            "total - - 28 28 - - - - - - -",
        ]

    @pytest.mark.parametrize(
        ("used", "told"),
        [
            (
                MemoUsage(known=1_234, asked=1, calls=1),
                "1,234 rows cached, 1 row computed in 1 call",
            ),
            (
                MemoUsage(known=2, asked=3, calls=2, tokens=1, tokens_saved=5_000),
                "2 rows cached, 3 rows computed in 2 calls, 1 token (5,000 saved)",
            ),
            (
                MemoUsage(known=2, saved=2.0),
                "2 rows cached, 0 rows computed in 0 calls, spent 0.00 USD (2.00 USD saved)",
            ),
        ],
    )
    def test_what_memos_took_and_spared(self, used: MemoUsage, told: str) -> None:
        stages = (StageTotals(stage="sales", ran=1, memo=used), StageTotals(stage="features"))
        assert f"memo: {told}" in lines(render_receipt(receipt(stages=stages)))

    def test_one_stage_needs_no_sum(self) -> None:
        text = render_receipt(receipt(stages=(StageTotals(stage="sales", ran=1),)))
        assert "total" not in text

    @pytest.mark.parametrize(
        ("changes", "cost"),
        [
            ({}, NO_PRICE),
            ({"cost": 0.0000234, "currency": "EUR"}, "cost 0.000023 EUR"),
            ({"currency": ""}, "cost nothing"),  # nothing ran
            (
                {
                    "cost": 2.0,
                    "currency": "EUR",
                    "stages": (StageTotals(stage="s", memo=MemoUsage(spent=2.0)),),
                },
                f"cost 2.00 EUR without CPU ({NO_PRICE})",
            ),
            (
                {
                    "cost": 2.5,
                    "currency": "EUR",
                    "stages": (StageTotals(stage="s", memo=MemoUsage(spent=2.0)),),
                },
                "cost 2.50 EUR",
            ),
        ],
    )
    def test_totals(self, changes: dict[str, object], cost: str) -> None:
        told = lines(render_receipt(receipt(**changes)))
        assert f"run r1 ok: wall 2.00 s, CPU 3.00 s, peak RSS 138 MB, {cost}" in told

    def test_what_the_failures_tell_is_said_once(self) -> None:
        failure = Failure(
            stage="sales",
            partitions=("1",),
            why="E: x",
            advice="correct it",
            messages=("sales 1: x",),
        )
        failed = StageTotals(stage="sales", failed=1)
        told = receipt(stages=(failed,), messages=("sales 1: x", "note"), failures=(failure,))
        assert lines(render_receipt(told))[-7:] == [
            "",
            "failed partitions why what to do",
            "sales 1 E: x correct it",
            "",
            "- note",
            "attempts and traces: tidemill runs r1",
            "what was printed: tidemill runs logs r1 sales",
        ]
        both = (failure, replace(failure, stage="features"))
        last = render_receipt(receipt(failures=both)).split("\n")[-1]
        assert last == "what was printed: tidemill runs logs r1"

    def test_messages_and_where_the_traces_are(self) -> None:
        failed = StageTotals(stage="sales", failed=1)
        told = render_receipt(receipt(stages=(failed,), messages=("one", "two\nlines")))
        assert told.split("\n")[-4:] == [
            "- one",
            "- two",
            "  lines",
            "attempts and traces: tidemill runs r1",
        ]


def step(
    stage: str, partition: str, *reasons: str, action: Action = Action.RUN, **known: Any
) -> Step:
    return Step(
        stage=stage,
        partition=partition,
        action=action,
        reasons=reasons,
        rows=10,
        bytes=500,
        **known,
    )


def may(stage: str, partition: str, reads: str, action: Action = Action.RUN) -> Step:
    """A step that follows only if the stage that it reads gives what isn't expected."""
    reason = f"upstream `{reads}` will rerun ({partition})"
    return step(stage, partition, reason, action=action, unlikely=True, reads={reads: (partition,)})


def plan(steps: Iterable[Step] = (), **changes: object) -> Plan:
    known = {"workflow": "bakery", "environment": "prod", "heads": {}, "recipes": {}}
    return Plan(steps=tuple(steps), **{**known, **changes})  # type: ignore[arg-type]


class TestPlan:
    def test_nothing_to_do(self) -> None:
        assert render_plan(plan(current={"sales": 3})).startswith("bakery in prod: nothing to do\n")

    def test_groups_by_action_and_reason(self) -> None:
        steps = [
            *(step("sales", day, "new partition") for day in DAYS[:2]),
            step("sales", DAYS[2], "its code changed", "files changed"),
            step("features", DAYS[0], "upstream `sales` will rerun (2026-01-01)"),
            step("features", DAYS[1], "upstream `sales` will rerun (2026-01-02)"),
            step("demand", WHOLE, "not trained yet", action=Action.TRAIN),
        ]
        told = lines(render_plan(plan(steps, current={"weather": 3, "sales": 7, "features": 0})))
        assert told == [
            "bakery in prod: 6 steps, reads at least 60 rows, 3.0 kB; no history to estimate from",
            "",
            "stage action steps up to date partitions why",
            "weather - - 3",
            "sales run 2 7 2026-01-01 .. 2026-01-02 (2) new partition",
            "run 1 2026-01-03 its code changed; files changed",
            "features run 2 - 2026-01-01 .. 2026-01-02 (2) upstream `sales` will rerun",
            "demand train 1 - not trained yet",
        ]

    def test_a_column_that_changed_in_each_of_some_days_is_one_reason(self) -> None:
        steps = [step("daily", day, f"column `sold` of `sales` changed in {day}") for day in DAYS]
        assert lines(render_plan(plan(steps)))[3:] == [
            "daily run 3 - 2026-01-01 .. 2026-01-03 (3) column `sold` of `sales` changed"
        ]

    def test_what_is_judged_again(self) -> None:
        steps = [
            step("sales", DAYS[0], "the checks of its contract changed", action=Action.RECHECK)
        ]
        assert lines(render_plan(plan(steps)))[3:] == [
            "sales recheck 1 - 2026-01-01 the checks of its contract changed"
        ]

    def test_what_may_follow_is_counted_apart(self) -> None:
        steps = [
            *(step("features", day, "the expression for `rain` changed") for day in DAYS[:2]),
            *(may("daily", day, "features") for day in DAYS[:2]),
            step("daily", DAYS[2], "new partition"),
            may("demand", DAYS[0], "daily", action=Action.TRAIN),
        ]
        made = plan(
            steps, models=(ModelState(stage="demand", outdated=("a",), due=("every(1d)",)),)
        )
        assert lines(render_plan(made)) == [
            "bakery in prod: 3 steps, 3 may follow, reads at least 30 rows, 1.5 kB; "
            "no history to estimate from",
            "",
            "stage action steps up to date partitions why",
            "features run 2 - 2026-01-01 .. 2026-01-02 (2) the expression for `rain` changed",
            "daily may run 2 - 2026-01-01 .. 2026-01-02 (2) only if the output of `features` changes",
            "run 1 2026-01-03 new partition",
            "demand may train 1 - 2026-01-01 only if the output of `daily` changes",
            "",
            "models:",
            "demand: may be due (every(1d)), only if the output of `daily` changes",
        ]
        assert "| daily | may run | 2 |" in render_plan_markdown(made)
        assert "\nmay run daily[2026-01-01]: upstream `features` will rerun" in render_plan(
            made, why=True
        )

    def test_what_it_should_take(self) -> None:
        took: dict[str, Any] = {"wall_s": 61.5, "cpu_s": 90.0}
        steps = [
            *(step("sales", day, "new partition", **took) for day in DAYS[:2]),
            step(
                "labels",
                DAYS[0],
                "its input was removed",
                action=Action.REMOVE,
                wall_s=0.0,
                cpu_s=0.0,
            ),
            *(step("features", day, "new partition") for day in DAYS),
            replace(may("daily", DAYS[0], "features"), wall_s=1.2, cpu_s=1.0),
        ]
        made = plan(steps, current={"weather": 3})
        assert lines(render_plan(made)) == [
            "bakery in prod: 6 steps, 1 may follow (about 1.2 s), reads at least 60 rows, 3.0 kB, "
            "about 2 min (3 min CPU); 3 steps of features have no history",
            "",
            "stage action steps about up to date removed partitions why",
            "weather - - - 3 -",
            "sales run 2 2 min - - 2026-01-01 .. 2026-01-02 (2) new partition",
            "labels remove 1 - - 1 2026-01-01 its input was removed",
            "features run 3 ? - - 2026-01-01 .. 2026-01-03 (3) new partition",
            "daily may run 1 1.2 s - - 2026-01-01 only if the output of `features` changes",
        ]
        assert "| sales | run | 2 | 2 min | - |" in render_plan_markdown(made)
        price = Price(cpu_hour=2.0, currency="EUR")
        for text in (
            render_plan_markdown(made, price=price),
            render_plan(made, why=True, price=price),
        ):
            assert ", about 2 min (3 min CPU, cost at least 0.10 EUR); 3 steps" in text

    def test_what_would_be_removed(self) -> None:
        lost = Missing(
            paths=("a.csv", "b.csv"), removed=(DAYS[0],), shrunk=(DAYS[1],), lost=9, rows=99
        )
        item = MissingRows(stage="sales", policy="fail", missing=lost, held=frozenset(DAYS[:2]))
        held = Removals(
            id="1a2b3c4d",
            removed={"sales": (DAYS[0],), "totals": (WHOLE,)},
            shrunk={"sales": (DAYS[1],)},
        )
        made = plan(
            [step("sales", DAYS[2], "new partition")],
            current={"sales": 2, "totals": 1, "pets": 1},
            missing=(item,),
            removals=held,
        )
        assert lines(render_plan(made))[2:] == [
            "stage action steps up to date removed partitions why",
            "sales run 1 2 - 2026-01-03 new partition",
            "(remove) - (1) 2026-01-01 its source lost it",
            "(run) - - 2026-01-02 its source lost rows of it",
            "totals (remove) - 1 (1) its input would be removed",
            "pets - - 1 -",
            "",
            "missing:",
            "sales: a.csv, b.csv are gone; 2026-01-01 would be removed and 2026-01-02 would lose rows",
            "nothing was removed; allow it by --allow-removals 1a2b3c4d, or declare "
            'on_missing="remove" (or "keep") in the source',
        ]
        assert "| totals | (remove) | - | 1 | (1) |" in render_plan_markdown(made)
        idle = replace(made, steps=())
        assert "nothing to do; removals must be allowed" in render_plan(idle).split("\n")[0]

    @pytest.mark.parametrize(
        ("unknown", "told"),
        [
            ({}, ""),
            ({"a": 1}, "; 1 step of a has no history"),
            ({"a": 1, "b": 2}, "; 1 step of a, 2 of b have no history"),
            ({"a": 2, "b": 1, "c": 1}, "; 2 steps of a, 1 of b, 1 of c have no history"),
            ({"a": 2, "b": 1, "c": 1, "d": 1}, "; 5 steps of 4 stages have no history"),
        ],
    )
    def test_what_the_estimate_leaves_out(self, unknown: dict[str, int], told: str) -> None:
        known = step("sales", DAYS[0], "new partition", wall_s=0.02, cpu_s=0.03)
        steps = [step(name, str(n), "new") for name, count in unknown.items() for n in range(count)]
        head = render_plan(plan([known, *steps])).split("\n")[0]
        assert head.endswith(f", about 20 ms (30 ms CPU){told}")

    def test_why_lists_every_step(self) -> None:
        steps = [step("sales", day, "new partition", "and more") for day in DAYS]
        told = render_plan(plan(steps), why=True)
        assert [line for line in told.split("\n") if line.startswith("run ")] == [
            f"run sales[{day}]: new partition; and more" for day in DAYS
        ]

    def test_why_of_nothing(self) -> None:
        assert render_plan(plan(), why=True) == "bakery in prod: nothing to do"

    @pytest.mark.parametrize(
        ("model", "told"),
        [
            ({"due": ("not trained yet",)}, "demand: due (not trained yet)"),
            ({"trigger": "every(7d)"}, "demand: up to date, not due; retrained when every(7d)"),
            (
                {"outdated": ("upstream `features` changed",)},
                "demand: outdated (upstream `features` changed), not due",
            ),
            (
                {"outdated": ("a", "b"), "due": ("every(7d)",), "trigger": "every(7d)"},
                "demand: outdated (a; b), due (every(7d))",
            ),
            (
                {"outdated": ("a",), "due": ("b",), "lineage": "continues 3f2a, generation 1 of 3"},
                "demand: outdated (a), due (b); continues 3f2a, generation 1 of 3",
            ),
        ],
    )
    def test_a_model_is_outdated_and_due(self, model: dict[str, object], told: str) -> None:
        state = ModelState(**{"stage": "demand", "outdated": (), "due": (), **model})  # type: ignore[arg-type]
        assert f"\nmodels:\n  {told}" in render_plan(plan(models=(state,)))

    def test_remarks(self) -> None:
        waits = [
            Waiting(
                stage="features",
                partition=day,
                reason=f"upstream `weather` has no partition {day} yet",
            )
            for day in DAYS
        ]
        whole = Waiting(
            stage="demand", partition=WHOLE, reason="upstream `labels` has no partition yet"
        )
        nothing = Waiting(
            stage="forecast", partition="", reason="model `demand` has no approved version yet"
        )
        made = plan(
            waiting=(*waits, whole, nothing),
            broken={"sales": {"a.csv": "a.csv can't be read: no"}},
            notes=("a note",),
        )
        assert render_plan(made).split("\n")[4:] == [
            "waiting:",
            "  features 2026-01-01 .. 2026-01-03 (3): upstream `weather` has no partition yet",
            "  demand: upstream `labels` has no partition yet",
            "  forecast: model `demand` has no approved version yet",
            "",
            "can't be read:",
            "  sales: a.csv can't be read: no",
            "",
            "notes:",
            "  a note",
        ]

    def test_markdown(self) -> None:
        made = plan([step("sales", DAYS[0], "new partition")], notes=("a note",))
        assert render_plan_markdown(made).split("\n") == [
            "### bakery in prod: 1 step, reads at least 10 rows, 500 B; no history to estimate from",
            "",
            "| stage | action | steps | up to date | partitions | why |",
            "| --- | --- | ---: | ---: | --- | --- |",
            "| sales | run | 1 | - | 2026-01-01 | new partition |",
            "",
            "**notes**",
            "",
            "- a note",
        ]
