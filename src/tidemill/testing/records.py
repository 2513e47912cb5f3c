"""Build small valid records and events, with defaults for everything the caller omits."""

from __future__ import annotations

import hashlib
from typing import Any

from tidemill.contracts.finding import Finding, TableFindings
from tidemill.contracts.profiles.record import Categories, Grid, Histogram
from tidemill.contracts.row_ruling import Disposition, Ruling
from tidemill.ledger.access_token import AccessToken
from tidemill.ledger.binding import Binding, Mark, Product
from tidemill.ledger.compacted import CompactionDigest
from tidemill.ledger.compaction_events import Compacted
from tidemill.ledger.cost import Cost
from tidemill.ledger.delivery import Decision, Delivery, Effect
from tidemill.ledger.drift import DriftVerdict, RaisedAlarm
from tidemill.ledger.event import (
    Attempted,
    Computed,
    Decided,
    Delivered,
    DriftAlarmed,
    DriftJudged,
    EffectDone,
    EffectQueued,
    EnvironmentCreated,
    EnvironmentDropped,
    Event,
    Judged,
    LineageDropped,
    Published,
    RecipeChanged,
    Removed,
    RolloutStepped,
    Ruled,
    RunEnded,
    RunStarted,
    Served,
    Settled,
    SourceSeen,
)
from tidemill.ledger.governance_events import TokenCreated, TokenRevoked
from tidemill.ledger.note_events import NoteSent
from tidemill.ledger.rollout import Phase, RolloutAction, RolloutStep
from tidemill.ledger.run import Attempt, Outcome, Receipt, Status
from tidemill.ledger.schedule_events import Ticked
from tidemill.ledger.usage import ServedUsage
from tidemill.testing.change_records import changes_seen_event
from tidemill.testing.cost_records import cost_events as cost_events
from tidemill.testing.governance_records import (
    governance_events as governance_events,
)
from tidemill.testing.governance_records import (
    policy_decision as policy_decision,
)
from tidemill.testing.governance_records import review as review
from tidemill.testing.governance_records import vote as vote
from tidemill.testing.governance_records import waiver as waiver
from tidemill.testing.incident_records import incident_events as incident_events
from tidemill.testing.off_peak_records import off_peak_events as off_peak_events
from tidemill.testing.retention_records import retention_events as retention_events
from tidemill.testing.schedule_records import schedule_events as schedule_events
from tidemill.workflow.gate import (
    Daily,
    GateResult,
    Goal,
    PredictionProfile,
    Scores,
    Slice,
    Threshold,
)
from tidemill.workflow.model import Artifact
from tidemill.workflow.source import SourceFile

PROD = "prod"
HOLDER = {"pid": "4711", "host": "tern"}


def object_name(content: str, suffix: str = ".parquet") -> str:
    """The name under which the object store keeps the bytes of `content`."""
    return hashlib.sha256(content.encode()).hexdigest() + suffix


def product(content: str = "one", *, quarantined: int = 0) -> Product:
    """A step's product: one object of 24 rows, and one of quarantined rows if there are any."""
    finding = Finding(rule="hour in 0..23", severity="quarantine", rows=quarantined, sample="25")
    return Product(
        content=content,
        objects=(object_name(content),),
        columns={"hour": f"hash of hour in {content}"},
        rowset="hours",
        rows=24,
        bytes=512,
        quarantine=object_name(f"bad rows of {content}") if quarantined else None,
        quarantined=quarantined,
        findings=(finding,) if quarantined else (),
    )


def binding(key: str = "key", output: Product | None = None, *, run: str = "run-1") -> Binding:
    """A product under a key."""
    return Binding(
        key=key,
        recipe="recipe",
        contract="contract",
        check="check",
        product=output or product(key),
        run=run,
        at=10.0,
    )


def published_event(
    partition: str = "2013-03-07",
    *,
    stage: str = "features",
    environment: str = PROD,
    bound: Binding | None = None,
) -> Published:
    """A published partition, by default under a key derived from its stage and name."""
    return Published(
        environment=environment,
        stage=stage,
        partition=partition,
        binding=bound or binding(f"{stage} {partition}"),
    )


def removed_event(
    partition: str = "2013-03-07", *, stage: str = "features", environment: str = PROD
) -> Removed:
    """A removed partition."""
    return Removed(environment=environment, stage=stage, partition=partition, run="run-1")


def run_started_event(run: str = "run-1", environment: str = PROD) -> RunStarted:
    """A started run."""
    return RunStarted(run=run, environment=environment, command="run", holder=HOLDER, steps=3)


def attempted_event(
    stage: str = "features",
    partition: str = "2013-03-07",
    *,
    run: str = "run-1",
    environment: str = PROD,
    action: str = "run",
    outcome: Outcome = Outcome.OK,
    **cost: Any,
) -> Attempted:
    """An attempt at a step, by default successful and without cost."""
    attempt = Attempt(
        stage=stage, partition=partition, action=action, outcome=outcome, reasons=("new",), **cost
    )
    return Attempted(run=run, environment=environment, attempt=attempt)


def cost(attempts: int, seconds: float = 0.0, *, rows: float = 0.0) -> Cost:
    """The mean cost of `attempts`, with `seconds` of wall time and `rows` read and written."""
    return Cost(
        attempts=attempts,
        wall_s=seconds,
        cpu_s=2 * seconds,
        rows_in=rows,
        bytes_in=8 * rows,
        rows_out=rows,
    )


def source_file(path: str, digest: str = "digest") -> SourceFile:
    """A source file with rows of two days."""
    rows = {"2013-03-07": 20, "2013-03-08": 4}
    return SourceFile(
        path=path, size=99, mtime_ns=1_700_000_000_000_000_001, digest=digest, rows=rows
    )


def source_seen_event(
    *paths: str, digest: str = "digest", gone: tuple[str, ...] = ()
) -> SourceSeen:
    """Files that an ingest stage read, and files that are gone."""
    files = tuple(source_file(path, digest) for path in paths)
    return SourceSeen(environment=PROD, stage="flights", files=files, gone=gone)


def settled_event(
    signature: str = "signature", *, stage: str = "features", environment: str = PROD
) -> Settled:
    """The mark of a wholly current stage with one partition."""
    mark = Mark(signature=signature, partitions=1)
    return Settled(environment=environment, stage=stage, mark=mark)


def judged_event(stage: str = "features", *, environment: str = PROD, stale: bool = True) -> Judged:
    """A table's verdict, with one finding if it is stale."""
    finding = Finding(rule="fresh", severity="warn", rows=0, message="fresh: too old")
    findings = (finding,) if stale else ()
    verdict = TableFindings(at=15.0, heads={stage: 3}, findings=findings, newest={"at": 1.5})
    return Judged(environment=environment, stage=stage, run="run-1", verdict=verdict)


def drift_judged_event(stage: str = "features", *, environment: str = PROD) -> DriftJudged:
    """The verdict on a table with one alarm, which is to be investigated."""
    verdict = DriftVerdict(signature="data", alarms=(raised_alarm(),), investigate=("drift",))
    return DriftJudged(environment=environment, stage=stage, run="run-1", verdict=verdict)


def drift_alarmed_event(stage: str = "features", *, environment: str = PROD) -> DriftAlarmed:
    """An alarm of a table."""
    alarm = raised_alarm()
    place = {"environment": environment, "stage": stage, "partition": alarm.partition}
    return DriftAlarmed(**place, run="run-1", alarm=alarm)


def raised_alarm(partition: str = "2013-03-07") -> RaisedAlarm:
    """An alarm that two columns carry."""
    columns = {"distance": 0.7, "carrier": 0.3}
    reference = ("2013-02-05", "2013-03-06")
    return RaisedAlarm(rule="drift", partition=partition, reference=reference, columns=columns)


def ruling(content: str = "one", *rows: int, fixed: str = "") -> Ruling:
    """A ruling on the quarantined rows of a product: drop them, or replace them by `fixed`."""
    return Ruling(
        disposition=Disposition.REPLACE if fixed else Disposition.DROP,
        object=object_name(f"bad rows of {content}"),
        key=f"key of {content}",
        rows=rows,
        fixed=object_name(fixed) if fixed else "",
        actor="ana",
        reason="typo in the feed",
        at=15.0,
    )


def ruled_event(
    ruling_to_record: Ruling | None = None,
    *,
    stage: str = "features",
    partition: str = "2013-03-07",
    environment: str = PROD,
) -> Ruled:
    """A recorded ruling on rows of a partition."""
    return Ruled(
        environment=environment,
        stage=stage,
        partition=partition,
        ruling=ruling_to_record or ruling(),
    )


def decided_event(
    subject: str = "subject", *, approved: bool = True, environment: str = PROD
) -> Decided:
    """A decision about a subject, from one gate."""
    result = GateResult(gate="beats_live(mae)", passed=approved, evidence="11.2 against 11.9")
    decision = Decision(
        subject=subject,
        artifact="artifact",
        approved=approved,
        results=(result,),
        actor="gates",
        at=20.0,
    )
    return Decided(environment=environment, stage="delay_model", decision=decision)


def model_artifact(model: str = "artifact", *, baseline: float = 4.0) -> Artifact:
    """A stored model."""
    return Artifact(
        id=model,
        stage="delay_model",
        object=object_name(model, ".txt"),
        format="lightgbm",
        inputs=("hour", "wind"),
        output="delay",
        baseline=baseline,
        anchor="2013-03-07",
        rows=24,
        trained_on={"features": ("2013-03-06", "2013-03-07")},
        contracts={"features": "1.0.0"},
        recipe="recipe",
        params="{}",
        seed=7,
    )


def scores(mae: float = 11.5) -> Scores:
    """A model's scores, overall and for one carrier."""
    days = ("2013-03-06", "2013-03-07")
    daily = Daily(days=days, rows=(6, 6), metrics={"mae": (mae, 11.5)}, without={"auc": (mae, 0.5)})
    part = Slice(value="UA", rows=12, metrics={"mae": mae}, daily=daily)
    counted = Histogram(
        grid=Grid(center=mae, scale=2.0), size=2, bins=b"\x00\xff", counts=b"\x0a\x0e"
    )
    return Scores(
        rows=24,
        metrics={"mae": mae},
        by="carrier",
        slices=(part,),
        daily=daily,
        goals={"auc": Goal.HIGH},
        curves={"calibration": {"predicted": (0.1, mae)}},
        bounds={"mae": (0.0, None)},
        thresholds={"f1": Threshold(value=0.25, days=days, metric="f1", score=0.5)},
        predictions=PredictionProfile(
            rows=24, mean=mae, histogram=counted, categories=Categories(counts={"late": 24})
        ),
    )


def delivered_event(
    artifact: str = "artifact", *, name: str = "delay_model", environment: str = PROD
) -> Delivered:
    """The delivery of an artifact."""
    delivery = Delivery(
        name=name,
        artifact=model_artifact(artifact),
        decision="subject",
        scores=scores(),
        at=30.0,
        evaluations={"delay_scores": scores(), "storms": scores(12.0)},
    )
    return Delivered(environment=environment, delivery=delivery)


def effect(key: str = "effect", target: str = "out/2013-03-07.parquet") -> Effect:
    """An effect that writes a file."""
    return Effect(
        key=key,
        stage="scored_flights",
        partition="2013-03-07",
        action="write",
        target=target,
        object=object_name(target),
    )


def effect_queued_event(
    key: str = "effect", target: str = "out/2013-03-07.parquet", *, environment: str = PROD
) -> EffectQueued:
    """A queued effect."""
    return EffectQueued(environment=environment, effect=effect(key, target))


def effect_done_event(key: str = "effect", *, environment: str = PROD) -> EffectDone:
    """A finished effect."""
    return EffectDone(environment=environment, key=key, detail={"bytes": "512"})


def access_token(
    id: str = "4kq0z7c2wm", *, content: str = "tm", endpoints: tuple[str, ...] = ("delays",)
) -> AccessToken:
    """A token that expires, whose text is `content`."""
    return AccessToken(
        id=id,
        digest=hashlib.sha256(content.encode()).hexdigest(),
        holder="checkout",
        endpoints=endpoints,
        expires=1000.0,
        rate=50.0,
        actor="ana",
    )


def token_created_event(token: AccessToken, *, environment: str = PROD) -> TokenCreated:
    """The creation of a token."""
    return TokenCreated(environment=environment, token=token)


def token_revoked_event(id: str = "4kq0z7c2wm", *, environment: str = PROD) -> TokenRevoked:
    """The revocation of a token."""
    return TokenRevoked(environment=environment, token=id, actor="ana", reason="left the team")


def served_event(*, environment: str = PROD) -> Served:
    """A minute in which an endpoint answered 10 requests, 1 of them with an error."""
    usage = ServedUsage(
        endpoint="delays",
        version="artifact",
        requests=10,
        rows=12,
        cpu_s=0.001,
        idle_cpu_s=0.059,
        memory_gb_s=3.5,
        wall_s=0.002,
        cache_hits=2,
        errors={"422": 1},
        latency=(0, 0, 9, 1),
    )
    return Served(
        environment=environment,
        since=60.0,
        until=120.0,
        usages=(usage,),
        cpu_hour=0.04,
        memory_gb_hour=0.005,
        currency="USD",
    )


def rollout_step(
    action: RolloutAction = RolloutAction.PROMOTED,
    *,
    candidate: str = "new",
    incumbent: str = "old",
    share: float = 0.05,
    at: float = 100.0,
) -> RolloutStep:
    """A step of a rollout, by default from the shadow phase to the first share."""
    return RolloutStep(
        model="delay_model",
        candidate=candidate,
        incumbent=incumbent,
        action=action,
        phase=Phase.CANARY,
        share=share,
        at=at,
        since=at,
        requests=1200,
        control_requests=1200,
        evidence={"errors": 0.5, "outside": 0.25, "slow": 1.0, "shift": 2.0},
        total=0.9375,
        figures={"errors": 3.0, "p99_s": 0.004},
        reason="hold until Monday" if action is RolloutAction.HELD else "",
    )


def rollout_event(
    step: RolloutStep, endpoint: str = "delays", *, environment: str = PROD
) -> RolloutStepped:
    """A step of the rollout at an endpoint."""
    return RolloutStepped(environment=environment, endpoint=endpoint, step=step)


def events_of_every_kind() -> list[Event]:
    """Events of every kind, in an order in which they can be appended."""
    receipt = Receipt(run="run-1", status=Status.OK, wall_s=1.5, messages=("done",))
    return [
        EnvironmentCreated(environment=PROD),
        run_started_event(),
        RecipeChanged(environment=PROD, stage="features", recipe="r2", parts={"code": "c2"}),
        source_seen_event("a.parquet", "b.parquet"),
        attempted_event(),
        published_event(bound=binding("key", product(quarantined=2))),
        published_event("2013-03-08"),
        removed_event("2013-03-08"),
        ruled_event(ruling("key", 1)),
        decided_event(),
        delivered_event(),
        effect_queued_event(),
        effect_done_event(),
        settled_event(),
        judged_event(),
        drift_judged_event(),
        drift_alarmed_event(),
        Computed(stage="features", partition="2013-03-09", binding=binding("computed")),
        EnvironmentCreated(environment="gone", parent=PROD),
        EnvironmentDropped(environment="gone"),
        Ticked(schedule="nightly", tick="2013-03-08T02"),
        token_created_event(access_token()),
        token_revoked_event(),
        served_event(),
        rollout_event(rollout_step()),
        *governance_events(),
        *incident_events(),
        *retention_events(),
        *schedule_events(),
        *off_peak_events(),
        *cost_events(),
        NoteSent(environment=PROD, kind="weekly", period="2026-W48", channel="team"),
        RunEnded(run="run-1", status=Status.OK, receipt=receipt),
        LineageDropped(run="run-1", environment=PROD, events=2, total=12, reason="refused"),
        changes_seen_event(),
        Compacted(
            first=1,
            last=9,
            sha256=CompactionDigest().sha256,
            packed=4,
            bytes_before=4000,
            bytes_after=900,
            actor="ana",
        ),
    ]
