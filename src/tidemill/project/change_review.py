"""Review what the working tree changes against a git ref: stages, contracts, rules, rows, and the plan."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import field, replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tidemill.core.errors import TidemillError
from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.toml_text import TomlError, parse_toml
from tidemill.governance.permissions import Permission, holders_text
from tidemill.lineage.io.git_ref import ProjectAtRef, ask_version, project_at
from tidemill.lineage.stage_changes import (
    StageEntry,
    WorkflowChanges,
    stage_entries,
    stages_as_json,
    stages_from_json,
)
from tidemill.lineage.version_changes import (
    StageEdit,
    StageVersion,
    find_edits,
    find_rule_changes,
    stage_versions,
    versions_as_json,
    versions_from_json,
)
from tidemill.planning.plan import Plan
from tidemill.planning.request import Request
from tidemill.project.checks import changes_between, require_own_module
from tidemill.project.enforcement import is_governed
from tidemill.project.plans import Plans
from tidemill.project.settings import load_workflow
from tidemill.project.workspace import RULES_FILE, Workspace

if TYPE_CHECKING:
    from tidemill.project.compared_rows import SampledComparison

_CONTRACT_EXIT_CODE = 3
_HELD_EXIT_CODE = 4
_PARTITIONS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeReview:
    """What the working tree changes against `ref`, which is `commit`.

    `base_error` says why the version at the ref can't be loaded; then only the `plan` is known. `no_plan`
    says why there is none. `rules` are the policy rules that changed, each with how; `held_by` says which
    rules and reviews will hold changes, and `people` who may decide them, by what they decide; `foreseen`
    tells whether rules were asked, as far as facts are known before a run. `rows` is the
    comparison on a sample, or None with the reason in `no_rows`.
    """

    ref: str
    commit: str
    workflow: str
    environment: str
    owner: str
    owner_before: str = ""
    base_error: str = ""
    edits: tuple[StageEdit, ...] = ()
    changes: WorkflowChanges = field(default_factory=WorkflowChanges)
    rules: tuple[tuple[str, str], ...] = ()
    plan: Plan | None = None
    no_plan: str = ""
    foreseen: bool = False
    held_by: tuple[str, ...] = ()
    people: Mapping[str, str] = field(default_factory=dict)
    rows: SampledComparison | None = None
    no_rows: str = ""

    @property
    def exit_code(self) -> int:
        """3 for a contract that may not change like this, 4 if rules or people will hold it, else 0."""
        if self.changes.failed:
            return _CONTRACT_EXIT_CODE
        return _HELD_EXIT_CODE if self.held_by else 0


class ChangeReviews:
    """Reviews what the working tree of a workspace changes; the project's state stays as it is."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def review(
        self,
        ref: str,
        request: Request,
        *,
        workflow: str | None = None,
        partitions: int | None = None,
        seconds: float = 60.0,
    ) -> ChangeReview:
        """Compare the working tree with a git ref, and plan it.

        `workflow` names the workflow at the ref if the settings there don't. The rows of the newest
        `partitions` of each changed stage (default: 2) are compared for at most so many `seconds`.
        UsageError without git or such a ref, DeclarationError with the faults of the workflow as it is now,
        AccessError if the actor may not run: both versions compute a sample.
        """
        self._workspace.require(Permission.RUN)
        with project_at(self._workspace.root, ref) as base, self._space() as space:
            has_state = space is self._workspace
            space.refuse_faults(space.flow.names)
            found = ChangeReview(
                ref=ref,
                commit=base.commit,
                workflow=space.flow.name,
                environment=space.environment,
                owner=space.declared.owner,
                rules=self._rule_changes(base),
            )
            found = self._compared(space, base, workflow, found)
            if has_state:
                found = self._planned(request, found)
            else:
                found = replace(
                    found,
                    no_plan=f"nothing is published here ({self._workspace.home} doesn't exist yet)",
                )
            if reason := self._no_rows(found, partitions, has_state=has_state):
                return replace(found, no_rows=reason)
            compared = import_module("tidemill.project.compared_rows")
            limits = compared.SampleLimits(
                partitions=_PARTITIONS if partitions is None else partitions, seconds=seconds
            )
            rows = compared.compare_versions(self._workspace, base, workflow, found.edits, limits)
            return replace(found, rows=rows)

    @contextmanager
    def _space(self) -> Iterator[Workspace]:
        """The workspace; without a home one whose home is temporary, so that none is made."""
        own = self._workspace
        if own.has_home:
            yield own
            return
        with tempfile.TemporaryDirectory(prefix="tidemill-") as folder:
            settings = replace(own.settings, home=folder)
            other = Workspace(settings, load_workflow(own.settings), own.environment)
            try:
                yield other
            finally:
                other.close()

    def _compared(
        self, space: Workspace, base: ProjectAtRef, workflow: str | None, found: ChangeReview
    ) -> ChangeReview:
        try:
            if not base.folder.is_dir():
                raise TidemillError(base.missing)
            told = json.loads(ask_version(base, workflow, ("plan", "--tell")))
        except TidemillError as error:
            return replace(found, base_error=str(error))
        then: Mapping[str, StageEntry] = stages_from_json(told["stages"])
        versions: Mapping[str, StageVersion] = versions_from_json(told["versions"])
        changes = changes_between(space, then)
        now = stage_versions(space.flow, space.recipes)
        return replace(
            found,
            changes=changes,
            edits=find_edits(versions, now, changes.stages),
            owner_before=told["owner"],
        )

    def _planned(self, request: Request, found: ChangeReview) -> ChangeReview:
        space = self._workspace
        plan = Plans(space).make(request)
        if not is_governed(space):
            return replace(found, plan=plan)
        foresee = import_module("tidemill.project.policy_preview").foreseen_rules
        foreseen = foresee(space, space.preview_state(), plan)
        held = tuple(each.text for each in foreseen if each.holds)
        # Warnings stay among the notes of the plan.
        rest = tuple(note for note in plan.notes if note not in held)
        return replace(
            found,
            plan=replace(plan, notes=rest),
            foreseen=True,
            held_by=held,
            people=dict(self._people(found)) if held else {},
        )

    def _people(self, found: ChangeReview) -> Iterator[tuple[str, str]]:
        space = self._workspace
        grants, name = space.settings.grants, found.workflow
        yield "review", holders_text(Permission.REVIEW, name, grants)
        for stage in space.flow.stages:
            terms = stage.approval.review if stage.approval is not None else None
            if terms is not None and terms.by:
                yield stage.approval.model if stage.approval else stage.name, ", ".join(terms.by)

    def _no_rows(self, found: ChangeReview, partitions: int | None, *, has_state: bool) -> str:
        """Why no rows are compared; "" if they can be."""
        if found.base_error:
            return f"the version at {found.ref} can't be loaded"
        if not any(edit.recomputes for edit in found.edits):
            return "no stage computes anything else"
        if not has_state:
            return found.no_plan
        if partitions == 0:
            return "no partition was asked for"
        return ""

    def _rule_changes(self, base: ProjectAtRef) -> tuple[tuple[str, str], ...]:
        before, after = (
            _read_rules(folder / RULES_FILE) for folder in (base.folder, self._workspace.root)
        )
        return find_rule_changes(before, after)

    def write_version(self, into: Path) -> None:
        """Write what the stages are and compute as JSON, for `review` in another process.

        UsageError when an installed copy of the workflow was imported, which isn't the ref's.
        """
        space = self._workspace
        require_own_module(space)
        space.refuse_faults(space.flow.names)
        told = {
            "owner": space.declared.owner,
            "stages": stages_as_json(stage_entries(space.flow)),
            "versions": versions_as_json(stage_versions(space.flow, space.recipes)),
        }
        into.write_text(json.dumps(told), encoding="utf-8")


def _read_rules(path: Path) -> Mapping[str, Any]:
    """The document of a file of rules; nothing if there is none, or if it isn't TOML."""
    try:
        return parse_toml(path.read_bytes())
    except (OSError, TomlError):
        return {}
