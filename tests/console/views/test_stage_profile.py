"""The profiles of columns."""

from __future__ import annotations

from pathlib import Path

from tidemill.console.views.stage_profile import show_profile
from tidemill.project.project import open_project


def test_the_columns_of_a_partition_and_of_several(built: Path) -> None:
    with open_project(built) as project:
        found = show_profile(project, "features", "2026-01-05")
        week = show_profile(project, "features", "2026-01-05", "2026-01-11")
        one = show_profile(project, "features", containing="rain")
        model = show_profile(project, "demand")
    hour = next(each for each in found.columns if each.name == "hour")
    assert (hour.least, hour.most, hour.mean, hour.distinct) == ("7", "18", 12.4, 12)
    assert (hour.missing, hour.is_estimated) == (0, False)
    assert len(hour.shares.edges) == len(hour.shares.now) + 1
    shop = next(each for each in found.columns if each.name == "shop")
    assert shop.top[0].count == 12
    assert week.rows == 251
    assert [each.name for each in one.columns] == ["rain"]
    assert model.obstacle == "a stage of the kind model has no rows"


def test_a_stage_that_never_ran(fresh: Path) -> None:
    with open_project(fresh) as project:
        assert show_profile(project, "sales").obstacle == "nothing is published yet"
