"""Whose settings count for what, in a home that workflows share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tidemill.ledger.event import EnvironmentCreated
from tidemill.ledger.retention_events import RetentionDeclared
from tidemill.ledger.retention_settings import RetentionSettings, StageRetention
from tidemill.operations.shared_retention import RecordedSettings, SharedRetention
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
    recorded = RecordedSettings(settings={"b/": THEIRS, "a/": THEIRS})
    given: dict[str, Any] = {"own": OWN, "prefix": "a/", "recorded": recorded}
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
    # What belongs to nobody may be its own.
    assert found.keeps_all
    assert found.longest(lambda each: each.memos) is None
    (note,) = found.notes
    assert note.startswith("how long the workflow c keeps data isn't recorded yet")
    assert "run `tidemill sweep` in its project" in note
    # Nobody else is waited for.
    assert shared().notes == []
    assert SharedRetention(own=RetentionSettings(hold=True)).notes == []


def test_notes_name_who_holds_everything() -> None:
    held = RecordedSettings(settings={"b/": RetentionSettings(hold=True)})
    (note,) = shared(recorded=held).notes
    assert note.startswith("the workflow b has hold = true")
    assert "`tidemill env adopt b`" in note


def declared(workflow: str, settings: RetentionSettings) -> RetentionDeclared:
    return RetentionDeclared(workflow=workflow, settings=settings)


def created(environment: str, parent: str = "") -> EnvironmentCreated:
    return EnvironmentCreated(environment=environment, parent=parent)


def recorded(*events: RetentionDeclared | EnvironmentCreated) -> RecordedSettings:
    found = RecordedSettings()
    for event in events:
        found.add(event)
    return found


def settings_of(found: RecordedSettings, environment: str) -> list[RetentionSettings]:
    each = shared(recorded=found, prefix="me/").of(environment)
    return [one.settings for one in each if not one.obstacle]


HELD = RetentionSettings(hold=True)


def test_a_former_name_follows_the_workflow_that_continues_it() -> None:
    renamed = created("b/prod", "a/prod")
    found = recorded(declared("a", HELD), renamed, declared("b", THEIRS))
    assert settings_of(found, "a/prod") == settings_of(found, "b/prod") == [THEIRS]
    # Through names that recorded nothing, and also to the one that sweeps.
    found = recorded(
        declared("a", HELD), renamed, created("c/prod", "b/prod"), created("me/prod", "c/prod")
    )
    assert settings_of(found, "a/prod") == [OWN]
    places = environments(a_prod="", b_prod="a/prod", c_prod="b/prod", me_prod="c/prod")
    assert not shared(recorded=found, prefix="me/", environments=places).keeps_all
    # The last one recorded nothing.
    found = recorded(declared("a", THEIRS), renamed, created("c/prod", "b/prod"))
    (theirs,) = shared(recorded=found, prefix="me/").of("a/prod")
    assert theirs.hold("t") == "how long it keeps data isn't recorded yet (workflow c)"
    # Two continue it.
    found = recorded(renamed, created("c/prod", "a/prod"), *(declared(n, THEIRS) for n in "bc"))
    assert settings_of(found, "a/prod") == [THEIRS, THEIRS]


def test_a_workflow_that_goes_on_after_it_was_continued_counts_itself() -> None:
    found = recorded(
        *(declared("a", THEIRS), created("b/prod", "a/prod"), declared("b", OWN)),
        declared("a", HELD),
    )
    assert settings_of(found, "a/prod") == [HELD]
    assert found.continued("b/prod") == ["b/prod"]
    # A branch of its own changes nothing.
    found = recorded(declared("a", HELD), created("a/dev", "a/prod"))
    assert settings_of(found, "a/dev") == [HELD]


# A workflow records settings, or the second continues the first.
STEPS = st.sampled_from("abcd") | st.sampled_from(["ab", "ac", "ad", "bc", "bd", "cd"])


def expected(steps: Sequence[str], name: str) -> Iterator[int | None]:
    """By which of the steps what a workflow left is kept; None if nobody says how long."""
    said = max((at for at, step in enumerate(steps) if step == name), default=-1)
    continued = {at: step[1] for at, step in enumerate(steps) if step[0] == name and step[1:]}
    if said > max(continued, default=-1):
        yield said
    elif continued:
        for heir in {*continued.values()}:
            yield from expected(steps, heir)
    else:
        yield None


@given(st.lists(STEPS, max_size=12))
def test_what_a_workflow_left_is_kept_by_whoever_spoke_for_it_last(steps: list[str]) -> None:
    found = RecordedSettings()
    for at, step in enumerate(steps):
        heir = created(f"{step[-1]}/prod", f"{step[0]}/prod")
        found.add(heir if step[1:] else declared(step, RetentionSettings(models=at)))
    for name in "abcd":
        each = shared(recorded=found, prefix="me/").of(f"{name}/prod")
        counts = [None if one.obstacle else one.settings.models for one in each]
        assert {*counts} == {*expected(steps, name)}


def test_the_environments_that_one_continues() -> None:
    found = recorded(created("b/prod", "prod"), created("c/prod", "b/prod"))
    assert found.continued("c/prod") == ["c/prod", "b/prod", "prod"]
    # Names can be used again.
    found.add(created("b/prod", "c/prod"))
    assert found.continued("c/prod") == ["c/prod", "b/prod"]
    assert len(shared(recorded=found, prefix="me/").of("c/prod")) == 1
    found.add(created("c/prod"))
    assert found.continued("c/prod") == ["c/prod"]


def test_the_longest_span_counts_for_what_is_shared() -> None:
    assert shared().longest(lambda each: each.memos) == 180 * 86_400.0
    assert shared().longest(lambda each: each.logs) is None
    assert SharedRetention(own=OWN).longest(lambda each: each.logs) == 5.0
