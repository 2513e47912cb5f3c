"""What the supervisor knows of a workflow."""

from __future__ import annotations

from tidemill.operations.supervision import SourcePlace, WorkflowDescription


def test_sources_that_nothing_tells_about_are_asked() -> None:
    shop = WorkflowDescription(
        workflow="shop",
        sources=(
            SourcePlace(stage="sales", pattern="data/*.csv"),
            SourcePlace(stage="orders", url="postgresql://host/shop", channel="orders"),
            SourcePlace(stage="weather"),
        ),
    )
    assert shop.unwatched({"orders"}) == ["weather"]
    assert shop.unwatched(()) == ["orders", "weather"]
