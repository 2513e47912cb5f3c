"""What a training adds to its parent, and which models can't have continued one."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.models.warm_start import (
    Snapshot,
    continuation_fault,
    parent_digest,
    unseen_partitions,
)
from tidemill.workflow.model import Artifact, ColumnEncoding, ParentVersion

PARENT = Artifact(
    id="3f2a91c07b1e", stage="model", object="3f2a91c07b1e" * 4, format="lightgbm", inputs=("x", "c"),
    output="y", baseline=0.0, anchor="", rows=4, trained_on={"rows": ("a", "b")}, contracts={},
    recipe="recipe", params="{}", seed=1, snapshot={"rows": {"a": "1", "b": "2"}, "static": {"all": "3"}},
    encodings=(
        ColumnEncoding(name="x", kind="number"),
        ColumnEncoding(name="c", kind="category", categories=("p", "q")),
    ),
)  # fmt: skip


@pytest.mark.parametrize(
    ("snapshot", "unseen"),
    [
        ({"rows": {"a": "1", "b": "2"}, "static": {"all": "3"}}, ()),
        ({"rows": {"b": "2", "c": "4"}, "static": {"all": "3"}}, ("c",)),
        ({"rows": {"a": "9", "b": "2"}, "static": {"all": "3"}}, ("a",)),
        # What isn't computed yet may be new.
        ({"rows": {"a": "1", "b": ""}}, ("b",)),
        # A table without partitions beside others doesn't count by itself.
        ({"rows": {"a": "1", "b": "2"}, "static": {"all": "9"}}, ()),
        ({"static": {"all": "9"}}, ("all",)),
        ({"static": {"all": "3"}}, ()),
        ({"rows": {"a": "1"}, "others": {"a": "1"}}, ("a",)),
    ],
)
def test_partitions_that_are_new_or_changed_in_any_input(
    snapshot: Snapshot, unseen: tuple[str, ...]
) -> None:
    assert unseen_partitions(PARENT, snapshot) == unseen


_snapshots = st.dictionaries(
    st.sampled_from(["rows", "labels"]),
    st.dictionaries(st.sampled_from(["a", "b", "c"]), st.sampled_from(["1", "2"]), min_size=1),
    min_size=1,
)


@given(before=_snapshots, now=_snapshots)
def test_a_partition_that_is_not_unseen_is_the_same_in_every_input(
    before: Snapshot, now: Snapshot
) -> None:
    parent = replace(PARENT, snapshot={name: dict(keys) for name, keys in before.items()})
    unseen = set(unseen_partitions(parent, now))
    for name, contents in now.items():
        for key, content in contents.items():
            same = before.get(name, {}).get(key) == content
            assert same or key in unseen
    assert unseen == {
        k for name, keys in now.items() for k, c in keys.items() if before.get(name, {}).get(k) != c
    }
    assert unseen_partitions(replace(parent, snapshot=now), now) == ()  # type: ignore[arg-type]


def test_the_digest_covers_all_that_a_training_gets() -> None:
    digests = {
        parent_digest(PARENT, ("c",)),
        parent_digest(PARENT, ("c", "d")),
        parent_digest(replace(PARENT, generation=1), ("c",)),
        parent_digest(replace(PARENT, object="other", id="other"), ("c",)),
        parent_digest(replace(PARENT, trained_on={"rows": ("b",)}), ("c",)),
    }
    assert len(digests) == 5
    assert parent_digest(PARENT, ()) == ""
    # Figures of its training aren't passed on.
    assert parent_digest(replace(PARENT, rows=9, hardware={"cpu": "x"}), ("c",)) in digests
    # Golden: versions that were continued keep their keys.
    assert parent_digest(PARENT, ("c",)) == "eff84d2a250f615fae86c716cfe97adc"


def test_a_model_that_grew_from_its_parent() -> None:
    grown = ColumnEncoding(name="c", kind="category", categories=("p", "q", "a"))
    child = replace(PARENT, encodings=(PARENT.encodings[0], grown), generation=1)
    assert continuation_fault(PARENT, child) == ""
    assert continuation_fault(PARENT, PARENT) == ""


def encoded(*categories: str, kind: str = "category") -> Artifact:
    known = ColumnEncoding(name="c", kind=kind, categories=categories)  # type: ignore[arg-type]
    return replace(PARENT, encodings=(PARENT.encodings[0], known))


@pytest.mark.parametrize(
    ("child", "fault"),
    [
        (replace(PARENT, inputs=("c", "x")), "it reads c, x, but its parent 3f2a91c07b1e x, c"),
        (replace(PARENT, output="z"), "it predicts z, but its parent 3f2a91c07b1e y"),
        (
            replace(PARENT, classes='["a", "b"]'),
            "it has the classes a, b, but its parent 3f2a91c07b1e none",
        ),
        (
            encoded("a", "p", "q"),
            "its category 0 of 'c' is 'a', but 'p' in its parent 3f2a91c07b1e",
        ),
        (
            encoded("p"),
            "it has no category 'q' of 'c', which is category 1 in its parent 3f2a91c07b1e",
        ),
        (
            encoded(kind="date"),
            "it encodes 'c' as date, but category in its parent 3f2a91c07b1e",
        ),
        (
            replace(PARENT, encodings=()),
            "it encodes 'x' as nothing, but number in its parent 3f2a91c07b1e",
        ),
    ],
)
def test_a_model_whose_inputs_mean_something_else(child: Artifact, fault: str) -> None:
    assert continuation_fault(PARENT, child) == fault


def test_lineage_in_words() -> None:
    assert PARENT.lineage == ""
    own = ParentVersion(id=PARENT.id, key="key", digest="digest")
    child = replace(PARENT, parent=own, generation=2)
    assert child.lineage == "continues 3f2a91c07b1e, generation 2"
