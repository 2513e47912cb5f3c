"""The settings of objectives."""

from __future__ import annotations

import pytest

from tidemill.core.errors import UsageError
from tidemill.operations.objective_settings import (
    DAY,
    Objective,
    ObjectiveKind,
    parse_objectives,
    subject_faults,
)

PLACE = "pyproject.toml: [tool.tidemill.slo]"


def test_each_kind() -> None:
    table = {
        "fresh": {"stage": "a", "freshness": "26h", "target": 0.99},
        "steps": {"stage": "a", "success": True, "target": 0.9, "window": "7d"},
        "up": {"endpoint": "e", "availability": True, "target": 0.999},
        "quick": {"endpoint": "e", "latency": "50ms", "target": 0.5},
    }
    fresh, steps, up, quick = parse_objectives(table, PLACE)
    assert fresh == Objective(
        name="fresh", kind=ObjectiveKind.FRESHNESS, subject="a", target=0.99, limit=26 * 3600
    )
    assert (steps.kind, steps.window, steps.limit) == (ObjectiveKind.SUCCESS, 7 * DAY, 0)
    assert [each.stage for each in (fresh, steps, up, quick)] == ["a", "a", "", ""]
    assert (quick.limit, quick.allowed) == (0.05, 0.5)
    assert parse_objectives({}, PLACE) == ()


GOOD = {"stage": "a", "freshness": "26h", "target": 0.99}


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (5, "x] = 5 is not a table"),
        ({**GOOD, "targt": 1}, "x] targt: did you mean 'target'"),
        ({"target": 0.9}, "x] needs one of stage or endpoint, has none"),
        ({**GOOD, "endpoint": "e"}, "needs one of stage or endpoint, has stage and endpoint"),
        ({**GOOD, "latency": "5s"}, "latency is no objective of a stage: freshness or success"),
        ({"stage": "a", "target": 0.9}, "needs one of freshness or success, has none"),
        ({**GOOD, "success": True}, "has freshness and success"),
        ({**GOOD, "stage": ""}, "stage = '' is not a name"),
        ({**GOOD, "stage": 5}, "stage = 5 is not a name"),
        ({**GOOD, "freshness": 26}, "freshness = 26 is not a duration, such as '26h'"),
        ({**GOOD, "freshness": "soon"}, "freshness = 'soon' is not a duration"),
        ({"endpoint": "e", "latency": "xms", "target": 0.9}, "latency = 'xms' is not a duration"),
        ({"stage": "a", "success": "yes", "target": 0.9}, "success = 'yes' is not true"),
        ({**GOOD, "target": 1}, "target = 1 is not a share above 0 and below 1"),
        ({**GOOD, "target": "99%"}, "target = '99%' is not a share"),
        ({"stage": "a", "freshness": "1h"}, "target = None is not a share"),
        ({**GOOD, "window": "1h"}, "window = '1h' is not a duration from '1d' to '90d'"),
        ({**GOOD, "window": 7}, "window = 7 is not a duration"),
        ({**GOOD, "window": "91d"}, "window = '91d' is not a duration"),
    ],
)
def test_faults(entry: object, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_objectives({"x": entry}, PLACE)
    assert str(caught.value).startswith("pyproject.toml: [tool.tidemill.slo.x] ")
    assert message in str(caught.value)


@pytest.mark.parametrize("name", ["", "\x1b[31m", "a\nb"])
def test_an_objective_has_a_name(name: str) -> None:
    with pytest.raises(UsageError, match="is not a name") as caught:
        parse_objectives({name: GOOD}, "[tool.tidemill.slo]")
    assert str(caught.value).isprintable()


def test_what_an_objective_is_about_has_to_exist() -> None:
    endpoint = {"endpoint": "askk", "availability": True, "target": 0.9}
    found = parse_objectives({"a": GOOD, "b": endpoint}, "[tool.tidemill.slo]")
    known = found[0].subject
    assert [*map(str, subject_faults(found, [known], ["ask"], "[slo"))] == [
        "[slo.b]: there is no endpoint 'askk' (did you mean 'ask'?)"
    ]
    assert [fault.message for fault in subject_faults(found, ["other"], [], "[slo")] == [
        f"there is no stage {known!r}", "there is no endpoint 'askk'",
    ]  # fmt: skip
