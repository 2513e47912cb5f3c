"""Find what a source lost since it was read last: files that are gone, or many rows of a table.

A source that lost rows removes nothing by itself: that could be a mistake, such as a disk that isn't
mounted. A file that only has another name isn't missing, nor one whose rows are in others now.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping

from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.partition import UNPLACED
from tidemill.sources.scan import Scan, partitions_with_changed_files, total_rows
from tidemill.workflow.source import SourceFile

Known = Mapping[str, SourceFile]


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """What a source lost: `paths` as the ledger knows them, and the published partitions that they feed.

    The partitions `removed` have no rows left in the source, those `shrunk` have some; those among them that
    are `moved` have as many as before, in other files. The source lost `lost` of its `rows`. It is
    `outdated` if it was read in another way than it is read now.
    """

    paths: tuple[str, ...]
    removed: tuple[str, ...]
    shrunk: tuple[str, ...]
    lost: int
    rows: int
    outdated: bool = False
    moved: frozenset[str] = frozenset()

    @property
    def partitions(self) -> frozenset[str]:
        """All partitions that lost rows."""
        return frozenset((*self.removed, *self.shrunk))


def find_missing(known: Known, scan: Scan, published: Collection[str]) -> Missing | None:
    """Find what a source lost of the `published` partitions since the `known` files were read.

    Of files: each that is gone or has no rows left; and the partitions that changed files have no rows of
    any more, if these are more than the share `scan.max_missing` of the partitions. Of tables: the
    partitions that lost rows, if more than that share of the rows or of the partitions is gone. With
    `on_missing="keep"` every partition without rows counts. Nothing is lost if no partition of these has
    fewer rows than before. What a run missed once stays missing, however much comes meanwhile elsewhere.
    """
    # A source that can't be read at all lost nothing that is known of.
    if scan.on_missing == "remove" or (scan.broken and not scan.files):
        return None
    before = _count_rows(known, partitions_with_changed_files(known, scan.files))
    changed = {key for key in before if key in published}
    if not changed:
        return None
    now = _count_rows(scan.files, changed)
    less = {key for key in changed if now[key] < before[key]} - {UNPLACED} - scan.kept_partitions
    readings = {file.reading for file in scan.files.values()}
    # Rows that were read in another way can't be compared; what was missed before is still missing.
    comparable = {file.reading for file in known.values()} <= readings
    noted = {
        key
        for path, file in known.items()
        for key in file.missing_since
        if comparable or path not in scan.files
    }
    less = less if comparable else less & noted
    gone = gone_files(known, scan) if scan.noun == "files" else []
    lost = {key for path in gone for key in known[path].rows if key in changed}
    fewer = {key: before[key] - now[key] for key in less - lost}
    lost |= noted.intersection(fewer) | _noticeable(known, scan, published, fewer, now)
    moved = {key for key in lost if now[key] >= before[key]} if comparable else set[str]()
    # Other files may have all of the rows: merged ones, or an export under new names.
    if lost <= moved:
        return None
    removed = {key for key in lost if not now[key]}
    # A file that was renamed is in another place; a table's partition that is gone isn't.
    seen = [path for path in known if path in scan.files or scan.noun != "files"]
    less_in = (path for path in seen if _lost_rows(known[path], scan.files.get(path), lost))
    return Missing(
        paths=tuple(sorted({*gone, *less_in})),
        removed=tuple(sorted(removed)),
        shrunk=tuple(sorted(lost - removed)),
        lost=sum(max(0, before[key] - now[key]) for key in lost),
        rows=total_rows(known),
        outdated=not comparable,
        moved=frozenset(moved),
    )


def gone_files(known: Known, scan: Scan) -> list[str]:
    """The known files that don't exist any more, or have no rows left; without those that were renamed."""
    arrived = Counter(file.digest for path, file in scan.files.items() if path not in known)
    gone = []
    for path, file in known.items():
        if not file.rows or path in scan.broken:
            continue
        if path not in scan.files and arrived[file.digest]:
            arrived[file.digest] -= 1
        elif path not in scan.files or not scan.files[path].rows:
            gone.append(path)
    return gone


def _noticeable(
    known: Known, scan: Scan, published: Collection[str], lost: Mapping[str, int], now: Counter[str]
) -> set[str]:
    """The partitions among those that `lost` rows for which nothing is removed without consent."""
    empty = {key for key in lost if not now[key]}
    # Counting the published partitions reads them all.
    many = bool(empty) and len(empty) > scan.max_missing * len(published)
    if scan.noun != "files":
        rows = sum(rows for f in known.values() for key, rows in f.rows.items() if key != UNPLACED)
        if many or sum(lost.values()) > scan.max_missing * rows:
            return {*lost}
    return empty if many or scan.on_missing == "keep" else set()


def _count_rows(files: Known, partitions: Collection[str]) -> Counter[str]:
    """The rows of some partitions in all files."""
    found: Counter[str] = Counter()
    for file in files.values():
        for key in file.rows.keys() & partitions:
            found[key] += file.rows[key]
    return found


def _lost_rows(before: SourceFile, now: SourceFile | None, partitions: Collection[str]) -> bool:
    """Whether a file has fewer rows of some partitions than before."""
    rows = now.rows if now else {}
    return any(rows.get(key, 0) < before.rows[key] for key in before.rows.keys() & partitions)


@dataclass(frozen=True, slots=True, kw_only=True)
class Frozen:
    """Partitions of a stage that are kept although `paths` of its source don't feed them any more.

    A run noticed that at the time `since` (Unix seconds) first.
    """

    stage: str
    partitions: tuple[str, ...]
    paths: tuple[str, ...]
    since: float


def frozen_partitions(stage: str, files: Known, partitions: Collection[str]) -> tuple[Frozen, ...]:
    """Those among some partitions that are kept as they are, by the files that are missing."""
    missing: dict[str, list[SourceFile]] = {}
    for file in files.values():
        for key in file.missing_since:
            if key in partitions:
                missing.setdefault(key, []).append(file)
    groups: dict[tuple[str, ...], list[str]] = {}
    for key in sorted(missing):
        groups.setdefault(tuple(sorted(file.path for file in missing[key])), []).append(key)
    return tuple(
        Frozen(
            stage=stage,
            partitions=tuple(keys),
            paths=paths,
            since=min(file.missing_since[key] for key in keys for file in missing[key]),
        )
        for paths, keys in groups.items()
    )
