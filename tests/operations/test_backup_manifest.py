import json
from dataclasses import replace

import pytest

from tidemill.operations.backup_manifest import (
    BackedUpFile,
    BackupManifest,
    is_backed_up,
    left_out_keys,
    object_list,
    parse_manifest,
    parse_object_list,
)

LEDGER = BackedUpFile(path="ledger.db", bytes=4096, sha256="a" * 64)
MANIFEST = BackupManifest(
    at=1.5,
    home="/home/ana/bakery/.tidemill",
    tidemill="0.1.0",
    events=9,
    link="c" * 64,
    ledger=LEDGER,
    objects=BackedUpFile(path="objects", bytes=10, sha256="b" * 64),
    object_count=2,
    object_bytes=99,
    files=(BackedUpFile(path="logs/ü.log", bytes=1, sha256="d" * 64),),
    missing=("e.parquet",),
)


def test_a_manifest_is_read_as_it_was_written() -> None:
    assert parse_manifest(MANIFEST.text) == MANIFEST
    bare = replace(MANIFEST, files=(), missing=())
    assert parse_manifest(bare.text) == bare
    assert [file.path for file in MANIFEST.stored] == ["ledger.db", "objects", "logs/ü.log"]


def changed(**values: object) -> str:
    return json.dumps({**json.loads(MANIFEST.text), **values})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (changed(events=10), "its digest is another one"),
        (changed(sha256="0" * 64), "its digest is another one"),
        (changed(type="tidemill.backup/2"), "a newer Tidemill may have made it"),
        (MANIFEST.text[:-20], "isn't the manifest of a backup"),
        ("[]", "isn't the manifest of a backup"),
        ("{}", "isn't the manifest of a backup"),
        ("", "isn't the manifest of a backup"),
    ],
)
def test_what_is_no_manifest_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_manifest(text)


def test_objects_are_listed_in_order() -> None:
    sizes = {"b.parquet": 3, "a.lightgbm": 0}
    assert object_list(sizes) == "a.lightgbm 0\nb.parquet 3\n"
    assert parse_object_list(object_list(sizes)) == sizes
    assert parse_object_list("") == {}
    with pytest.raises(ValueError, match="invalid literal"):
        parse_object_list("a.parquet\n")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("logs/run-1/features.log", True),
        ("memo/space/segments/a.parquet", True),
        ("checkpoints.jsonl", True),
        ("attestations/prod/a.json", True),
        (".gitignore", True),
        ("ledger.db", False),
        ("ledger.db-wal", False),
        ("ledger.db.before-20240301-120000", False),
        ("objects/ab/ab.parquet", False),
        ("tmp/1", False),
        ("servers/prod/1.json", False),
        ("pickle.key", False),
    ],
)
def test_what_a_home_has_to_itself_is_left_out(path: str, expected: bool) -> None:
    assert is_backed_up(path, with_keys=False) is expected


def test_keys_are_backed_up_when_that_is_wanted() -> None:
    assert is_backed_up("pickle.key", with_keys=True)
    assert left_out_keys(["logs/a", "pickle.key"]) == ["pickle.key"]
