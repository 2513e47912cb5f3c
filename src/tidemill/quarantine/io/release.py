"""List quarantined rows, and record rulings on them, which the next run applies."""

from __future__ import annotations

import builtins
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from tidemill.contracts.checks.ruled_rows import (
    REASONS,
    ROW,
    RULINGS_RULE,
    resolve_rulings,
    unwaivable_rules,
)
from tidemill.contracts.row_ruling import Disposition, Ruling
from tidemill.core.errors import ConflictError, StorageError, UsageError, did_you_mean
from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.partition import UNPLACED, place_name, shown_key
from tidemill.core.recorded_reason import checked_note
from tidemill.ledger.event import Ruled
from tidemill.ports.ledger import Guard
from tidemill.ports.runtime import Runtime
from tidemill.quarantine.io.corrections import PARTITION, read_corrections, with_digests, write_rows
from tidemill.quarantine.io.held_partitions import (
    HeldPartition,
    ReadState,
    held_keys,
    held_partitions,
)
from tidemill.quarantine.release_request import ReleaseConsent, ReleaseRequest, row_ranges
from tidemill.quarantine.ruling_input import describe_rulings
from tidemill.sources.io.file_listing import ingest_contract
from tidemill.store.frames import PARQUET, encode
from tidemill.workflow.stage import UNDECLARED, Stage

if TYPE_CHECKING:
    from tidemill.ports.ledger import State


@dataclass(frozen=True, slots=True, kw_only=True)
class QuarantinedPartition:
    """The quarantined rows of one partition by rule, the run that quarantined them, and rulings on them.

    `rulings` are described in their order, with what undoes them, and `dispositions` say what each does; the
    last `pending` of them wait for a run. `ruled_rows` are the numbers of the rows of each, if these are in
    quarantine as they were then: none stand for all; None: another run quarantined them. `done` says what
    happened to rows with a ruling, `gone` counts those of them that the source no longer has. A stage that
    isn't `declared` any more has no contract.
    """

    stage: str
    partition: str
    rows: int
    reasons: Mapping[str, int]
    run: str
    at: float
    contract: str
    rulings: tuple[str, ...] = ()
    dispositions: tuple[Disposition, ...] = ()
    ruled_rows: tuple[tuple[int, ...] | None, ...] = ()
    pending: int = 0
    done: str = ""
    gone: int = 0
    declared: bool = True


@dataclass(frozen=True, slots=True)
class _Author:
    """Who rules on rows, why, and with which note."""

    name: str
    reason: str
    note: str
    # Whether people are asked once more about what they rejected.
    again: bool = False


# A ruling on all rows lists their numbers up to this many.
_MAX_LISTED = 1_000
# Rulings that publish rows.
_PUBLISHING = (Disposition.RELEASE, Disposition.REPLACE)
# So many rulings and votes on other things may come between reading a quarantine and ruling on it.
_TRIES = 50


class Quarantine:
    """The quarantined rows of a project in one environment.

    `authorize` returns who acts, or raises AccessError if the actor may not do that with rows.
    `decide` returns the consent to a release, or raises GateError. `note_export` records that the rows of a
    place are exported to a file, or raises AccessError.
    """

    def __init__(
        self,
        tools: Runtime,
        environment: str,
        stage: Callable[[str, State], Stage],
        read_state: ReadState,
        authorize: Callable[[Disposition], str],
        decide: Callable[[ReleaseRequest], ReleaseConsent] | None = None,
        note_export: Callable[[str], None] = lambda place: None,
    ) -> None:
        self._decide = decide
        self._note_export = note_export
        self._tools = tools
        self._environment = environment
        self._stage = stage
        self._read_state = read_state
        self._authorize = authorize

    def list(
        self, stage: str = "", *, partition: str = "", after: str = "", limit: int | None = None
    ) -> tuple[QuarantinedPartition, ...]:
        """List the partitions, of one stage or all, that have quarantined rows or rulings.

        Only a `partition`, those `after` one, and at most `limit`, if these are given: the rows of each are
        read.
        """
        places = self._read_state(
            lambda state: [
                place
                # Stages that hold nothing back aren't looked at any further.
                for name in ([stage] if stage else sorted(state.heads))
                if stage or held_keys(state, name)
                for place in held_partitions(state, self._stage(name, state))
            ]
        )
        wanted = [place for place in places if partition in ("", place.partition)]
        later = [place for place in wanted if place.partition > after] if after else wanted
        return tuple(map(self._summary, later[:limit]))

    def unwaivable(self, stage: str) -> frozenset[str]:
        """The rules of a stage that no ruling can waive: rows that break them are corrected or dropped."""
        spec = self._read_state(lambda state: self._stage(stage, state)).output
        return frozenset() if spec is None else unwaivable_rules(spec)

    def rows(self, stage: str, partition: str = "") -> pl.DataFrame:
        """Read the quarantined rows as they arrived, with a number in `_row` and the rules in `_reasons`.

        Without `partition` it reads those of all partitions, named in `_partition`. Raises UsageError when
        there are none.
        """
        return self._joined(stage, partition, self._rows)

    def export(
        self, stage: str, partition: str = "", *, to: str | Path, guard: bool = False
    ) -> int:
        """Write `rows` to a .csv, .parquet, .json or .ndjson file, and return their number.

        A digest of each row in `_digest` tells `release` if the row is still the same. CSV can't hold
        lists. With `guard` texts of a CSV file that a spreadsheet would execute as formulas
        get an apostrophe, which `release` removes when it reads the file.
        """
        rows = self._joined(stage, partition, lambda place: with_digests(self._rows(place)))
        self._note_export(f"{place_name(stage, partition)} to {to}")
        write_rows(rows, Path(to), guard=guard)
        return rows.height

    def release(  # noqa: PLR0913 - which rows, and why
        self,
        stage: str,
        partition: str = "",
        *,
        reason: str,
        rows: Sequence[int] = (),
        rule: str = "",
        fixed: str | Path | pl.DataFrame | None = None,
        note: str = "",
        again: bool = False,
    ) -> Ruling:
        """Release quarantined rows: all, those with the numbers `rows`, or those that broke `rule`.

        With `fixed` (a frame or a file) corrected rows replace them, one for each, in their order or
        matched by the column `_row`; they are checked like all rows. The next run applies the ruling.
        Raises UsageError for rows that break a rule that can't be waived, and for corrected rows whose
        `_digest` or `_reasons` show that they were exported from other rows, GateError for a release that
        rules refuse, or that waits for a review. With `again` people are asked once more about what they
        rejected.
        """
        hint = (
            "" if fixed is None else "; export and release corrected rows one partition at a time"
        )
        disposition = Disposition.RELEASE if fixed is None else Disposition.REPLACE
        author = replace(self._author(disposition, reason, note), again=again)
        place = self._ruled_place(stage, partition, hint=hint)
        if fixed is not None:
            return self._replace(place, fixed, rows, rule, author)
        chosen = self._choose_rows(place, rows, rule)
        self._require_waivable(place, chosen)
        return self._record_ruling(place, Disposition.RELEASE, chosen, author)

    def drop(
        self,
        stage: str,
        partition: str = "",
        *,
        reason: str,
        rows: Sequence[int] = (),
        rule: str = "",
        note: str = "",
    ) -> Ruling:
        """Drop quarantined rows for good: all, or some of them as in `release`."""
        author = self._author(Disposition.DROP, reason, note)
        place = self._ruled_place(stage, partition)
        chosen = self._choose_rows(place, rows, rule)
        return self._record_ruling(place, Disposition.DROP, chosen, author)

    def take_back(
        self, stage: str, partition: str = "", *, ruling: int, reason: str, note: str = ""
    ) -> Ruling:
        """Revoke a ruling; `ruling` is its number, from 1, as `list` shows it.

        It needs what the ruling needed.
        """
        place = self._ruled_place(stage, partition, ruled=True)
        if not 1 <= ruling <= len(place.rulings):
            raise UsageError(
                f"{place.name} has no ruling {ruling}; there are {len(place.rulings)} (1 is the first)"
            )
        revoked = place.rulings[ruling - 1]
        if revoked.disposition is Disposition.HOLD:
            raise UsageError(
                f"ruling {ruling} on {place.name} takes back another one; add a new ruling instead"
            )
        author = self._author(revoked.disposition, reason, note)
        return self._record_ruling(
            place, Disposition.HOLD, revoked.rows, author, takes_back=revoked
        )

    def _author(self, disposition: Disposition, reason: str, note: str) -> _Author:
        return _Author(
            self._authorize(disposition), checked_note(reason, "reason"), checked_note(note)
        )

    def _summary(self, place: HeldPartition) -> QuarantinedPartition:
        product, contract = place.binding.product, place.stage.output
        counts: Counter[str] = Counter()
        if product.quarantine:
            reasons = self._object(product.quarantine).get_column(REASONS)
            counts.update(name for each in reasons.to_list() for name in each)
        found = next((f for f in product.findings if f.rule == RULINGS_RULE), None)
        pending = place.pending_count
        applied = place.rulings[: len(place.rulings) - pending]
        return QuarantinedPartition(
            stage=place.stage.name,
            partition=place.partition,
            rows=product.quarantined,
            reasons=dict(sorted(counts.items(), key=lambda item: (-item[1], item[0]))),
            run=place.binding.run,
            at=place.binding.at,
            contract=" ".join(
                filter(None, [contract.name if contract else "", place.binding.contract])
            ),
            declared=place.stage.is_declared,
            rulings=describe_rulings(place.rulings),
            dispositions=tuple(each.disposition for each in place.rulings),
            ruled_rows=tuple(
                ruling.rows if (ruling.object, ruling.key) == place.quarantine else None
                for ruling in place.rulings
            ),
            pending=pending,
            done=found.message.partition(": ")[2] if found else "",
            gone=self._gone_rows(applied, found.rows if found else 0),
        )

    def _gone_rows(self, applied: Sequence[Ruling], matched: int) -> int:
        """How many rows of rulings didn't match any row; 0 if it can't be told any more."""
        try:
            return (
                sum(item.rows.height for item in resolve_rulings(applied, self._object)) - matched
            )
        except StorageError:
            return 0

    def _places(self, stage: str) -> builtins.list[HeldPartition]:
        return self._read_state(lambda state: held_partitions(state, self._stage(stage, state)))

    def _place(
        self, stage: str, partition: str, *, ruled: bool = False, hint: str = ""
    ) -> HeldPartition:
        """The named partition, or the only one that has quarantined rows (or rulings)."""
        places = self._places(stage)
        there = [p for p in places if (p.rulings if ruled else p.binding.product.quarantined)]
        keys = ", ".join(shown_key(place.partition) for place in there[:8])
        keys += f" and {len(there) - 8} more" if len(there) > 8 else ""
        if partition:
            there = [place for place in there if place.partition == partition]
        if len(there) == 1:
            return there[0]
        what = "rulings" if ruled else "quarantined rows"
        if not keys:
            raise UsageError(f"{stage} has no {what}")
        if partition:
            raise UsageError(
                f"{place_name(stage, partition)} has no {what}; these partitions have: {keys}"
            )
        raise UsageError(f"{stage} has {what} in several partitions: name one of {keys}{hint}")

    def _ruled_place(
        self, stage: str, partition: str, *, ruled: bool = False, hint: str = ""
    ) -> HeldPartition:
        """The same, of a stage whose next run applies rulings."""
        place = self._place(stage, partition, ruled=ruled, hint=hint)
        if not place.stage.is_declared:
            raise UsageError(
                f"{stage} is {UNDECLARED}, so no run would apply a ruling: declare it again, or remove what "
                f"it published with `tidemill env forget {stage}`"
            )
        return place

    def _joined(
        self, stage: str, partition: str, read: Callable[[HeldPartition], pl.DataFrame]
    ) -> pl.DataFrame:
        """The rows that `read` returns for a partition, or for all that have quarantined rows."""
        places = [place for place in self._places(stage) if place.binding.product.quarantined]
        if partition or len(places) < 2:
            return read(self._place(stage, partition))
        parts = [
            read(place).select(pl.lit(place.partition).alias(PARTITION), pl.all())
            for place in places
        ]
        return pl.concat(parts, how="diagonal_relaxed")

    def _rows(self, place: HeldPartition) -> pl.DataFrame:
        product = place.binding.product
        assert product.quarantine is not None
        bad = self._object(product.quarantine)
        own = [name for name in bad.columns if name != REASONS]
        return bad.with_row_index(ROW).select(ROW, REASONS, *own)

    def _object(self, name: str) -> pl.DataFrame:
        return pl.read_parquet(self._tools.artifacts.get(name))

    def _choose_rows(self, place: HeldPartition, rows: Sequence[int], rule: str) -> tuple[int, ...]:
        """The numbers of the chosen rows; an empty tuple stands for all rows."""
        if rows and rule:
            raise UsageError("choose rows by their numbers or by a rule, not by both")
        bad = self._rows(place)
        if beyond := sorted({row for row in rows if not 0 <= row < bad.height}):
            raise UsageError(
                f"{place.name} has no quarantined row {', '.join(map(str, beyond))}: "
                f"there are {bad.height}, numbered from 0"
            )
        if not rule:
            # List all numbers, so that the ruling shows how many rows it covers, unless there are many.
            return tuple(sorted({*rows})) or tuple(
                range(bad.height if bad.height <= _MAX_LISTED else 0)
            )
        reasons = bad.get_column(REASONS).to_list()
        broke = tuple(row for row, why in enumerate(reasons) if rule in why)
        if not broke:
            known = sorted({name for why in reasons for name in why})
            raise UsageError(
                f"no quarantined row of {place.name} broke {rule!r} ({did_you_mean(rule, known)})"
            )
        return broke

    def _require_waivable(self, place: HeldPartition, rows: Sequence[int]) -> None:
        """Raise UsageError if some of the rows break a rule that can't be waived."""
        assert place.stage.output is not None
        never, bad = unwaivable_rules(place.stage.output), self._rows(place)
        reasons = bad.get_column(REASONS).to_list()
        chosen = rows or range(bad.height)
        broken = {row: rules for row in chosen if (rules := sorted(never & {*reasons[row]}))}
        if not broken:
            return
        shown = "; ".join(f"row {row}: {', '.join(why)}" for row, why in [*broken.items()][:8])
        more = f"; and {len(broken) - 8} more" if len(broken) > 8 else ""
        rest = [row for row in chosen if row not in broken]
        others = f", and release the others by their numbers ({row_ranges(rest)})" if rest else ""
        raise UsageError(
            f"{len(broken)} of {len(chosen)} rows of {place.name} can't be released as they are "
            f"({shown}{more}): correct them (in a file of corrected rows) or drop them{others}"
        )

    def _replace(
        self,
        place: HeldPartition,
        fixed: str | Path | pl.DataFrame,
        rows: Sequence[int],
        rule: str,
        author: _Author,
    ) -> Ruling:
        if place.partition == UNPLACED:
            raise UsageError(
                f"the rows of {place.name} have no partition to publish corrections in: correct the "
                "source, or drop them"
            )
        assert place.stage.output is not None
        # Without a choice the corrected rows determine which rows they replace.
        chosen = self._choose_rows(place, rows, rule) if rows or rule else ()
        bad = self._rows(place)
        contract = ingest_contract(place.stage)
        frame, chosen = read_corrections(fixed, chosen, bad, contract, place.partition)
        name = self._tools.artifacts.put_all([(encode(frame), PARQUET)])[0]
        return self._record_ruling(place, Disposition.REPLACE, chosen, author, fixed=name)

    def _record_ruling(
        self,
        place: HeldPartition,
        disposition: Disposition,
        rows: tuple[int, ...],
        author: _Author,
        *,
        fixed: str = "",
        takes_back: Ruling | None = None,
    ) -> Ruling:
        current = place.quarantine
        waiting = place.rulings[len(place.rulings) - place.pending_count :]
        # Pending rulings are about the rows of an earlier quarantine, which this one may contain again.
        if not takes_back and any((ruling.object, ruling.key) != current for ruling in waiting):
            raise ConflictError(
                f"rulings on {place.name} wait for a run, and its quarantine changed since: "
                f"`tidemill run {place.stage.name}`, then look again"
            )
        about, key = (takes_back.object, takes_back.key) if takes_back else current
        ruling = Ruling(
            disposition=disposition,
            object=about,
            key=key,
            rows=rows,
            fixed=fixed,
            actor=author.name,
            reason=author.reason,
            note=author.note,
            at=self._tools.clock(),
        )
        for _ in range(_TRIES):
            try:
                self._append(place, ruling, again=author.again)
            except ConflictError as error:
                place, problem = self._unmoved(place), error
            else:
                return ruling
        raise problem

    def _append(self, place: HeldPartition, ruling: Ruling, *, again: bool) -> None:
        """Record a ruling with what allows it; ConflictError if anything came between that it rests on."""
        event = Ruled(
            environment=self._environment,
            stage=place.stage.name,
            partition=place.partition,
            ruling=ruling,
        )
        consent = ReleaseConsent()
        if self._decide is not None and ruling.disposition in _PUBLISHING:
            consent = self._decide(replace(self._request(place, ruling), again=again))
        guard = Guard(
            heads={place.stage.name: place.version},
            find_missing=self._tools.artifacts.find_missing,
            unchanged=dict.fromkeys((Ruled.__name__, *consent.rests_on), place.seen),
        )
        self._tools.ledger.append([*consent.events, event], now=ruling.at, guard=guard)

    def _unmoved(self, place: HeldPartition) -> HeldPartition:
        """The partition as it is by now; ConflictError if its quarantine isn't that, or was ruled on."""
        places = self._read_state(lambda state: held_partitions(state, place.stage))
        now = next((each for each in places if each.partition == place.partition), None)
        if now is None or (now.quarantine, now.rulings) != (place.quarantine, place.rulings):
            raise ConflictError(
                f"{place.name} got another quarantine, or another ruling, at the same moment; nothing was "
                "recorded: look at its rows once more"
            )
        return now

    def _request(self, place: HeldPartition, ruling: Ruling) -> ReleaseRequest:
        reasons = self._object(ruling.object).get_column(REASONS).to_list()
        return ReleaseRequest(
            stage=place.stage.name,
            partition=place.partition,
            held=(ruling.object, ruling.key),
            rows=ruling.rows,
            reasons=tuple(map(tuple, reasons)),
            fixed=ruling.fixed,
            seen=place.seen,
        )
