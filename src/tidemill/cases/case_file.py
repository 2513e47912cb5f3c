"""Parse cases of stages from documents: TOML, YAML, or what Python functions return."""

from __future__ import annotations

import csv
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import field
from io import StringIO
from typing import Any

from tidemill.cases.stage_case import (
    MOST_ROWS,
    SYNTHETIC_ROWS,
    Expectation,
    GivenTable,
    Range,
    StageCase,
)
from tidemill.core.counts import plural
from tidemill.core.errors import Fault, did_you_mean
from tidemill.core.lazy_dataclass import dataclass

CASE_KEYS = ("name", "stage", "partition", "given", "params", "seed", "limits", "expect")
_EXPECT_KEYS = (
    *("rows", "includes", "count", "quarantined", "error", "scores", "predictions"),
    *("ordered", "tolerance"),
)
_TABLE_KEYS = ("file", "count")
_EXAMPLE = 'write [[case]] with stage = "...", [case.given] and [case.expect]'


@dataclass(slots=True)
class CaseParser:
    """Parses the cases of one file; `texts` are the CSV files beside it that were read, by their names.

    It collects all faults. A CSV that wasn't read is named in `wanted`.
    """

    file: str
    texts: Mapping[str, str] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    wanted: list[str] = field(default_factory=list)

    def parse(self, document: object) -> list[StageCase]:
        """The cases in a document: a table with a list of tables `case`, or `cases`."""
        if not isinstance(document, Mapping):
            self._fault("", "it holds no table", _EXAMPLE)
            return []
        self._refuse_unknown(document, ("case", "cases"), "")
        if "case" in document and "cases" in document:
            self._fault("", "it has both `case` and `cases`", "keep one of them")
        tables = document.get("case", document.get("cases", []))
        if not isinstance(tables, Sequence) or isinstance(tables, str):
            self._fault("", f"`case` is not a list of tables: {_shown(tables)}", _EXAMPLE)
            return []
        found = []
        for number, table in enumerate(tables, 1):
            case = self.parse_case(table, f"case {number}")
            if case is not None:
                found.append(case)
        return found

    def parse_case(self, table: object, default_name: str) -> StageCase | None:
        """One case; None if it has faults."""
        before = len(self.faults)
        if not isinstance(table, Mapping):
            self._fault(repr(default_name), f"{_shown(table)} is not a table", _EXAMPLE)
            return None
        name = table.get("name", default_name)
        if not isinstance(name, str) or not name.strip():
            self._fault(repr(default_name), f"name = {_shown(name)} is not a text")
            name = default_name
        where = repr(name)
        self._refuse_unknown(table, CASE_KEYS, where)
        stage = table.get("stage")
        if not isinstance(stage, str) or not stage:
            said = "`stage` is missing" if stage is None else f"stage = {_shown(stage)} is no name"
            self._fault(where, said, "name the stage that the case is about")
            stage = ""
        case = StageCase(
            name=name,
            stage=stage,
            file=self.file,
            partition=self._partition(table, where),
            given={
                str(key): given
                for key, value in self._table(table, "given", where).items()
                if (given := self._given(value, f"{where}: given.{key}")) is not None
            },
            params=self._params(table, where),
            seed=self._whole(table, "seed", where) or 0,
            limits=self._flag(table, "limits", where),
            expect=self._expectation(self._table(table, "expect", where), stage, where),
        )
        if case.expect.is_empty and len(self.faults) == before:
            known = ", ".join(_EXPECT_KEYS[:7])
            self._fault(where, "it expects nothing", f"add one of these to expect: {known}")
        return case if len(self.faults) == before else None

    def _fault(self, where: str, message: str, hint: str = "") -> None:
        place = f"{self.file}: {where}" if where else self.file
        self.faults.append(Fault(message=message, where=place, hint=hint))

    def _refuse_unknown(self, table: Mapping[Any, Any], known: Collection[str], where: str) -> None:
        for key in table:
            if key not in known:
                self._fault(where, f"unknown key {_shown(key)}", did_you_mean(str(key), known))

    def _table(self, table: Mapping[Any, Any], key: str, where: str) -> Mapping[Any, Any]:
        value = table.get(key, {})
        if not isinstance(value, Mapping):
            self._fault(where, f"`{key}` is not a table: {_shown(value)}")
            return {}
        return value

    def _flag(self, table: Mapping[Any, Any], key: str, where: str) -> bool:
        value = table.get(key, False)
        if not isinstance(value, bool):
            self._fault(where, f"{key} = {_shown(value)} is not true or false")
        return value is True

    def _whole(self, table: Mapping[Any, Any], key: str, where: str) -> int | None:
        value = table.get(key)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            self._fault(where, f"{key} = {_shown(value)} is not a whole number of at least 0")
            return None
        return value

    def _partition(self, table: Mapping[Any, Any], where: str) -> str:
        value = table.get("partition", "")
        # YAML and TOML read an unquoted day as a date.
        if hasattr(value, "isoformat") and not hasattr(value, "hour"):
            return str(value.isoformat())
        if not isinstance(value, str):
            self._fault(where, f"partition = {_shown(value)} is not a text")
            return ""
        return value

    def _params(self, table: Mapping[Any, Any], where: str) -> dict[str, dict[str, Any]]:
        found = {}
        for model, values in self._table(table, "params", where).items():
            if isinstance(values, Mapping):
                found[str(model)] = {str(name): value for name, value in values.items()}
            else:
                self._fault(
                    where,
                    f"params.{model} = {_shown(values)} is not a table",
                    "name the model, then the parameter: params.demand.rounds",
                )
        return found

    def _given(self, value: object, where: str) -> GivenTable | None:
        """A table: a list of rows, a CSV as text, a frame, or a table with `file` or `count`."""
        if isinstance(value, str):
            return self._csv(value, where)
        if hasattr(value, "collect_schema"):
            return self._frame(value, where)
        if isinstance(value, Mapping):
            return self._described(value, where)
        if not isinstance(value, Sequence) or not all(isinstance(row, Mapping) for row in value):
            self._fault(
                where,
                f"{_shown(value)} is not a table of rows",
                "write a list of rows, a CSV as text, {file = ...} or {count = ...}",
            )
            return None
        rows = tuple({str(name): cell for name, cell in row.items()} for row in value)
        return self._limited(GivenTable(rows=rows), where)

    def _described(self, value: Mapping[Any, Any], where: str) -> GivenTable | None:
        before = len(self.faults)
        self._refuse_unknown(value, _TABLE_KEYS, where)
        if len(value) != 1 and len(self.faults) == before:
            self._fault(
                where, "it needs one of file and count", "write {file = ...} or {count = ...}"
            )
        if len(self.faults) > before:
            return None
        if "count" in value:
            count = self._whole(value, "count", where)
            default = SYNTHETIC_ROWS if count is None else count
            return self._limited(GivenTable(count=default), where)
        name = value["file"]
        if not isinstance(name, str):
            self._fault(where, f"file = {_shown(name)} is not a path")
        elif name in self.texts:
            return self._csv(self.texts[name], f"{where}: {name}")
        else:
            self.wanted.append(name)
        return None

    def _frame(self, value: Any, where: str) -> GivenTable | None:
        frame = value.collect() if hasattr(value, "collect") else value
        return self._limited(GivenTable(frame=frame), where)

    def _csv(self, text: str, where: str) -> GivenTable | None:
        """The rows of a CSV; an empty cell is null, blanks around a cell in the text don't count."""
        lines = [
            line
            for line in csv.reader(StringIO(text.strip()), skipinitialspace=True)
            if len(line) > 1 or (line and line[0].strip())
        ]
        if not lines or not any(cell.strip() for cell in lines[0]):
            self._fault(where, "it has no header", "name the columns in the first line")
            return None
        header = [cell.strip() for cell in lines[0]]
        twice = next((name for name in header if header.count(name) > 1 or not name), None)
        if twice is not None:
            said = f"column {twice!r} is there twice" if twice else "a column has no name"
            self._fault(where, said)
            return None
        rows = []
        for number, line in enumerate(lines[1:], 2):
            if len(line) != len(header):
                cells = f"{plural(len(line), 'cell')}, the header {len(header)}"
                self._fault(where, f"line {number} has {cells}", "quote text that holds commas")
            else:
                cells_ = (cell.strip() or None for cell in line)
                rows.append(dict(zip(header, cells_, strict=True)))
        if not rows:
            # A header without rows still says which columns there are.
            return GivenTable(rows=(), is_text=True)
        return self._limited(GivenTable(rows=tuple(rows), is_text=True), where)

    def _limited(self, table: GivenTable, where: str) -> GivenTable | None:
        if table.height > MOST_ROWS:
            self._fault(where, f"{table.height:,} rows are more than {MOST_ROWS:,}")
            return None
        return table

    def _expectation(self, table: Mapping[Any, Any], stage: str, where: str) -> Expectation:
        self._refuse_unknown(table, _EXPECT_KEYS, f"{where}: expect")
        at = f"{where}: expect"
        return Expectation(
            rows=self._expected_rows(table, "rows", at),
            includes=self._expected_rows(table, "includes", at),
            count=self._whole(table, "count", at),
            quarantined=dict(self._quarantined(table, stage, at)),
            error=self._error(table, at),
            scores={
                str(name): wanted
                for name, value in self._table(table, "scores", at).items()
                if (wanted := self._range(value, f"{at}.scores.{name}")) is not None
            },
            predictions=self._range(table["predictions"], f"{at}.predictions")
            if "predictions" in table
            else None,
            ordered=self._flag(table, "ordered", at),
            tolerance=self._tolerance(table, at),
        )

    def _expected_rows(self, table: Mapping[Any, Any], key: str, at: str) -> GivenTable | None:
        if key not in table:
            return None
        value = self._given(table[key], f"{at}.{key}")
        if value is not None and value.is_synthetic:
            self._fault(f"{at}.{key}", "rows that are expected can't be generated")
            return None
        if key == "includes" and value is not None and not value.height:
            self._fault(
                f"{at}.{key}",
                "it names no rows, so that any output has them",
                "name one, or write `rows = []` if there are to be none",
            )
            return None
        return value

    def _quarantined(
        self, table: Mapping[Any, Any], stage: str, at: str
    ) -> Iterator[tuple[str, GivenTable | int]]:
        value = table.get("quarantined")
        if value is None:
            return
        by_stage = value if isinstance(value, Mapping) and "file" not in value else {stage: value}
        for name, rows in by_stage.items():
            if isinstance(rows, int):
                whole = self._whole({"quarantined": rows}, "quarantined", at)
                if whole is not None:
                    yield str(name), whole
            else:
                given = self._given(rows, f"{at}.quarantined")
                if given is not None:
                    yield str(name), given

    def _error(self, table: Mapping[Any, Any], at: str) -> str | None:
        value = table.get("error")
        if value is None or (isinstance(value, str) and value):
            return value
        self._fault(at, f"error = {_shown(value)} is not a part of a message")
        return None

    def _tolerance(self, table: Mapping[Any, Any], at: str) -> float:
        value = table.get("tolerance", 0.0)
        if not _is_number(value) or not 0 <= value < math.inf:
            self._fault(at, f"tolerance = {_shown(value)} is not a number of at least 0")
            return 0.0
        return float(value)

    def _range(self, value: object, where: str) -> Range | None:
        if isinstance(value, Mapping):
            before = len(self.faults)
            self._refuse_unknown(value, ("min", "max"), where)
            wrong = [name for name, bound in value.items() if not _is_number(bound)]
            if wrong:
                self._fault(where, f"{wrong[0]} = {_shown(value[wrong[0]])} is not a number")
            elif not value:
                self._fault(where, "it has neither min nor max")
            elif value.get("min", -math.inf) > value.get("max", math.inf):
                self._fault(where, f"min {value['min']} is above max {value['max']}")
            if len(self.faults) == before:
                return Range(min=value.get("min"), max=value.get("max"))
            return None
        self._fault(where, f"{_shown(value)} is not a range", "write {min = ..., max = ...}")
        return None


def duplicate_faults(cases: Sequence[StageCase]) -> Iterator[Fault]:
    """Faults of cases of one stage that have the same name, by which they are selected."""
    seen: dict[tuple[str, str], StageCase] = {}
    for case in cases:
        first = seen.setdefault((case.stage, case.name), case)
        if first is not case:
            other = "" if first.file == case.file else f", also in {first.file}"
            yield Fault(
                message=f"two cases of {case.stage} have the name {case.name!r}{other}",
                where=case.file,
                hint="give each a name of its own",
            )


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and not math.isnan(value)


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
