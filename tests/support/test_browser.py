"""The browser of tests: it sees what is wrong with a page, under a strict policy, beside event loops."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from tests.support import browser
from tests.support.browser import (
    ConsoleBrowser,
    PageFactory,
    Theme,
    Width,
    axe_violations,
    save_screenshot,
)

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Page

PAGES = {
    "/good": "<!doctype html><html lang=en><title>Shop</title><link rel=icon href=/icon>"
    "<main><h1>Shop</h1><p>Open.</p></main></html>",
    "/bad": "<!doctype html><html><title>Shop</title><link rel=icon href=/icon>"
    "<main><h1>Shop</h1><img src=/icon><input></main></html>",
    "/outside": "<!doctype html><link rel=icon href=/icon><img src=http://example.org/a.png>",
    "/script": "<!doctype html><link rel=icon href=/icon><script src=/broken.js></script>",
    "/socket": "<!doctype html><link rel=icon href=/icon><script src=/socket.js></script>",
    "/inline": "<!doctype html><link rel=icon href=/icon><script>var inline = 1</script>",
    "/gone": "<!doctype html><link rel=icon href=/icon><script src=/nothing.js></script>",
    "/broken.js": "console.error('it broke'); throw new Error('badly')",
    "/socket.js": "new WebSocket('ws://example.org/live')",
    "/icon": "<svg xmlns='http://www.w3.org/2000/svg'/>",
}
TYPES = {".js": "text/javascript", "icon": "image/svg+xml"}


class Shop(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = PAGES.get(self.path, "").encode()
        self.send_response(200 if body else 404)
        kind = next((TYPES[end] for end in TYPES if self.path.endswith(end)), "text/html")
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        policy = "" if self.path in ("/outside", "/socket") else "default-src 'self'"
        self.send_header("Content-Security-Policy", policy)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def shop() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Shop) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(("width", "height"), [(1440, 900), (390, 844)])
def test_a_page_has_its_theme_and_size(
    page_at: Callable[..., Page], shop: str, theme: Theme, width: Width, height: int
) -> None:
    page = page_at(theme, width)
    page.goto(f"{shop}/good")
    assert page.evaluate("[innerWidth, innerHeight]") == [width, height]
    assert page.evaluate(f"matchMedia('(prefers-color-scheme: {theme})').matches")
    assert page.evaluate("matchMedia('(prefers-reduced-motion: reduce)').matches")
    assert axe_violations(page) == []


def test_axe_sees_what_is_wrong_under_a_strict_policy(
    page_at: Callable[..., Page], shop: str
) -> None:
    page = page_at()
    page.goto(f"{shop}/bad")
    found = {violation.partition(" ")[0] for violation in axe_violations(page)}
    assert {"html-has-lang", "image-alt", "label"} <= found


@pytest.mark.parametrize(
    ("path", "faults"),
    [
        ("/good", []),
        (
            "/outside",
            ["outside request: http://example.org/a.png", "console error: Failed to load"],
        ),
        ("/script", ["console error: it broke", "page error: badly"]),
        (
            "/socket",
            ["outside request: ws://example.org/live", "console error: WebSocket connection"],
        ),
        ("/inline", ["console error: Executing inline script violates"]),
        (
            "/gone",
            ["console error: Failed to load resource: the server responded with a status of 404"],
        ),
    ],
)
def test_what_goes_wrong_on_a_page_is_noted(
    chromium: ConsoleBrowser, shop: str, path: str, faults: list[str]
) -> None:
    pages = PageFactory(chromium)
    page = pages()
    page.goto(f"{shop}{path}")
    # What fails after the page has loaded is noted when it does.
    for _ in range(300):
        if len(pages.faults) >= len(faults):
            break
        page.wait_for_timeout(100)
    found = pages.close()
    assert len(found) == len(faults), found
    for fault in faults:
        assert [text for text in found if text.startswith(fault)], found


def test_an_expected_fault_is_none(chromium: ConsoleBrowser, shop: str) -> None:
    pages = PageFactory(chromium)
    pages(expected=["status of 404"]).goto(f"{shop}/gone")
    assert pages.close() == []


def test_profiles_share_nothing(page_at: Callable[..., Page], shop: str) -> None:
    for page in (page_at(), page_at()):
        page.goto(f"{shop}/good")
        assert page.evaluate("localStorage.length") == 0
        page.evaluate("localStorage.setItem('one', '1')")


def test_event_loops_run_beside_the_browser(chromium: ConsoleBrowser, shop: str) -> None:
    async def answer() -> int:
        return 42

    for _ in range(2):
        pages = PageFactory(chromium)
        pages().goto(f"{shop}/good")
        assert pages.close() == []
        assert asyncio.run(answer()) == 42


def test_a_picture_is_named_by_its_width_and_theme(
    page_at: Callable[..., Page], shop: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(browser, "SCREENSHOTS", tmp_path)
    page = page_at("dark", 390)
    page.goto(f"{shop}/good")
    assert save_screenshot(page, "shop") == tmp_path / "shop-390-dark.png"
    assert (tmp_path / "shop-390-dark.png").read_bytes().startswith(b"\x89PNG")
