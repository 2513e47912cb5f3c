"""Files of a source in an object store: what is listed, and what is never taken for their content."""

from __future__ import annotations

import glob
import hashlib
import hmac
import os
import re
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import quote

import obstore
import pytest
from obstore.exceptions import GenericError, PermissionDeniedError
from obstore.store import MemoryStore

from tests.support.buckets import BUCKET_URL
from tidemill.adapters.objectstore import source_files
from tidemill.adapters.objectstore.opened import open_files
from tidemill.adapters.objectstore.source_copies import SourceCopies
from tidemill.adapters.objectstore.source_files import StoreFiles
from tidemill.core.errors import SourceError
from tidemill.ports.sources import StoredFile
from tools import object_store

LIMIT = 1 << 20


class Replies:
    """The functions of obstore, of which some answer otherwise."""

    def __init__(self, **other: Callable[..., Any]) -> None:
        vars(self).update(other)

    def __getattr__(self, name: str) -> Any:
        return getattr(obstore, name)


class Reply:
    """What an object store answers to a request for an object."""

    def __init__(self, payload: bytes, meta: dict[str, Any]) -> None:
        self.meta, self._payload = meta, payload

    def stream(self, min_chunk_size: int) -> Iterator[bytes]:
        for at in range(0, len(self._payload), 3):
            yield self._payload[at : at + 3]


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def files(store: MemoryStore, tmp_path: Path) -> StoreFiles:
    return StoreFiles(store, store, BUCKET_URL, SourceCopies(tmp_path / "copies", LIMIT))


def names(files: StoreFiles, pattern: str) -> list[str]:
    return [
        file.path.removeprefix(f"{BUCKET_URL}/")
        for file in files.list_files(f"{BUCKET_URL}/{pattern}")
    ]


def only(files: StoreFiles, pattern: str = "*") -> StoredFile:
    [found] = files.list_files(f"{BUCKET_URL}/{pattern}")
    return found


KEYS = (
    *("a/1.csv", "a/2.csv", "a/b/3.csv", "a/b/c/4.csv", "a/.hidden.csv", "a/.h/5.csv", "ab/6.csv"),
    *("a/b.csv", "a/b.csv/7.csv", "a/x y.csv", "a/x%20y.csv", "a/ä.csv", "a/X Y.csv", "a/q?.csv"),
    *("a/[1].csv", "top.csv"),
)


@pytest.mark.parametrize(
    "pattern",
    [
        *("a/*.csv", "a/**/*.csv", "**", "*/*.csv", "a/b/*", "a/1.csv", "a/[[]1].csv", "*.csv"),
        *("a/.*", "a/b*/**", "a/x?y.csv", "a/[xX]*", "none/*", "**/b/**/*.csv", "a/b.csv/*"),
    ],
)
def test_a_pattern_means_what_it_means_in_a_folder(
    files: StoreFiles, store: MemoryStore, tmp_path: Path, pattern: str
) -> None:
    folder = tmp_path / "folder"
    for key in KEYS:
        obstore.put(store, key, key.encode())
        # A name is a file or a folder there.
        if key != "a/b.csv":
            (folder / key).parent.mkdir(parents=True, exist_ok=True)
            (folder / key).write_bytes(key.encode())
    local = {
        path
        for path in glob.glob(pattern, root_dir=folder, recursive=True)
        if (folder / path).is_file()
    }
    assert {*names(files, pattern)} - {"a/b.csv"} == local


def test_files_whose_names_differ_by_case_or_escapes_are_several(
    files: StoreFiles, store: MemoryStore
) -> None:
    for key in KEYS:
        obstore.put(store, key, key.encode())
    listed = files.list_files(f"{BUCKET_URL}/**")
    fetched = files.fetch(listed)
    digests = {
        path: found.digest for path, found in fetched.items() if isinstance(found, StoredFile)
    }
    copies = files.copies(digests, folders=False)
    read = {path.removeprefix(f"{BUCKET_URL}/"): copy.read_bytes() for path, copy in copies.items()}
    assert read == {key: key.encode() for key in KEYS if "/." not in key}
    # The suffix says how a file is read.
    assert {copy.suffix for copy in copies.values()} == {".csv"}


def test_what_was_replaced_since_it_was_listed_is_the_new_content(
    files: StoreFiles, store: MemoryStore
) -> None:
    obstore.put(store, "x", b"old")
    listed = only(files)
    obstore.put(store, "x", b"newer")
    [found] = files.fetch([listed]).values()
    assert isinstance(found, StoredFile)
    assert (found.digest, found.size, found.tag) == (sha("newer"), 5, "")


def test_a_copy_is_used_again_and_a_damaged_one_is_not(
    files: StoreFiles, store: MemoryStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    obstore.put(store, "x", b"rows")
    listed = only(files)
    [found] = files.fetch([listed]).values()
    assert isinstance(found, StoredFile)
    digests = {found.path: found.digest}
    [copy] = files.copies(digests, folders=False).values()
    calls: list[str] = []

    def get(store: MemoryStore, key: str) -> Any:
        calls.append(key)
        return obstore.get(store, key)

    monkeypatch.setattr(source_files, "obstore", Replies(get=get))
    assert [*files.copies(digests, folders=False).values()] == [copy]
    assert calls == []
    copy.write_bytes(b"ruin")
    assert [each.read_bytes() for each in files.copies(digests, folders=False).values()] == [
        b"rows"
    ]
    assert calls == ["x"]
    # Neither is one that another process finds.
    copy.write_bytes(b"ruin")
    other = StoreFiles(store, store, BUCKET_URL, SourceCopies(tmp_path / "copies", LIMIT))
    assert [each.read_bytes() for each in other.copies(digests, folders=False).values()] == [
        b"rows"
    ]
    assert calls == ["x", "x"]


def test_a_copy_that_is_gone_is_fetched_only_if_the_file_is_the_same(
    files: StoreFiles, store: MemoryStore, tmp_path: Path
) -> None:
    obstore.put(store, "x", b"rows")
    [found] = files.fetch([only(files)]).values()
    assert isinstance(found, StoredFile)
    shutil.rmtree(tmp_path / "copies")
    obstore.put(store, "x", b"sour")
    with pytest.raises(SourceError, match="x changed while this run was at work; run again"):
        files.copies({found.path: found.digest}, folders=False)
    obstore.delete(store, "x")
    with pytest.raises(SourceError, match="x can't be read: it was deleted"):
        files.copies({found.path: found.digest}, folders=False)


def test_folders_with_values_are_kept_where_they_are_read(
    files: StoreFiles, store: MemoryStore
) -> None:
    for key in ("day=1/a.parquet", "day=2/x/y=3/b.parquet"):
        obstore.put(store, key, b"the same")
    listed = files.list_files(f"{BUCKET_URL}/**/*.parquet")
    digests = {file.path: sha("the same") for file in listed}
    ends = [
        str(path).partition(f"{sha('the same')}/")[2]
        for path in files.copies(digests, folders=True).values()
    ]
    assert ends == ["day=1/file.parquet", "day=2/y=3/file.parquet"]


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def md5(text: bytes) -> str:
    return hashlib.md5(text, usedforsecurity=False).hexdigest()


def answer(
    store: MemoryStore, monkeypatch: pytest.MonkeyPatch, payloads: list[bytes], tags: list[str]
) -> None:
    """Let the store answer with payloads and tags, one after the other; the last ones from then on."""
    known = dict(obstore.head(store, "x"))
    state = {"at": 0}

    def get(store: MemoryStore, key: str) -> Reply:
        at = min(state["at"], len(payloads) - 1)
        state["at"] += 1
        return Reply(payloads[at], {**known, "e_tag": f'"{tags[min(at, len(tags) - 1)]}"'})

    def head(store: MemoryStore, key: str) -> dict[str, Any]:
        return {**known, "e_tag": f'"{tags[min(state["at"] - 1, len(tags) - 1)]}"'}

    monkeypatch.setattr(source_files, "obstore", Replies(get=get, head=head))


@pytest.mark.parametrize(
    ("payloads", "tags"),
    [
        # The tag is that of the content.
        ([b"rows"], [md5(b"rows")]),
        # Encrypted: it never is, but two answers agree.
        ([b"rows"], [md5(b"secret")]),
        # Sent in parts: the object is still the same when all of it came.
        ([b"rows"], ["0-2"]),
        # An answer with other bytes is asked for again.
        ([b"rots", b"rows"], [md5(b"rows")]),
        ([b"rots", b"rats", b"rows"], [md5(b"rows")]),
    ],
)
def test_an_answer_is_taken_that_is_proven(
    files: StoreFiles,
    store: MemoryStore,
    monkeypatch: pytest.MonkeyPatch,
    payloads: list[bytes],
    tags: list[str],
) -> None:
    obstore.put(store, "x", b"rows")
    listed = only(files)
    answer(store, monkeypatch, payloads, tags)
    [found] = files.fetch([listed]).values()
    assert isinstance(found, StoredFile)
    assert found.digest == sha("rows")


@pytest.mark.parametrize(
    ("payloads", "tags", "why"),
    [
        ([b"rots", b"rats", b"ruts"], [md5(b"rows")], "changes while it is fetched; run again"),
        ([b"row"], [md5(b"rows")], r"was cut off \(3 of 4 bytes came\); run again"),
        ([b"row"], ["0-2"], r"was cut off \(3 of 4 bytes came\); run again"),
        ([b"rowss"], ["0-2"], r"was cut off \(5 of 4 bytes came\); run again"),
    ],
)
def test_an_answer_that_is_not_the_object_is_refused(
    files: StoreFiles,
    store: MemoryStore,
    monkeypatch: pytest.MonkeyPatch,
    payloads: list[bytes],
    tags: list[str],
    why: str,
) -> None:
    obstore.put(store, "x", b"rows")
    listed = only(files)
    answer(store, monkeypatch, payloads, tags)
    [found] = files.fetch([listed]).values()
    assert isinstance(found, SourceError)
    assert re.fullmatch(f"{BUCKET_URL}/x {why}", str(found))


def test_an_object_in_parts_that_is_replaced_meanwhile_is_fetched_again(
    files: StoreFiles, store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    obstore.put(store, "x", b"old rows")
    listed, asked = only(files), list[str]()

    def get(store: MemoryStore, key: str) -> Any:
        found = obstore.get(store, key)
        if not asked:
            obstore.put(store, "x", b"new rows")
        asked.append(key)
        return found

    monkeypatch.setattr(source_files, "obstore", Replies(get=get))
    [found] = files.fetch([listed]).values()
    assert isinstance(found, StoredFile)
    assert (found.digest, found.tag, asked) == (sha("new rows"), "", ["x", "x"])


def test_what_is_gone_or_no_file(files: StoreFiles, store: MemoryStore) -> None:
    for key, payload in (("a", b"1"), ("folder", b""), ("empty", b"")):
        obstore.put(store, key, payload)
    listed = files.list_files(f"{BUCKET_URL}/*")
    # An empty object that is listed and isn't there is how a folder is listed.
    for key in ("a", "folder"):
        obstore.delete(store, key)
    found = files.fetch(listed)
    assert str(found.pop(f"{BUCKET_URL}/a")) == (
        f"{BUCKET_URL}/a can't be read: it was deleted since it was listed, or its key begins or ends with "
        "'/'; run again, or rename it"
    )
    assert [*found] == [f"{BUCKET_URL}/empty"]


def test_a_file_that_is_denied_is_one_and_a_store_that_is_away_is_all(
    files: StoreFiles, store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    for key in ("a", "b"):
        obstore.put(store, key, key.encode())
    listed = files.list_files(f"{BUCKET_URL}/*")

    def get(store: MemoryStore, key: str) -> Any:
        if key == "a":
            raise failure
        return obstore.get(store, key)

    monkeypatch.setattr(source_files, "obstore", Replies(get=get))
    failure: Exception = PermissionDeniedError("403 Forbidden: <?xml")
    found = files.fetch(listed)
    assert str(found[f"{BUCKET_URL}/a"]).endswith(
        "/a can't be read: access is denied; check what the credentials in the environment allow"
    )
    assert isinstance(found[f"{BUCKET_URL}/b"], StoredFile)
    failure = GenericError("Error performing GET http://u:secret@h/a in 3ms - timed out\n\nDebug")
    with pytest.raises(SourceError, match=r"/a can't be read: timed out; check its") as caught:
        files.fetch(listed)
    assert "secret" not in str(caught.value)


def test_copies_take_a_limited_room(store: MemoryStore, tmp_path: Path) -> None:
    now = [1e9]
    copies = SourceCopies(tmp_path / "copies", 1000, clock=lambda: now[0])
    files = StoreFiles(store, store, BUCKET_URL, copies)
    for number in range(30):
        obstore.put(store, f"{number:02}", bytes([number]) * 100)
    listed = files.list_files(f"{BUCKET_URL}/*")
    for file in listed:
        now[0] += 100
        files.fetch([file])
        os.utime(copies._folder(sha_of(store, file)) / "content", (now[0], now[0]))
    left = [file for file in listed if copies.has(sha_of(store, file))]
    # Those of the last ten minutes, and what else there is room for.
    assert left == listed[-len(left) :]
    assert 7 <= len(left) <= 11


def sha_of(store: MemoryStore, file: StoredFile) -> str:
    payload = obstore.get(store, file.path.removeprefix(f"{BUCKET_URL}/")).bytes().to_bytes()
    return hashlib.sha256(payload).hexdigest()


@pytest.mark.usefixtures("s3")
def test_keys_that_a_client_cannot_name(tmp_path: Path) -> None:
    stored, sent = open_files(BUCKET_URL, tmp_path, LIMIT), partial(put_raw, dict(os.environ))
    store = stored._store
    obstore.put(store, "odd/ok.csv", b"ok", use_multipart=False)
    sent("odd/folder/", b"")
    sent("/odd/slash.csv", b"slash")
    listed = stored.list_files(f"{BUCKET_URL}/odd/**")
    assert len(listed) == 2
    assert [*stored.fetch(listed)] == [f"{BUCKET_URL}/odd/ok.csv"]
    # What begins with a slash is listed without it, and is no other object then.
    sent("/top.csv", b"slash")
    [found] = stored.fetch(stored.list_files(f"{BUCKET_URL}/**/top*")).values()
    assert "its key begins or ends with '/'" in str(found)
    obstore.put(store, "top.csv", b"plain", use_multipart=False)
    [found] = stored.fetch(stored.list_files(f"{BUCKET_URL}/**/top*")).values()
    assert isinstance(found, StoredFile)
    assert (found.digest, found.tag) == (sha("plain"), "")
    for key in ("odd/a//b.csv", "odd/../up.csv", "odd/./x.csv", "odd/tab\tx.csv", "odd/new\nx.csv"):
        sent(key, b"x")
        with pytest.raises(
            SourceError, match=f"odd/\\*\\* can't be listed: the key {re.escape(repr(key))}"
        ):
            stored.list_files(f"{BUCKET_URL}/odd/**")
        sent(key, b"", "DELETE")


def put_raw(environment: dict[str, str], key: str, payload: bytes, method: str = "PUT") -> None:
    """Send a request for a key as it is, which the client library would change or refuse."""
    host = environment["AWS_ENDPOINT_URL"].removeprefix("http://")
    at = datetime.now(UTC)
    path = f"/{object_store.BUCKET}/{quote(key, safe='/-_.~')}"
    digest, moment = hashlib.sha256(payload).hexdigest(), f"{at:%Y%m%dT%H%M%SZ}"
    signed = "host;x-amz-content-sha256;x-amz-date"
    request = (
        f"{method}\n{path}\n\nhost:{host}\nx-amz-content-sha256:{digest}\nx-amz-date:{moment}\n\n"
        f"{signed}\n{digest}"
    )
    scope = f"{at:%Y%m%d}/{environment['AWS_REGION']}/s3/aws4_request"
    text = f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n{sha(request)}"
    secret = f"AWS4{environment['AWS_SECRET_ACCESS_KEY']}".encode()
    for part in scope.split("/"):
        secret = hmac.digest(secret, part.encode(), "sha256")
    signature = hmac.digest(secret, text.encode(), "sha256").hex()
    who = f"Credential={environment['AWS_ACCESS_KEY_ID']}/{scope}"
    headers = {
        "x-amz-date": moment,
        "x-amz-content-sha256": digest,
        "Authorization": f"AWS4-HMAC-SHA256 {who}, SignedHeaders={signed}, Signature={signature}",
    }
    connection = HTTPConnection(host)
    connection.request(method, path, payload, headers)
    answer = connection.getresponse()
    assert answer.status in (200, 204), answer.read()
    connection.close()
