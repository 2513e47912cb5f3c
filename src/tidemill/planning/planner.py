"""Make a plan of what would run and why, from the workflow, the recorded state and the current files."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from tidemill.core.errors import UsageError, did_you_mean
from tidemill.planning.completion import can_be_marked
from tidemill.planning.data_stages import plan_delivery, plan_ingest, plan_transform
from tidemill.planning.draft import Draft, Lookup, is_rerun_requested
from tidemill.planning.estimates import estimate_steps
from tidemill.planning.freshness import check_freshness, freshness_rules
from tidemill.planning.missing_rows import keep_blocked, leave_out
from tidemill.planning.plan import Plan, PlanInputs
from tidemill.planning.request import Request
from tidemill.reuse.recipe import Recipe
from tidemill.sources.scan import Scan
from tidemill.workflow.partition_mapping import partitionings_of
from tidemill.workflow.seal import dependencies
from tidemill.workflow.stage import Flow, Kind, Stage


def make_plan(
    flow: Flow,
    recipes: Mapping[str, Recipe],
    now: PlanInputs,
    scans: Mapping[str, Scan],
    lookup: Lookup,
    request: Request,
    environment: str,
) -> Plan:
    """Plan the steps that would bring the requested stages up to date, in an order in which they can run.

    `lookup` finds bindings that were ever made under some keys. Raises UsageError for a stage, a model or
    a partition that doesn't exist.
    """
    scope = request_scope(flow, request)
    draft = Draft(
        flow=flow,
        recipes=recipes,
        facts=now,
        request=request,
        lookup=lookup,
        partitionings=partitionings_of(flow),
    )
    gates: dict[str, str] = {}
    read_last = _tables_read_last(flow, scope)
    for stage in flow.stages:
        first = len(draft.steps)
        if stage.name not in scope:
            leave_out(draft, stage)
            continue
        draft.current[stage.name] = 0
        if draft.blocked.isdisjoint(dependencies(stage)):
            _plan_stage(draft, stage, scans, gates)
        else:
            keep_blocked(draft, stage)
        estimate_steps(draft, first)
        for name in read_last[stage.name]:
            draft.forget(name)
    if request.partition:
        from tidemill.planning.one_partition import narrow_to_partition

        narrow_to_partition(draft, flow[request.stage], request.partition)
    return _build_plan(draft, scans, scope, environment)


def request_scope(flow: Flow, request: Request) -> set[str]:
    """The stages that a request covers: all, or the named ones with their upstream."""
    for name in (*request.named, *request.train):
        if name not in flow.names:
            raise UsageError(f"there is no stage {name!r} ({did_you_mean(name, flow.names)})")
    models = [stage.name for stage in flow.stages if stage.kind is Kind.MODEL]
    for name in request.train:
        if name not in models:
            raise UsageError(f"{name!r} is not a model ({did_you_mean(name, models)})")
    if not request.named:
        return set(flow.names)
    scope: set[str] = set()
    wanted = [*request.named, *request.train]
    while wanted:
        name = wanted.pop()
        if name in scope:
            continue
        scope.add(name)
        stage = flow[name]
        wanted += dependencies(stage)
        if stage.kind is Kind.MODEL:
            wanted += [other.name for other in flow.readers(name) if other.kind is Kind.EVALUATE]
    return scope


def _tables_read_last(flow: Flow, scope: Collection[str]) -> dict[str, list[str]]:
    """The tables that no stage after one reads; by that stage.

    They may have millions of partitions, which are freed then. Models and evaluations have few.
    """
    last: dict[str, str] = {}
    for stage in flow.stages:
        if stage.name in scope:
            read = {stage.name, *dependencies(stage)}
            # Backtests read what the model is trained on, too.
            for name in dependencies(stage) if stage.backtest else ():
                read |= dependencies(flow[name])
            last |= dict.fromkeys(read, stage.name)
    found: dict[str, list[str]] = {name: [] for name in flow.names}
    for name, reader in last.items():
        if flow[name].kind in (Kind.INGEST, Kind.TRANSFORM, Kind.DELIVER):
            found[reader].append(name)
    return found


def _plan_stage(
    draft: Draft, stage: Stage, scans: Mapping[str, Scan], gates: dict[str, str]
) -> None:
    if draft.recipes[stage.name].unproven:
        reason = draft.recipes[stage.name].unproven[0]
        draft.notes.append(f"{stage.name} is never reused: {reason}; set version= to vouch for it")
    match stage.kind:
        case Kind.INGEST:
            plan_ingest(draft, stage, scans[stage.name])
        case Kind.TRANSFORM:
            plan_transform(draft, stage)
        case Kind.MODEL:
            # Workflows without models start without what trains and judges them.
            from tidemill.planning.model_stages import plan_model

            plan_model(draft, stage)
        case Kind.EVALUATE:
            from tidemill.planning.model_stages import plan_evaluation

            rank = plan_evaluation(draft, stage)
            if rank is not None:
                model = next(item.name for item in stage.inputs if item.contract is None)
                gates[model] = rank
        case _:  # Kind.DELIVER
            plan_delivery(draft, stage, gates.get(stage.model))


def _note_stale_tables(draft: Draft, aging: Sequence[str]) -> None:
    """Note the tables that are stale as published, whether or not the plan updates them."""
    for name in aging:
        head = draft.facts.heads.get(name)
        version = head.version if head else 0
        bound = draft.bindings(name).values()
        verdict = check_freshness(draft.flow[name], bound, version, draft.facts.at)
        draft.notes += [f"{name}: {found.message}" for found in verdict.findings] if verdict else []


def _complete_stages(
    draft: Draft, scans: Mapping[str, Scan], scope: Collection[str]
) -> frozenset[str]:
    behind = draft.incomplete | {item.stage for item in draft.waiting}
    behind |= {name for name, scan in scans.items() if scan.broken or scan.kept_partitions}
    return frozenset(
        stage.name
        for stage in draft.flow.stages
        if stage.name in scope
        and stage.name not in behind
        and can_be_marked(stage, draft.recipes[stage.name])
    )


def _build_plan(
    draft: Draft, scans: Mapping[str, Scan], scope: Collection[str], environment: str
) -> Plan:
    ordered = sorted(draft.steps, key=lambda item: item[:2])
    aging = tuple(s.name for s in draft.flow.stages if s.name in scope and freshness_rules(s))
    _note_stale_tables(draft, aging)
    return Plan(
        workflow=draft.flow.name,
        environment=environment,
        heads={name: head.version for name, head in draft.facts.heads.items()},
        recipes={name: recipe.digest for name, recipe in draft.recipes.items()},
        steps=tuple([step for _, _, step in ordered]),
        waiting=tuple(draft.waiting),
        models=tuple(draft.models),
        notes=tuple(draft.notes),
        current=dict(draft.current),
        complete=_complete_stages(draft, scans, scope),
        aging=aging,
        sources={name: dict(scan.files) for name, scan in scans.items()},
        broken={name: dict(scan.broken) for name, scan in scans.items() if scan.broken},
        missing=tuple(draft.missing),
        evaluated_through=dict(draft.evaluated_through),
        parents=dict(draft.parents),
        reruns=frozenset(
            stage.name for stage in draft.flow.stages if is_rerun_requested(draft, stage)
        ),
    )
