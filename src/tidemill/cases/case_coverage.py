"""Which stages have cases, and which rules of their contracts a case ever broke."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tidemill.cases.contract_rules import written_rules
from tidemill.cases.stage_case import StageCaseResult
from tidemill.core.lazy_dataclass import dataclass
from tidemill.workflow.stage import Flow


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseCoverage:
    """The stages without a case, and the rules that no row of a case broke (`stage.rule`)."""

    stages: int
    rules: int
    untested: tuple[str, ...] = ()
    unbroken: tuple[str, ...] = ()

    @property
    def percent(self) -> float:
        """The share of stages and rules that cases cover, in percent; 100 if there are none."""
        every = self.stages + self.rules
        missing = len(self.untested) + len(self.unbroken)
        return 100.0 * (every - missing) / every if every else 100.0


def coverage_of(
    flow: Flow, results: Iterable[StageCaseResult], names: Sequence[str] = ()
) -> CaseCoverage:
    """The coverage of the workflow, or of some of its stages.

    Deliveries have no code of the user, so they count only if they have a case. A rule of a column that
    several contracts share is one rule.
    """
    found = [*results]
    tested = {result.case.stage for result in found}
    stages = [
        stage
        for stage in flow.stages
        if stage.name in (names or flow.names)
        and (stage.function is not None or stage.name in tested)
    ]
    meanings: dict[str, str] = {}
    broken: set[str] = set()
    for stage in flow.stages:
        hit = {rule for result in found for rule in result.broken.get(stage.name, ())}
        for rule in written_rules(stage.output) if stage.output is not None else ():
            if rule.name in hit:
                broken.add(rule.meaning)
            if stage in stages:
                meanings.setdefault(rule.meaning, f"{stage.name}.{rule.name}")
    return CaseCoverage(
        stages=len(stages),
        rules=len(meanings),
        untested=tuple(stage.name for stage in stages if stage.name not in tested),
        unbroken=tuple(name for meaning, name in meanings.items() if meaning not in broken),
    )
