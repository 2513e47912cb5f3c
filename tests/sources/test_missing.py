from __future__ import annotations

from dataclasses import replace

import pytest

from tidemill.core.partition import UNPLACED
from tidemill.sources.missing import Frozen, find_missing, frozen_partitions
from tidemill.sources.scan import Scan
from tidemill.workflow.source import OnMissing, SourceFile

DAYS = [f"2026-03-0{number}" for number in range(1, 10)]
Rows = dict[str, int]


def file_of(path: str, rows: Rows, *, digest: str = "", reading: str = "") -> SourceFile:
    own = digest or f"{path} {rows}"
    return SourceFile(path=path, size=1, mtime_ns=1, digest=own, rows=rows, reading=reading)


def files_of(**files: Rows) -> dict[str, SourceFile]:
    return {path: file_of(path, rows) for path, rows in files.items()}


def scan_of(
    files: dict[str, SourceFile],
    on_missing: OnMissing = "fail",
    noun: str = "files",
    **more: object,
) -> Scan:
    return Scan(files=files, noun=noun, on_missing=on_missing, **more)  # type: ignore[arg-type]


THREE = files_of(a={DAYS[0]: 5}, b={DAYS[1]: 5}, c={DAYS[1]: 3, DAYS[2]: 2})


def without(*paths: str, **changed: Rows) -> dict[str, SourceFile]:
    return {k: v for k, v in THREE.items() if k not in paths} | files_of(**changed)


class TestFiles:
    def test_nothing_is_missing_while_all_files_are_there(self) -> None:
        assert find_missing(THREE, scan_of(dict(THREE)), DAYS[:3]) is None

    def test_a_file_that_is_gone_takes_its_partitions(self) -> None:
        found = find_missing(THREE, scan_of(without("a")), DAYS[:3])
        assert found is not None
        assert (found.paths, found.removed, found.shrunk) == (("a",), (DAYS[0],), ())
        assert (found.lost, found.rows) == (5, 15)

    def test_a_partition_that_other_files_feed_loses_rows(self) -> None:
        found = find_missing(THREE, scan_of(without("c")), DAYS[:3])
        assert found is not None
        assert (found.removed, found.shrunk) == ((DAYS[2],), (DAYS[1],))
        assert found.partitions == {DAYS[1], DAYS[2]}

    def test_only_what_is_published_can_be_lost(self) -> None:
        assert find_missing(THREE, scan_of(without("a")), DAYS[1:3]) is None

    @pytest.mark.parametrize(
        "now",
        [
            pytest.param(files_of(all={DAYS[0]: 5, DAYS[1]: 8, DAYS[2]: 2}), id="compacted"),
            pytest.param(without("a", z={DAYS[0]: 5}), id="exported under a new name"),
            pytest.param(without("a", z={DAYS[0]: 50}), id="with more rows"),
            pytest.param(without("c", b={DAYS[1]: 8}, z={DAYS[2]: 2}), id="merged into another"),
        ],
    )
    @pytest.mark.parametrize("policy", ["fail", "keep"])
    def test_nothing_is_lost_while_other_files_have_as_many_rows(
        self, now: dict[str, SourceFile], policy: OnMissing
    ) -> None:
        assert find_missing(THREE, scan_of(now, policy), DAYS[:3]) is None

    def test_whatever_gone_files_fed_is_lost_if_one_partition_has_fewer_rows(self) -> None:
        now = files_of(all={DAYS[0]: 5, DAYS[1]: 7, DAYS[2]: 2})
        found = find_missing(THREE, scan_of(now), DAYS[:3])
        assert found is not None
        assert (found.paths, found.removed, found.lost) == (("a", "b", "c"), (), 1)
        assert (found.shrunk, found.moved) == (tuple(DAYS[:3]), frozenset({DAYS[0], DAYS[2]}))

    def test_a_renamed_file_isnt_missing(self) -> None:
        renamed = {"z": file_of("z", THREE["a"].rows, digest=THREE["a"].digest)}
        assert find_missing(THREE, scan_of(without("a") | renamed), DAYS[:3]) is None

    def test_one_of_two_equal_files_that_is_gone_is_missing(self) -> None:
        known = {path: file_of(path, {DAYS[0]: 5}, digest="same") for path in ("a", "b")}
        found = find_missing(known, scan_of({"b": known["b"]}), DAYS[:1])
        assert found is not None
        assert found.paths == ("a",)

    def test_one_new_name_isnt_that_of_two_files(self) -> None:
        known = {path: file_of(path, {DAYS[0]: 5}, digest="same") for path in ("a", "b")}
        found = find_missing(
            known, scan_of({"z": file_of("z", {DAYS[0]: 5}, digest="same")}), DAYS[:1]
        )
        assert found is not None
        assert len(found.paths) == 1

    def test_a_file_without_rows_left_is_missing(self) -> None:
        found = find_missing(THREE, scan_of(without(a={})), DAYS[:3])
        assert found is not None
        assert (found.paths, found.removed) == (("a",), (DAYS[0],))

    def test_a_file_that_had_no_rows_isnt_missed(self) -> None:
        known = THREE | {"empty": file_of("empty", {})}
        assert find_missing(known, scan_of(dict(THREE)), DAYS[:3]) is None

    def test_a_file_that_cant_be_read_isnt_missing(self) -> None:
        scan = scan_of(without("a"), broken={"a": "no"}, kept_partitions=frozenset({DAYS[0]}))
        assert find_missing(THREE, scan, DAYS[:3]) is None

    def test_a_file_that_is_gone_is_missed_beside_one_that_cant_be_read(self) -> None:
        known = files_of(a={DAYS[0]: 5}, b={DAYS[0]: 3}, c={DAYS[1]: 1})
        scan = scan_of({"c": known["c"]}, broken={"b": "no"}, kept_partitions=frozenset({DAYS[0]}))
        found = find_missing(known, scan, DAYS[:2])
        assert found is not None
        assert (found.paths, found.removed) == (("a",), (DAYS[0],))

    def test_a_source_without_any_file_is_an_error_of_its_own(self) -> None:
        assert find_missing(THREE, scan_of({}, broken={"s": "no file matches"}), DAYS[:3]) is None

    def test_rows_without_a_partition_are_kept_with_their_file(self) -> None:
        known = files_of(a={UNPLACED: 2}, b={DAYS[0]: 1})
        found = find_missing(known, scan_of({"b": known["b"]}), [UNPLACED, DAYS[0]])
        assert found is not None
        assert found.removed == (UNPLACED,)

    @pytest.mark.parametrize(
        ("rows", "removed"),
        [
            # An edited file may lose rows, and a few partitions.
            (dict.fromkeys(DAYS, 1), None),
            (dict.fromkeys(DAYS[1:], 1), None),
            (dict.fromkeys(DAYS[2:], 1), tuple(DAYS[:2])),
        ],
    )
    def test_an_edited_file_may_not_lose_many_partitions(
        self, rows: Rows, removed: tuple[str, ...] | None
    ) -> None:
        known = files_of(a=dict.fromkeys(DAYS, 4))
        found = find_missing(known, scan_of(files_of(a=rows)), DAYS)
        assert (found and found.removed) == removed

    def test_with_keep_no_partition_is_lost(self) -> None:
        known = files_of(a=dict.fromkeys(DAYS, 4))
        found = find_missing(known, scan_of(files_of(a=dict.fromkeys(DAYS[1:], 1)), "keep"), DAYS)
        assert found is not None
        assert (found.removed, found.shrunk) == ((DAYS[0],), ())

    def test_with_remove_nothing_is_missing(self) -> None:
        assert find_missing(THREE, scan_of(without("a"), "remove"), DAYS[:3]) is None

    def test_another_partitioning_isnt_a_loss(self) -> None:
        known = {"a": file_of("a", dict.fromkeys(DAYS, 4), reading="by day")}
        scan = scan_of({"a": file_of("a", {"2026-03": 36}, reading="by month")})
        assert find_missing(known, scan, DAYS) is None

    def test_a_gone_file_that_was_read_otherwise_is_outdated(self) -> None:
        known = {path: file_of(path, {DAYS[0]: 4}, reading="by day") for path in ("a", "b")}
        scan = scan_of({"b": file_of("b", {"2026-03": 4}, reading="by month")})
        found = find_missing(known, scan, DAYS)
        assert found is not None
        assert found.outdated


def table_of(rows: Rows) -> dict[str, SourceFile]:
    return {f"db {key}": file_of(f"db {key}", {key: number}) for key, number in rows.items()}


TEN = dict.fromkeys(DAYS, 10) | {"2026-03-10": 10}


class TestTables:
    @pytest.mark.parametrize(
        ("rows", "removed", "shrunk"),
        [
            pytest.param({**TEN, DAYS[0]: 1}, (), (), id="few rows"),
            pytest.param({k: TEN[k] for k in DAYS[1:]}, (), (), id="two of ten partitions"),
            pytest.param({k: TEN[k] for k in DAYS[2:]}, (*DAYS[:2], "2026-03-10"), (), id="three"),
            pytest.param(
                {**TEN, DAYS[0]: 1, DAYS[1]: 1, DAYS[2]: 5}, (), tuple(DAYS[:3]), id="many rows"
            ),
            # Rows that came elsewhere don't make up for those that are gone.
            pytest.param(
                {**TEN, DAYS[0]: 1, DAYS[1]: 1, DAYS[2]: 5, "2026-03-11": 90},
                (),
                tuple(DAYS[:3]),
                id="many rows, and new ones",
            ),
        ],
    )
    def test_many_rows_or_partitions_are_missed(
        self, rows: Rows, removed: tuple[str, ...], shrunk: tuple[str, ...]
    ) -> None:
        found = find_missing(table_of(TEN), scan_of(table_of(rows), noun="rows"), [*TEN])
        assert (found.removed if found else (), found.shrunk if found else ()) == (removed, shrunk)

    @pytest.mark.parametrize("noun", ["rows", "files"])
    def test_what_was_missed_once_stays_missing(self, noun: str) -> None:
        lost = {key: replace(file, missing_since={key[3:]: 5.0}) for key, file in table_of(TEN).items()
                if key.endswith(tuple(DAYS[:2]))}  # fmt: skip
        known = table_of(TEN) | lost
        now = table_of({key: TEN[key] for key in [*TEN][2:]})
        if noun == "files":
            known = {"a": file_of("a", TEN)}
            known["a"].missing_since.update(dict.fromkeys(DAYS[:2], 5.0))
            now = files_of(a={key: TEN[key] for key in [*TEN][2:]})
        # Two of ten partitions may go unnoticed, but not these.
        found = find_missing(known, scan_of(now, noun=noun), [*TEN])
        assert found is not None
        assert found.removed == tuple(DAYS[:2])

    def test_what_was_missed_stays_missing_after_another_query(self) -> None:
        known = table_of(TEN)
        known[f"db {DAYS[0]}"].missing_since[DAYS[0]] = 5.0
        now = {
            path: replace(file, reading="another query")
            for path, file in table_of({key: TEN[key] for key in [*TEN][6:]}).items()
        }
        found = find_missing(known, scan_of(now, noun="rows"), [*TEN])
        assert found is not None
        assert (found.removed, found.outdated) == ((DAYS[0],), True)

    def test_how_many_is_up_to_the_source(self) -> None:
        rows = {k: TEN[k] for k in DAYS[2:]}
        scan = scan_of(table_of(rows), noun="rows", max_missing=0.3)
        assert find_missing(table_of(TEN), scan, [*TEN]) is None
        strict = scan_of(table_of({**TEN, DAYS[0]: 9}), noun="rows", max_missing=0.0)
        found = find_missing(table_of(TEN), strict, [*TEN])
        assert found is not None
        assert (found.shrunk, found.paths) == ((DAYS[0],), (f"db {DAYS[0]}",))

    def test_rows_that_find_a_partition_arent_missed(self) -> None:
        known = table_of({DAYS[0]: 2, UNPLACED: 8})
        now = table_of({DAYS[0]: 10})
        assert find_missing(known, scan_of(now, noun="rows"), [DAYS[0], UNPLACED]) is None

    def test_a_compacted_lake_lost_nothing(self) -> None:
        known = files_of(a={DAYS[0]: 5, DAYS[1]: 2}, b={DAYS[0]: 3})
        now = files_of(z={DAYS[0]: 8, DAYS[1]: 2})
        assert find_missing(known, scan_of(now, noun="rows"), DAYS[:2]) is None

    def test_with_keep_no_partition_of_a_table_is_lost(self) -> None:
        scan = scan_of(table_of({k: TEN[k] for k in DAYS}), "keep", "rows")
        found = find_missing(table_of(TEN), scan, [*TEN])
        assert found is not None
        assert found.removed == ("2026-03-10",)


def test_frozen_partitions_are_grouped_by_their_files() -> None:
    files = {
        "a": SourceFile(path="a", size=1, mtime_ns=1, digest="a", rows={"x": 1, "y": 1, "z": 1},
                        missing_since={"x": 5.0, "y": 5.0}),
        "b": SourceFile(path="b", size=1, mtime_ns=1, digest="b", rows={"y": 1},
                        missing_since={"y": 3.0}),
    }  # fmt: skip
    assert frozen_partitions("raw", files, {"x", "y", "z"}) == (
        Frozen(stage="raw", partitions=("x",), paths=("a",), since=5.0),
        Frozen(stage="raw", partitions=("y",), paths=("a", "b"), since=3.0),
    )
    assert frozen_partitions("raw", files, {"z"}) == ()
