"""A column is personal where a contract says so, and stays so under its name."""

from __future__ import annotations

from dataclasses import replace

from tests.lineage.test_dictionary import FLOW, RECIPES
from tests.support.planning import deliver, flow_of
from tidemill.governance.personal_columns import (
    delivered_columns,
    personal_columns,
    personal_marks,
)


def test_marked_columns_and_those_that_pass_them_on_are_personal() -> None:
    assert personal_columns(FLOW, RECIPES, {"raw": ["id", "mail"]}) == ("raw.mail",)
    # What is computed from it has another name, and a contract of its own.
    assert personal_columns(FLOW, RECIPES, {"clean": ["id", "domain"]}) == ()
    # A stage whose columns can't be followed may pass on any of them.
    assert personal_columns(FLOW, RECIPES, {"blind": ["x", "mail"]}) == ("blind.mail",)
    assert personal_columns(FLOW, RECIPES, {"other": ["mail"]}) == ()


def test_a_delivery_and_a_forgotten_mark_tell_what_they_hold() -> None:
    assert personal_marks(FLOW, RECIPES, "raw", ["mail", "id"]) == {"mail": "email"}
    # What is delivered may hold any column of what is read, under its name.
    sent = deliver("sent", FLOW["model"], FLOW["raw"])
    flow = replace(FLOW, stages=(*FLOW.stages[:-1], sent))
    assert personal_marks(flow, RECIPES, "sent", ["prediction", "mail"]) == {"mail": "email"}


def test_a_delivery_has_the_columns_that_its_sink_gets() -> None:
    raw, clean = FLOW["raw"], FLOW["clean"]
    rows = replace(deliver("rows", FLOW["model"], raw), model="")
    assert delivered_columns(rows, flow_of(raw, rows)) == {"raw": ("id", "mail", "unread")}
    # Predictions have the key of their features, all columns where there is none.
    scored = deliver("scored", FLOW["model"], clean)
    assert delivered_columns(scored, FLOW) == {"clean": ("id", "domain", "extra")}
    assert clean.output is not None
    contract = replace(clean.output, columns=clean.output.columns[:1])
    named = replace(scored, output=contract)
    assert delivered_columns(named, FLOW) == {"clean": ("id",), "scored": ("id",)}
