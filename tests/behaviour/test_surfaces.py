"""What a project can do is done by the command line, by pages and by the API; or it is written here why not.

Pages and the API are one: a page draws what its path of the API sends.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tidemill.console.resources import ACTIONS, RESOURCES

PACKAGE = Path(__file__).parents[2] / "src" / "tidemill"
_FILES = "it works on files of the machine where it is called"
_CODE = "it is about a checkout of the code, which a server has no business with"
_ITSELF = "runs and `up` do it by themselves"
_PART = "it is a part of what others call"
_PROCESS = "it is a process that a person starts"
_WEIGHTY = "it is rare and weighty, and done by an admin on the machine"
# What no page has, and why.
NOT_IN_CONSOLE = {
    "alerts.check": _ITSELF,
    "alerts.due": _PART,
    "attestations.attest": _FILES,
    "attestations.attest_live": _ITSELF,
    "attestations.attest_run": _ITSELF,
    "attestations.folder": _PART,
    "attestations.partitions": _PART,
    "attestations.verify": _FILES,
    "audit.checkpoint": _FILES,
    "audit.export": _FILES,
    "audit.prove": _FILES,
    "audit.seal": _ITSELF,
    "change_reviews.review": _CODE,
    "change_reviews.write_version": _CODE,
    "checks.against": _CODE,
    "checks.notes": "`check` is part of the work on the code; pages show the faults of a plan",
    "checks.repeat": "it runs steps twice, which is part of the work on the code",
    "checks.report": _CODE,
    "checks.write_stages": _CODE,
    "contracts.at_ref": _CODE,
    "contracts.of_stage": _PART,
    "costs.read": _PART,
    "data.profile": "pages ask the project itself, which asks this",
    "data.quarantined": "pages show quarantined rows by partition",
    "data.read": "rows are read by code; pages show the first ones",
    "data.show": "pages show a window of rows and columns",
    "data.show_quarantined": "pages show quarantined rows by partition",
    "data.stored_profile": _PART,
    "delivered_tables.changes": _PART,
    "delivered_tables.deliver_again": _ITSELF,
    "delivered_tables.find_fault": _PART,
    "delivered_tables.last_effects": _PART,
    "delivered_tables.restore": _WEIGHTY,
    "environments.adopt": _WEIGHTY,
    "environments.diff_rows": "it compares all rows of two partitions, which is for a terminal",
    "erasures.erase": _WEIGHTY,
    "erasures.find": _WEIGHTY,
    "history.attempts": "pages show attempts with their times",
    "history.drop_old": _ITSELF,
    "history.ended_attempts": "pages show their sums",
    "history.follow": "pages fetch new lines themselves",
    "history.log": "pages show a part at a time",
    "history.performance": "pages show the figures of metrics, which don't read all attempts",
    "history.runs_like": _PART,
    "incidents.open_lines": _PART,
    "keys.create": _FILES,
    "lineage.entries_of": _PART,
    "logins.actor": _PART,
    "logins.login": "the login of a terminal",
    "logins.logout": "the login of a terminal",
    "metrics.by_day": "the command line and Prometheus have the long series",
    "metrics.by_partition": "the command line and Prometheus have the long series",
    "metrics.families": _PART,
    "metrics.objectives": "objectives that are missed are incidents, which pages show",
    "metrics.prometheus_text": "another program reads it",
    "mlflow.catch_up": _ITSELF,
    "mlflow.mirror": "another program reads it, and it is for a terminal to wait for that",
    "models.current": _PART,
    "models.findings": _PART,
    "models.intervals": _PART,
    "openlineage.context": _PART,
    "openlineage.events": "another program reads it",
    "openlineage.lines": "another program reads it",
    "openlineage.open_transport": _PART,
    "openlineage.send": "another program reads it",
    "openlineage.settings": _PART,
    "openlineage.status": "another program reads the events, and says what it misses",
    "plans.make_governed": _PART,
    "plans.make_on": _PART,
    "plans.make_urgent": _ITSELF,
    "policy.decisions": "pages show decisions page by page",
    "policy.replay": "rules are tried before they are committed, which is part of the work on the code",
    "policy.test": "rules are tried before they are committed, which is part of the work on the code",
    "reports.model": _FILES,
    "reports.report_on": _FILES,
    "reports.run": _FILES,
    "reports.week": _FILES,
    "retention.keepers": "what keeps an object is asked when a sweep surprises, in a terminal",
    "retention.keeps_all": _PART,
    "retention.sweep": "the page Retention starts the command that does it",
    "retention.sweep_by_itself": _ITSELF,
    "retention.sweep_if_due": _ITSELF,
    "reviews.expire": _ITSELF,
    "reviews.show": "pages show its sections with the scores as they are now",
    "reviews.store_pages": _ITSELF,
    "runbooks.code_owners": _FILES,
    "runbooks.facts": "a runbook is a file of the repository",
    "schedules.run": "the page Schedules starts the command that does it",
    "serving.predict": "pages try one row, and programs ask the endpoint",
    "serving.serve": _PROCESS,
    "serving.serve_shared": _PROCESS,
    "serving.settings": _PART,
    "serving.settings_with": _PROCESS,
    "sharing.read": "it is about the machine where it is called",
    "stage_cases.folder": _PART,
    "stage_cases.load": _PART,
    "stage_cases.run": _CODE,
    "stage_cases.scaffold": _CODE,
    "stored_state.export": _FILES,
    "stored_state.ledger": _PART,
    "stored_state.rebuild": _WEIGHTY,
    "stored_state.verify": "it reads every stored object, maybe for hours, which a terminal can interrupt",
    "trials.debug": "a debugger is part of the work on the code",
    "trials.rerun": _PART,
    "weekly_notes.due": _PART,
    "weekly_notes.send_due": _ITSELF,
}


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def services() -> dict[str, str]:
    """The properties of a project that are services, and their classes."""
    found = {}
    for file in ("project.py", "operation_services.py"):
        for node in ast.walk(_tree(PACKAGE / "project" / file)):
            if isinstance(node, ast.FunctionDef) and isinstance(node.returns, ast.Name):
                is_property = any(
                    isinstance(each, ast.Name) and "property" in each.id
                    for each in node.decorator_list
                )
                if is_property and not node.name.startswith("_") and node.name != "settings":
                    found[node.name] = node.returns.id
    return found


def methods() -> Iterator[str]:
    """Each public method of a service, such as `reviews.approve`."""
    of_class = {
        node.name: [
            each.name
            for each in node.body
            if isinstance(each, ast.FunctionDef) and not each.name.startswith("_")
        ]
        for path in (*(PACKAGE / "project").glob("*.py"), PACKAGE / "history" / "io" / "runs.py")
        for node in ast.walk(_tree(path))
        if isinstance(node, ast.ClassDef)
    }
    for service, name in services().items():
        yield from (f"{service}.{method}" for method in of_class.get(name, ()))


@cache
def used_in(folder: str) -> frozenset[str]:
    """The methods that modules of a folder use: those that name the service, or get it, and the method."""
    found: set[str] = set()
    for path in (PACKAGE / folder).rglob("*.py"):
        names = {node.attr for node in ast.walk(_tree(path)) if isinstance(node, ast.Attribute)}
        for service in services():
            if service in names:
                found |= {f"{service}.{name}" for name in names}
    return frozenset(found)


METHODS = sorted(set(methods()))


def test_there_are_services() -> None:
    assert {"reviews.approve", "quarantine.release", "retention.preview"} & set(METHODS)
    assert len(METHODS) > 100


@pytest.mark.parametrize("method", METHODS)
def test_each_is_on_a_page_or_it_is_said_why_not(method: str) -> None:
    is_used, is_excused = method in used_in("console"), method in NOT_IN_CONSOLE
    assert is_used != is_excused


def test_reasons_are_about_what_there_is() -> None:
    assert set(NOT_IN_CONSOLE) <= set(METHODS)


def test_each_page_is_a_path_of_the_api() -> None:
    """And so is what is done on it: both are made from the same table."""
    assert all(each.path.startswith("/") for each in (*RESOURCES, *ACTIONS))
    assert all(each.view.startswith("tidemill.console.views.") for each in (*RESOURCES, *ACTIONS))
