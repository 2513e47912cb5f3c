"""Nobody below the role for personal data sees a value of it, whatever is asked of the console."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.support.console import Visitor
from tests.support.personal_shop import AGES, SECRET, personal_shop
from tidemill.console.resource import API, Resource
from tidemill.console.resources import RESOURCES

# A value by itself, not a part of a digest or of another number.
PERSONAL = re.compile(rf"{SECRET}|(?<![\w.])(?:{'|'.join(map(str, (*AGES, 9_013_001)))})(?![\w])")
STAGES = (
    *("customers", "asked", "forgot", "gone", "strict", "features"),
    *("spending", "error", "sent", "scored"),
)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Mapping[str, str]]:
    folder = tmp_path_factory.mktemp("personal")
    return folder, personal_shop(folder)


def choices(visitor: Visitor) -> Mapping[str, list[str]]:
    """What there is of each sort of thing that paths name."""
    reviews = visitor.api("/reviews?which=all")
    return {
        "stage": [*STAGES],
        "run": [each["id"] for each in visitor.api("/runs")["runs"]],
        "review": [each["id"] for each in (*reviews["open"], *reviews["ended"])],
        "model": ["spending"],
        "version": [each["version"] for each in visitor.api("/models/spending")["versions"]],
        "endpoint": ["spending"],
        "incident": [each["id"] for each in visitor.api("/incidents")["incidents"]],
        "decision": [],
        "environment": ["prod"],
        "column": ["cust", "age", "email", "price"],
        "row": ["0", "1", "2", "3"],
    }


def paths(resource: Resource, known: Mapping[str, list[str]]) -> Iterator[str]:
    """The addresses of a resource for all that there is."""
    for chosen in itertools.product(*(known[name] for name in resource.placeholders)):
        path = resource.path.replace(":path}", "}")
        for name, value in zip(resource.placeholders, chosen, strict=True):
            path = path.replace(f"{{{name}}}", quote(value, safe=""))
        yield path
        extra = {"explain": [f"?column={column}" for column in known["column"]]}
        yield from (path + query for query in extra.get(resource.name, ()))


def sweep(visitor: Visitor) -> tuple[dict[str, list[str]], set[str]]:
    """The addresses of each resource that answers with personal values, and the resources that answer."""
    found: dict[str, list[str]] = {}
    answered = set()
    known = choices(visitor)
    for resource in RESOURCES:
        for path in paths(resource, known):
            answer = visitor.client.get(API + path)
            assert answer.status_code in (200, 400, 404), (path, answer.text)
            if answer.status_code == 200:
                answered.add(resource.name)
            if PERSONAL.search(answer.text):
                found.setdefault(resource.name, []).append(path)
    return found, answered


@pytest.mark.parametrize("who", ["viewer", "reader"])
def test_nothing_that_is_read_shows_personal_data(
    shop: tuple[Path, Mapping[str, str]], who: str
) -> None:
    folder, tokens = shop
    with Visitor(folder, token=tokens[who]) as visitor:
        found, answered = sweep(visitor)
    assert found == {}
    # Only what there is none of here isn't looked at.
    assert {each.name for each in RESOURCES} - answered == {"decision"}


def test_who_has_the_role_sees_it_where_it_is(shop: tuple[Path, Mapping[str, str]]) -> None:
    folder, tokens = shop
    with Visitor(folder, token=tokens["operator"]) as visitor:
        found, _ = sweep(visitor)
    assert [*found] == [
        *("stage-rows", "stage-profile", "quarantined-partition", "quarantined-rows"),
        *("quarantined-row", "review", "model-comparison", "model-version", "model-bom", "explain"),
    ]
    stages = {path.split("/")[2] for path in found["stage-rows"]}
    assert stages == {"customers", "forgot", "gone", "features", "error", "sent"}


@pytest.mark.parametrize(("who", "is_seen"), [("viewer", False), ("operator", True)])
def test_features_that_are_looked_up_for_a_row_are_hidden(
    shop: tuple[Path, Mapping[str, str]], who: str, is_seen: bool
) -> None:
    folder, tokens = shop
    with Visitor(folder, token=tokens[who]) as visitor:
        answers = [
            visitor.post("/endpoints/spending/try", {"row": json.dumps({"cust": at, "price": 0.5})})
            for at in (1, len(AGES) - 1)
        ]
    good, refused = (answer for _, answer in answers)
    assert good["answer"]["features"]["price"] == 0.5
    # The second one breaks the contract of the features.
    assert "age.max" in refused["problem"]
    for answer in (good, refused):
        assert bool(PERSONAL.search(json.dumps(answer))) == is_seen
