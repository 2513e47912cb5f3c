"""Build the documentation site into build/site with Zensical; exit 1 for a warning or a broken promise.

Zensical checks links and anchors. This script also checks that every page is in the navigation, that no
plugin is named that Zensical would ignore, and that no page loads anything from elsewhere.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
SITE = ROOT / "build" / "site"
PLUGINS = {"search"}
POLICY = "default-src 'self' 'unsafe-inline' data: blob:"
BUILD = [sys.executable, "-m", "zensical", "build", "--strict", "--clean"]

_PAGE_IN_NAV = re.compile(r"^\s+- .*: (\S+\.md)$", re.MULTILINE)
_PLUGINS = re.compile(r"^plugins:\n((?: +.*\n)*)", re.MULTILINE)
_PLUGIN = re.compile(r"^ +- ([\w-]+)", re.MULTILINE)
# An element that loads what its attribute names; a link that a reader may follow loads nothing.
_LOADED = re.compile(
    r"<(?!a\b)\w+\b[^>]*?\s(?:src|srcset|href|data|poster)=[\"']?((?:https?:)?//[^\"'\s>]+)", re.I
)
_LOADED_BY_STYLE = re.compile(
    r"(?:url\(|@import\s)\s*[\"']?((?:https?:)?//[^\"')\s]+)", re.IGNORECASE
)


def nav_problems(config: str, docs: Path) -> list[str]:
    """What is wrong with the navigation and the plugins of a configuration."""
    named = _PAGE_IN_NAV.findall(config)
    pages = {page.relative_to(docs).as_posix() for page in docs.rglob("*.md")}
    plugins = {name for block in _PLUGINS.findall(config) for name in _PLUGIN.findall(block)}
    return [
        *(f"{page} is not in the navigation" for page in sorted(pages - set(named))),
        *(
            f"{page} is in the navigation, but there is no such page"
            for page in named
            if page not in pages
        ),
        *(f"{page} is in the navigation twice" for page in sorted(pages) if named.count(page) > 1),
        *(f"Zensical ignores the plugin {name}" for name in sorted(plugins - PLUGINS)),
    ]


def site_problems(site: Path) -> list[str]:
    """What the files of a built site would load from elsewhere."""
    pages = sorted(site.rglob("*.html"))
    if not pages:
        return [f"there are no pages in {site}"]
    return [
        f"{file.relative_to(site)}: {problem}"
        for file in [*pages, *sorted(site.rglob("*.css"))]
        for problem in _file_problems(file)
    ]


def _file_problems(file: Path) -> Iterator[str]:
    text = file.read_text(encoding="utf-8")
    loaded = [*_LOADED_BY_STYLE.findall(text)]
    if file.suffix == ".html":
        loaded += _LOADED.findall(text)
        if POLICY not in text:
            yield "no content security policy"
    yield from (f"loads {address}" for address in loaded)


def build() -> list[str]:
    """Build the site; the problems that Zensical reports, if any."""
    shutil.rmtree(SITE, ignore_errors=True)
    done = subprocess.run(
        BUILD,
        cwd=ROOT,
        env={**os.environ, "NO_COLOR": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode or "warning" in done.stdout.lower():
        return [done.stdout]
    return []


def main() -> int:
    """Build and check the site, and print every problem."""
    config = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    problems = nav_problems(config, ROOT / "docs") or build() or site_problems(SITE)
    for problem in problems:
        print(problem)
    if not problems:
        print(f"open {SITE / 'index.html'}")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
