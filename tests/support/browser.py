"""Pages in a real browser, which may ask nobody but this machine and may report no error."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page

Theme = Literal["light", "dark"]
Width = Literal[1440, 390]

BUILD = Path(__file__).parents[2] / "build"
AXE = BUILD / "npm" / "node_modules" / "axe-core" / "axe.min.js"
SCREENSHOTS = BUILD / "screenshots"
HEIGHTS = {1440: 900, 390: 844}
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    # What a page asks of others is noted, and goes nowhere.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]  # fmt: skip


class ConsoleBrowser:
    """Chromium, with the event loop of Playwright, which runs only while a test has pages."""

    def __init__(self, browser: Browser) -> None:
        self.browser = browser
        self._loop = asyncio.get_running_loop()
        self.suspend()

    def resume(self) -> None:
        """Let Playwright be called."""
        asyncio._set_running_loop(self._loop)

    def suspend(self) -> None:
        """Let other tests run event loops in this thread, where Playwright's seems to be running."""
        asyncio._set_running_loop(None)


class PageFactory:
    """Opens pages for one test, each in a profile of its own, and notes what goes wrong on them."""

    def __init__(self, chromium: ConsoleBrowser) -> None:
        self._chromium = chromium
        self._contexts: list[BrowserContext] = []
        self._faults: list[str] = []
        self._expected: list[str] = []

    def __call__(
        self, theme: Theme = "light", width: Width = 1440, *, expected: Sequence[str] = ()
    ) -> Page:
        """An empty page; faults with one of the texts in `expected` don't fail the test."""
        self._chromium.resume()
        self._expected += expected
        context = self._chromium.browser.new_context(
            viewport={"width": width, "height": HEIGHTS[width]},
            color_scheme=theme,
            reduced_motion="reduce",
        )
        self._contexts.append(context)
        context.on("console", self._note_message)
        context.on("weberror", lambda error: self._faults.append(f"page error: {error.error}"))
        context.on("request", lambda request: self._note_address(request.url))
        context.on("page", self._follow)
        return context.new_page()

    def close(self) -> list[str]:
        """Close the pages; what went wrong on them."""
        for context in self._contexts:
            context.close()
        self._chromium.suspend()
        return self.faults

    @property
    def faults(self) -> list[str]:
        """What went wrong so far, all but what is expected."""
        return [
            fault for fault in self._faults if not any(text in fault for text in self._expected)
        ]

    def _follow(self, page: Page) -> None:
        page.on("websocket", lambda socket: self._note_address(socket.url))

    def _note_message(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self._faults.append(f"console error: {message.text} ({message.location['url']})")

    def _note_address(self, address: str) -> None:
        parts = urlsplit(address)
        if parts.scheme in ("http", "https", "ws", "wss") and parts.hostname != "127.0.0.1":
            self._faults.append(f"outside request: {address}")


@pytest.fixture(scope="session")
def chromium() -> Iterator[ConsoleBrowser]:
    """A browser for all tests of the process."""
    # Where the wheel is tried, these aren't installed.
    from playwright.sync_api import sync_playwright

    from tools import browser, console_assets

    if reason := browser.missing() or console_assets.missing():
        pytest.skip(reason)
    program = browser.find()
    assert program is not None
    with sync_playwright() as playwright:
        found = ConsoleBrowser(
            playwright.chromium.launch(
                executable_path=program, args=FLAGS, env={**browser.environment(program)}
            )
        )
        yield found
        found.resume()
        found.browser.close()


@pytest.fixture
def page_at(chromium: ConsoleBrowser) -> Iterator[Callable[..., Page]]:
    """Opens pages: `page_at("dark", 390)`. Errors and requests to other machines fail the test."""
    pages = PageFactory(chromium)
    yield pages
    assert pages.close() == []


def axe_violations(page: Page) -> list[str]:
    """What axe-core finds wrong with a page: the rule, its weight, and where it is broken."""
    session = page.context.new_cdp_session(page)
    # The page's security policy holds for scripts in the page, not for those of the debugger.
    session.send("Runtime.evaluate", {"expression": AXE.read_text(encoding="utf-8")})
    found = session.send(
        "Runtime.evaluate",
        {
            "expression": "axe.run(document, {resultTypes: ['violations']})",
            "awaitPromise": True,
            "returnByValue": True,
        },
    )
    session.detach()
    violations: list[dict[str, Any]] = found["result"]["value"]["violations"]
    return [
        f"{one['id']} ({one['impact']}): {' '.join(map(str, node['target']))}"
        for one in violations
        for node in one["nodes"]
    ]


def save_screenshot(page: Page, name: str) -> Path:
    """Store a picture of the whole page as build/screenshots/NAME-WIDTH-THEME.png."""
    dark = page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")
    size = page.viewport_size
    assert size is not None
    path = SCREENSHOTS / f"{name}-{size['width']}-{'dark' if dark else 'light'}.png"
    page.screenshot(path=path, full_page=True)
    return path
