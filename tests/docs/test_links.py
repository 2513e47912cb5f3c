"""Links between pages lead somewhere, every page can be reached, and the tutorial tells the demo's acts."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from tests.docs.pages import ROOT
from tidemill.cli.demo import ACTS

PAGES = sorted(
    [
        ROOT / "README.md",
        ROOT / "CONTRIBUTING.md",
        ROOT / "CHANGELOG.md",
        *ROOT.glob("docs/**/*.md"),
    ]
)
_BLOCK = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[[^\]]+\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


def prose(page: Path) -> str:
    return _BLOCK.sub("", page.read_text(encoding="utf-8"))


def links(page: Path) -> list[str]:
    return [link for link in _LINK.findall(prose(page)) if "://" not in link]


def anchors(page: Path) -> set[str]:
    """The names of the headings, as GitHub makes them."""
    plain = (re.sub(r"[^\w\- ]", "", title.lower()) for title in _HEADING.findall(prose(page)))
    return {title.replace(" ", "-") for title in plain}


def broken(page: Path) -> list[str]:
    """Links of a page that lead nowhere."""
    found = []
    for link in links(page):
        file, _, anchor = link.partition("#")
        target = (page.parent / file).resolve() if file else page
        if not target.is_file() or (anchor and anchor not in anchors(target)):
            found.append(link)
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    assert broken(page) == []


def test_a_broken_link_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# One: a `b`\n[a](#one-a-b) [b](#two) [c](other.md)\n```\n[d](e.md)\n```\n")
    assert broken(page) == ["#two", "other.md"]


def test_every_page_is_reached_from_the_readme() -> None:
    seen: set[Path] = set()
    waiting = [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page.suffix != ".md" or page in seen:
            continue
        seen.add(page)
        waiting += [
            (page.parent / link.partition("#")[0]).resolve()
            for link in links(page)
            if not link.startswith("#")
        ]
    assert {*PAGES} <= seen


@pytest.mark.parametrize("number", range(1, len(ACTS) + 1))
def test_the_tutorial_tells_the_act(number: int) -> None:
    act = ACTS[number - 1]
    text = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
    _, _, section = text.partition(f"\n## {number}. {act.title}\n")
    section = section.partition("\n## ")[0]
    for command in act.commands:
        # The id of a review differs in each demo.
        line = re.escape(f"$ tidemill {shlex.join(command)}").replace("REVIEW", r"\w+")
        assert re.search(rf"^{line}$", section, re.MULTILINE)
    assert act.exit_code == 0 or f"exits with {act.exit_code}" in section


def test_the_tutorial_tells_no_other_act() -> None:
    text = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
    assert len(re.findall(r"^## \d+\. ", text, re.MULTILINE)) == len(ACTS)
