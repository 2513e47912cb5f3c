"""What a column depends on, what a partition is made of, what of it is another by now."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.planning import (
    World,
    deliver,
    evaluate,
    flow_of,
    ingest,
    model,
    reads,
    transform,
)
from tidemill.core.fingerprint import fingerprint
from tidemill.core.partition import UNPLACED, WHOLE
from tidemill.ledger.binding import Binding, Head, Product
from tidemill.lineage.upstream import (
    ColumnTrace,
    Upstream,
    change_basis,
    changed_columns,
    trace_column,
)
from tidemill.reuse.recipe import Recipe
from tidemill.reuse.step_key import key_for
from tidemill.workflow.stage import Flow, Stage

DAYS = ("2013-03-01", "2013-03-02")

RAW, RATES = ingest("raw"), ingest("rates", "whole")
JOINED = transform("joined", "day", reads(RAW), reads(RATES))
DAILY = transform("daily", "day", reads(JOINED))
SINCE = transform("since", "whole", reads(DAILY))
MODEL = model("guess", reads(JOINED))
SCORES = evaluate("scores", MODEL, reads(JOINED))
TABLE = deliver("table", MODEL, JOINED)
FLOW = flow_of(RAW, RATES, JOINED, DAILY, SINCE, MODEL, SCORES, TABLE)


def recipe(**known: object) -> Recipe:
    return Recipe(digest="recipe", **known)  # type: ignore[arg-type]


RECIPES = {
    **{stage.name: recipe() for stage in FLOW.stages},
    "joined": recipe(
        lineage={
            "own": {"raw": ("own",), "rates": ()},
            "x": {"raw": ("own", "x"), "rates": ("x",)},
        }
    ),
    "daily": recipe(lineage={"own": {"joined": ("own",)}, "x": {"joined": ()}}),
    "since": recipe(opaque="it collects daily when it is called"),
}


class TestTraced:
    def test_down_to_the_columns_of_ingests(self) -> None:
        assert trace_column(FLOW, RECIPES, JOINED, "x") == (
            ColumnTrace(stage="joined", column="x", reads={"raw": ("own", "x"), "rates": ("x",)}),
            ColumnTrace(stage="rates", column="x"),
            ColumnTrace(stage="raw", column="own"),
            ColumnTrace(stage="raw", column="x"),
        )

    def test_only_what_is_on_the_lineage(self) -> None:
        found = trace_column(FLOW, RECIPES, DAILY, "own")
        assert [(item.stage, item.column) for item in found] == [
            ("daily", "own"),
            ("joined", "own"),
            ("rates", ""),
            ("raw", "own"),
        ]

    def test_a_number_of_rows_is_what_all_columns_depend_on(self) -> None:
        found = trace_column(FLOW, RECIPES, DAILY, "x")
        assert found[1] == ColumnTrace(
            stage="joined", column="", reads={"raw": ("own",), "rates": ()}
        )

    def test_an_input_that_not_all_columns_need_brings_no_rows(self) -> None:
        lineage = {"own": {"raw": ("own",)}, "x": {"raw": ("own",), "rates": ("x",)}}
        recipes = {**RECIPES, "joined": recipe(lineage=lineage)}
        assert trace_column(FLOW, recipes, DAILY, "x")[1].reads == {"raw": ("own",)}

    def test_all_columns_count_for_a_stage_that_is_judged_by_its_code(self) -> None:
        why = "it collects daily when it is called"
        first, *others = trace_column(FLOW, RECIPES, SINCE, "x")
        assert first == ColumnTrace(
            stage="since", column="x", reads={"daily": ("own", "x")}, opaque=why
        )
        # Of a stage that reads no column of it, and of one that reads two, the rows and the columns.
        assert [(item.stage, item.column) for item in others] == [
            *(("daily", "own"), ("daily", "x")),
            *(("joined", ""), ("joined", "own")),
            *(("rates", ""), ("raw", "own")),
        ]

    def test_the_rows_of_an_opaque_stage(self) -> None:
        top = transform("top", "whole", reads(SINCE))
        recipes = {**RECIPES, "top": recipe(lineage={"x": {"since": ()}})}
        found = trace_column(flow_of(*FLOW.stages, top), recipes, top, "x")
        assert found[1].column == ""
        assert found[1].reads == {"daily": ("own", "x")}
        assert found[1].opaque


@pytest.mark.parametrize(
    ("stage", "parts", "judged"),
    [
        (JOINED, {"column x": "1", "contract": "2"}, "query"),
        (JOINED, {"code": "1", "contract": "2"}, "code"),
        (MODEL, {"code": "1"}, "code"),
        (RAW, {"source": "1"}, "source"),
        (RAW, {"inputs": "1", "code": "2"}, "code"),
        (TABLE, {"sink": "1"}, "declaration"),
    ],
)
def test_judged_by(stage: Stage, parts: dict[str, str], judged: str) -> None:
    assert change_basis(stage, recipe(parts=parts)) == judged


class TestUpstream:
    @pytest.fixture
    def upstream(self) -> Upstream:
        world = World(flow=FLOW)
        world.feed("raw", "a.csv", DAYS[0])
        world.feed("rates", "r.csv", WHOLE)
        world.run()
        world.feed("raw", "b.csv", DAYS[1], UNPLACED)
        world.run()
        heads = {name: Head(partitions=bound) for name, bound in world.heads.items()}
        return Upstream(flow=FLOW, heads=heads)

    @pytest.mark.parametrize(
        ("stage", "partition", "made_of"),
        [
            (RAW, DAYS[0], {}),
            (JOINED, DAYS[1], {"raw": (DAYS[1],), "rates": (WHOLE,)}),
            (JOINED, UNPLACED, {}),
            (SINCE, WHOLE, {"daily": DAYS}),
            # It was trained before the second day came, and nothing says that it is due.
            (MODEL, WHOLE, {"joined": (DAYS[0],)}),
            (SCORES, "live", {"joined": DAYS, "guess": (WHOLE,)}),
            (TABLE, DAYS[0], {"joined": (DAYS[0],), "guess": (WHOLE,)}),
            (replace(TABLE, model=""), DAYS[0], {"joined": (DAYS[0],)}),
        ],
    )
    def test_made_of(
        self, upstream: Upstream, stage: Stage, partition: str, made_of: dict[str, tuple[str, ...]]
    ) -> None:
        assert upstream.partitions_read(stage, partition) == made_of

    def test_what_is_published(self, upstream: Upstream) -> None:
        assert (
            upstream.readable_partitions("raw") == upstream.readable_partitions("raw") == list(DAYS)
        )
        assert UNPLACED in upstream.bindings("raw")
        assert list(upstream.products("raw", (DAYS[1], "2013-03-09"))) == [DAYS[1]]
        empty = Upstream(flow=Flow(name="f", owner="", stages=(RAW,)), heads={})
        assert (empty.bindings("raw"), empty.readable_partitions("raw")) == ({}, [])


def made(**columns: str) -> Product:
    hashes = {name: fingerprint("x", word) for name, word in columns.items()}
    return Product(content=fingerprint("content", hashes), columns=hashes, rows=1)


def binding(seen: dict[str, Product], *columns: str) -> Binding:
    found = key_for(recipe(reads={"raw": columns}), "p", {"raw": seen})
    return Binding(
        key=str(found.key), inputs=dict(found.inputs), seen={"raw": dict(found.short_shares["raw"])},
        recipe="", contract="", check="", product=made(), run="r", at=0.0,
    )  # fmt: skip


BEFORE = {"p": made(a="1", b="2")}


class TestChangedColumns:
    @pytest.mark.parametrize(
        ("read", "now", "changed"),
        [
            (("a", "b"), {"p": made(a="1", b="2")}, None),
            (("a", "b"), {"p": made(a="1", b="3")}, ("b",)),
            (("a",), {"p": made(a="1", b="3")}, None),
            (("a",), {"p": made(b="2")}, ("a",)),
            # Another partition is another of each column.
            (("a", "b"), {"p": made(a="1", b="2"), "q": made(a="1", b="2")}, ("a", "b")),
            # Only the number of rows counts, so no column is to be named.
            ((), {"p": replace(made(a="1"), rows=2)}, ()),
        ],
    )
    def test_of_those_that_were_read(
        self, read: tuple[str, ...], now: dict[str, Product], changed: tuple[str, ...] | None
    ) -> None:
        assert changed_columns(binding(BEFORE, *read), "raw", now) == changed

    def test_of_an_input_that_it_did_not_have(self) -> None:
        assert changed_columns(binding(BEFORE, "a"), "other", {}) is None
