"""`tidemill erase` shows what it would do, and does it with --yes."""

from __future__ import annotations

import re
from pathlib import Path

from tests.support.commands import tidemill


def test_a_person_is_erased_with_yes(built: Path) -> None:
    assert tidemill("tokens", "create", "Ana").code == 0
    ended = tidemill("erase", "Ana")
    assert ended.code == 0
    assert "to remove" in ended.out
    assert "nothing was changed: with --yes it is done" in ended.out
    ended = tidemill("erase", "Ana", "--yes", "--reason", "left", "--json")
    assert ended.code == 0
    assert ended.document["removed"] == {"people": 1}
    assert "erased 1 mention; recorded as" in ended.err
    unknown = "nobody who acted is known as 'Ana'\nnothing is stored of this person\n"
    assert tidemill("erase", "Ana").out == unknown
    assert "erased a person" in tidemill("audit", "show", "--kind", "Erased").out
    assert "erased person" in tidemill("tokens", "list").out
    assert tidemill("verify").code == 0


def test_published_rows_are_listed_with_what_to_do(built: Path) -> None:
    ended = tidemill("erase", "--column", "shop=harbour")
    assert ended.code == 0
    keys = r"2026-01-05 \.\. 2026-\d\d-\d\d \(\d+\)"
    assert len(re.findall(rf"delivered +forecast {keys} in out/forecast ", ended.out)) == 1, (
        ended.out
    )
    assert len(re.findall(rf"published +features {keys} ", ended.out)) == 1
    wrong = tidemill("erase", "--column", "shopp=harbour", "--yes")
    assert wrong.code == 2
    assert (
        "no stored table or prediction log has a column 'shopp': did you mean 'shop'?" in wrong.err
    )
    assert tidemill("erase").code == 2
    assert tidemill("erase", "Ana", "--column", "shop").code == 2
