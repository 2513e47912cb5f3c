"""Find out before serving whether the features stages of endpoints can compute those of a request."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import polars as pl

from tidemill.analysis.query.placeholders import placeholder_frame
from tidemill.analysis.query.serialized import Node, UnreadableQuery, parse_query, serialize_query
from tidemill.contracts.checks.schema import schema_of
from tidemill.core.errors import Fault
from tidemill.reuse.probe import probe
from tidemill.serving.served_features import NotServable, ServedFeatures, served_features
from tidemill.workflow.endpoint import Endpoint
from tidemill.workflow.stage import Input, Kind, Stage


class FaultyStage(NotServable):
    """The stage has a fault of its own, with or without an endpoint."""


def feature_faults(endpoints: Sequence[Endpoint], stages: Mapping[str, Stage]) -> Iterator[Fault]:
    """Yield a fault for each endpoint whose features can't be computed for a request.

    Stages that are missing, no transforms, or have faults of their own are left to other checks.
    """
    for endpoint in endpoints:
        stage = stages.get(endpoint.features)
        if stage is None or stage.kind is not Kind.TRANSFORM:
            continue
        try:
            plan_features(stage)
        except FaultyStage:
            continue
        except NotServable as reason:
            yield Fault(message=f"endpoint {endpoint.name!r}: {reason}", where=endpoint.place)


def plan_features(stage: Stage) -> ServedFeatures:
    """Find out how a stage computes the features of a request; NotServable if it can't."""
    found = probe(stage)
    if found is None:
        raise NotServable(f"{stage.name} is no transform ({stage.kind})")
    for fault in (*found.faults, *found.raised):
        raise FaultyStage(str(fault))
    served = served_features(stage, found.query, query_tree(stage))
    rows = next(item for item in stage.frames if item.name == served.rows)
    assert rows.contract is not None
    labels = [n for n in served.columns if rows.contract.column(n).role == "label"]
    if labels:
        raise NotServable(
            f"{stage.name} reads {served.rows}.{labels[0]}, which is a label: it isn't known yet when a "
            "prediction is asked for"
        )
    return served


def query_tree(stage: Stage) -> Node | None:
    """The query of a stage on placeholder frames of all its columns; None if it can't be read."""
    assert stage.function is not None
    assert stage.output is not None
    frames = {item.name: placeholder_frame(item.name, frame_schema(item)) for item in stage.frames}
    try:
        result = stage.function(**frames).lazy()
        names = [name for name in stage.output.names if name in result.collect_schema()]
        return parse_query(serialize_query(result.select(names)))
    # The code of a stage may raise anything; `check` reports it.
    except (Exception, UnreadableQuery):  # noqa: BLE001
        return None


def frame_schema(item: Input) -> dict[str, pl.DataType]:
    """The types of the columns that a stage reads of an input."""
    assert item.contract is not None
    known = schema_of(item.contract)
    return {name: known[name] for name in item.columns}
