"""A server logs what it was asked and answered; the log is joined with labels, and retrains the model."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import tidemill as tm
from tests.support.serving import (
    FIRST,
    ROW,
    Sales,
    Served,
    sales_flow,
    served,
    write_sales,
)
from tests.support.waiting import until
from tidemill.core.errors import DeclarationError, UsageError
from tidemill.ledger.event import Attempted
from tidemill.project.project import Project
from tidemill.serving.io.log_retention import LogRetention
from tidemill.workflow.trigger import TriggerEvidence

LOG = tm.log(carry=("day", "shop"), period=1)
Requests = tm.prediction_log(Sales, LOG, by="day")
FILES = "out/predictions/demand/**/*.parquet"


class Outcomes(tm.Contract, version="1.0.0", key=("day", "shop")):
    """What was sold, known some days later."""

    day = tm.Date(partition="1d")
    shop = tm.Int64()
    sold = tm.Float64()


def read_log(folder: Path) -> pl.DataFrame:
    frames = map(pl.read_parquet, sorted(folder.glob(FILES)))
    return pl.concat(frames, how="diagonal_relaxed").sort("log_id", "log_row")


def test_a_share_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DeclarationError, match="log=5 is neither a share of requests nor made by"):
        tm.open(tmp_path, workflow=sales_flow(tmp_path, log=5))


def test_hashed_personal_data_needs_a_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TIDEMILL_PII_KEY", raising=False)
    project = tm.open(tmp_path, workflow=sales_flow(tmp_path, log=tm.log(pii="hash")))
    with pytest.raises(UsageError, match="set the environment variable TIDEMILL_PII_KEY"):
        project.serving.serve()


def loop_flow() -> tm.Workflow:
    """A workflow that learns from history, and from what it was asked once the outcome is known."""
    flow = tm.Workflow("loop")

    @flow.ingest
    def sales() -> tm.Source[Sales]:
        return tm.files("sales/*.parquet")

    @flow.ingest
    def requests() -> tm.Source[Requests]:  # type: ignore[valid-type]
        return tm.files(FILES)

    @flow.ingest
    def outcomes() -> tm.Source[Outcomes]:
        return tm.files("outcomes/*.parquet")

    @flow.transform(optional=["sales", "requests", "outcomes"])
    def examples(
        sales: tm.Frame[Sales],
        requests: tm.Frame[Requests],  # type: ignore[valid-type]
        outcomes: tm.Frame[Outcomes],
    ) -> tm.Frame[Sales]:
        key = ["day", "shop"]
        names = [*key, "kind", "price", "rain", "sold"]
        asked = requests.sort("log_id").unique(key, keep="last", maintain_order=True)
        return pl.concat([sales.select(names), asked.join(outcomes, on=key).select(names)])

    @flow.model(
        window=tm.last("8d", before=tm.last("4d")),
        seed=1,
        retrain=tm.any_of(tm.degraded("mae", by=0.2), tm.prediction_shift(of="requests")),
    )
    def demand(examples: tm.Frame[Sales], seed: int) -> tm.Fitted:
        import lightgbm as lgb

        table = examples.collect()
        encoder = tm.encoder(table, inputs=Sales.reads("kind", "price", "rain"))
        data = lgb.Dataset(encoder.transform(table), table["sold"].to_numpy())
        options = {"objective": "l2", "seed": seed, "verbosity": -1, "num_threads": 1}
        return tm.fitted(lgb.train(options, data, 5), inputs=encoder, output="sold")

    @flow.evaluate(window=tm.last("4d"))
    def demand_scores(demand: tm.Predictor, examples: tm.Frame[Sales]) -> tm.Scores:
        scored = demand.predict(examples)
        error = (pl.col("prediction") - pl.col("sold")).abs().mean()
        return tm.scores(scored, mae=error, by="kind", day="day")

    live = flow.approve(demand, gates=[tm.beats_live("mae")])
    flow.endpoint("demand", model=live, log=LOG)
    return flow


class Bakeries:
    """Bakeries that ask for a prediction for each shop and day, and report later what they sold."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        write_sales(folder / "sales")
        for path, contract in (("out/predictions/demand", Requests), ("outcomes", Outcomes)):
            (folder / path).mkdir(parents=True)
            contract.sample(0).write_parquet(folder / path / "empty.parquet")
        self.project = tm.open(folder, workflow=loop_flow())

    def ask(
        self, server: Served, days: range, dearer: float = 0.0
    ) -> Iterator[tuple[int, list[dict[str, Any]]]]:
        for number in days:
            chance, day = random.Random(number), (FIRST + timedelta(number)).isoformat()
            rows = [
                {"day": day, "shop": shop, "kind": chance.choice(["rye", "wheat", "spelt"]),
                 "price": chance.random() * 10 + dearer, "rain": None}
                for shop in range(1, 41)
            ]  # fmt: skip
            assert server.predict(rows).status == 200
            yield number, rows

    def report(self, number: int, rows: list[dict[str, Any]], shift: float) -> None:
        sold = [(shift + 50 - 3 * row["price"] + 5 * (row["kind"] == "rye")) for row in rows]
        day = FIRST + timedelta(number)
        frame = pl.DataFrame({"day": [day] * len(rows), "shop": range(1, 41), "sold": sold})
        frame.write_parquet(self.folder / "outcomes" / f"{number}.parquet")

    def until_logged(self, number: int) -> None:
        """Wait until the log has the requests of a day."""
        day = FIRST + timedelta(number)
        until(lambda: not read_log(self.folder).filter(day=day).is_empty())


@pytest.fixture(scope="module")
def bakeries(tmp_path_factory: pytest.TempPathFactory) -> Bakeries:
    found = Bakeries(tmp_path_factory.mktemp("bakeries"))
    assert found.project.run(inline=True).status == "ok"
    return found


def test_requests_are_logged_in_every_format(bakeries: Bakeries) -> None:
    project = bakeries.project
    tensors = [
        {"name": "kind", "shape": [1], "datatype": "BYTES", "data": ["wheat"]},
        {"name": "price", "shape": [1], "datatype": "FP64", "data": [3.0]},
        {"name": "rain", "shape": [1], "datatype": "FP64", "data": [0.25]},
    ]
    day = {"name": "day", "shape": [1], "datatype": "BYTES", "data": ["2024-01-13"]}
    with served(project) as server:
        replies = [
            server.predict([ROW], query="?"),
            server.predict({**ROW, "day": "2024-01-13", "shop": 77}),
            server.predict([{**ROW, "kind": "corn"}, {**ROW, "shop": 8}], query="?partial=true"),
            server.ask("/v2/models/demand/infer", {"inputs": tensors}),
            server.ask("/v2/models/demand/infer", {"inputs": [*tensors, day]}),
            server.ask(
                "/predict/demand",
                b"kind,price,rain,shop\nrye,2.5,,9\n",
                headers={"Content-Type": "text/csv", "X-Request-Id": "mine"},
            ),
        ]
        refused = server.predict([{**ROW, "shop": -1}])
        status = server.ask("/status").json
        until(lambda: b'logged_rows_total{endpoint="demand"} 6' in server.ask("/metrics").body)
    assert [reply.status for reply in replies] == [200] * 6
    assert (refused.status, refused.json["findings"][0]["field"]) == (422, "shop")
    assert (status["endpoints"][0]["log"]["drops"], status["faults"]) == (0, [])
    frame = read_log(project.root)
    assert frame["shop"].to_list() == [None, 77, 8, None, None, 9]
    assert [str(day) for day in frame["day"]] == [
        "None",
        "2024-01-13",
        *["None"] * 2,
        "2024-01-13",
        "None",
    ]
    assert frame["log_row"].to_list() == [0, 0, 1, 0, 0, 0]
    assert frame["kind"].to_list() == ["rye"] * 3 + ["wheat"] * 2 + ["rye"]
    assert frame["log_request"].to_list()[-1] == "mine"
    assert set(frame["log_arm"]) == {"live"}
    assert set(frame["log_version"]) == {project.state().live["demand"].artifact.id}
    assert frame["prediction"][0] == replies[0].json["predictions"][0]["prediction"]
    assert frame["prediction"][3] == replies[3].json["outputs"][0]["data"][0]


def reasons_of_retraining(project: Project) -> list[str]:
    """Why the model was trained after the first time."""
    facts = project.tools.ledger.events(kinds=(Attempted.__name__,))
    attempts = [fact.event.attempt for fact in facts if isinstance(fact.event, Attempted)]
    return [each.reasons[0] for each in attempts if each.action == "train"][1:]


def trigger_evidence(project: Project) -> list[TriggerEvidence]:
    """What the two triggers of the model see."""
    [model] = project.plan().models
    assert model.evidence is not None
    return [*model.evidence.leaves()]


def test_labels_of_logged_requests_retrain_the_model_and_the_server_follows(
    bakeries: Bakeries,
) -> None:
    project = bakeries.project
    first = project.state().live["demand"].artifact.id
    with served(project) as server:
        before = server.predict([ROW]).json["predictions"][0]["prediction"]
        asked = [*bakeries.ask(server, range(12, 14))]
        bakeries.until_logged(13)
        # The requests are there, their labels aren't.
        assert project.run(inline=True).status == "ok"
        for number, rows in asked:
            bakeries.report(number, rows, 0)
        assert project.run(inline=True).status == "ok"
        assert project.state().live["demand"].artifact.id == first
        for number, rows in bakeries.ask(server, range(14, 19)):
            bakeries.report(number, rows, 30)
        bakeries.until_logged(18)
        # One run evaluates the new days, and the next retrains.
        assert project.run(inline=True).status == "ok"
        assert project.run(inline=True).status == "ok"
        [training] = reasons_of_retraining(project)
        second = project.state().live["demand"].artifact.id
        assert second != first
        until(lambda: server.predict([ROW]).json["version"] == second)
        after = server.predict([ROW]).json["predictions"][0]["prediction"]
    assert "degraded(mae, by=0.2): `mae` of the live model is" in training
    # Trained partly on the days with 30 more.
    assert after > before


def test_predictions_that_shift_retrain_the_model_before_labels_come(bakeries: Bakeries) -> None:
    project = bakeries.project
    with served(project) as server:
        [*bakeries.ask(server, range(19, 22))]
        bakeries.until_logged(21)
        assert project.run(inline=True).status == "ok"
        [_, calm] = trigger_evidence(project)
        assert (calm.fires, "over 3 days" in calm.seen) == (False, True)
        [*bakeries.ask(server, range(22, 26), dearer=4.0)]
        bakeries.until_logged(25)
    # One run reads the log, and the next retrains; the gates may refuse what it made of few labels.
    assert project.run(inline=True).status == "ok"
    project.run(inline=True, raise_on_failure=False)
    reason = reasons_of_retraining(project)[-1]
    assert reason.startswith("prediction_shift(0.03, of=requests): the mean prediction is ")
    assert "alarm on 2024-01-2" in reason


@pytest.mark.parametrize("by", ["", "day"])
def test_rows_that_an_ingest_has_read_outlive_the_files_of_the_log(tmp_path: Path, by: str) -> None:
    contract: Any = tm.prediction_log(Sales, LOG, by=by)
    flow = tm.Workflow("reader")

    def requests() -> Any:
        return tm.files("log/**/*.parquet", on_missing="keep")

    requests.__annotations__["return"] = tm.Source[contract]
    flow.ingest(requests)

    def log(at: datetime, count: int = 3) -> None:
        """A file of requests about the first day, written at another."""
        rows = contract.sample(count, seed=at.day).with_columns(
            pl.lit(at).alias("log_time"), pl.lit(FIRST).alias("day"), log_id=pl.lit(str(at))
        )
        folder = tmp_path / "log" / str(at.date())
        folder.mkdir(parents=True)
        rows.write_parquet(folder / "a-000001.parquet")

    start = datetime(2024, 2, 1, tzinfo=UTC)
    log(start)
    log(start + timedelta(1))
    with tm.open(tmp_path, workflow=flow) as project:
        assert project.run(inline=True).status == "ok"
        before = project.read("requests").collect()
        LogRetention(tmp_path / "log", tm.log(keep="1d")).sweep(start + timedelta(2))
        assert len([*tmp_path.glob("log/*/*.parquet")]) == 1
        log(start + timedelta(2), 2)
        assert project.run(inline=True).status == "ok"
        after = project.read("requests").collect()
    # A partition that was read from files that are gone takes no more rows.
    assert (before.height, after.height) == (6, 6 if by else 8)
    assert set(before["log_id"]) <= set(after["log_id"])


class Asked(tm.Contract, version="1.0.0"):
    """What callers asked the live version, whose prices are watched."""

    day, price = Sales.day, tm.Float64(nullable=True)
    drift = tm.DriftAlarm("price", reference="7d")


def test_drift_of_what_callers_send_is_noticed(tmp_path: Path) -> None:
    flow = tm.Workflow("watched")

    @flow.ingest
    def requests() -> tm.Source[Requests]:  # type: ignore[valid-type]
        return tm.files("log/*.parquet")

    @flow.transform
    def asked(requests: tm.Frame[Requests]) -> tm.Frame[Asked]:  # type: ignore[valid-type]
        return requests.filter(pl.col("log_arm") == "live").select("day", "price")

    def log(number: int, low: float, arm: str = "live") -> None:
        chance, rows = random.Random(number), 300
        prices = [low + chance.random() for _ in range(rows)]
        made: pl.DataFrame = Requests.sample(rows, seed=number)
        made = made.with_columns(
            pl.lit(FIRST + timedelta(number)).alias("day"), price=pl.Series(prices),
            log_arm=pl.lit(arm), log_id=pl.lit(f"{number}-{arm}"), log_row=pl.int_range(rows),
        )  # fmt: skip
        made.write_parquet(tmp_path / "log" / f"{number}-{arm}.parquet")

    (tmp_path / "log").mkdir()
    for number in range(14):
        log(number, 0.0)
        # The candidate is asked about other rows, which isn't drift.
        if number > 9:
            log(number, 9.0, "canary")
    with tm.open(tmp_path, workflow=flow) as project:
        calm = project.run(inline=True)
        for number in range(14, 17):
            log(number, 0.5)
        moved = project.run(inline=True)
    assert not any("drift" in message for message in calm.messages)
    [message] = [each for each in moved.messages if "drift" in each]
    assert message.startswith("asked: drift: price (100%) drifted at 2024-01-1")
