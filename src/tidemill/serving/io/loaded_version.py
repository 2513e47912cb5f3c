"""A version of a model that is loaded and tried, and answers the rows of requests."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
import polars as pl

from tidemill.contracts.spec import ContractSpec
from tidemill.core.errors import ConflictError, StorageError, TidemillError
from tidemill.core.lazy_dataclass import dataclass
from tidemill.models.golden_rows import compare_predictions
from tidemill.models.predictors import model_input
from tidemill.ports.artifacts import Artifacts
from tidemill.ports.formats import ModelFormat, ModelProbe
from tidemill.serving.answer_cache import AnswerCache
from tidemill.serving.answers import AnswerForm, ModelAnswer, ServedVersion
from tidemill.serving.counters import Series
from tidemill.serving.data_watermark import data_watermark
from tidemill.serving.errors import BadRequest
from tidemill.serving.explanations import explanations
from tidemill.serving.input_schema import InputSchema
from tidemill.serving.io.cached_calls import CachedCalls, is_repeatable
from tidemill.serving.io.cpu_watch import CpuWatch
from tidemill.serving.io.dispatchers import Dispatcher, InlineCalls, open_dispatcher
from tidemill.serving.io.feature_inputs import FeatureInputs
from tidemill.serving.io.open_runner import open_runner
from tidemill.serving.io.runner import USER_ERRORS, Runner
from tidemill.serving.io.stored_bytes import stored_bytes
from tidemill.serving.io.warm_up import GoldenInputs, golden_inputs, warm_up
from tidemill.serving.logged_requests import LoggedVersion
from tidemill.serving.oip import InferReplies
from tidemill.serving.predictions import PredictReplies
from tidemill.serving.row_encoder import RowEncoder
from tidemill.serving.rows import InferRequest, RequestRows
from tidemill.steps.io.model_loading import format_named
from tidemill.workflow.model import Artifact


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedVersion:
    """A version whose model is loaded and predicted its golden rows as in training.

    Answers of one that `may_be_cached` are the same for the same row.
    """

    artifact: Artifact
    contract: ContractSpec
    runner: Runner
    golden: GoldenInputs | None
    may_be_cached: bool = False


def prepare_version(
    artifact: Artifact,
    contract: ContractSpec,
    artifacts: Artifacts,
    formats: Sequence[ModelFormat],
    probe: ModelProbe,
    *,
    is_caching: bool = False,
) -> PreparedVersion:
    """Load a version and try it; call it in a thread, because it may take long.

    Its bytes are verified, and loaded in a process of their own first. With `is_caching` it is also tried
    whether its answers may be cached. TidemillError if it can't serve.
    """
    form = format_named(artifact, formats)
    payload = stored_bytes(artifacts, artifact.object)
    golden = stored_bytes(artifacts, artifact.golden) if artifact.golden else b""
    probe.confirm(artifact, form, payload, golden)
    try:
        runner = open_runner(artifact, payload, formats)
    except TidemillError:
        raise
    except USER_ERRORS as error:
        raise StorageError(f"loading it failed: {type(error).__name__}: {error}") from error
    try:
        warm_up(runner, artifact, golden)
        inputs = golden_inputs(runner, artifact, golden)
        may_be_cached = is_caching and is_repeatable(runner, inputs)
    except BaseException:
        runner.close()
        raise
    return PreparedVersion(
        artifact=artifact,
        contract=contract,
        runner=runner,
        golden=inputs,
        may_be_cached=may_be_cached,
    )


class LoadedVersion:
    """A version that answers requests in the tasks of one event loop.

    Requests have the columns of `schema`: those that the model reads, or, with `features`, those that its
    features are computed from. With `carrying` they may have more columns behind these, which are logged.
    """

    def __init__(
        self,
        endpoint: str,
        prepared: PreparedVersion,
        schema: InputSchema,
        series: Series,
        features: FeatureInputs | None = None,
        cache: AnswerCache[Any] | None = None,
        carrying: InputSchema | None = None,
    ) -> None:
        artifact = prepared.artifact
        self.artifact = artifact
        self.series = series
        self.schema = schema
        self.cost = prepared.runner.cost
        self.fallback = prepared.runner.fallback
        self.form = AnswerForm(artifact.class_labels)
        self.served = ServedVersion(
            model=endpoint,
            version=artifact.id,
            contract=schema.title,
            watermark=data_watermark(artifact),
        )
        self.logged = LoggedVersion(
            served=self.served, outputs=self.form.outputs, schema=schema, carrying=carrying
        )
        self._width = len(schema.names)
        more = () if carrying is None else carrying.names[self._width :]
        self.carried = tuple(name.encode() for name in more)
        self.infer_replies = InferReplies(self.served, self.form)
        self.predict_replies = PredictReplies(self.served, self.form)
        self.dispatcher: Dispatcher = open_dispatcher(prepared.runner, series.record_batch)
        self._is_inline = isinstance(self.dispatcher, InlineCalls)
        # How many rows are predicted before `predict` returns to the event loop.
        self._rows_inline = self.dispatcher.limit if isinstance(self.dispatcher, InlineCalls) else 0
        self._called = type(self.dispatcher).__name__
        # Golden rows are always computed.
        self._calls = self.dispatcher
        if cache is not None and prepared.may_be_cached:
            name = f"{endpoint}/{artifact.id}"
            self.dispatcher = CachedCalls(self.dispatcher, cache, name, series)
        self._feed = prepared.runner.feed
        self._features = features
        # Whether requests wait for a batch or a thread, instead of for a turn of the event loop.
        self.queues_requests = features is not None or not self._is_inline
        self._golden = prepared.golden
        self._encoder = RowEncoder(
            [prepared.contract.column(name) for name in artifact.inputs],
            artifact.encodings,
            title=prepared.contract.title,
        )

    @property
    def id(self) -> str:
        """The version's id."""
        return self.artifact.id

    async def answer(
        self,
        request: InferRequest,
        watch: CpuWatch,
        *,
        deadline: float = math.inf,
        partial: bool,
        explain: bool = False,
    ) -> tuple[ModelAnswer, InferRequest]:
        """Predict the rows of a request; return also the request with the rows that were left out.

        With `explain` the answer says what each input contributes. DeadlinePassed if that happens while
        they wait, ConflictError if another version replaced this one, BrokenRows for features that break
        their contract, and unseen categories that the model refuses, BadRequest for a model that can't be
        explained.
        """
        if self._features is not None or explain:
            return await self._answer_by_inputs(
                request, watch, deadline, partial=partial, explain=explain
            )
        rows = self._own(request.rows)
        if rows.count == 1 and self._feed == "matrix":
            return await self._answer_row(rows, watch, deadline), request
        found = await self._predict(self._input(rows), rows.count, watch, deadline)
        return self.form.many(found), request

    async def compute_features(self, request: InferRequest) -> list[dict[str, Any]]:
        """The features of the rows of a request; none where a request has the model's inputs itself."""
        if self._features is None:
            return []
        computed = await self._features.compute(request, partial=False)
        return computed.frame.to_dicts()

    async def _answer_row(self, rows: RequestRows, watch: CpuWatch, deadline: float) -> ModelAnswer:
        pending = self.dispatcher.predict_row(self._encoder.row(rows), deadline)
        found, cpu_s = await (pending if self._is_inline else watch.wait(pending))
        watch.add(cpu_s)
        return self.form.one(found)

    def _own(self, rows: RequestRows) -> RequestRows:
        """The columns that the model reads."""
        return rows if len(rows.columns) == self._width else rows.first(self._width)

    async def _answer_by_inputs(
        self,
        request: InferRequest,
        watch: CpuWatch,
        deadline: float,
        *,
        partial: bool,
        explain: bool,
    ) -> tuple[ModelAnswer, InferRequest]:
        """Predict by the whole input of the model, which features may be computed for."""
        parameters: Mapping[str, float] = {}
        if self._features is not None:
            computed = await watch.wait(self._features.compute(request, partial=partial))
            watch.add(computed.cpu_s)
            request, parameters, rows = computed.request, computed.parameters, computed.rows
            if rows.count == 1 and self._feed == "matrix" and not explain:
                answer = await self._answer_row(rows, watch, deadline)
                return msgspec.structs.replace(answer, parameters=parameters), request
            values, count = self._frame_input(computed.frame), rows.count
        else:
            values, count = self._input(self._own(request.rows)), request.rows.count
        found = await self._predict(values, count, watch, deadline)
        answer = self.form.many(found)
        return (
            ModelAnswer(
                count=answer.count,
                columns=answer.columns,
                parameters=parameters,
                explanations=await self._explain(values, watch, deadline) if explain else None,
            ),
            request,
        )

    async def _explain(self, values: Any, watch: CpuWatch, deadline: float) -> list[dict[str, Any]]:
        try:
            found, cpu_s = await watch.wait(self.dispatcher.contributions(values, deadline))
        except ConflictError:
            raise
        except TidemillError as error:
            raise BadRequest(f"the predictions can't be explained: {error}") from None
        watch.add(cpu_s)
        return explanations(found, self.artifact.inputs, self.artifact.class_labels)

    async def _predict(self, values: Any, rows: int, watch: CpuWatch, deadline: float) -> Any:
        pending = self.dispatcher.predict(values, deadline)
        found, cpu_s = await (pending if rows <= self._rows_inline else watch.wait(pending))
        watch.add(cpu_s)
        return found

    def _input(self, rows: RequestRows) -> Any:
        if self._feed == "matrix":
            return self._encoder.matrix(rows)
        return self._frame_input(self.schema.frame(rows))

    def _frame_input(self, frame: pl.DataFrame) -> Any:
        artifact = self.artifact
        return model_input(frame, artifact.inputs, encodings=artifact.encodings, feed=self._feed)

    async def find_golden_fault(self) -> str:
        """Predict the golden rows once more; return how they differ from training, "" if they don't."""
        if self._golden is None:
            return ""
        rows, original = self._golden.rows, self._golden.predictions
        try:
            # A model may change the array that it gets.
            given = np.array(rows) if self._feed == "matrix" else rows
            found, _ = await self._calls.predict(given)
        except ConflictError:
            return ""
        except USER_ERRORS as error:
            return f"predicting its golden rows failed: {type(error).__name__}: {error}"
        if (row := compare_predictions(original, found).row) is None:
            return ""
        return f"it predicts {found[row]} for a golden row where it predicted {original[row]} in training"

    def status(self) -> dict[str, Any]:
        """Its origin, and how it is called, as plain data."""
        return {
            "version": self.id,
            "contract": self.served.contract,
            "watermark": self.served.watermark,
            "call_s": self.cost.call_s,
            "row_s": self.cost.row_s,
            "called": self._called,
            "cached": isinstance(self.dispatcher, CachedCalls),
            "fallback": self.fallback,
        }

    async def close(self) -> None:
        """Close the model after the requests that it has; its counters are kept."""
        self.series.resident = False
        await self.dispatcher.close()
