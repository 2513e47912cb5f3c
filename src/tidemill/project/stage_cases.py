"""Test stages on the cases of a project: in memory, without the ledger and without stored data."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tidemill.cases.case_coverage import CaseCoverage as CaseCoverage
from tidemill.cases.case_coverage import coverage_of
from tidemill.cases.case_faults import case_faults
from tidemill.cases.case_file import duplicate_faults
from tidemill.cases.case_text import case_text
from tidemill.cases.io.case_files import FOLDER, find_case_files, load_cases
from tidemill.cases.io.case_runner import CaseRunner
from tidemill.cases.junit import junit_xml
from tidemill.cases.stage_case import Expectation, GivenTable
from tidemill.cases.stage_case import RowDifference as RowDifference
from tidemill.cases.stage_case import StageCase as StageCase
from tidemill.cases.stage_case import StageCaseResult as StageCaseResult
from tidemill.core.errors import DeclarationError, StorageError, UsageError, did_you_mean
from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.partition import readable_keys
from tidemill.core.redaction import Redact
from tidemill.ports.formats import ModelFormat
from tidemill.project.data import PublishedData
from tidemill.project.model_formats import open_formats
from tidemill.project.model_probe_server import FormatOptions
from tidemill.project.workspace import Workspace
from tidemill.workflow.stage import DATA

# So many rows of each input are in a case that is written for a stage.
_SCAFFOLDED = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseReport:
    """The results of the selected cases, in the order of their files, and what they cover.

    `left` cases weren't run because one failed before.
    """

    results: tuple[StageCaseResult, ...]
    coverage: CaseCoverage
    left: int = 0

    @property
    def failed(self) -> tuple[StageCaseResult, ...]:
        """The results that differ from what was expected."""
        return tuple(result for result in self.results if not result.passed)

    def junit(self, redact: Redact) -> str:
        """The results as JUnit XML; `redact` removes secrets from text."""
        return junit_xml(self.results, redact)


class StageCases:
    """The cases in the folder `cases` of a workspace. Its home is neither read nor made."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    @property
    def folder(self) -> Path:
        """The folder with the files of cases."""
        return self._workspace.root / FOLDER

    def load(self) -> tuple[StageCase, ...]:
        """All cases of the project. DeclarationError lists every fault of their files."""
        space = self._workspace
        loaded = load_cases(space.root, find_case_files(space.root))
        faults = [*loaded.faults, *duplicate_faults(loaded.cases)]
        for case in loaded.cases:
            faults += case_faults(case, space.declared)
        if faults:
            raise DeclarationError("cases", faults)
        return loaded.cases

    def run(
        self,
        stages: Sequence[str] = (),
        *,
        pattern: str = "",
        fail_fast: bool = False,
        timeout_s: float = 60.0,
    ) -> CaseReport:
        """Run the cases of some stages (default: all) whose name or file contains `pattern`.

        UsageError for an unknown stage, and if no case is selected.
        """
        flow = self._workspace.declared
        for name in stages:
            if name not in flow.names:
                raise UsageError(f"there is no stage {name!r} ({did_you_mean(name, flow.names)})")
        chosen = self._select(stages, pattern)
        runner = CaseRunner(flow, self._formats(), timeout_s=timeout_s)
        results: list[StageCaseResult] = []
        for case in chosen:
            results.append(runner.run(case))
            if fail_fast and not results[-1].passed:
                break
        return CaseReport(
            results=tuple(results),
            coverage=coverage_of(flow, results, stages),
            left=len(chosen) - len(results),
        )

    def scaffold(self, stage: str) -> Path:
        """Write a case of a stage into a file of its own: a few rows of its inputs, and what they give now.

        The rows are those that were published last, else generated ones. Columns with personal data are left
        out, so that the case generates them. UsageError for a stage without rows, and if the file exists.
        """
        flow = self._workspace.declared
        if stage not in flow.names:
            raise UsageError(f"there is no stage {stage!r} ({did_you_mean(stage, flow.names)})")
        subject = flow[stage]
        if subject.kind not in DATA:
            raise UsageError(
                f"{stage} is a {subject.kind}: name the scores or predictions that you expect, as "
                "docs/how-to/test-stages.md shows"
            )
        file = self.folder / f"{stage}.toml"
        if file.exists():
            raise UsageError(f"{file} exists already; add a case to it")
        inputs = [item.name for item in subject.frames] or [stage]
        given = {name: self._known_rows(name) for name in inputs}
        case = StageCase(
            name=f"{stage} gives what it gave",
            stage=stage,
            given=given,
            expect=Expectation(count=0),
        )
        rows, output, rejected = CaseRunner(flow, ()).rows(case)
        shown = {
            name: rows[name].select(given[name].columns or self._shared(name)) for name in given
        }
        expected = output.select(self._shared(stage))
        try:
            self.folder.mkdir(exist_ok=True)
            file.write_text(case_text(case, shown, expected, rejected), encoding="utf-8")
        except OSError as error:
            raise StorageError(f"{file} can't be written: {error.strerror}") from error
        return file

    def _known_rows(self, stage: str) -> GivenTable:
        """A few rows of a stage without personal data: of its newest partition, if it is published."""
        space = self._workspace
        published = space.bindings(stage) if space.has_home else {}
        keys = readable_keys(published)
        if not keys:
            return GivenTable(count=_SCAFFOLDED)
        rows = PublishedData(space).read(stage, keys[-1]).head(_SCAFFOLDED).collect()
        return GivenTable(frame=rows.select(self._shared(stage)))

    def _shared(self, stage: str) -> list[str]:
        """The columns of a stage that hold no personal data."""
        spec = self._workspace.declared[stage].output
        assert spec is not None
        return [column.name for column in spec.columns if not column.pii]

    def _select(self, stages: Sequence[str], pattern: str) -> list[StageCase]:
        cases, word = self.load(), pattern.casefold()
        chosen = [
            case
            for case in cases
            if case.stage in (stages or (case.stage,))
            and word in f"{case.name}\n{case.file}".casefold()
        ]
        if chosen:
            return chosen
        if not cases:
            raise UsageError(
                f"there are no cases in {self.folder}: `tidemill test --init STAGE` writes one"
            )
        about = f" of {', '.join(stages)}" if stages else ""
        named = f" with {pattern!r} in its name or file" if pattern else ""
        tested = ", ".join(dict.fromkeys(case.stage for case in cases))
        raise UsageError(f"there is no case{about}{named}; there are cases of {tested}")

    def _formats(self) -> Sequence[ModelFormat]:
        settings = self._workspace.settings
        options = FormatOptions(
            home=str(settings.root / settings.home),
            root=str(settings.root),
            model_formats=tuple(settings.model_formats),
            allow_pickle=settings.allow_pickle,
        )
        return open_formats(options)
