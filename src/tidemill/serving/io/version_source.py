"""Load versions of models for the endpoints of a workflow."""

from __future__ import annotations

import asyncio
import logging
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tidemill.contracts.spec import ContractSpec
from tidemill.core.errors import StorageError
from tidemill.ledger.event import Delivered
from tidemill.ledger.event_filter import about
from tidemill.ledger.event_subjects import model_subject
from tidemill.models.input_compatibility import incompatibility, input_contract
from tidemill.ports.ledger import State
from tidemill.ports.runtime import Runtime
from tidemill.serving.answer_cache import AnswerCache
from tidemill.serving.input_schema import InputSchema
from tidemill.serving.io.endpoint_features import EndpointFeatures
from tidemill.serving.io.endpoint_service import EndpointService
from tidemill.serving.io.loaded_version import LoadedVersion, PreparedVersion, prepare_version
from tidemill.serving.io.meter import Meter
from tidemill.serving.request_contract import carrying_contract, request_contract
from tidemill.serving.rows import RequestLimits
from tidemill.serving.serve_settings import ServeSettings
from tidemill.workflow.model import Artifact
from tidemill.workflow.stage import Flow

_log = logging.getLogger("tidemill.serving")


class VersionSource:
    """Prepares the versions that endpoints answer with, and their features.

    UsageError if the features of an endpoint can't be computed from requests.
    """

    def __init__(self, tools: Runtime, flow: Flow, settings: ServeSettings, meter: Meter) -> None:
        self._tools = tools
        self._flow = flow
        self._meter = meter
        # Of its own: large bodies and predictions in the shared threads don't hold up a load.
        self._threads = ThreadPoolExecutor(thread_name_prefix="tidemill-load")
        self._limits = RequestLimits(bytes=settings.max_body, rows=settings.max_rows)
        cached = settings.cached_answers
        self._cache: AnswerCache[Any] | None = AnswerCache(cached) if cached else None
        self._features = {
            each.name: EndpointFeatures(each, flow, tools.artifacts)
            for each in flow.endpoints
            if each.features
        }

    @property
    def looks_up(self) -> bool:
        """Whether any endpoint looks up published rows."""
        return bool(self._features)

    @property
    def faults(self) -> list[str]:
        """Why what is published can't be looked up, by endpoint; "" where it can."""
        return [each.fault for each in self._features.values()]

    def endpoints(self) -> dict[str, EndpointService]:
        """The endpoints, without versions."""
        return {
            declared.name: EndpointService(declared, self._flow[declared.model])
            for declared in self._flow.endpoints
        }

    def refresh(self, state: State) -> None:
        """Use the lookups that are published now."""
        for features in self._features.values():
            features.refresh(state)

    def find(self, model: str, version: str) -> Artifact:
        """A version that was delivered before; StorageError if there is none."""
        facts = self._tools.ledger.events(
            kinds=(Delivered.__name__,), where=about(model_subject(model)), newest=True
        )
        for fact in facts:
            event = fact.event
            assert isinstance(event, Delivered)
            if event.delivery.name == model and event.delivery.artifact.id == version:
                return event.delivery.artifact
        raise StorageError(f"{model} {version} was never delivered here")

    def request_contract(self, endpoint: EndpointService, artifact: Artifact) -> ContractSpec:
        """The contract of the rows of requests to a version; StorageError if requests can't feed it."""
        contract = self._input_contract(endpoint, artifact)
        if endpoint.name in self._features:
            return self._features[endpoint.name].request_contract
        return request_contract(contract, artifact.inputs)

    def prepare(self, endpoint: EndpointService, artifact: Artifact) -> PreparedVersion:
        """Load and try a version, in a thread; StorageError if requests can't feed it."""
        contract = self._input_contract(endpoint, artifact)
        tools = self._tools
        return prepare_version(
            artifact,
            contract,
            tools.artifacts,
            tools.formats,
            tools.model_probe,
            is_caching=self._cache is not None,
        )

    async def load(
        self, endpoint: EndpointService, version: str, known: Artifact | None = None
    ) -> None:
        """Load a version in a thread, and add it to an endpoint; raises as `find` and `prepare` do."""
        started = time.monotonic()

        def prepare() -> tuple[PreparedVersion, int]:
            begun = time.thread_time_ns()
            artifact = known or self.find(endpoint.model, version)
            return self.prepare(endpoint, artifact), time.thread_time_ns() - begun

        loop = asyncio.get_running_loop()
        prepared, cpu_ns = await loop.run_in_executor(self._threads, prepare)
        self._meter.add_background(cpu_ns)
        endpoint.add(self.open(endpoint, prepared))
        took = time.monotonic() - started
        _log.info("%s: %s is warm, loaded in %.2f s", endpoint.name, version, took)

    def _input_contract(self, endpoint: EndpointService, artifact: Artifact) -> ContractSpec:
        stage = self._flow[endpoint.model]
        contracts = [item.contract for item in stage.inputs]
        if endpoint.name in self._features:
            contracts = [self._features[endpoint.name].contract]
        reason = incompatibility(artifact, stage, contracts)
        contract = input_contract(artifact, contracts)
        if reason or contract is None:
            raise StorageError(reason or f"no input of {stage.name} has the columns that it reads")
        return contract

    def open(self, endpoint: EndpointService, prepared: PreparedVersion) -> LoadedVersion:
        """Let a prepared version answer requests in the running event loop."""
        artifact = prepared.artifact
        features = self._features.get(endpoint.name)
        inputs = None if features is None else features.inputs(artifact, self._limits)
        schema = (
            InputSchema(prepared.contract, artifact.inputs, limits=self._limits)
            if inputs is None
            else inputs.schema
        )
        series = self._meter.series(endpoint.name, artifact.id)
        carrying = self._carrying(endpoint, prepared)
        return LoadedVersion(endpoint.name, prepared, schema, series, inputs, self._cache, carrying)

    def _carrying(self, endpoint: EndpointService, prepared: PreparedVersion) -> InputSchema | None:
        """The columns of requests that carry more than the model reads; None if they may not."""
        setting, inputs = endpoint.declared.log, prepared.artifact.inputs
        more = [name for name in ([] if setting is None else setting.carry) if name not in inputs]
        if not more:
            return None
        return InputSchema(
            carrying_contract(prepared.contract, more), (*inputs, *more), limits=self._limits
        )

    async def close(self) -> None:
        """End the threads that compute features, and those that load."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        await asyncio.gather(*(each.close() for each in self._features.values()))
