"""Projects that send their runs as events of OpenLineage, and what they sent."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.behaviour.test_models import MODEL, Sea
from tests.support.openlineage.validation import faults
from tidemill.project.openlineage_settings import parse_openlineage
from tidemill.project.project import Project

SENT = "sent.jsonl"


class LineageSea(Sea):
    """A project whose settings for OpenLineage are `lineage`, by default a file."""

    def __init__(self, root: Path, text: str = MODEL, **lineage: Any) -> None:
        super().__init__(root, text)
        self.lineage = lineage or {"file": SENT}

    def open(self) -> Project:
        project = super().open()
        space = project.workspace
        lineage = parse_openlineage(self.lineage, "settings")
        space.settings = replace(
            space.settings, tables={**space.settings.tables, "openlineage": lineage}
        )
        return project

    def take(self) -> list[Any]:
        """What was sent to the file since the last call; all of it is valid."""
        path = self.root / SENT
        events = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        path.unlink()
        check_runs(events)
        return events

    def exported(self, run: str) -> list[Any]:
        """The events of a run, from the ledger."""
        project = self.open()
        try:
            return [json.loads(line) for line in project.openlineage.lines(run)]
        finally:
            project.close()


def check_runs(events: list[Any]) -> None:
    """Every event is valid, and every run has one START and then one end."""
    assert [fault for event in events for fault in faults(event)] == []
    kinds: dict[str, list[str]] = {}
    for event in events:
        kinds.setdefault(event["run"]["runId"], []).append(event["eventType"])
    assert all(kind[0] == "START" for kind in kinds.values())
    assert Counter(len(kind) for kind in kinds.values()) == Counter({2: len(kinds)})


def ends(events: list[Any]) -> dict[str, str]:
    """By job how its run ended, without the name of the workflow."""
    return {
        event["job"]["name"].removeprefix("tides").removeprefix("."): event["eventType"]
        for event in events
        if event["eventType"] != "START"
    }


def end_of(events: list[Any], job: str) -> Any:
    """The event that ended the run of a stage."""
    name = f"tides.{job}" if job else "tides"
    [found] = [e for e in events if e["job"]["name"] == name and e["eventType"] != "START"]
    return found


def edges(event: Any) -> dict[str, set[tuple[str, str, str]]]:
    """By column the dataset, the column and the kind of each edge; those of the rows under ""."""
    facet = event["outputs"][0]["facets"]["columnLineage"]

    def of(field: Any) -> tuple[str, str, str]:
        return field["name"], field["field"], "/".join(field["transformations"][0].values())

    found = {name: {*map(of, item["inputFields"])} for name, item in facet["fields"].items()}
    return {**found, "": {*map(of, facet.get("dataset", []))}}
