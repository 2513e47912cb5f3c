"""The documentation site has every page, builds without warnings, and loads nothing from elsewhere."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

from tools import docs_site
from tools.docs_site import POLICY, nav_problems, site_problems

CONFIG = """\
plugins:
  - search
{plugins}theme:
  name: material
nav:
  - One: one.md
{nav}"""
PAGE = f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'


def test_every_page_is_in_the_navigation() -> None:
    config = (docs_site.ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    assert nav_problems(config, docs_site.ROOT / "docs") == []


@pytest.mark.parametrize(
    ("nav", "plugins", "problem"),
    [
        ("", "", "how-to/two.md is not in the navigation"),
        (
            "  - Two: how-to/two.md\n  - Three: three.md\n",
            "",
            "three.md is in the navigation, but there is no such page",
        ),
        (
            "  - How to:\n      - Two: how-to/two.md\n  - Again: one.md\n",
            "",
            "one.md is in the navigation twice",
        ),
        ("  - Two: how-to/two.md\n", "  - blog: {}\n", "Zensical ignores the plugin blog"),
    ],
)
def test_a_problem_of_the_navigation(tmp_path: Path, nav: str, plugins: str, problem: str) -> None:
    for page in ("one.md", "how-to/two.md"):
        (tmp_path / page).parent.mkdir(exist_ok=True)
        (tmp_path / page).touch()
    assert nav_problems(CONFIG.format(nav=nav, plugins=plugins), tmp_path) == [problem]


@pytest.mark.parametrize(
    "harmless",
    [
        '<a href="https://example.org/">elsewhere</a>',
        '<a class="x" href="//example.org/">elsewhere</a>',
        '<img src="assets/flights.svg">',
        '<svg xmlns="http://www.w3.org/2000/svg"></svg>',
        "<style>a{background:url(data:image/png;base64,AAAA)}</style>",
    ],
)
def test_a_page_that_loads_nothing(tmp_path: Path, harmless: str) -> None:
    (tmp_path / "index.html").write_text(PAGE + harmless)
    assert site_problems(tmp_path) == []


@pytest.mark.parametrize(
    "load",
    [
        '<script src="{}"></script>',
        "<script async\n src={}></script>",
        '<link rel="stylesheet" href="{}">',
        "<img alt='a' srcset='{} 2x'>",
        '<style>@import "{}";</style>',
        "<style>a{{background:url( '{}' )}}</style>",
    ],
)
@pytest.mark.parametrize(
    "address", ["https://example.org/x", "//example.org/x", "HTTP://example.org/x"]
)
def test_a_load_from_elsewhere_is_found(tmp_path: Path, load: str, address: str) -> None:
    (tmp_path / "index.html").write_text(PAGE + load.format(address))
    assert site_problems(tmp_path) == [f"index.html: loads {address}"]


def test_a_style_sheet_and_a_page_without_a_policy_are_found(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("<p>")
    (tmp_path / "main.css").write_text("@font-face{src:url(https://example.org/font)}")
    assert site_problems(tmp_path) == [
        "index.html: no content security policy",
        "main.css: loads https://example.org/font",
    ]


def test_no_pages_are_a_problem(tmp_path: Path) -> None:
    assert site_problems(tmp_path) == [f"there are no pages in {tmp_path}"]


@pytest.mark.skipif(
    find_spec("zensical") is None, reason="Zensical isn't installed: `make docs` installs it"
)
class TestBuild:
    def test_the_site_builds(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert docs_site.main() == 0, capsys.readouterr().out
        assert (docs_site.SITE / "index.html").is_file()

    def test_a_broken_link_fails(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        config = (docs_site.ROOT / "mkdocs.yml").read_text(encoding="utf-8")
        before, _, _ = config.partition("nav:")
        (tmp_path / "mkdocs.yml").write_text(
            before.replace("tools/site_theme", str(docs_site.ROOT / "tools/site_theme"))
            + "nav:\n  - Home: index.md\n"
        )
        (tmp_path / "docs").mkdir()
        (tmp_path / "docs/index.md").write_text("# Home\n\n[there](#nowhere)\n")
        monkeypatch.setattr(docs_site, "ROOT", tmp_path)
        monkeypatch.setattr(docs_site, "SITE", tmp_path / "build/site")
        assert docs_site.main() == 1
        assert "anchor does not exist" in capsys.readouterr().out
