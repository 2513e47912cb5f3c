"""The features stage of an endpoint, and what it looks up, shared by the versions of its model."""

from __future__ import annotations

from tidemill.contracts.spec import ContractSpec
from tidemill.core.errors import UsageError
from tidemill.ports.artifacts import Artifacts
from tidemill.ports.ledger import State
from tidemill.serving.input_schema import InputSchema
from tidemill.serving.io.feature_batches import FeatureBatches
from tidemill.serving.io.feature_inputs import FeatureInputs
from tidemill.serving.io.feature_plan import plan_features
from tidemill.serving.io.feature_query import FeatureQuery
from tidemill.serving.request_contract import request_contract
from tidemill.serving.rows import RequestLimits
from tidemill.serving.served_features import NotServable
from tidemill.store.frames import FrameStore
from tidemill.workflow.endpoint import Endpoint
from tidemill.workflow.model import Artifact
from tidemill.workflow.partition_mapping import partitionings_of
from tidemill.workflow.stage import Flow


class EndpointFeatures:
    """Computes the features of one endpoint. UsageError if its stage can't compute those of a request."""

    def __init__(self, endpoint: Endpoint, flow: Flow, artifacts: Artifacts) -> None:
        self._stage = flow[endpoint.features]
        try:
            self._served = plan_features(self._stage)
        except NotServable as reason:
            raise UsageError(f"endpoint {endpoint.name!r}: {reason}") from None
        frames = FrameStore(artifacts, lambda: None)
        self._query = FeatureQuery(self._stage, self._served, partitionings_of(flow), frames)
        self._batches: FeatureBatches | None = None
        self._heads: dict[str, int] = {}

    @property
    def contract(self) -> ContractSpec:
        """The contract of the features."""
        assert self._stage.output is not None
        return self._stage.output

    @property
    def request_contract(self) -> ContractSpec:
        """The contract of the rows of requests, with the columns that the features are computed from."""
        return request_contract(self._rows, self._served.columns)

    @property
    def _rows(self) -> ContractSpec:
        rows = next(item for item in self._stage.frames if item.name == self._served.rows)
        assert rows.contract is not None
        return rows.contract

    @property
    def fault(self) -> str:
        """Why what is published now can't be looked up; "" if it can."""
        return self._query.fault

    def refresh(self, state: State) -> bool:
        """Use the lookups that are published now; return whether any changed. Called by one thread."""
        heads = {
            name: state.heads[name].last_event
            for name in self._served.lookups
            if name in state.heads
        }
        if heads == self._heads:
            return False
        self._heads = heads
        self._query.refresh(state)
        return True

    def inputs(self, artifact: Artifact, limits: RequestLimits) -> FeatureInputs:
        """What computes the inputs of a version; only in the thread of the event loop."""
        if self._batches is None:
            self._batches = FeatureBatches(self._query)
        return FeatureInputs(
            InputSchema(self._rows, self._served.columns, limits=limits),
            self._batches,
            self.contract,
            artifact.inputs,
        )

    async def close(self) -> None:
        """End the computation of features after what waits."""
        if self._batches is not None:
            await self._batches.close()
