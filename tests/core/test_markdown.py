from __future__ import annotations

import pytest

from tidemill.core.markdown import markdown_block, markdown_code, markdown_text


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("delay_model", "delay_model"),
        ("_x_", r"\_x\_"),
        ("<b>*a*</b> [l](u)", r"\<b>\*a\*\</b> \[l\](u)"),
        ("# a\n- b", r"\# a - b"),
        ("1. a", r"1\. a"),
        ("&lt;", r"\&lt;"),
        ("a\x1bb", r"a\\x1bb"),
    ],
)
def test_text_means_nothing_else(text: str, written: str) -> None:
    assert markdown_text(text) == written


@pytest.mark.parametrize(
    ("text", "written"),
    [("a", "`a`"), ("a`b", "`` a`b ``"), ("``", "``` `` ```"), ("a\nb", "`a b`")],
)
def test_code_is_fenced_by_more_backticks_than_it_has(text: str, written: str) -> None:
    assert markdown_code(text) == written


def test_a_block_is_fenced_by_more_backticks_than_it_has() -> None:
    assert markdown_block("a\tb\n\x1bc", "diff") == "```diff\na\tb\n\\x1bc\n```"
    assert markdown_block("````") == "`````\n````\n`````"
