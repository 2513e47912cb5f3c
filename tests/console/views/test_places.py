"""What one can go to by name."""

from __future__ import annotations

from pathlib import Path

from tests.support.console import Visitor


def test_everything_with_a_name_is_a_place(onlooker: Visitor) -> None:
    found = onlooker.api("/places")["places"]
    by_name = {each["name"]: each for each in found}
    [run] = onlooker.api("/runs")["runs"]
    assert by_name[run["id"]]["path"] == f"/runs/{run['id']}"
    assert by_name["prod"]["path"] == "/now?env=prod"
    assert by_name["sales"]["about"] == "ingest stage"
    columns = {each["path"] for each in found if each["about"].startswith("column of features")}
    assert "/lineage/features/hour" in columns
    assert next(each for each in found if each["path"] == "/lineage/features/hour")["words"] == (
        "features.hour who reads"
    )
    [version] = onlooker.api("/models/demand")["versions"]
    assert by_name[version["version"]]["about"] == "version of demand, live"
    assert "Last failed run" not in by_name
    for each in found:
        assert onlooker.page(each["path"]).status == 200, each


def test_a_single_open_review_comes_first(shops: Path) -> None:
    with Visitor(shops) as visitor:
        found = visitor.api("/places")["places"]
    assert [each["about"] for each in found if each["is_first"]] == ["open review"]
