"""The inputs of a model that a features stage computes for the rows of a request."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from tidemill.contracts.spec import ContractSpec
from tidemill.core.lazy_dataclass import dataclass
from tidemill.serving.errors import BrokenRows, Unavailable
from tidemill.serving.input_schema import InputSchema
from tidemill.serving.io.feature_batches import ComputedFeatures, FeatureBatches
from tidemill.serving.io.feature_query import Features, LookupsUnreadable
from tidemill.serving.json_values import shown_value
from tidemill.serving.quick_check import QuickCheck
from tidemill.serving.row_check import RowCheck
from tidemill.serving.rows import InferRequest, Rejected, RequestRows, RowFinding


@dataclass(frozen=True, slots=True, kw_only=True)
class ComputedInputs:
    """The inputs of the rows that are answered.

    `request` says which rows those are. `parameters` are the ages of looked up data in seconds, `cpu_s` the
    CPU seconds that the features took.
    """

    rows: RequestRows
    request: InferRequest
    parameters: Mapping[str, float]
    cpu_s: float
    computed: ComputedFeatures
    names: Sequence[str]

    @property
    def frame(self) -> pl.DataFrame:
        """The inputs as a frame in the types of the features' contract."""
        known: pl.DataFrame | None = self.rows.frame
        return self.computed.frame[list(self.names)] if known is None else known


class FeatureInputs:
    """Computes the columns `names` of a features contract, and checks them by it."""

    def __init__(
        self,
        schema: InputSchema,
        batches: FeatureBatches,
        contract: ContractSpec,
        names: Sequence[str],
    ) -> None:
        self.schema = schema
        self._batches = batches
        self._contract = contract
        self._names = tuple(names)
        self._check = RowCheck(contract, names)
        self._quick = QuickCheck(contract, names)

    async def compute(self, request: InferRequest, *, partial: bool) -> ComputedInputs:
        """Compute the inputs for a request.

        BrokenRows if a row has no features, or some that break their contract; with `partial` only if no row
        is left. Unavailable if what they look up can't be read.
        """
        try:
            computed = await self._batches.compute(
                request.rows, self.schema.frame, self._quick.accept, self._names
            )
        except LookupsUnreadable:
            raise Unavailable(
                "what the features look up can't be read now; /status says why", retry_after=5
            ) from None
        rows, rejected = computed.accepted, None
        if rows is None:
            rows, rejected = self._checked_rows(computed.features)
        if rejected is not None:
            if not partial or not rejected.kept:
                raise self._refusal(rejected)
            request = _with_rejected(request, rejected)
        now = time.time()
        return ComputedInputs(
            rows=rows,
            request=request,
            parameters={
                f"{name}_age_s": round(max(0.0, now - at), 3)
                for name, at in computed.lookups.items()
            },
            cpu_s=computed.cpu_s,
            computed=computed,
            names=self._names,
        )

    def _checked_rows(self, features: Features) -> tuple[RequestRows, Rejected | None]:
        """The rows whose features pass their contract, and what is said of the others."""
        height = features.rows.height
        if height == 1 and not features.missing:
            accepted = self._quick.accept(features.rows)
            if accepted is not None:
                return accepted, None
        present = [at for at in range(height) if at not in features.missing]
        findings = [
            RowFinding(row=at, field=None, rule="features", value=None, message=why)
            for at, why in sorted(features.missing.items())
        ]
        count = len(findings)
        kept: Sequence[int] = present
        frame = features.rows[list(self._names)]
        rows = RequestRows(0, (), frame.clear())
        if findings:
            frame = frame[present]
        if present:
            rows, broken, more, kept = self._checked(frame, present)
            findings += broken
            count += more
        if not findings:
            return rows, None
        findings.sort(key=lambda found: found.row)
        shown = tuple(findings[: self.schema.limits.findings])
        return rows, Rejected(rows=height, kept=tuple(kept), findings=shown, count=count)

    def _checked(
        self, frame: pl.DataFrame, numbers: Sequence[int]
    ) -> tuple[RequestRows, list[RowFinding], int, Sequence[int]]:
        def value_at(row: int, name: str) -> Any:
            return shown_value(frame.item(row, name))

        try:
            found = self._check.check(
                frame, value_at, partial=True, shown=self.schema.limits.findings
            )
        except BrokenRows as error:
            none = RequestRows(0, (), frame.clear())
            return none, _renumbered(error.findings, numbers), error.count, ()
        rejected = found.rejected
        if rejected is None:
            return found.rows, [], 0, numbers
        kept = [numbers[at] for at in rejected.kept]
        return found.rows, _renumbered(rejected.findings, numbers), rejected.count, kept

    def _refusal(self, rejected: Rejected) -> BrokenRows:
        return BrokenRows(
            self._contract.title,
            rows=rejected.rows,
            rejected=rejected.rows - len(rejected.kept),
            findings=rejected.findings,
            count=rejected.count,
        )


def _renumbered(findings: Sequence[RowFinding], numbers: Sequence[int]) -> list[RowFinding]:
    return [
        RowFinding(
            row=numbers[found.row],
            field=found.field,
            rule=found.rule,
            value=found.value,
            message=found.message,
        )
        for found in findings
    ]


def _with_rejected(request: InferRequest, rejected: Rejected) -> InferRequest:
    """The request with fewer rows: some may have been left out when it was decoded, too."""
    before, rows = request.rejected, request.rows.take(rejected.kept)
    if before is not None:
        rejected = Rejected(
            rows=before.rows,
            kept=tuple(before.kept[at] for at in rejected.kept),
            findings=(*before.findings, *_renumbered(rejected.findings, before.kept)),
            count=before.count + rejected.count,
        )
    return InferRequest(
        rows=rows,
        id=request.id,
        outputs=request.outputs,
        binary_output=request.binary_output,
        parameters=request.parameters,
        rejected=rejected,
    )
