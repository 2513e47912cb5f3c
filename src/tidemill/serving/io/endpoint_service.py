"""One endpoint of a running server: the versions that are loaded, and which of them answers."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from tidemill.ledger.rollout import Phase, RolloutAction, RolloutStep
from tidemill.serving import oip
from tidemill.serving.answers import ModelAnswer, as_list
from tidemill.serving.canary import is_canary
from tidemill.serving.endpoint_record import EndpointRecord
from tidemill.serving.endpoint_state import EndpointState, judge, suspended
from tidemill.serving.endpoint_status import endpoint_status
from tidemill.serving.errors import NotFound, Unavailable
from tidemill.serving.io.loaded_version import LoadedVersion
from tidemill.serving.io.prediction_log import EndpointLog
from tidemill.serving.io.shadow import ShadowRequests
from tidemill.serving.oip import Reply
from tidemill.serving.output_bounds import OutputBounds, output_bounds
from tidemill.serving.rollout import planned_steps
from tidemill.serving.rollout_counts import Observed
from tidemill.serving.rollout_tally import RolloutTally
from tidemill.serving.rows import InferRequest
from tidemill.serving.worker_messages import StepObserved
from tidemill.workflow.endpoint import Endpoint
from tidemill.workflow.stage import Stage


class EndpointService:
    """The versions of one endpoint; only the thread of the event loop calls it.

    `live` answers, or the candidate of a rollout that has its share of the requests. The version that
    answered before stays loaded, so that it can answer again at once. `fault` says why a version that should
    answer doesn't; "" if all do. `on_change` is called when what it does has changed. `is_judged` says
    whether this server judges its rollout; else another one does.
    """

    def __init__(self, declared: Endpoint, model: Stage) -> None:
        self.declared = declared
        self.name, self.model = declared.name, declared.model
        self.state = EndpointState()
        self.is_judged = False
        self.fault = "it has no live version yet"
        self.on_change: Callable[[], None] = lambda: None
        # The live version is an attribute of an instance, because replacing one of a class that another
        # thread calls has crashed Python.
        self.live: LoadedVersion | None = None
        self._candidate: LoadedVersion | None = None
        self._share = 0.0
        self._tally: RolloutTally | None = None
        self._shadow: ShadowRequests | None = None
        self._golden_fault = ""
        self._loaded: dict[str, LoadedVersion] = {}
        self._before = ""
        self._stage = model
        self.log: EndpointLog | None = None

    @property
    def is_ready(self) -> bool:
        """Whether it can answer, and its version predicts what it did in training."""
        return self.live is not None and not self._golden_fault

    @property
    def is_rolling(self) -> bool:
        """Whether a candidate is compared with the version that answers."""
        return self.state.rollout is not None

    @property
    def serving(self) -> str:
        """The version that answers, but for the share of a candidate; "" if none does."""
        return "" if self.live is None else self.live.id

    @property
    def versions(self) -> list[LoadedVersion]:
        """The loaded versions, the live one first."""
        return sorted(self._loaded.values(), key=lambda version: version is not self.live)

    @property
    def roles(self) -> dict[str, LoadedVersion]:
        """The version that is "live", and the candidate of a rollout: "canary" or "shadow"."""
        role = "canary" if self._shadow is None else "shadow"
        found = {"live": self.live, role: self._candidate}
        return {name: version for name, version in found.items() if version is not None}

    def choose(self, version: str, headers: Mapping[bytes, bytes]) -> LoadedVersion:
        """The version that answers a request: one whose id is asked for, else the live one or the candidate.

        The key in the headers of the request decides between these. Unavailable if none is live, NotFound for
        a version that isn't loaded.
        """
        if version:
            known = self._loaded.get(version)
            if known is None:
                there = ", ".join(map(repr, self._loaded)) or "none"
                raise NotFound(f"{self.name} has no version {version!r} loaded; there is {there}")
            return known
        if self.live is None:
            # The fault may name files: it is for /status and the log.
            raise Unavailable(
                f"{self.name} has no version that can answer now; /status says why", retry_after=5
            )
        candidate, share = self._candidate, self._share
        # The key is only looked for while the candidate has a share.
        if (
            candidate is not None
            and share
            and is_canary(_request_key(headers), candidate.id, share)
        ):
            return candidate
        return self.live

    @property
    def queues_requests(self) -> bool:
        """Whether requests are computed together, or in a thread, and so wait where that is decided."""
        return self.live is None or self.live.queues_requests

    @property
    def queued(self) -> int:
        """The requests that wait for a model, beside those that are in it."""
        return sum(max(0, each.dispatcher.waiting - 1) for each in self._loaded.values())

    def holds(self, version: str) -> bool:
        """Whether a version is loaded."""
        return version in self._loaded

    def add(self, version: LoadedVersion) -> None:
        """Keep a version that is loaded, until `enter` finds that nothing needs it."""
        self._loaded[version.id] = version

    async def enter(self, state: EndpointState) -> None:
        """Answer as a state says, whose versions are loaded; close those that aren't needed any more.

        All of the state holds before anything is awaited: another task may enter a state meanwhile.
        """
        if self.live is not None and self.live.id != state.serving:
            self._before = self.live.id
        self.state, self.fault = state, ""
        self._golden_fault = ""
        self.live = self._loaded[state.serving]
        shadow, self._shadow = self._shadow, None
        self._enter_rollout()
        self.on_change()
        candidate = "" if self._candidate is None else self._candidate.id
        kept = {state.serving, candidate, self._before}
        unneeded = [known for known in self._loaded.values() if known.id not in kept]
        for version in unneeded:
            del self._loaded[version.id]
        for each in (shadow, *unneeded):
            if each is not None:
                await each.close()

    def _enter_rollout(self) -> None:
        rollout, plan = self.state.rollout, self.declared.rollout
        if rollout is None or plan is None:
            self._candidate, self._share, self._tally = None, 0.0, None
            return
        step = planned_steps(plan)[rollout.course.step]
        candidate = self._loaded[rollout.course.candidate]
        if self._candidate is not candidate or self._tally is None:
            self._tally = RolloutTally(self._bounds(candidate))
        self._candidate, self._share = candidate, step.share
        if step.phase is Phase.SHADOW:
            self._shadow = ShadowRequests(candidate, self._tally, self.log)

    def _bounds(self, candidate: LoadedVersion) -> OutputBounds:
        return output_bounds(self._stage, candidate.artifact.output)

    async def check_health(self) -> None:
        """Predict the golden rows of the live version; it isn't ready while they differ from training."""
        live = self.live
        if live is not None:
            fault = await live.find_golden_fault()
            if live is self.live:
                self._golden_fault = f"{live.id}: {fault}" if fault else ""

    def note_answer(
        self,
        version: LoadedVersion,
        request: InferRequest,
        answer: ModelAnswer,
        computed_ns: int | None,
        request_id: bytes,
        headers: Mapping[bytes, bytes],
    ) -> None:
        """Log an answer, count it for the rollout, and have the candidate compute it in the shadow phase.

        `computed_ns` is how long it took, None for an answer from a cache.
        """
        log = self.log
        is_logged = log is not None and log.has(headers.get(b"tidemill-key") or request_id)
        if log is not None and is_logged:
            log.add(request_id, self._arm(version), version.logged, request, answer)
        if self._tally is None or not answer.count:
            return
        outputs = as_list(answer.columns[0])
        if self._shadow is not None:
            if version is self.live:
                self._shadow.add(request, outputs, request_id if is_logged else None)
        elif version is self._candidate or version is self.live:
            candidate = version is self._candidate
            self._tally.answer(outputs, candidate=candidate, nanoseconds=computed_ns)

    def _arm(self, version: LoadedVersion) -> str:
        if version is self.live:
            return "live"
        return "canary" if version is self._candidate else "version"

    def note_failure(self, version: LoadedVersion) -> None:
        """Count a request that a version failed."""
        if self._tally is None or self._shadow is not None:
            return
        if version is self._candidate:
            self._tally.candidate.fail()
        elif version is self.live:
            self._tally.control.fail()

    def follow_people(self, record: EndpointRecord) -> None:
        """Hold or resume the rollout, as a person recorded it."""
        rollout, held = self.state.rollout, record.hold is not None
        if rollout is None or rollout.course.candidate != record.last.candidate:
            return
        if rollout.course.held is not held:
            self.state = replace(self.state, rollout=rollout.with_hold(held))
            self.on_change()

    def take_observed(self) -> StepObserved | None:
        """The counts for the rollout since the last call; None without one."""
        if self._tally is None or self.state.rollout is None:
            return None
        return StepObserved(since=self.state.rollout.course.since, observed=self._tally.take())

    def begin_judging(self) -> None:
        """Judge the rollout, by what is counted from now on."""
        if not self.is_judged:
            self.take_observed()
            self.is_judged = True

    def suspend(self, now: float) -> Sequence[RolloutStep]:
        """Judge the rollout no more; return the record of its evidence."""
        self.state = suspended(self.state, self.declared.rollout if self.is_judged else None, now)
        self.is_judged = False
        return self.state.records

    async def judge(
        self,
        now: float,
        others: Callable[[str, float], Observed],
        record: Callable[[str, Sequence[RolloutStep]], Awaitable[bool]],
    ) -> Iterable[RolloutStep]:
        """Judge the rollout by what was counted since the last call; return the steps to record.

        `others` returns what other processes counted at an endpoint in the step that began at a time. Steps
        forward are only taken once `record` has recorded them: other servers follow the record. A bad
        version goes back at once.
        """
        own = self.take_observed()
        if own is None:
            return ()
        observed = own.observed + others(self.name, own.since)
        if not self.is_judged:
            return ()
        before, found = self.state, judge(self.state, observed, now, self.declared.rollout)
        if not found.records:
            self.state = found
            return ()
        if any(step.action is RolloutAction.ROLLED_BACK for step in found.records):
            await self.enter(found)
            return found.records
        # People may hold it meanwhile, or another version may have begun.
        if await record(self.name, found.records) and self.state is before:
            await self.enter(found)
        return ()

    def ready_reply(self, version: str = "") -> tuple[Reply, int]:
        """Whether it can answer, or one of its versions can, with the status of the reply."""
        if version:
            self.choose(version, {})
        is_ready = bool(version) or self.is_ready
        return oip.model_ready(self.name, is_ready), 200 if is_ready else 503

    def metadata(self, version: str = "") -> Reply:
        """Its inputs and outputs, as the Open Inference Protocol describes them."""
        if not version and self.live is not None:
            version = self.live.id
        chosen = self.choose(version, {})
        return oip.model_metadata(
            self.name,
            versions=[known.id for known in self.versions],
            platform=f"tidemill_{chosen.artifact.format}",
            columns=chosen.schema.columns,
            form=chosen.form,
        )

    def status(self) -> dict[str, Any]:
        """The versions and the faults of the endpoint, as plain data."""
        known = endpoint_status(self.declared, self.state, problem=self.fault or self._golden_fault)
        return {
            **asdict(replace(known, judged=self.is_judged)),
            "ready": self.is_ready,
            "shadow_drops": 0 if self._shadow is None else self._shadow.drops,
            "versions": [version.status() for version in self.versions],
            "log": None if self.log is None else self.log.status(),
        }

    async def close(self) -> None:
        """Close all versions."""
        if self._shadow is not None:
            await self._shadow.close()
        for version in self.versions:
            await version.close()
        self.live = self._candidate = None
        self._loaded.clear()


def _request_key(headers: Mapping[bytes, bytes]) -> bytes:
    """The key that keeps a caller at one version during a rollout, else the id of its request."""
    key = headers.get(b"tidemill-key") or headers.get(b"x-request-id")
    return b"%d" % time.monotonic_ns() if key is None else key
