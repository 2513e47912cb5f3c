"""A request to release rows names exactly them."""

from __future__ import annotations

from tidemill.quarantine.release_request import ReleaseRequest


def test_rows_are_released_as_they_are_unless_they_were_corrected() -> None:
    request = ReleaseRequest(
        stage="raw",
        partition="2024-03-01",
        held=("object", "key"),
        rows=(1,),
        reasons=(("x.max",),),
    )
    assert request.fixed == ""
