"""What a plan says of an input that isn't what it was."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.planning import World, flow_of, ingest, reads, transform
from tidemill.core.fingerprint import fingerprint
from tidemill.ledger.binding import Binding, Head, Product
from tidemill.planning.draft import Draft, reasons_for
from tidemill.planning.plan import PlanInputs
from tidemill.planning.request import Request
from tidemill.reuse.recipe import Recipe
from tidemill.reuse.step_key import key_for
from tidemill.workflow.partition_mapping import partitionings_of

DAYS = ("2013-03-01", "2013-03-02", "2013-03-03")

RAW = ingest("raw")
CLEAN = transform("clean", "day", reads(RAW))
FLOW = flow_of(RAW, CLEAN)


def made(rows: int = 1, /, **columns: str) -> Product:
    hashes = {name: fingerprint("x", word) for name, word in columns.items()}
    return Product(content=fingerprint("content", hashes, rows), columns=hashes, rows=rows)


def bound(product: Product, at: float) -> Binding:
    return Binding(key="", recipe="", contract="", check="", product=product, run="r", at=at)


WIDE = dict.fromkeys("abcdef", "1")
BEFORE = {DAYS[0]: made(**WIDE), DAYS[1]: made(**WIDE)}


@pytest.mark.parametrize(
    ("read", "reads_now", "now", "reason"),
    [
        ("ab", "ab", {DAYS[0]: made(a="2", b="1")}, f"column `a` of `raw` changed in {DAYS[0]}"),
        (
            "ab",
            "ab",
            {DAYS[1]: made(a="2", b="2")},
            f"columns `a`, `b` of `raw` changed in {DAYS[1]}",
        ),
        (
            "abcdef",
            "abcdef",
            {DAYS[0]: made(**{**WIDE, **dict.fromkeys("abcd", "2")})},
            f"columns `a`, `b`, `c` and 1 more of `raw` changed in {DAYS[0]}",
        ),
        # Another day of all columns.
        ("abcdef", "abcdef", {DAYS[2]: made(**WIDE)}, f"upstream `raw` changed in {DAYS[2]}"),
        # Only the number of rows is read.
        ("", "", {DAYS[0]: made(2, a="1")}, f"upstream `raw` changed in {DAYS[0]}"),
        # It reads more than when it was made, or less.
        ("a", "ab", {}, "it now reads column `b` of `raw`"),
        ("a", "abcdef", {}, "it now reads columns `b`, `c`, `d` and 2 more of `raw`"),
        ("ab", "a", {}, "upstream `raw` changed"),
        ("a", "ab", {DAYS[0]: made(a="2", b="1")}, f"column `a` of `raw` changed in {DAYS[0]}"),
    ],
)
def test_changed(read: str, reads_now: str, now: dict[str, Product], reason: str) -> None:
    old = Recipe(digest="recipe", reads={"raw": tuple(read)})
    handed = key_for(old, "p", {"raw": BEFORE})
    held = replace(
        bound(made(), at=1.0),
        key=str(handed.key),
        recipe="recipe",
        inputs=dict(handed.inputs),
        seen={"raw": dict(handed.short_shares["raw"])},
    )
    contents = {**BEFORE, **now}
    heads = {
        "raw": Head(partitions={k: bound(p, 2.0 if k in now else 0.0) for k, p in contents.items()})
    }
    new = replace(old, reads={"raw": tuple(reads_now)})
    draft = Draft(
        flow=FLOW,
        recipes={"clean": new},
        facts=PlanInputs(heads=heads, recipes={}, live={}, decisions={}),
        request=Request(),
        lookup=World(flow=FLOW).known,
        partitionings=partitionings_of(FLOW),
    )
    inputs = {"raw": contents}
    assert reasons_for(draft, CLEAN, held, inputs, key_for(new, "p", inputs)) == (reason,)
