"""Reports of supervisors are about one workflow each."""

from __future__ import annotations

import pytest

from tidemill.operations.up_report import UpReport, UpRole, workflow_place

HERE = workflow_place("/srv/shop", "flows:flow")


@pytest.mark.parametrize(
    ("workflow", "place", "is_own"),
    [
        ("shop", HERE, True),
        # Another copy of the project.
        ("shop", "/srv/copy: flows:flow", True),
        # Another project whose module has the same name.
        ("store", "/srv/store: flows:flow", False),
        # It can't be imported yet.
        ("", HERE, True),
        ("", "/srv/store: flows:flow", False),
        ("", "", False),
    ],
)
def test_a_report_is_about_a_workflow_or_the_place_of_one(
    workflow: str, place: str, is_own: bool
) -> None:
    report = UpReport(
        environment="prod",
        holder={},
        role=UpRole.STARTING,
        since=0.0,
        workflow=workflow,
        place=place,
    )
    assert report.is_about("shop", HERE) is is_own
