"""Checkpoints are read as they were written, or not at all, and are due when they should be."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from tidemill.governance.checkpoint import (
    Checkpoint,
    CheckpointTerms,
    KeptCheckpoint,
    parse_checkpoint,
    parse_kept,
)
from tidemill.governance.merkle_tree import TreeFrontier, leaf_hash

FRONTIER = TreeFrontier().extend([leaf_hash(b"a"), leaf_hash(b"b"), leaf_hash(b"c")])
POINT = Checkpoint(
    first=leaf_hash(b"a").hex(),
    size=3,
    root=FRONTIER.root.hex(),
    link="ab" * 32,
    at=1764306000.25,
    key="cd" * 32,
    signature=b"\x01" * 64,
)


def test_a_checkpoint_is_one_line_of_canonical_json() -> None:
    values = json.loads(POINT.line)
    assert POINT.line == json.dumps(values, sort_keys=True, separators=(",", ":"))
    assert (values["size"], values["at"], values["type"]) == (
        3,
        "1764306000.25",
        "tidemill.checkpoint/1",
    )
    del values["signature"]
    assert POINT.message == json.dumps(values, sort_keys=True, separators=(",", ":")).encode()
    assert parse_checkpoint(POINT.line) == POINT


@pytest.mark.parametrize("part", ["first", "size", "root", "link", "at", "key"])
def test_all_of_it_is_signed(part: str) -> None:
    other = {"size": 4, "at": 5.0}.get(part, "ef" * 32)
    assert replace(POINT, **{part: other}).message != POINT.message  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "line",
    [
        "",
        "{}",
        "[]",
        "no JSON",
        POINT.line[:-10],
        POINT.line.replace('"size":3', '"size":0'),
        POINT.line.replace('"size":3', '"size":"3"'),
        POINT.line.replace('"size":3', '"size": 3'),
        POINT.line.replace(POINT.root, "ab"),
        POINT.line.replace(POINT.root, "x" * 64),
        POINT.line.replace(POINT.root, POINT.root.upper()),
        POINT.line.replace('"1764306000.25"', "1764306000.25"),
        POINT.line.replace("1764306000.25", "nan"),
        POINT.line.replace("checkpoint/1", "checkpoint/2"),
        POINT.line.replace('"signature":"', '"signature":"*'),
        POINT.line.replace("}", ',"unsigned":1}'),
        "[" * 100_000,
    ],
)
def test_another_line_is_no_checkpoint(line: str) -> None:
    with pytest.raises(ValueError, match="isn't a checkpoint"):
        parse_checkpoint(line)


def test_the_home_keeps_the_tree_to_grow_the_next_one() -> None:
    kept = KeptCheckpoint(checkpoint=POINT, frontier=FRONTIER)
    assert parse_kept(kept.line) == kept
    with pytest.raises(ValueError, match="peaks"):
        parse_kept(POINT.line)
    other = TreeFrontier(size=3, peaks=(leaf_hash(b"x"), leaf_hash(b"y")))
    with pytest.raises(ValueError, match="isn't that of the checkpoint"):
        parse_kept(KeptCheckpoint(checkpoint=POINT, frontier=other).line)


@pytest.mark.parametrize(
    ("events", "later_s", "due"),
    [
        (3, 1e9, False),  # nothing is new
        (4, 3599.0, False),
        (4, 3600.0, True),
        (1002, 0.0, False),
        (1003, 0.0, True),
        (4, -30.0, False),  # the clock was set
        (4, -3600.0, True),  # the clock jumped back
        (3, -3600.0, False),
        (2, 0.0, True),  # events are missing, which is found when it is made
    ],
)
def test_when_a_checkpoint_is_due(events: int, later_s: float, due: bool) -> None:
    assert CheckpointTerms().is_due(POINT, events, POINT.at + later_s) is due


def test_the_first_checkpoint_is_due_with_the_first_event() -> None:
    assert CheckpointTerms().is_due(None, 1, 0.0)
    assert not CheckpointTerms().is_due(None, 0, 0.0)
