"""Commands that have a page."""

import pytest

from tidemill.console.command_pages import page_of_command, words_of_page


@pytest.mark.parametrize(
    ("command", "page"),
    [
        ("tidemill review show r12 --env trial", (("reviews", "r12"), {})),
        ("tidemill review", (("reviews",), {})),
        (
            "tidemill --env trial runs logs 2026 sales",
            (("runs", "2026", "log"), {"stage": "sales"}),
        ),
        ("tidemill runs logs", (("runs", "last", "log"), {})),
        ("tidemill runs last", (("runs", "last"), {})),
        ("tidemill runs show last", (("runs", "last"), {})),
        ("tidemill explain 'my stage'", (("stages", "my stage"), {})),
        ("tidemill quarantine show sales", (("stages", "sales", "quarantine"), {})),
        ("tidemill quarantine", (("stages",), {})),
        ("tidemill plan --why sales", (("plan",), {})),
        ("tidemill", None),
        ("tidemill sweep --dry-run", None),
        ("git status", None),
        ("tidemill 'open quote", None),
        ("", None),
    ],
)
def test_pages(command: str, page: object) -> None:
    assert page_of_command(command) == page


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("tidemill runs logs r1 sales", "Log"),
        ("tidemill runs show r1", "Open the run"),
        ("tidemill review show r1", "Open the review"),
        ("tidemill quarantine show sales", "Rows in quarantine"),
        ("tidemill plan", "What would run"),
        ("tidemill costs", "Costs"),
        ("tidemill endpoints eta", "Endpoints"),
    ],
)
def test_links_say_what_they_lead_to(command: str, words: str) -> None:
    page = page_of_command(command)
    assert page is not None
    assert words_of_page(page) == words
