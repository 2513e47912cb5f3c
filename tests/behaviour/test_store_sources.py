"""Sources whose files are in an object store: an S3 server here, or a store in memory."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import obstore
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from obstore.exceptions import GenericError

from tests.support.buckets import BUCKET_URL, BucketTides, memory_stores
from tests.support.commands import process
from tests.support.tables import bodies
from tests.support.thoroughness import examples, thorough
from tests.support.tides import CHAIN, Before, Tides, day, everything, flow_of, rows_of
from tidemill.adapters.objectstore import opened, source_files
from tidemill.core.errors import DeclarationError
from tidemill.governance.erasure import ErasureSubject
from tidemill.operations.health import Level
from tidemill.project import checks
from tidemill.project.doctor import examine
from tidemill.project.up_jobs import describe_project

DAYS = 4


@pytest.fixture
def memory() -> Iterator[None]:
    with memory_stores():
        yield


@pytest.fixture(params=["memory", "s3"])
def tides(request: pytest.FixtureRequest, tmp_path: Path) -> BucketTides:
    """A project with some days in a bucket."""
    request.getfixturevalue(request.param)
    return sent(BucketTides(tmp_path / "project", tmp_path.name))


def sent(tides: BucketTides) -> BucketTides:
    for number in range(DAYS):
        tides.send(number)
    return tides


def test_only_what_changed_is_computed_again(tides: BucketTides) -> None:
    assert tides.ok() == everything(range(DAYS))
    assert tides.ok() == {}
    tides.send(1, (5.0, 6.0))
    tides.send(DAYS)
    assert tides.ok() == everything([1, DAYS])
    # The same content again, and under another name.
    tides.send(2)
    assert tides.ok() == {}
    tides.put("renamed.parquet", rows_of(3))
    tides.delete(f"{day(3)}.parquet")
    assert tides.ok() == {"ok run raw": [day(3)]}
    assert tides.read("raw", day(1)).equals(rows_of(1, (5.0, 6.0)).sort("id"))


def test_a_folder_that_moves_to_a_bucket_is_the_same_files(tides: BucketTides) -> None:
    near = Tides(tides.root)
    for number in range(DAYS):
        near.send(number)
    near.ok()
    before = near.contents()
    shutil.rmtree(near.root / "data")
    # The rows are read from where they are now, and no other stage runs.
    assert tides.ok() == {"ok run raw": [day(n) for n in range(DAYS)]}
    assert tides.contents() == before
    assert tides.ok() == {}


def test_nothing_is_fetched_that_is_known(
    tides: BucketTides, monkeypatch: pytest.MonkeyPatch
) -> None:
    tides.ok()
    fetched = counted_gets(monkeypatch)
    assert tides.ok() == {}
    assert fetched == []
    tides.send(1, (5.0,))
    tides.ok()
    assert fetched == [tides.key(f"{day(1)}.parquet")]
    # A change of how rows are read takes the copies.
    tides.edit("id = tm.Int64(min=0)", "id = tm.Int64(min=-1)")
    assert "ok run raw" in tides.ok()
    assert len(fetched) == 1
    assert tides.ok(verify_sources=True) == {}
    assert len(fetched) == 1 + DAYS


def counted_gets(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    fetched: list[str] = []

    class Counting:
        def __getattr__(self, name: str) -> Any:
            return getattr(obstore, name)

        def get(self, store: Any, key: str) -> Any:
            fetched.append(key)
            return obstore.get(store, key)

    monkeypatch.setattr(source_files, "obstore", Counting())
    return fetched


@pytest.mark.parametrize("lane", ["", '(resources=tm.resources(lane="thread"))'])
def test_copies_that_were_deleted_are_fetched_again(tides: BucketTides, lane: str) -> None:
    if lane:
        tides.edit("@flow.ingest", f"@flow.ingest{lane}")
    tides.ok()
    shutil.rmtree(tides.root / ".tidemill" / "cache")
    assert tides.ok() == {}
    assert not (tides.root / ".tidemill" / "cache").exists()
    tides.edit("id = tm.Int64(min=0)", "id = tm.Int64(min=-1)")
    assert "ok run raw" in tides.ok()
    # Also between the steps of a run, where no other one reads them.
    if not lane:
        tides.edit("id = tm.Int64(min=-1)", "id = tm.Int64(min=-2)")
        assert tides.run(progress=Before(lambda *_: forget(tides))).exit_code == 0


def forget(tides: Tides) -> None:
    shutil.rmtree(tides.root / ".tidemill" / "cache", ignore_errors=True)


def test_an_object_that_is_replaced_while_a_run_is_at_work(tides: BucketTides) -> None:
    """The copies have what was planned; without them the step fails, and the next run has the new rows."""
    receipt = tides.run(progress=Before(lambda done, _: done or tides.send(2, (9.0,))))
    assert receipt.exit_code == 0
    assert tides.read("raw", day(2)).equals(rows_of(2).sort("id"))
    assert tides.ok() == everything([2])
    assert tides.read("raw", day(2)).equals(rows_of(2, (9.0,)).sort("id"))
    tides.edit("id = tm.Int64(min=0)", "id = tm.Int64(min=-1)")

    def replaced(done: int, _: object) -> None:
        if not done:
            tides.send(2, (7.0,))
            forget(tides)

    receipt = tides.run(progress=Before(replaced))
    assert receipt.exit_code == 1
    [failure] = receipt.failures
    assert f"{day(2)}.parquet changed while this run was at work" in failure.why
    assert tides.read("raw", day(2)).equals(rows_of(2, (9.0,)).sort("id"))
    tides.ok()
    assert tides.read("raw", day(2)).equals(rows_of(2, (7.0,)).sort("id"))


def test_a_store_that_is_away_loses_nothing(
    tides: BucketTides, monkeypatch: pytest.MonkeyPatch
) -> None:
    tides.remove_missing()
    tides.ok()
    before = tides.contents()
    tides.send(0, (8.0,))

    class Away:
        """Requests of one kind fail."""

        def __init__(self, *failing: str) -> None:
            self.failing = failing

        def __getattr__(self, name: str) -> Any:
            if name not in self.failing:
                return getattr(obstore, name)

            def fail(*_: Any, **__: Any) -> Any:
                raise GenericError("Error performing GET http://h/b in 3s - timed out\n\nDebug")

            return fail

    for failing in (["list_with_delimiter", "list"], ["get"]):
        with monkeypatch.context() as patched:
            patched.setattr(source_files, "obstore", Away(*failing))
            receipt = tides.run()
        assert receipt.exit_code == 1
        assert [m.partition(" can't be ")[2].partition(": ")[2] for m in receipt.messages] == [
            "timed out; check its address, the network, and the credentials in the environment"
        ]
        assert tides.contents() == before
    assert tides.ok() == everything([0])


def test_what_a_file_holds_fails_as_in_a_folder(tides: BucketTides, tmp_path: Path) -> None:
    tides.ok()
    folder = Tides(tmp_path / "folder")
    for number in range(DAYS):
        folder.send(number)
    folder.ok()
    whole = BytesIO()
    rows_of(5).write_parquet(whole)
    for name, payload in {
        "empty.parquet": b"",
        "cut.parquet": whole.getvalue()[:-9],
        "other.parquet": b"PAR1 this is a text PAR1",
    }.items():
        tides.put_bytes(name, payload)
        (folder.root / "data" / name).write_bytes(payload)
    found, wanted = tides.run(), folder.run()
    assert found.exit_code == wanted.exit_code == 1
    starts = [m.partition(" can't be read")[0] for m in sorted(found.messages)]
    assert starts == [
        m.partition(" can't be read")[0].replace("data/", f"{BUCKET_URL}/{tides.prefix}/data/")
        for m in sorted(wanted.messages)
    ]
    # What fails a stage is told by its first file.
    assert len(starts) == 1
    assert tides.contents() == folder.contents()


NAMES = ("a.parquet", "A.parquet", "b c.parquet", "ü%41.parquet", "sub/a.parquet", "sub/x=1/d.parquet",
         ".hidden.parquet", "other.csv")  # fmt: skip
ACTIONS = st.one_of(
    st.tuples(
        st.just("put"),
        st.sampled_from(NAMES),
        st.dictionaries(st.integers(0, 3), st.lists(st.sampled_from([1.0, 2.0, None]), max_size=2),
                        max_size=2),
    ),
    st.tuples(st.just("spoil"), st.sampled_from(NAMES), st.none()),
    st.tuples(st.just("delete"), st.sampled_from(NAMES), st.none()),
    st.tuples(st.just("rename"), st.sampled_from(NAMES), st.sampled_from(NAMES)),
    st.tuples(st.just("touch"), st.sampled_from(NAMES), st.none()),
    st.tuples(st.just("forget"), st.none(), st.none()),
)  # fmt: skip


class Twins:
    """Two projects with the same files: one in a folder, one in a bucket."""

    def __init__(self, root: Path) -> None:
        text = CHAIN.replace('data/*.parquet")', 'data/**/*.parquet", on_missing="remove")')
        self.near = Tides(root / "near", text)
        self.far = BucketTides(root / "far", root.name, text)
        self.files: dict[str, bytes] = {}

    def act(self, action: str, name: Any, more: Any) -> None:
        match action:
            case "put":
                rows = [rows_of(number, values) for number, values in more.items()]
                payload = BytesIO()
                pl.concat([rows_of(0).clear(), *rows]).write_parquet(payload)
                self.write(name, payload.getvalue())
            case "spoil":
                self.write(name, b"PAR1 is no table")
            case "touch" if name in self.files:
                self.write(name, self.files[name])
            case "delete" if name in self.files:
                self.remove(name)
            case "rename" if name in self.files and name != more:
                moved = self.files[name]
                self.remove(name)
                self.write(more, moved)
            case "forget":
                forget(self.far)

    def write(self, name: str, payload: bytes) -> None:
        self.files[name] = payload
        path = self.near.root / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(payload)
        self.far.put_bytes(name, payload)

    def remove(self, name: str) -> None:
        del self.files[name]
        (self.near.root / "data" / name).unlink()
        self.far.delete(name)

    def compare(self) -> None:
        near, far = self.near.run(), self.far.run()
        assert near.exit_code == far.exit_code, (near.messages, far.messages)
        assert self.near.ran(near) == self.far.ran(far)
        assert self.near.contents() == self.far.contents()
        assert len(near.messages) == len(far.messages)


ROUNDS = st.lists(st.lists(ACTIONS, min_size=1, max_size=5), min_size=1, max_size=4)


@thorough
@settings(max_examples=examples(30), deadline=None)
@given(rounds=ROUNDS)
def test_a_bucket_is_read_as_a_folder_with_the_same_files(rounds: list[list[Any]]) -> None:
    with memory_stores(), tempfile.TemporaryDirectory() as folder:
        _follow(Path(folder), rounds)


@pytest.mark.usefixtures("s3")
@settings(max_examples=4, deadline=None)
@given(rounds=ROUNDS)
def test_a_bucket_of_a_server_is_read_as_a_folder(rounds: list[list[Any]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        _follow(Path(folder), rounds)


def _follow(root: Path, rounds: list[list[Any]]) -> None:
    twins = Twins(root)
    for actions in rounds:
        for action in actions:
            twins.act(*action)
        twins.compare()


OTHERS = """
import polars as pl
import tidemill as tm


class Rows(tm.Contract, key=("day", "id"), unknown_columns="keep"):
    day = tm.Date(partition="1d")
    id = tm.Int64()


flow = tm.Workflow("tides")


@flow.ingest
def raw() -> tm.Source[Rows]:
    return tm.files("data/PATTERN)
"""


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ('*.csv", separator=";", include_file_paths="file"', ["a.csv", "b.csv"]),
        ('*.tsv"', ["a.tsv"]),
        ('*.ndjson"', ["a.ndjson", "b.ndjson"]),
        ('*.arrow"', ["a.arrow"]),
        ('**/*.parquet", hive_partitioning=True', ["x=1/a.parquet", "x=2/y=ä b/a.parquet"]),
        ('*", format="parquet", include_file_paths="file"', ["a.b", "c"]),
    ],
)
def test_all_formats_and_options_are_those_of_a_folder(
    tides: BucketTides, tmp_path: Path, pattern: str, names: list[str]
) -> None:
    text = OTHERS.replace("PATTERN", pattern)
    near = Tides(tmp_path / "near", text)
    far = BucketTides(tmp_path / "far", f"{tides.prefix}-formats", text)
    for number, name in enumerate(names):
        payload = written(rows_of(number).drop("value"), name)
        path = near.root / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(payload)
        far.put_bytes(name, payload)
    assert near.ok() == far.ok()
    wanted, found = near.read("raw"), far.read("raw")
    if "file" in wanted.columns:
        places = {str(near.root / "data" / name): far.url(name) for name in names}
        wanted = wanted.with_columns(pl.col("file").replace_strict(places))
    assert found.equals(wanted)
    assert far.ok() == {}


def written(frame: pl.DataFrame, name: str) -> bytes:
    payload, kind = BytesIO(), name.rpartition(".")[2]
    match kind:
        case "csv" | "tsv":
            frame.write_csv(payload, separator=";" if kind == "csv" else "\t")
        case "ndjson":
            frame.with_columns(pl.col("day").cast(pl.String)).write_ndjson(payload)
        case "arrow":
            frame.write_ipc(payload)
        case _:
            frame.write_parquet(payload)
    return payload.getvalue()


def failed_sources(tides: Tides) -> str:
    receipt = tides.run()
    assert receipt.exit_code == 1
    [message] = receipt.messages
    return message


@pytest.mark.usefixtures("s3")
def test_what_is_wrong_with_a_store_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tides = sent(BucketTides(tmp_path / "project", tmp_path.name))
    pattern = f"raw: {BUCKET_URL}/{tides.prefix}/data/*.parquet"
    with monkeypatch.context() as patched:
        patched.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
        assert failed_sources(tides) == (
            f"{pattern} can't be listed: the secret key in the environment isn't that of the access key; "
            "correct it"
        )
    with monkeypatch.context() as patched:
        patched.setenv("AWS_SKIP_SIGNATURE", "true")
        assert failed_sources(tides) == (
            f"{pattern} can't be listed: access is denied; check what the credentials in the environment "
            "allow"
        )
    with monkeypatch.context() as patched:
        patched.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
        patched.setitem(opened._QUICK, "max_retries", 0)
        found = failed_sources(tides)
        assert found.startswith(
            f"{pattern} can't be listed: HTTP error: error sending request; check its"
        )
    with monkeypatch.context() as patched:
        patched.delenv("AWS_ALLOW_HTTP")
        assert "set AWS_ALLOW_HTTP=true in the environment to use http://" in failed_sources(tides)
    with monkeypatch.context() as patched:
        patched.delenv("AWS_SECRET_ACCESS_KEY")
        assert "'s3://bucket' can't be opened: " in failed_sources(tides)
    tides.edit(BUCKET_URL, "s3://nothing")
    assert "there is no such bucket; create it, or change the URL" in failed_sources(tides)
    tides.edit("s3://nothing", BUCKET_URL)
    tides.edit("data/*", "dato/*")
    assert failed_sources(tides) == (
        f"raw: no file matches '{BUCKET_URL}/{tides.prefix}/dato/*.parquet'; nothing was removed"
    )
    # None of that was recorded, nor where it would be shown.
    tides.edit("dato/*", "data/*")
    tides.ok()
    secret = os.environ["AWS_SECRET_ACCESS_KEY"].encode()
    files = [path for path in (tides.root / ".tidemill").rglob("*") if path.is_file()]
    assert len(files) > DAYS
    assert [path for path in files if secret in path.read_bytes()] == []
    assert secret.decode() not in "".join(bodies(tides.root / ".tidemill" / "ledger.db"))


@pytest.mark.usefixtures("memory")
def test_a_library_that_is_missing_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tides = sent(BucketTides(tmp_path / "project", "x"))
    tides.ok()
    monkeypatch.setattr(checks, "find_spec", lambda _: None)
    with tides.open() as project:
        assert any(
            re.fullmatch(
                r"tides\.py:\d+: raw reads from an object store, which needs obstore \(pip install "
                r"'tidemill\[objectstore\]'\)",
                note,
            )
            for note in project.checks.notes()
        )


@pytest.mark.parametrize(
    "url",
    [
        "s3://AKIA:topsecret@bucket/x.csv",
        "s3://topsecret@bucket/x.csv",
        "s3://bucket/x*.csv?key=topsecret",
        "gs://bucket/x.csv#token=topsecret",
        "https://u:topsecret@host/x.csv",
    ],
)
@pytest.mark.parametrize("what", ["source", "sink"])
def test_credentials_in_urls_are_refused_and_not_shown(tmp_path: Path, url: str, what: str) -> None:
    text = CHAIN.replace("data/*.parquet", url)
    if what == "sink":
        text = f'{CHAIN}\nflow.table("out", stage=daily, sink=tm.parquet("{url}"))'
    with pytest.raises(DeclarationError, match="credentials or options, which would be") as caught:
        Tides(tmp_path, text).open().plan()
    assert "topsecret" not in str(caught.value)


@pytest.mark.usefixtures("memory")
def test_erasing_a_person_deletes_copies_of_earlier_files(tmp_path: Path) -> None:
    tides = sent(BucketTides(tmp_path / "project", "x"))
    tides.ok()
    with tides.open() as project:
        project.erasures.erase(ErasureSubject(column="id", value="1"))
    assert not (tides.root / ".tidemill" / "cache" / "sources").exists()
    assert tides.ok() == {}


def test_where_sources_are_is_shown(tides: BucketTides) -> None:
    (tides.root / "pyproject.toml").write_text(
        '[tool.tidemill]\nworkflow = "tides:flow"\n', encoding="utf-8"
    )
    flow_of(tides.root, tides.text)
    [found] = [each for each in examine(tides.root, connect=True) if each.area == "source of raw"]
    assert (found.level, found.text) == (Level.OK, f"connected; {DAYS} files")
    with tides.open() as project:
        # No event tells of changes, so it is listed now and then.
        assert describe_project(project).unwatched(()) == ["raw"]


@pytest.mark.usefixtures("s3")
def test_workers_fetch_for_themselves(tmp_path: Path) -> None:
    assert process("init", "bakery", cwd=tmp_path).returncode == 0
    folder, url = tmp_path / "bakery", f"{BUCKET_URL}/{tmp_path.name}"
    store = opened.open_stores(BUCKET_URL).store
    for path in (folder / "data").rglob("*.csv"):
        key = f"{tmp_path.name}/{path.relative_to(folder)}"
        obstore.put(store, key, path.read_bytes(), use_multipart=False)
    shutil.rmtree(folder / "data")
    workflow = folder / "bakery.py"
    text = workflow.read_text(encoding="utf-8").replace('"data/', f'"{url}/data/')
    text = text.replace("ingest(start", 'ingest(resources=tm.resources(lane="process"), start')
    text = text.replace('tm.parquet("', f'tm.parquet("{url}/')
    workflow.write_text(text, encoding="utf-8")
    done = process("run", cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "nothing to do" in process("plan", cwd=folder).stdout
    # Copies are gone, and the contract changed.
    shutil.rmtree(folder / ".tidemill" / "cache")
    workflow.write_text(text.replace("min=7, max=18", "min=6, max=18"), encoding="utf-8")
    done = process("run", cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"sales +28 ", done.stdout)
    assert process("verify", cwd=folder).returncode == 0
