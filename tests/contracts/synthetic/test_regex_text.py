from __future__ import annotations

import re

import numpy as np
import pytest

from tidemill.contracts.synthetic.regex_text import RegexText
from tidemill.core.errors import ContractError

PATTERNS = [
    r"^[A-Z]{2}\d+$", r"(a|bc)?d*", r"[^a-z]", r"x{2,}", r"(\w)-\1", r"\s\S\D\W", r".", r"a+?b",
    r"^$", r"[äöü]", r"(?:ab){3}", r"[^x]y", r"é",
]  # fmt: skip


@pytest.mark.parametrize("pattern", PATTERNS)
def test_texts_match_their_pattern(pattern: str) -> None:
    chance = np.random.Generator(np.random.PCG64(1))
    matching = RegexText(pattern)
    assert all(re.search(pattern, matching.draw(chance)) for _ in range(50))


def test_looks_and_empty_classes_are_left_to_the_rule() -> None:
    chance = np.random.Generator(np.random.PCG64(1))
    assert RegexText(r"(?=b)a").draw(chance) == "a"
    assert RegexText(r"[^\x00-\xff]").draw(chance) == ""
    assert RegexText(r"(?>ab)").draw(chance) == "ab"


def test_a_pattern_that_only_polars_reads_is_named() -> None:
    with pytest.raises(ContractError, match="can't generate text for the pattern"):
        RegexText(r"\p{L}")
