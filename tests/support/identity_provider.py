"""A real identity provider on loopback, and a person who logs in at it with a browser."""

from __future__ import annotations

import re
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from html.parser import HTMLParser
from urllib.parse import urljoin

import requests

from tools.identity_provider import INSTALLED, NODE, missing

MISSING = missing()


@contextmanager
def identity_provider() -> Iterator[str]:
    """The issuer of a provider that runs until the end of the block."""
    command = [str(NODE), "server.mjs"]
    with subprocess.Popen(
        command, cwd=INSTALLED, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line.startswith("ready "), line
            yield line.split()[1]
        finally:
            process.kill()


def put_in_groups(issuer: str, person: str, *groups: str) -> None:
    """Let the provider state groups of a person from now on."""
    terms = {"person": person, "groups": ",".join(groups)}
    requests.post(f"{issuer}/groups", params=terms).raise_for_status()


def log_in(url: str, person: str) -> str:
    """Open a page of the provider and fill in every form as a person does, up to the reply's address.

    It is the last page where the login happens on a device.
    """
    with requests.Session() as browser:
        reply = browser.get(url, allow_redirects=False)
        for _ in range(20):
            if reply.is_redirect:
                where = urljoin(reply.url, reply.headers["location"])
                if "/callback" in where:
                    return where
                reply = browser.get(where, allow_redirects=False)
                continue
            form = _Form(reply.text)
            if not form.action:
                return reply.url
            if "login" in form.fields:
                form.fields |= {"login": person, "password": "any"}
            where = urljoin(reply.url, form.action)
            reply = browser.post(where, data=form.fields, allow_redirects=False)
    raise AssertionError(f"no end of forms at {reply.url}")


class Person:
    """Follows the instructions of a login as soon as they are shown."""

    def __init__(self, name: str) -> None:
        self._name = name
        self.followed: list[threading.Thread] = []

    def follow(self, text: str) -> None:
        for url in re.findall(r"http\S+", text):
            self._begin(url)

    def _begin(self, url: str) -> None:
        thread = threading.Thread(target=self._open, args=(url,))
        thread.start()
        self.followed.append(thread)

    def _open(self, url: str) -> None:
        reply = log_in(url, self._name)
        if "/callback" in reply:
            assert requests.get(reply.replace("/callback", "/elsewhere")).status_code == 404
            assert requests.get(reply.partition("?")[0]).status_code == 404
            assert "complete" in requests.get(reply).text


class _Form(HTMLParser):
    """The first form of a page: its action, and the values of its fields."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.action, self.fields, self._ended = "", dict[str, str](), False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = {name: value or "" for name, value in attrs}
        if self._ended:
            return
        if tag == "form":
            self.action = named.get("action", "")
        elif tag == "input" and named.get("name"):
            self.fields[named["name"]] = named.get("value", "")

    def handle_endtag(self, tag: str) -> None:
        self._ended |= tag == "form"
