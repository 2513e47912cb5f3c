"""Which evaluation ranks the trials of a search."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.support.planning import evaluate, ingest, model, reads
from tidemill.core.errors import UsageError
from tidemill.workflow.search import integers, search
from tidemill.workflow.search_evaluation import search_evaluation
from tidemill.workflow.stage import Stage, Training
from tidemill.workflow.window import last

RAW, OTHER = ingest("raw"), ingest("other")
JUDGE = last("7d")


def searched(metric: Any) -> Stage:
    found = search({"rounds": integers(1, 9)}, metric=metric)
    return replace(model("mod", reads(RAW)), training=Training(search=found))


def judged(*names: str) -> list[Stage]:
    return [evaluate(name, searched("mae"), reads(RAW, JUDGE)) for name in names]


def test_the_only_evaluation_or_the_named_one() -> None:
    [one, two] = judged("one", "two")
    unrelated = evaluate("unrelated", model("rest", reads(RAW)), reads(RAW, JUDGE))
    assert search_evaluation(searched("mae"), [RAW, one, unrelated]) is one
    assert search_evaluation(searched("two.mae"), [one, two]) is two


def test_nothing_is_needed_for_a_function_or_without_a_search() -> None:
    assert search_evaluation(searched(lambda model: 0.0), []) is None
    assert search_evaluation(model("mod", reads(RAW)), judged("one")) is None
    assert search_evaluation(RAW, []) is None


@pytest.mark.parametrize(
    ("metric", "stages", "message"),
    [
        ("mae", [], "nothing evaluates mod: add @flow.evaluate, or pass a function"),
        ("mae", judged("one", "two"), r"several stages evaluate mod \(one, two\): name one, such as "
                                      "metric='one.mae'"),
        ("onne.mae", judged("one", "two"), r"'onne' doesn't evaluate mod \(did you mean 'one'\?\)"),
        ("mae", [evaluate("one", searched("mae"), reads(OTHER, JUDGE))],
         "one reads 'other', which mod doesn't read"),
    ],
)  # fmt: skip
def test_an_evaluation_that_cannot_be_meant(metric: str, stages: list[Stage], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        search_evaluation(searched(metric), stages)
