"""Every page of the documentation does what it says."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sybil.example import SybilFailure

from tests.docs.pages import ROOT, agree, commands, forget_modules, play

PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty working folder; what is imported from it is forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setenv("NO_COLOR", "1")
    yield tmp_path
    forget_modules(tmp_path)
    importlib.invalidate_caches()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_page_does_what_it_says(
    page: Path, folder: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The page says what this variable has.
    if page.name == "shared-home.md":
        monkeypatch.setenv("TEAM_HOME", request.getfixturevalue("new_home")())
    play(page, folder)


PAGE = """
```python
print("one", 2)
```

```text
{shown}
```

```console
$ echo three
{echoed}
```
"""


class TestPlay:
    def page(self, folder: Path, text: str) -> Path:
        file = folder / "page.md"
        file.write_text(text, encoding="utf-8")
        return file

    def test_a_true_page_passes(self, folder: Path) -> None:
        assert play(self.page(folder, PAGE.format(shown="one 2", echoed="three")), folder) == 3

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            (PAGE.format(shown="one 3", echoed="three"), "prints\none 2"),
            (PAGE.format(shown="one 2", echoed="four"), "`echo three` prints\nthree"),
            ("```console\n$ false\n```\n", "exit code 1 at the end"),
            ("```console\n$ false\n$ true\n```\n", "exit code 1 before `true`"),
            ("```python\nprint(1)\n```\n", "nothing shows what was printed"),
            (
                "```python\nprint(1)\n```\n\n```console\n$ true\n```\n",
                "nothing shows what was printed",
            ),
        ],
    )
    def test_a_false_page_fails(self, folder: Path, text: str, message: str) -> None:
        with pytest.raises(SybilFailure, match=r"page\.md") as failure:
            play(self.page(folder, text), folder)
        assert message in str(failure.value)

    def test_a_block_that_raises_fails_at_its_line(self, folder: Path) -> None:
        page = self.page(folder, "first\n\n```python\nx = 1\n1 / 0\n```\n")
        with pytest.raises(ZeroDivisionError) as failure:
            play(page, folder)
        assert failure.traceback[-1].lineno == 4

    def test_a_named_file_is_written(self, folder: Path) -> None:
        text = "```python\n# part/shop.py\nx = 1\n```\n\n```toml\n# settings.toml\ny = 2\n```\n"
        play(self.page(folder, text), folder)
        assert (folder / "part/shop.py").read_text() == "# part/shop.py\nx = 1\n"
        assert (folder / "settings.toml").read_text() == "# settings.toml\ny = 2\n"


@pytest.mark.parametrize(
    ("shown", "given", "same"),
    [
        ("run 20260302-101500-abc123 ok", "run 20270101-000000-000000 ok", True),
        ("wall 0.12 s, CPU 1 min 3 s", "wall 10.3 s, CPU 0.00 s", True),
        ("about 7 ms", "about 0.10 s", True),
        ("rows 12  1.3 kB", "rows 12    9 B", True),
        ("rows 12", "rows 13", False),
        ("a ... c", "a b\nb c", True),
        ("a ... c", "a b d", False),
        ("key 1a2b3c4d5e6f", "key ffffffffff0f", True),
        ("made 2026-03-02 10:15:00", "made 2027-01-01 00:00:00", True),
        ("day 2026-03-02", "day 2026-03-03", False),
    ],
)
def test_agree(shown: str, given: str, same: bool) -> None:
    assert agree(shown, given) is same


def test_commands_of_a_block() -> None:
    block = "$ cat > x <<END\n> one\n> END\n$ cat x\none\n$ true\n"
    found = [(command.text, command.shown) for command in commands(block)]
    assert found == [("cat > x <<END\none\nEND", ""), ("cat x", "one"), ("true", "")]


def test_a_block_without_a_command_is_refused() -> None:
    with pytest.raises(ValueError, match="begins with"):
        list(commands("tidemill run\n"))
