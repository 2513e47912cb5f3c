"""Hash, profile and encode the checked rows of partitions: many partitions in one call."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import groupby
from operator import attrgetter
from typing import TypeAlias

import polars as pl

from tidemill.analysis.hashing.column_hash import FrameHasher, column_hashes, rowset_hash
from tidemill.contracts.checks.checker import CheckedPartition
from tidemill.contracts.checks.schema import schema_of
from tidemill.contracts.finding import BrokenContract, Finding, rejections
from tidemill.contracts.spec import ContractSpec
from tidemill.core.fingerprint import object_name
from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.partition import WHOLE
from tidemill.ledger.binding import Product, content_of
from tidemill.reuse.stale_columns import replace_columns
from tidemill.steps.step_messages import StepOutput
from tidemill.store.frames import FrameStore, encode_sealed
from tidemill.store.profiles import PartitionProfiler, encode_profile, is_profiled
from tidemill.workflow.stage import Stage

# The bytes of an object, and the suffix of its name.
_Stored: TypeAlias = tuple[bytes, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unhashed:
    """Checked rows of a partition to hash. `decide` takes the hashes of their columns.

    It returns the rows to encode, or the output where there is nothing to encode, or None if the partition
    has to run alone.
    """

    spec: ContractSpec
    rows: pl.DataFrame
    decide: Callable[[dict[str, str]], Unencoded | StepOutput | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unencoded:
    """Rows of a partition to encode; `finish` returns its output, or None if it has to run alone."""

    rows: pl.DataFrame
    metadata: Mapping[str, str] | None
    finish: Callable[[str, _Stored], StepOutput | None]


class PartitionEncoder:
    """Makes checked rows the output of their partitions."""

    def __init__(self, frames: FrameStore, profiles: PartitionProfiler) -> None:
        self._frames = frames
        self._profiles = profiles
        self._hashers: dict[object, FrameHasher] = {}

    def encode(self, drafts: Mapping[str, Unhashed]) -> dict[str, StepOutput]:
        """The outputs by partition, without those that have to run alone."""
        hashed = self._hash([*drafts.values()])
        decided = [
            (partition, draft.decide(hashes))
            for (partition, draft), hashes in zip(drafts.items(), hashed, strict=True)
        ]
        waiting = [rows for _, rows in decided if isinstance(rows, Unencoded)]
        encoded = iter(self._frames.encode_all([(w.rows, w.metadata) for w in waiting]))
        found = {
            partition: given.finish(*next(encoded)) if isinstance(given, Unencoded) else given
            for partition, given in decided
        }
        return {partition: output for partition, output in found.items() if output is not None}

    def output(
        self, stage: Stage, partition: str, judged: CheckedPartition, touched: Sequence[str] = ()
    ) -> StepOutput:
        """Hash, profile and encode checked rows; ContractError when they must not be published."""
        return self.encode({partition: self.draft(stage, partition, judged, touched)})[partition]

    def draft(
        self, stage: Stage, partition: str, judged: CheckedPartition, touched: Sequence[str] = ()
    ) -> Unhashed:
        """A whole partition; ContractError when its rows must not be published."""
        assert stage.output is not None
        require_publishable(stage, partition, judged.findings)
        key = stage.output.key

        def decide(hashes: dict[str, str]) -> Unencoded:
            rowset = rowset_hash(judged.good, key, hashes)
            return Unencoded(
                rows=judged.good,
                metadata=self._profile(stage, judged.good, hashes),
                finish=partial(_output, judged, hashes, rowset, (*touched,)),
            )

        return Unhashed(spec=stage.output, rows=judged.good, decide=decide)

    def draft_columns(
        self,
        stage: Stage,
        narrow: ContractSpec,
        columns: tuple[str, ...],
        held: Product,
        good: pl.DataFrame,
    ) -> Unhashed:
        """The stale columns of a published partition, which has to run alone if its rows changed."""

        def decide(hashes: dict[str, str]) -> Unencoded | StepOutput | None:
            changed = {name: one for name, one in hashes.items() if held.columns[name] != one}
            same = rowset_hash(good, narrow.key, hashes) == held.rowset
            if not same or not changed.keys() <= {*columns}:
                return None
            if not changed:
                return StepOutput(product=held, columns=columns)
            rows = good[:, list(changed)]
            return Unencoded(
                rows=rows,
                metadata=self._profile(stage, rows, changed),
                finish=partial(_updated, held, columns, changed),
            )

        return Unhashed(spec=narrow, rows=good, decide=decide)

    def _profile(
        self, stage: Stage, good: pl.DataFrame, hashes: Mapping[str, str]
    ) -> Mapping[str, str] | None:
        if not is_profiled(good.height):
            return None
        return encode_profile(self._profiles.profile(stage.name, good, hashes))

    def _hash(self, drafts: Sequence[Unhashed]) -> list[dict[str, str]]:
        """The hashes of the columns of each draft, of as many as are alike in one call."""
        found: list[dict[str, str]] = []
        for spec, alike in groupby(drafts, attrgetter("spec")):
            frames = [draft.rows for draft in alike]
            if spec.unknown_columns == "keep":
                found += map(column_hashes, frames)
            else:
                found += self._hasher(spec).hashes_of(frames)
        return found

    def _hasher(self, spec: ContractSpec) -> FrameHasher:
        # A contract may be checked on all of its columns and on some.
        of = (spec.name, spec.version, spec.names)
        if of not in self._hashers:
            self._hashers[of] = FrameHasher(schema_of(spec))
        return self._hashers[of]


def _output(
    judged: CheckedPartition,
    hashes: dict[str, str],
    rowset: str,
    touched: tuple[str, ...],
    name: str,
    stored: _Stored,
) -> StepOutput:
    objects = [stored]
    quarantine = None
    if judged.bad is not None and judged.bad.height:
        objects.append(encode_sealed(judged.bad))
        quarantine = object_name(*objects[-1])
    product = Product(
        content=content_of(hashes, rowset),
        objects=(name,),
        columns=hashes,
        rowset=rowset,
        rows=judged.good.height,
        bytes=sum(len(item) for item, _ in objects),
        quarantine=quarantine,
        quarantined=judged.bad.height if judged.bad is not None else 0,
        findings=judged.findings,
    )
    return StepOutput(product=product, touched=touched, objects=tuple(objects))


def _updated(
    held: Product,
    columns: tuple[str, ...],
    changed: Mapping[str, str],
    name: str,
    stored: _Stored,
) -> StepOutput | None:
    product = replace_columns(held, name, len(stored[0]), changed)
    if product is None:
        return None
    return StepOutput(product=product, objects=(stored,), columns=columns)


def require_publishable(stage: Stage, partition: str, findings: Sequence[Finding]) -> None:
    """Raise ContractError when a finding says that the partition must not be published."""
    fatal = [finding for finding in findings if finding.severity == "fail"]
    if fatal:
        contract = f" (contract {stage.output.title})" if stage.output else ""
        place = "" if partition == WHOLE else f" {partition}"
        lines = "; ".join(finding.message for finding in fatal)
        message = f"{stage.name}{place} breaks its contract{contract}: {lines}"
        raise BrokenContract(message, rejections(findings))
