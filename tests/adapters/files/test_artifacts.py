"""Tests specific to local files; the suite covers what every object store guarantees."""

import errno
import os
import resource
import threading
from collections.abc import Callable
from io import FileIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.adapters.files import artifacts as artifacts_module
from tidemill.adapters.files.artifacts import FileArtifacts
from tidemill.core.errors import DamagedObjectError, StorageError
from tidemill.testing.records import object_name


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "home" / "state"


@pytest.fixture
def artifacts(root: Path) -> FileArtifacts:
    return FileArtifacts(root)


def store(artifacts: FileArtifacts, payload: bytes, suffix: str) -> str:
    [name] = artifacts.put_all([(payload, suffix)])
    return name


def test_objects_are_spread_over_folders(root: Path, artifacts: FileArtifacts) -> None:
    name = store(artifacts, b"one", ".parquet")
    assert artifacts.uri(name) == str(root / "objects" / name[:2] / name)
    assert (root / "objects" / name[:2] / name).read_bytes() == b"one"
    assert list((root / "tmp").iterdir()) == []


def test_a_relative_root_gives_absolute_paths(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root.mkdir(parents=True)
    monkeypatch.chdir(root)
    artifacts = FileArtifacts(Path("state"))
    monkeypatch.chdir("/")
    path = artifacts.uri(store(artifacts, b"one", ".txt"))
    assert path.startswith(str(root / "state"))
    assert os.path.exists(path)


def test_storing_an_object_again_writes_nothing(
    artifacts: FileArtifacts, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = store(artifacts, b"one", ".parquet")
    before = os.stat(artifacts.uri(name))
    monkeypatch.setattr(os, "replace", _failing(errno.EIO))
    assert store(artifacts, b"one", ".parquet") == name
    assert os.stat(artifacts.uri(name)) == before


@pytest.mark.parametrize("at", [0, 3, 4, 9])
def test_an_object_is_compared_in_parts(
    artifacts: FileArtifacts, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    monkeypatch.setattr(artifacts_module, "_COMPARED_AT_ONCE", 4)
    payload = b"0123456789"
    name = store(artifacts, payload, ".big")
    # The same by another buffer.
    assert artifacts.put_all([(memoryview(payload), ".big")]) == [name]
    path = Path(artifacts.uri(name))
    path.write_bytes(payload[:at] + b"x" + payload[at + 1 :])
    assert store(artifacts, payload, ".big") == name
    assert path.read_bytes() == payload


def test_an_object_is_on_the_disk_before_it_appears(
    root: Path, artifacts: FileArtifacts, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[str, str]] = []
    fsync, replace = os.fsync, os.replace

    def note_fsync(descriptor: int) -> None:
        inode = os.fstat(descriptor).st_ino
        calls.append(("fsync", next(str(p) for p in root.rglob("*") if p.stat().st_ino == inode)))
        fsync(descriptor)

    def note_replace(source: str, target: str) -> None:
        calls.append(("replace", source))
        replace(source, target)

    monkeypatch.setattr(os, "fsync", note_fsync)
    monkeypatch.setattr(os, "replace", note_replace)
    names = artifacts.put_all([(payload, ".parquet") for payload in (b"one", b"two", b"one")])
    shards = [str(root / "objects" / name[:2]) for name in names]
    moves = [call for call in calls if call[0] == "replace"]
    temporary = [path for _, path in moves]
    assert len({Path(path).name for path in temporary}) == 2
    assert all(path.startswith(str(root / "tmp")) for path in temporary)
    # Files are synced at the same time, and so are folders: in any order.
    first, last = calls.index(moves[0]), calls.index(moves[-1]) + 1
    assert sorted(calls[:first]) == sorted(("fsync", path) for path in temporary)
    assert calls[first:last] == moves
    # That of `objects` has the names of new folders.
    folders = {str(root / "objects"), *shards}
    assert sorted(calls[last:]) == sorted(("fsync", folder) for folder in folders)
    # One that is there may be another writer's, who didn't get as far as its folder yet.
    calls.clear()
    store(artifacts, b"two", ".parquet")
    assert sorted(calls) == [("fsync", str(root / "objects")), ("fsync", shards[1])]


def test_all_is_synced_where_threads_cannot_be_started(
    root: Path, artifacts: FileArtifacts, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    synced, fsync = set[int](), os.fsync

    def note_fsync(descriptor: int) -> None:
        synced.add(os.fstat(descriptor).st_ino)
        fsync(descriptor)

    monkeypatch.setattr(threading.Thread, "start", refuse)
    monkeypatch.setattr(os, "fsync", note_fsync)
    names = artifacts.put_all([(str(number).encode(), ".parquet") for number in range(5)])
    paths = [Path(artifacts.uri(name)) for name in names]
    assert {path.stat().st_ino for path in (*paths, *(path.parent for path in paths))} <= synced


@pytest.mark.parametrize("sync_errors", [1, 3])
def test_all_syncs_have_ended_when_one_fails(
    artifacts: FileArtifacts, monkeypatch: pytest.MonkeyPatch, sync_errors: int
) -> None:
    fsync, begun, ended = os.fsync, list[int](), list[int]()

    def fail_late(descriptor: int) -> None:
        begun.append(descriptor)
        if len(begun) <= sync_errors:
            ended.append(descriptor)
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        fsync(descriptor)
        ended.append(descriptor)

    monkeypatch.setattr(os, "fsync", fail_late)
    with pytest.raises(StorageError, match="can't be read or written"):
        artifacts.put_all([(b"%d" % number, ".txt") for number in range(20)])
    assert sorted(ended) == sorted(begun)
    assert list(artifacts.names()) == []


@pytest.mark.parametrize("call", ["fsync", "replace"])
@given(count=st.integers(1, 6), nth=st.integers(1, 14))
def test_each_of_several_objects_is_stored_atomically_on_disk_errors(
    call: str, count: int, nth: int
) -> None:
    payloads = [bytes([65 + number]) * 100 for number in range(count)]
    left, does = [nth], getattr(os, call)

    def refuse(*args: Any) -> None:
        left[0] -= 1
        if not left[0]:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        does(*args)

    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patched:
        artifacts = FileArtifacts(Path(folder))
        patched.setattr(os, call, refuse)
        try:
            said = str(artifacts.put_all([(payload, ".txt") for payload in payloads]))
        except StorageError as error:
            said = str(error)
        assert (left[0] <= 0) == ("no space left for" in said)
        stored = list(artifacts.names())
        assert len(stored) == count or left[0] <= 0
        assert {artifacts.get(name) for name in stored} <= set(payloads)
        assert list(Path(folder, "tmp").iterdir()) == []
        # The next try makes it good.
        patched.undo()
        names = artifacts.put_all([(payload, ".txt") for payload in payloads])
        assert [artifacts.get(name) for name in names] == payloads


def test_more_objects_than_files_may_be_open_are_stored(artifacts: FileArtifacts) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    here = max(map(int, os.listdir("/dev/fd")))
    resource.setrlimit(resource.RLIMIT_NOFILE, (here + 100, hard))
    try:
        names = artifacts.put_all([(b"%d" % number, ".txt") for number in range(300)])
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert set(artifacts.names()) == set(names)
    assert len(set(names)) == 300


def test_partial_writes_are_continued(
    artifacts: FileArtifacts, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Slow(FileIO):
        def write(self, payload: Any, /) -> int:
            return super().write(bytes(payload)[:2])

    def slow(path: str, mode: str, buffering: int = -1, opener: Any = None) -> Any:
        return Slow(path, mode, opener=opener)

    with monkeypatch.context() as patched:
        patched.setattr("builtins.open", slow)
        name = store(artifacts, b"one two three", ".txt")
    assert artifacts.get(name) == b"one two three"


def test_a_damaged_object_is_rejected_and_repaired_by_storing_it(artifacts: FileArtifacts) -> None:
    name = store(artifacts, b"one two three", ".parquet")
    path = Path(artifacts.uri(name))
    for damage in (b"one two thre!", b"one", b""):
        path.write_bytes(damage)
        with pytest.raises(DamagedObjectError, match=f"{name} is damaged.*; check the disk"):
            artifacts.get(name)
        assert list(artifacts.names(damaged=True)) == [name]
        assert artifacts.find_missing([name]) == {name: "damaged"}
    assert store(artifacts, b"one two three", ".parquet") == name
    assert artifacts.get(name) == b"one two three"
    assert list(artifacts.names(damaged=True)) == []
    assert artifacts.find_missing([name]) == {}


def test_what_the_disk_cannot_read_is_damaged(
    artifacts: FileArtifacts, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = store(artifacts, b"one", ".txt")
    with monkeypatch.context() as patched:
        patched.setattr(os, "pread", _failing(errno.EIO))
        with pytest.raises(DamagedObjectError, match="the disk can't read it"):
            artifacts.get(name)
    assert list(artifacts.names(damaged=True)) == [name]


def test_a_long_read_goes_on_where_the_system_stopped(
    artifacts: FileArtifacts, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, pread = store(artifacts, b"0123456789", ".txt"), os.pread
    monkeypatch.setattr(os, "pread", lambda file, length, at: pread(file, min(length, 3), at))
    assert artifacts.get(name) == b"0123456789"


def test_a_replaced_file_has_another_version(artifacts: FileArtifacts) -> None:
    name = store(artifacts, b"one", ".txt")
    before = artifacts.versions([name])
    assert artifacts.versions([name]) == before
    path = Path(artifacts.uri(name))
    kept = path.stat()
    path.write_bytes(b"two")
    os.utime(path, ns=(kept.st_atime_ns, kept.st_mtime_ns))
    assert artifacts.versions([name]) != before


@pytest.mark.parametrize("call", ["fsync", "replace"])
@pytest.mark.parametrize(
    ("code", "says"),
    [
        (errno.ENOSPC, "no space left for .*free some space and run again"),
        (errno.EDQUOT, "no space left for .*free some space and run again"),
        (errno.EROFS, "can't be used .*make it writable"),
        (errno.EACCES, "can't be used .*make it writable"),
        (errno.EIO, "can't be read or written .*check the disk"),
    ],
)
def test_a_disk_error_names_the_path_and_leaves_nothing(
    root: Path,
    artifacts: FileArtifacts,
    monkeypatch: pytest.MonkeyPatch,
    call: str,
    code: int,
    says: str,
) -> None:
    store(artifacts, b"before", ".parquet")
    with monkeypatch.context() as patched:
        patched.setattr(os, call, _failing(code))
        with pytest.raises(StorageError, match=says) as caught:
            store(artifacts, b"one", ".parquet")
    assert artifacts.uri(object_name("one")) in str(caught.value)
    assert list(artifacts.names()) == [object_name("before")]
    assert list((root / "tmp").iterdir()) == []
    assert store(artifacts, b"one", ".parquet") == object_name("one")


def test_an_interrupt_leaves_nothing(
    root: Path, artifacts: FileArtifacts, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*args: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        store(artifacts, b"one", ".parquet")
    assert list(artifacts.names()) == []
    assert list((root / "tmp").iterdir()) == []


def test_only_old_leftovers_are_cleared(root: Path, artifacts: FileArtifacts) -> None:
    old, young = root / "tmp" / "1-1-old", root / "tmp" / "2-2-young"
    for leftover in (old, young):
        leftover.write_bytes(b"half")
    os.utime(old, (1.0, 1.0))
    FileArtifacts(root)
    assert list((root / "tmp").iterdir()) == [young]


@pytest.mark.parametrize(
    "name", ["", "one.parquet", "../../etc/passwd", "0" * 64 + "/x", "A" * 64, "0" * 64 + "."]
)
def test_only_object_names_are_accepted(artifacts: FileArtifacts, name: str) -> None:
    for use in (
        lambda: artifacts.get(name),
        lambda: artifacts.find_missing([name]),
        lambda: artifacts.remove([name]),
    ):
        with pytest.raises(StorageError, match="isn't an object name"):
            use()


def test_other_files_are_skipped(root: Path, artifacts: FileArtifacts) -> None:
    name = store(artifacts, b"one", ".parquet")
    (root / "objects" / name[:2] / "notes.txt").touch()
    (root / "objects" / "README").touch()
    assert list(artifacts.names()) == [name]


def test_a_root_that_is_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match=r"file/state can't be read or written"):
        FileArtifacts(tmp_path / "file" / "state")


@pytest.mark.parametrize("method", ["get", "missing", "names", "remove"])
def test_a_folder_that_cannot_be_read_is_named(
    artifacts: FileArtifacts, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    name = store(artifacts, b"one", ".parquet")
    calls: dict[str, tuple[str, Callable[[], object]]] = {
        "get": ("os.open", lambda: artifacts.get(name)),
        "missing": ("os.stat", lambda: artifacts.find_missing([name])),
        "names": ("os.scandir", lambda: list(artifacts.names())),
        "remove": ("os.unlink", lambda: artifacts.remove([name])),
    }
    target, use = calls[method]
    with monkeypatch.context() as patched:
        patched.setattr(target, _failing(errno.EACCES))
        with pytest.raises(StorageError, match=r"objects.*can't be used .*make it writable"):
            use()
    assert artifacts.get(name) == b"one"


def test_an_object_that_another_removes_first_frees_nothing(
    artifacts: FileArtifacts, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [store(artifacts, payload, ".txt") for payload in (b"one", b"four")]
    unlink = os.unlink

    def race(path: str) -> None:
        if path == artifacts.uri(names[0]):
            unlink(path)
        unlink(path)

    monkeypatch.setattr(os, "unlink", race)
    assert artifacts.remove(names) == 4


def _failing(code: int) -> Any:
    def fail(*args: Any, **options: Any) -> None:
        raise OSError(code, os.strerror(code))

    return fail


@pytest.mark.parametrize("most", [1, 4, 100])
def test_a_read_is_made_in_parts_that_the_system_accepts(
    artifacts: FileArtifacts, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    payload = bytes(range(50))
    name = store(artifacts, payload, ".parquet")
    pread = os.pread

    def limited(descriptor: int, length: int, offset: int) -> bytes:
        # macOS refuses to read more than 2 GiB at once.
        if length > most:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        return pread(descriptor, length, offset)

    monkeypatch.setattr(artifacts_module, "_MAX_READ", most)
    monkeypatch.setattr(os, "pread", limited)
    assert artifacts.get(name) == payload
    with artifacts.open(name) as file:
        assert file.read(7, 9) == payload[7:16]
        assert file.read(45, 1 << 40) == payload[45:]
        assert file.read(60, 5) == b""
        os.truncate(artifacts.uri(name), 20)
        assert file.read(10, 30) == payload[10:20]


def test_whether_no_objects_are_missing_is_known_without_looking(
    artifacts: FileArtifacts, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = store(artifacts, b"one", ".parquet")
    listed: list[str] = []

    def listdir(path: str) -> list[str]:
        listed.append(path)
        return []

    monkeypatch.setattr(os, "listdir", listdir)
    assert artifacts.find_missing([]) == {}
    assert listed == []
    assert artifacts.find_missing([name]) == {}


class Hours:
    """A clock in hours that is set by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now * 3_600.0


def test_discarded_objects_are_old_enough(root: Path) -> None:
    clock = Hours()
    artifacts = FileArtifacts(root, clock=clock)
    old, again = store(artifacts, b"old", ".bin"), store(artifacts, b"again", ".bin")
    clock.now = 110.0
    # Storing it again changes nothing that readers see, and protects it.
    version = artifacts.versions([again])
    assert store(artifacts, b"again", ".bin") == again
    assert artifacts.versions([again]) == version
    new = store(artifacts, b"new", ".bin")
    assert {each.name: each.written / 3_600.0 for each in artifacts.stored()} == {
        old: 100.0,
        again: 110.0,
        new: 110.0,
    }
    gone = object_name("gone")
    found = artifacts.discard([old, again, new, gone], before=105.0 * 3_600.0)
    assert found.sizes == {old: 3, gone: 0}
    assert (found.recent, found.failed) == ((again, new), {})
    assert {*artifacts.names()} == {again, new}
    assert artifacts.sizes([old, new]) == {new: 3}
    assert artifacts.discard([again], before=111.0 * 3_600.0).sizes == {again: 5}
    assert [*(root / "renewed").iterdir()] == []


def test_an_object_that_is_stored_while_it_is_discarded_stays(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Hours()
    artifacts = FileArtifacts(root, clock=clock)
    name = store(artifacts, b"one", ".bin")
    clock.now, rename = 110.0, os.rename

    def store_before(source: str, target: str) -> None:
        assert store(artifacts, b"one", ".bin") == name
        rename(source, target)

    monkeypatch.setattr(os, "rename", store_before)
    assert artifacts.discard([name], before=105.0 * 3_600.0).recent == (name,)
    assert artifacts.get(name) == b"one"

    def store_after(source: str, target: str) -> None:
        rename(source, target)
        assert store(artifacts, b"two", ".bin") == second

    clock.now = 100.0
    second = store(artifacts, b"two", ".bin")
    clock.now = 110.0
    monkeypatch.setattr(os, "rename", store_after)
    artifacts.discard([second], before=105.0 * 3_600.0)
    assert artifacts.get(second) == b"two"


def test_leftovers_are_removed_by_their_age(root: Path) -> None:
    artifacts = FileArtifacts(root)
    (root / "tmp" / "half").write_bytes(b"1234")
    assert artifacts.remove_leftovers(0.0) == 0
    later = (root / "tmp" / "half").stat().st_mtime + 1
    assert artifacts.remove_leftovers(later, dry_run=True) == 4
    assert (root / "tmp" / "half").exists()
    assert artifacts.remove_leftovers(later) == 4
    assert not (root / "tmp" / "half").exists()
