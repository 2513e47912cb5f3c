"""Statements: their parts, their digests, and what is no statement of provenance."""

from __future__ import annotations

import hashlib
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.governance.in_toto import (
    PROVENANCE_TYPE,
    STATEMENT_TYPE,
    AttestedFile,
    file_descriptor,
    listing_descriptor,
    listing_digest,
    moment,
    statement,
    statement_faults,
    subjects_of,
    value_descriptor,
)

DIGEST = "ab" * 32
PREDICATE: dict[str, Any] = {
    "buildDefinition": {
        "buildType": "urn:example:1",
        "externalParameters": {},
        "internalParameters": {},
        "resolvedDependencies": [{"uri": "pkg:pypi/polars@2"}],
    },
    "runDetails": {
        "builder": {"id": "https://example.com/builder"},
        "metadata": {"invocationId": "r", "startedOn": "2026-01-31T12:00:00Z"},
        "byproducts": [{"content": "eA=="}],
    },
}


def good() -> dict[str, Any]:
    subject = file_descriptor(AttestedFile(name="a", sha256=DIGEST), rows=3)
    return statement([subject], deepcopy(PREDICATE))


def test_a_statement_has_its_types_and_subjects() -> None:
    made = good()
    assert statement_faults(made) == []
    assert (made["_type"], made["predicateType"]) == (STATEMENT_TYPE, PROVENANCE_TYPE)
    assert subjects_of(made) == (AttestedFile(name="a", sha256=DIGEST),)
    assert made["subject"][0]["annotations"] == {"rows": 3}


def test_what_the_specifications_do_not_know_is_ignored() -> None:
    made = good() | {"more": 1}
    made["predicate"]["more"] = made["subject"][0]["more"] = None
    del made["predicate"]["runDetails"]["metadata"]
    del made["predicate"]["buildDefinition"]["internalParameters"]
    assert statement_faults(made) == []


@pytest.mark.parametrize(
    ("path", "value", "fault"),
    [
        (("_type",), "https://in-toto.io/Statement/v0.1", "_type is"),
        (("predicateType",), None, "predicateType is None"),
        (("subject",), [], "no subject"),
        (("subject",), {}, "no subject"),
        (("subject", 0), "a", "subject 1 has no name"),
        (("subject", 0, "name"), "", "subject 1 has no name"),
        (("subject", 0, "digest"), None, "subject a has no sha256"),
        (("subject", 0, "digest"), {"sha256": "AB" * 32}, "subject a has no sha256"),
        (("subject", 0, "digest"), {"sha256": DIGEST + "\n"}, "subject a has no sha256"),
        (("subject", 0, "digest"), {"md5": DIGEST}, "subject a has no sha256"),
        (("predicate",), None, "no predicate"),
        (("predicate", "buildDefinition"), [], "no buildDefinition"),
        (("predicate", "buildDefinition", "buildType"), "model", "isn't a URI"),
        (("predicate", "buildDefinition", "externalParameters"), None, "no externalParameters"),
        (("predicate", "buildDefinition", "internalParameters"), 1, "aren't an object"),
        (("predicate", "buildDefinition", "resolvedDependencies"), {}, "aren't a list"),
        (("predicate", "buildDefinition", "resolvedDependencies", 0), {"name": "a"}, "neither"),
        (("predicate", "runDetails"), None, "no runDetails"),
        (("predicate", "runDetails", "builder"), "me", "no runDetails with a builder"),
        (("predicate", "runDetails", "builder"), {"id": "a b"}, "isn't a URI"),
        (("predicate", "runDetails", "metadata"), [], "its metadata isn't an object"),
        (("predicate", "runDetails", "metadata", "startedOn"), "today", "isn't a time"),
        (("predicate", "runDetails", "metadata", "finishedOn"), 5, "isn't a time"),
        (("predicate", "runDetails", "byproducts", 0), 5, "number 1 of its byproducts"),
    ],
)
def test_what_is_no_statement_of_provenance_is_named(
    path: tuple[Any, ...], value: object, fault: str
) -> None:
    made: Any = good()
    place = made
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    [found] = statement_faults(made)
    assert fault in found


def test_a_statement_is_an_object_with_each_subject_once() -> None:
    assert statement_faults([]) == ["the statement isn't a JSON object"]
    made = good()
    made["subject"] *= 2
    assert statement_faults(made) == ["subject a comes twice"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(JSON, st.sampled_from(["_type", "subject", "predicateType", "predicate"]))
def test_any_value_is_judged(value: object, key: str) -> None:
    assert statement_faults(value)
    statement_faults({**good(), key: value})


def test_files_have_one_digest_as_of_a_listing_by_sha256sum() -> None:
    files = {"b.csv": "2" * 64, "a.csv": "1" * 64}
    text = f"{'1' * 64}  a.csv\n{'2' * 64}  b.csv\n"
    assert listing_digest(files) == hashlib.sha256(text.encode()).hexdigest()
    # A name can't end a line, and no two listings are the same.
    odd = {"a\nb\\c\r": "1" * 64}
    text = f"\\{'1' * 64}  a\\nb\\\\c\\r\n"
    assert listing_digest(odd) == hashlib.sha256(text.encode()).hexdigest()
    made = listing_descriptor("rows", files, limit=2, contract="1.0.0", content="")
    assert made["digest"] == {"dirHash1": listing_digest(files)}
    assert made["annotations"] == {"contract": "1.0.0", "count": 2, "files": files}
    assert "files" not in listing_descriptor("rows", files, limit=1)["annotations"]
    other = {"a": "1f" * 16}
    assert [*listing_descriptor("rows", other, limit=1)["digest"]] == ["tidemillListing"]


def test_a_value_has_the_digest_of_its_canonical_json() -> None:
    made = value_descriptor("scores", {"b": 1, "a": 0.5})
    digest = hashlib.sha256(b'{"a":0.5,"b":1}').hexdigest()
    assert made["digest"] == {"sha256": digest}
    assert made["annotations"] == {"b": 1, "a": 0.5}


def test_times_are_in_utc() -> None:
    assert moment(0.25) == "1970-01-01T00:00:00.250Z"
