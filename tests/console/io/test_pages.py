"""What pages claim to show."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.support.console import ProjectsHere, Visitor, write_project
from tidemill.console.resource import Resource
from tidemill.console.view_calls import ViewAnswer
from tidemill.project.recorded_project import open_recorded


def report(root: Path, title: str) -> None:
    with closing(open_recorded(root)) as project:
        project.incidents.report(title, severity="page", reason="seen")


def test_a_page_counts_nothing_as_shown_that_came_while_it_was_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_project(tmp_path)
    report(tmp_path, "before")
    plain = ProjectsHere.call

    async def call(
        self: ProjectsHere, resource: Resource, arguments: Mapping[str, Any], env: str, token: str
    ) -> ViewAnswer:
        found = await plain(self, resource, arguments, env, token)
        if resource.name == "incidents":
            # The view has answered; its page isn't drawn yet.
            known = visitor.console.watch.seq
            await asyncio.to_thread(report, tmp_path, "meanwhile")
            while visitor.console.watch.seq == known:
                await asyncio.sleep(0.01)
        return found

    with Visitor(tmp_path) as visitor:
        before = visitor.console.watch.seq
        monkeypatch.setattr(ProjectsHere, "call", call)
        page = visitor.page("/incidents")
        shown = re.search(r'data-seq="(\d+)"', page.text)
        assert shown is not None
        assert ("before" in page.text, "meanwhile" in page.text) == (True, False)
        assert int(shown[1]) == before < visitor.console.watch.seq


def test_the_counts_of_the_header_come_alone(tmp_path: Path) -> None:
    write_project(tmp_path)
    report(tmp_path, "fire")
    with Visitor(tmp_path) as visitor:
        found = visitor.page("/counts")
        assert (found.words, "<main" in found.text) == ("1 wrong", False)
        assert 'data-url="/counts"' in found.text
        assert found.text.strip() in visitor.page("/audit").text
    with Visitor(tmp_path, is_logged_in=False) as stranger:
        assert stranger.client.get("/counts").status_code == 204


def test_only_what_changes_is_fetched_again_with_the_forms_of_who_asks(tmp_path: Path) -> None:
    write_project(tmp_path)
    with Visitor(tmp_path) as visitor:

        def form_keys(**headers: str) -> tuple[str, set[str]]:
            text = visitor.client.get("/incidents", headers=headers).text
            return text, set(re.findall(r'name="form_key" value="([^"]+)"', text))

        whole, keys = form_keys()
        part, own = form_keys(**{"HX-Request": "true"})
        assert own == keys
        assert 'id="counts"' in part
        assert part[part.index('<div id="content">') :].strip() in whole
        assert "<main" not in part
        visitor.client.cookies.clear()
        visitor.log_in()
        others = form_keys(**{"HX-Request": "true"})
        assert len(own) == len(others[1]) == 1
        assert others[1].isdisjoint(own)
        assert others[0].replace(min(others[1]), min(own)) == part
