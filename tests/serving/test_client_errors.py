from tidemill.core.errors import TidemillError
from tidemill.serving.client_errors import RowsRefused, ServingError


def test_broken_rows_are_known_by_their_findings() -> None:
    found = RowsRefused("broken", [{"row": 0}], 3)
    assert isinstance(found, ServingError)
    assert isinstance(found, TidemillError)
    assert (found.findings, found.count, found.status, found.exit_code) == (
        ({"row": 0},),
        3,
        422,
        3,
    )


def test_an_error_without_a_reply_has_no_status() -> None:
    assert ServingError("why").status == 0
