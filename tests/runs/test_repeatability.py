"""The choice of partitions to run twice, and the comparison of the runs."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.planning import World, flow_of, ingest, model, reads, transform
from tidemill.core.fingerprint import fingerprint
from tidemill.core.partition import WHOLE
from tidemill.ledger.binding import Binding, Head, Product
from tidemill.lineage.upstream import Upstream
from tidemill.reuse.recipe import Recipe
from tidemill.reuse.step_key import key_for
from tidemill.runs.repeatability import (
    Comparison,
    RerunOutput,
    _spread,
    choose_sample,
    compare_runs,
    describe_difference,
    describe_differences,
)
from tidemill.workflow.impure import Impure

DAYS = tuple(f"2013-03-{day:02}" for day in range(1, 10))

RAW, RATES = ingest("raw"), ingest("rates", "whole")
CLEAN = transform("clean", "day", reads(RAW))
JOINED = transform("joined", "day", reads(CLEAN), reads(RATES))
LOOSE = transform("loose", "day", reads(CLEAN), reads(RATES, optional=True))
SERVICE = replace(transform("service", "day", reads(RAW)), impure=Impure())
TOTAL = transform("total", "whole", reads(CLEAN))
GUESS = model("guess", reads(CLEAN))
FLOW = flow_of(RAW, RATES, CLEAN, JOINED, LOOSE, SERVICE, TOTAL, GUESS)


@pytest.fixture
def world() -> World:
    """Built for all days, but `rates` is missing, and `clean` of the last day isn't there yet."""
    made = World(flow=FLOW)
    for day in DAYS[:-1]:
        made.feed("raw", f"{day}.csv", day)
    made.run()
    made.feed("raw", f"{DAYS[-1]}.csv", DAYS[-1])
    made.run(stage="raw")
    return made


def upstream(world: World) -> Upstream:
    return Upstream(
        flow=FLOW, heads={name: Head(partitions=bound) for name, bound in world.heads.items()}
    )


class TestSampled:
    def test_transforms_whose_inputs_are_published(self, world: World) -> None:
        assert choose_sample(upstream(world), 3) == {
            "clean": (DAYS[0], DAYS[4], DAYS[8]),
            "loose": (DAYS[0], DAYS[3], DAYS[7]),
            "total": (WHOLE,),
        }

    def test_all_inputs_that_are_not_optional(self, world: World) -> None:
        world.feed("rates", "r.csv", WHOLE)
        world.run(stage="rates")
        assert choose_sample(upstream(world), 1)["joined"] == (DAYS[7],)

    def test_nothing_is_published(self) -> None:
        assert choose_sample(Upstream(flow=FLOW, heads={}), 3) == {}

    @given(st.integers(1, 40), st.integers(1, 12))
    def test_as_many_as_wanted_from_first_to_last(self, there: int, wanted: int) -> None:
        keys = [f"{number:02}" for number in range(there)]
        found = _spread(keys, wanted)
        assert len(set(found)) == len(found) == min(there, wanted)
        assert list(found) == sorted(found)
        assert found[-1] == keys[-1]
        assert wanted == 1 or found[0] == keys[0]
        gaps = [int(b) - int(a) for a, b in pairwise(found)]
        assert max(gaps, default=0) - min(gaps, default=0) <= 1


def gave(**columns: str) -> RerunOutput:
    return RerunOutput(
        columns={name: fingerprint("x", word) for name, word in columns.items()}, rows=3
    )


class TestCompared:
    RECIPE = Recipe(digest="recipe", reads={"raw": ("own", "x")})

    def compare(
        self,
        first: RerunOutput,
        second: RerunOutput,
        published: RerunOutput | None = None,
        *,
        recipe: Recipe = RECIPE,
    ) -> Comparison:
        """`clean` of one day, which was published by RECIPE of what `raw` still holds."""
        source = Product(content="c", columns={"own": "a" * 32, "x": "b" * 32}, rows=3)
        bound = {}
        if published is not None:
            key = key_for(self.RECIPE, DAYS[0], {"raw": {DAYS[0]: source}}).key
            product = Product(content="p", columns=dict(published.columns), rows=published.rows)
            bound = {DAYS[0]: self.bound(str(key), product)}
        raw = {DAYS[0]: self.bound("raw", source)}
        heads = {"raw": Head(partitions=raw), "clean": Head(partitions=bound)}
        known = Upstream(flow=FLOW, heads=heads)
        return compare_runs(known, {"clean": recipe}, CLEAN, {DAYS[0]: first}, {DAYS[0]: second})

    def bound(self, name: str, product: Product) -> Binding:
        return Binding(key=name, recipe="", contract="", check="", product=product, run="r", at=0.0)

    def test_the_same(self) -> None:
        one = gave(own="1", x="2")
        assert self.compare(one, one, one) == Comparison(stage="clean", partitions=(DAYS[0],))

    def test_between_the_runs(self) -> None:
        found = self.compare(gave(own="1", x="2"), gave(own="1", x="3"), gave(own="1", x="2"))
        assert (found.differ, found.otherwise, found.where) == (("x",), (), (DAYS[0],))

    def test_a_column_that_only_one_run_has(self) -> None:
        assert self.compare(gave(own="1", x="2"), gave(own="1")).differ == ("x",)

    def test_not_as_published(self) -> None:
        one = gave(own="1", x="2")
        found = self.compare(one, one, gave(own="1", x="9"))
        assert (found.differ, found.otherwise, found.where) == ((), ("x",), (DAYS[0],))

    def test_what_was_published_under_another_key_is_no_measure(self) -> None:
        one, other = gave(own="1", x="2"), gave(own="1", x="9")
        edited = replace(self.RECIPE, digest="another")
        assert self.compare(one, one, other).otherwise == ("x",)
        assert self.compare(one, one, other, recipe=edited).otherwise == ()

    def test_errors(self) -> None:
        error = RerunOutput(columns={}, error="clean raised")
        found = self.compare(error, error)
        assert (found.failed, found.differ, found.where) == (("clean raised",), (), ())


@pytest.mark.parametrize(
    ("found", "keyed", "note"),
    [
        ({}, True, ""),
        (
            {"differ": ("x", "y"), "where": DAYS[:2]},
            True,
            "clean: x, y differed in the second run (2013-03-01, 2013-03-02); "
            "what is published stays",
        ),
        (
            {"otherwise": ("x",), "where": DAYS[:1]},
            True,
            "clean: x came out the same in both runs, but not as published (2013-03-01); "
            "what is published stays",
        ),
        (
            {"differ": ("y",), "otherwise": ("x",), "where": DAYS[:5]},
            False,
            "clean: y differed in the second run; x came out the same in both runs, but not as "
            "published (2013-03-01, 2013-03-02, 2013-03-03, ...); what is published stays; without a "
            "key in its contract the order of its rows counts too",
        ),
    ],
)
def test_note_on(found: dict[str, tuple[str, ...]], keyed: bool, note: str) -> None:
    assert (
        describe_difference(Comparison(stage="clean", partitions=DAYS, **found), keyed=keyed)
        == note
    )


def test_notes_of() -> None:
    nothing = "nothing was run twice: no transform has all of its inputs published"
    assert list(describe_differences(FLOW, [])) == [nothing]
    same = Comparison(stage="clean", partitions=DAYS)
    assert list(describe_differences(FLOW, [same])) == []
    bad = replace(same, differ=("x",), where=DAYS[:1], failed=("clean raised",))
    note, error = describe_differences(FLOW, [same, bad])
    # These contracts have no key.
    assert note == describe_difference(bad, keyed=False)
    assert error == "clean raised"
