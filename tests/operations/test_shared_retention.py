"""Whose settings count for what, in a home that workflows share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tidemill.ledger.retention_settings import RetentionSettings, StageRetention
from tidemill.operations.shared_retention import SharedRetention
from tidemill.workflow.environment import Environment

OWN = RetentionSettings(keep_for=1.0, grace=2.0, keep_last=1, logs=5.0)
THEIRS = RetentionSettings(
    keep_for=9.0,
    grace=4.0,
    logs=None,
    memos=7.0,
    automatic=False,
    stages={"s": StageRetention(hold=True)},
)


def shared(**changes: Any) -> SharedRetention:
    given: dict[str, Any] = {"own": OWN, "prefix": "a/", "recorded": {"b/": THEIRS, "a/": THEIRS}}
    return SharedRetention(**(given | changes))


def environments(**parents: str) -> Mapping[str, Environment]:
    names = {name.replace("_", "/"): parent for name, parent in parents.items()}
    return {name: Environment(name=name, parent=parent) for name, parent in names.items()}


def test_settings_of_the_workflow_of_an_environment_count() -> None:
    found = shared()
    assert [each.settings for each in found.of("a/prod")] == [OWN]
    assert [each.settings for each in found.of("b/dev")] == [THEIRS]
    assert found.of("b/dev")[0].told("keep_for") == "keep_for (workflow b)"
    assert found.of("a/dev")[0].told("keep_for") == "keep_for"
    # Of what belongs to none, all count.
    for name in ("prod", ""):
        assert [each.settings for each in found.of(name)] == [OWN, THEIRS]
    assert (found.grace, found.least_span, found.most_last) == (4.0, 2.0, 1)
    # One without a workflow shares with nobody, unless there are others.
    assert [each.settings for each in SharedRetention(own=OWN).of("prod")] == [OWN]


def test_holds() -> None:
    (theirs,) = shared().of("b/prod")
    assert (theirs.hold("s"), theirs.hold("t")) == ("legal hold (workflow b)", "")
    (theirs,) = shared(by_itself=True).of("b/prod")
    assert theirs.hold("t") == "automatic = false (workflow b)"
    assert shared().of("a/prod")[0].hold("s") == ""
    assert not shared().keeps_all
    assert shared(by_itself=True).keeps_all
    assert shared(own=RetentionSettings(hold=True)).keeps_all


def test_nothing_goes_of_a_workflow_that_recorded_nothing() -> None:
    found = shared(environments=environments(a_prod="", c_prod=""))
    (theirs,) = found.of("c/prod")
    assert theirs.hold("t") == "how long it keeps data isn't recorded yet (workflow c)"
    # What belongs to nobody is known not to be its own.
    assert not found.keeps_all
    assert found.longest(lambda each: each.memos) is None
    # Unless another one continues there.
    found = shared(environments=environments(c_prod="", b_prod="c/prod"))
    assert [each.settings for each in found.of("c/prod")] == [THEIRS]


def test_the_longest_span_counts_for_what_is_shared() -> None:
    assert shared().longest(lambda each: each.memos) == 180 * 86_400.0
    assert shared().longest(lambda each: each.logs) is None
    assert SharedRetention(own=OWN).longest(lambda each: each.logs) == 5.0
