"""Check data of any size outside a workflow against a contract, in one streaming pass.

The pass keeps a bit per rule and row, and an integer per row for each uniqueness rule. Only broken rules
need a second read: a few rows each for the finding, and the bad rows when `bad` is accessed. Good rows
are never copied: they are the data filtered by row number.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import reduce
from operator import or_
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import polars as pl
from polars.exceptions import PolarsError

from tidemill.analysis.query.serialized import UnreadableQuery, parse_query, serialize_query
from tidemill.contracts.checks.broken_rules import reasons_of
from tidemill.contracts.checks.checker import REASONS, Checker, checker_of
from tidemill.contracts.checks.duplicate_keys import possible_duplicates
from tidemill.contracts.checks.findings import (
    MAX_SAMPLED_ROWS,
    budget_findings,
    rows_findings,
    rule_finding,
    undeclared_column_findings,
)
from tidemill.contracts.checks.row_order import repeated_values
from tidemill.contracts.checks.row_rules import RowRule, rule_error
from tidemill.contracts.checks.rule_masks import (
    Mask,
    UniquenessMask,
    cast_frame,
    code_name,
    has_values_name,
    pass_expressions,
)
from tidemill.contracts.declaration import DeclaredContract
from tidemill.contracts.finding import Finding
from tidemill.contracts.spec import ContractSpec
from tidemill.core.counts import plural
from tidemill.core.errors import ContractError, SourceError, UsageError
from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.other_frames import describe_other_frame, is_other_frame
from tidemill.core.partition import UNPLACED
from tidemill.core.read_errors import reason_of
from tidemill.drawing.notebook import notebook_html, notebook_table

Data: TypeAlias = "pl.DataFrame | pl.LazyFrame | str | Path | Sequence[str | Path]"

_ROW = "\0row"
# Files that Polars reads with guessed types, which the caller is to see and to choose.
_TEXT_READERS = {".csv": "scan_csv", ".ndjson": "scan_ndjson", ".jsonl": "scan_ndjson"}
_REJECTS = ("fail", "quarantine")


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Validated:
    """The result of checking data against a contract.

    A row is bad if it breaks a rule that fails or quarantines. `counts` maps each broken rule to the
    number of rows that break it; `bad_rows` are the numbers of the bad rows in the data, from 0.
    """

    contract: ContractSpec
    rows: int
    findings: tuple[Finding, ...]
    counts: Mapping[str, int]
    bad_rows: np.ndarray[Any, Any]
    _data: pl.LazyFrame
    _reasons: Sequence[tuple[str, pl.Series]]

    def __repr__(self) -> str:
        return f"<Validated {self._headline}>"

    @property
    def _headline(self) -> str:
        verdict = "passed" if self.passed else "failed"
        return (
            f"{self.contract.title} {verdict}: {plural(self.rows, 'row')}, "
            f"{len(self.bad_rows):,} bad"
        )

    def _repr_html_(self) -> str:
        """Render a row per broken rule, for notebooks."""
        rows = [
            (found.rule, str(found.severity), f"{found.rows:,}", found.message)
            for found in self.findings
        ]
        headers = ("rule", "severity", ">rows", "finding")
        return notebook_html(notebook_table(headers, rows, caption=self._headline))

    @property
    def passed(self) -> bool:
        """Whether every broken rule only warns."""
        return not any(finding.severity in _REJECTS for finding in self.findings)

    @property
    def good(self) -> pl.LazyFrame:
        """The rows that pass, in their original order, with the contract's columns and types."""
        checker, data = checker_of(self.contract), self._data
        if len(self.bad_rows):
            bad = pl.Series(self.bad_rows).implode()
            data = data.with_row_index(_ROW).filter(~pl.col(_ROW).is_in(bad)).drop(_ROW)
        rows = cast_frame(data, checker.columns).select(self.contract.names)
        kept = self._unknown_columns(data)
        return pl.concat([rows, data.select(kept)], how="horizontal") if kept else rows

    def _unknown_columns(self, data: pl.LazyFrame) -> list[str]:
        if self.contract.unknown_columns != "keep":
            return []
        return [n for n in data.collect_schema().names() if n not in self.contract.names]

    @property
    def bad(self) -> pl.DataFrame:
        """The bad rows, unconverted and in their original order, with the rules they break in `_reasons`."""
        return self._bad().collect(engine="streaming")

    def _bad(self) -> pl.LazyFrame:
        if not len(self.bad_rows):
            schema = {**self._data.collect_schema(), REASONS: pl.List(pl.String)}
            return pl.LazyFrame(schema=schema)
        numbers = pl.Series(self.bad_rows)
        reasons = reasons_of((name, rows.gather(numbers)) for name, rows in self._reasons)
        data = self._data.with_row_index(_ROW).filter(pl.col(_ROW).is_in(numbers.implode()))
        return pl.concat([data.drop(_ROW), reasons.to_frame().lazy()], how="horizontal")

    def raise_for_findings(self) -> None:
        """Raise ContractError with every finding unless the data passed."""
        if not self.passed:
            messages = "; ".join(f.message for f in self.findings if f.severity in _REJECTS)
            raise ContractError(f"{self.contract.title}: {messages}")

    def write(self, folder: str | Path) -> Path:
        """Write the bad rows, with reasons and row numbers, to `bad.parquet`.

        The column `_row` has the row numbers in the data; filter them out to get the good rows.
        """
        target = Path(folder)
        target.mkdir(parents=True, exist_ok=True)
        numbered = self._bad().with_columns(pl.Series("_row", self.bad_rows, pl.UInt64))
        numbered.sink_parquet(target / "bad.parquet", compression="zstd")
        return target / "bad.parquet"


def validate(
    contract: type[DeclaredContract] | ContractSpec, data: Data, *, partition: str | None = None
) -> Validated:
    """Check data against a contract: a frame, a scan of Parquet files, or their paths.

    With `partition`, all rows must belong to that partition. Data larger than memory must be Parquet
    files: any other query is collected first. Raises ContractError if columns are missing or a rule
    can't be evaluated, SourceError for files that can't be read.
    """
    spec = contract if isinstance(contract, ContractSpec) else contract.__tidemill_contract__
    checker = checker_of(spec)
    source = _source(data)
    try:
        names = source.collect_schema().names()
    except (PolarsError, OSError) as error:
        raise SourceError(f"can't read the data: {reason_of(error)}") from error
    source = checker.fill_defaults(source, names)
    unknown = checker.undeclared_columns(source.collect_schema().names())
    return _Pass(checker, source, partition).result(unknown)


def _source(data: Data) -> pl.LazyFrame:
    if isinstance(data, pl.DataFrame):
        return data.lazy()
    if isinstance(data, pl.LazyFrame):
        # The rows are read more than once, and only files return them in the same order each time.
        return data if _is_scan(data) else data.collect(engine="streaming").lazy()
    paths = list(data) if isinstance(data, Sequence) and not isinstance(data, str) else [data]
    if not paths or not all(isinstance(path, (str, Path)) for path in paths):
        shown = describe_other_frame(data) if is_other_frame(data) else f"{data!r}"
        what, _, advice = shown.partition("; ")
        more = f"; {advice}" if advice else ""
        raise UsageError(f"validate: {what} is neither a frame nor a path of a Parquet file{more}")
    for path in map(Path, paths):
        if reader := _TEXT_READERS.get(path.suffix.lower()):
            raise UsageError(
                f"validate: {path} is not a Parquet file; pass pl.{reader}({str(path)!r})"
            )
    return pl.scan_parquet([Path(path) for path in paths], glob=False)


def _is_scan(frame: pl.LazyFrame) -> bool:
    """Whether a query is a scan of Parquet files and nothing else."""
    try:
        match parse_query(serialize_query(frame)):
            case {"Scan": {"scan_type": {"Parquet": _}}}:
                return True
    except UnreadableQuery:
        pass
    return False


class _Pass:
    """One pass over the data, and its findings."""

    def __init__(self, checker: Checker, source: pl.LazyFrame, partition: str | None) -> None:
        self._checker, self._source, self._spec = checker, source, checker.spec
        self._masks, self._ones = checker.masks(source.collect_schema(), partition)
        self._partition = partition
        found = self._collect()
        self._height = found.height
        # Drop each column once it is used: the codes of many rows take most of the memory.
        self._broken: list[tuple[RowRule, pl.Series]] = []
        for index, mask in enumerate(self._masks):
            bits = found.drop_in_place(str(index))
            if bits.any():
                self._broken.append((mask.rule, bits))
        for index, one in enumerate(self._ones):
            codes = [found.drop_in_place(code_name(index, i)) for i in range(len(one.codes))]
            self._find_repeats(one, codes, found.drop_in_place(has_values_name(index)))

    def _collect(self) -> pl.DataFrame:
        prepared = cast_frame(self._source, self._checker.columns)
        try:
            return prepared.select(pass_expressions(self._masks, self._ones)).collect(
                engine="streaming"
            )
        except PolarsError as error:
            # Evaluate the rules one by one, so that the error names the rule that raises.
            for mask in self._masks:
                self._try(prepared, mask)
            raise SourceError(f"can't read the data: {reason_of(error)}") from error

    def _try(self, prepared: pl.LazyFrame, mask: Mask) -> None:
        try:
            prepared.select(mask.violation.any()).collect(engine="streaming")
        except PolarsError as error:
            raise rule_error(self._spec, mask.rule.id, error) from error

    def _find_repeats(self, one: UniquenessMask, codes: list[pl.Series], here: pl.Series) -> None:
        """Find the rows that repeat an earlier row's values, among rows that earlier rules don't reject."""
        rejected = self._broken_rows(("quarantine",))
        among = here if rejected is None else here & ~rejected
        rows = possible_duplicates(codes, among)
        if not len(rows):
            return
        # Equal keys have equal codes, but not conversely: compare the values.
        repeats = rows[repeated_values(self._read_rows(rows, one.columns, typed=True)).to_numpy()]
        bits = np.zeros(self._height, dtype=bool)
        bits[repeats] = True
        if len(repeats):
            self._broken.append((one.rule, pl.Series(bits)))

    def _broken_rows(self, severities: Iterable[str]) -> pl.Series | None:
        bits = [rows for rule, rows in self._broken if rule.on_fail in severities]
        return reduce(or_, bits) if bits else None

    def _read_rows(
        self, rows: np.ndarray[Any, Any], columns: Sequence[str], *, typed: bool = False
    ) -> pl.DataFrame:
        """Read some columns of the rows with these ascending numbers."""
        frame = self._source
        if typed:
            frame = cast_frame(frame, self._checker.columns)
        # Read no further than the last one: the first broken rows are mostly near the start.
        frame = frame.select(columns).head(int(rows[-1]) + 1).with_row_index(_ROW)
        wanted = frame.filter(pl.col(_ROW).is_in(pl.Series(rows).implode()))
        return wanted.drop(_ROW).collect(engine="streaming")

    def result(self, unknown: list[str]) -> Validated:
        """Return all findings, in the same order as for a partition in a run."""
        spec = self._spec
        rejected, quarantined = self._broken_rows(_REJECTS), self._broken_rows(("quarantine",))
        none = np.empty(0, dtype=np.int64)
        bad = none if rejected is None else rejected.arg_true().to_numpy()
        lost = 0 if quarantined is None else int(quarantined.sum())
        findings = [*self._findings()]
        findings += undeclared_column_findings(spec, unknown, self._height)
        # Rows without a partition are all bad.
        if self._partition != UNPLACED:
            findings += budget_findings(spec, self._height, lost)
            findings += rows_findings(spec, self._height - lost)
        return Validated(
            contract=spec,
            rows=self._height,
            findings=tuple(findings),
            counts={rule.id: int(rows.sum()) for rule, rows in self._broken},
            bad_rows=bad,
            _data=self._source,
            _reasons=[(r.id, rows) for r, rows in self._broken if r.on_fail in _REJECTS],
        )

    def _findings(self) -> Iterator[Finding]:
        """Yield a finding for each broken rule; read the sample rows of all of them together."""
        firsts = [rows.arg_true().head(MAX_SAMPLED_ROWS).to_numpy() for _, rows in self._broken]
        if not firsts:
            return
        numbers = np.unique(np.concatenate(firsts))
        columns = list(
            dict.fromkeys(name for rule, _ in self._broken for name in rule.sample_columns)
        )
        shown = self._read_rows(numbers, columns) if columns else pl.DataFrame()
        for (rule, rows), first in zip(self._broken, firsts, strict=True):
            at = np.searchsorted(numbers, first)
            part = shown.select(rule.sample_columns)[at] if rule.sample_columns else pl.DataFrame()
            yield rule_finding(rule, int(rows.sum()), self._height, part)
