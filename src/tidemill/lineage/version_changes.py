"""Compare what the stages of two versions of a workflow compute, and find the stages that rerun for it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal, TypeAlias

from tidemill.core.lazy_dataclass import dataclass
from tidemill.lineage.stage_changes import StageChange
from tidemill.reuse.recipe import Recipe, recipe_changes
from tidemill.workflow.review import ReviewTerms
from tidemill.workflow.stage import Flow, Stage

EditKind: TypeAlias = Literal["new", "removed", "renamed", "changed", "terms", "reads"]

_MAX_SHOWN = 60
_GATES = "gates"


@dataclass(frozen=True, slots=True, kw_only=True)
class StageVersion:
    """What a stage computes, in a form that can be sent between processes.

    `parts` are digests of its recipe, `check` is that of its contract's checks. `terms` are what else is
    declared about it, such as the gates of a model. `inputs` are the stages that it reads.
    """

    name: str
    kind: str
    inputs: tuple[str, ...]
    parts: Mapping[str, str]
    check: str
    terms: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class StageEdit:
    """How a stage differs from its earlier version.

    `what` is "changed" if it computes something else, "terms" if only what else is declared about it differs,
    and "reads" if it only reads stages that changed. `reasons` say what it computes otherwise, `terms` what
    else is declared about it now.
    """

    stage: str
    kind: str
    what: EditKind
    reasons: tuple[str, ...] = ()
    terms: tuple[str, ...] = ()
    was: str = ""

    @property
    def recomputes(self) -> bool:
        """Whether its published data may differ because of it."""
        return self.what not in ("removed", "terms")


def stage_versions(flow: Flow, recipes: Mapping[str, Recipe]) -> dict[str, StageVersion]:
    """What the stages of a workflow compute, by name."""
    return {
        stage.name: StageVersion(
            name=stage.name,
            kind=str(stage.kind),
            inputs=tuple(dict.fromkeys((*(item.name for item in stage.inputs), *_model_of(stage)))),
            parts=recipes[stage.name].parts,
            check=f"{recipes[stage.name].check} {recipes[stage.name].table_check}".strip(),
            terms=dict(_terms(stage)),
        )
        for stage in flow.stages
    }


def _model_of(stage: Stage) -> tuple[str, ...]:
    return (stage.model,) if stage.model else ()


def _terms(stage: Stage) -> Iterator[tuple[str, str]]:
    """What decides when a stage runs and what holds it back, besides its recipe."""
    windows = [f"{item.name}: {item.window}" for item in stage.inputs if item.window is not None]
    if windows:
        yield "windows", ", ".join(windows)
    if stage.training is not None and stage.training.retrain is not None:
        yield "trigger", str(stage.training.retrain)
    if stage.approval is not None:
        yield _GATES, "\n".join(str(gate) for gate in stage.approval.gates)
        if stage.approval.review is not None:
            yield "review", _review_text(stage.approval.review)
    if stage.sink is not None:
        yield "public sink", "yes" if stage.public else "no"
    if stage.start:
        yield "start", stage.start
    if stage.impure is not None:
        yield "impure", str(stage.impure)


def _review_text(terms: ReviewTerms) -> str:
    by = ", ".join(terms.by) or "its reviewers"
    when = f" when {terms.when}" if terms.when else ""
    who = "1 person" if terms.people == 1 else f"{terms.people} people"
    return f"{who} of {by}{when}"


def versions_as_json(found: Mapping[str, StageVersion]) -> list[dict[str, Any]]:
    """Encode versions of stages as JSON, for `versions_from_json` in another process."""
    return [
        {
            "name": each.name,
            "kind": each.kind,
            "inputs": [*each.inputs],
            "parts": {**each.parts},
            "check": each.check,
            "terms": {**each.terms},
        }
        for each in found.values()
    ]


def versions_from_json(listed: Iterable[Mapping[str, Any]]) -> dict[str, StageVersion]:
    """Decode what `versions_as_json` encoded."""
    return {
        each["name"]: StageVersion(
            name=each["name"],
            kind=each["kind"],
            inputs=tuple(each["inputs"]),
            parts=each["parts"],
            check=each["check"],
            terms=each["terms"],
        )
        for each in listed
    }


def find_edits(
    before: Mapping[str, StageVersion],
    after: Mapping[str, StageVersion],
    moves: Iterable[StageChange],
) -> tuple[StageEdit, ...]:
    """Find the stages that differ, in the order of the workflow, then those that are gone.

    `moves` are the new, removed and renamed stages. A stage that reads one that computes something else
    is an edit as well, so that nobody overlooks what a change reaches.
    """
    moved = {move.stage: move for move in moves}
    found: dict[str, StageEdit] = {}
    for name, version in after.items():
        edit = _edit_of(version, before, moved.get(name))
        if edit is None or edit.what == "terms":
            upstream = [each for each in version.inputs if each in found and found[each].recomputes]
            if upstream:
                edit = StageEdit(
                    stage=name,
                    kind=version.kind,
                    what="reads",
                    reasons=(f"reads {', '.join(upstream)}",),
                    terms=edit.terms if edit is not None else (),
                )
        if edit is not None:
            found[name] = edit
    gone = [move for move in moved.values() if move.what == "removed"]
    return (
        *found.values(),
        *(
            StageEdit(
                stage=move.stage,
                kind=move.kind,
                what="removed",
                reasons=tuple(f"{reader} {fate}" for reader, fate in move.readers),
            )
            for move in gone
        ),
    )


def _edit_of(
    version: StageVersion, before: Mapping[str, StageVersion], move: StageChange | None
) -> StageEdit | None:
    if move is not None and move.what == "new":
        return StageEdit(stage=version.name, kind=version.kind, what="new")
    was = move.was if move is not None else ""
    old = before.get(was or version.name)
    if old is None:
        return StageEdit(stage=version.name, kind=version.kind, what="new")
    if old.kind != version.kind:
        reason = f"was {old.kind}, is {version.kind}"
        return StageEdit(stage=version.name, kind=version.kind, what="changed", reasons=(reason,))
    computes, terms = tuple(_computed_changes(old, version)), tuple(_term_changes(old, version))
    # Another window gives other inputs.
    moved = old.terms.get("windows") != version.terms.get("windows")
    if not (was or computes or terms):
        return None
    return StageEdit(
        stage=version.name,
        kind=version.kind,
        what="renamed" if was else "changed" if computes or moved else "terms",
        reasons=computes,
        terms=terms,
        was=was,
    )


def _computed_changes(old: StageVersion, new: StageVersion) -> Iterator[str]:
    changes = recipe_changes(old.parts, new.parts)
    yield from changes
    if old.check != new.check and "its contract changed" not in changes:
        yield "its contract's rules changed"


def _term_changes(old: StageVersion, new: StageVersion) -> Iterator[str]:
    for name in dict.fromkeys((*old.terms, *new.terms)):
        one, other = old.terms.get(name, ""), new.terms.get(name, "")
        if one == other:
            continue
        if name == _GATES:
            yield from _gate_changes(one.split("\n"), other.split("\n"))
        else:
            yield f"{name}: {_short(one or 'none')} -> {_short(other or 'none')}"


def _gate_changes(old: Sequence[str], new: Sequence[str]) -> Iterator[str]:
    """The gates that only one version has: a removed one must not be overlooked."""
    gone, came = ([*(Counter(a) - Counter(b)).elements()] for a, b in ((old, new), (new, old)))
    yield from (f"gate removed: {gate}" for gate in gone if gate)
    yield from (f"gate added: {gate}" for gate in came if gate)
    if not any((*gone, *came)):
        yield "the order of its gates"


def _short(text: str) -> str:
    return text if len(text) <= _MAX_SHOWN else f"{text[: _MAX_SHOWN - 3]}..."


def find_rule_changes(
    before: Mapping[str, Any], after: Mapping[str, Any]
) -> tuple[tuple[str, str], ...]:
    """The policy rules that two rule files don't share, each with "new", "removed" or "changed"."""
    old, new = _rules_by_id(before), _rules_by_id(after)
    return tuple(
        (
            name,
            "new" if name not in old else "removed" if name not in new else "changed",
        )
        for name in dict.fromkeys((*new, *old))
        if old.get(name) != new.get(name)
    )


def _rules_by_id(document: Mapping[str, Any]) -> dict[str, object]:
    rules = document.get("rule", ())
    if not isinstance(rules, list):
        return {}
    return {str(rule.get("id", "")): rule for rule in rules if isinstance(rule, dict)}
