"""A project in which every name and text that data or people control is hostile."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import polars as pl

from tests.support.commands import forgotten_imports, process
from tidemill.governance.permissions import Actor
from tidemill.ledger.event import RunEnded, RunStarted
from tidemill.ledger.governance_events import ReviewClosed, ReviewOpened, Voted
from tidemill.ledger.policy import SubjectKind
from tidemill.ledger.review import Choice, ReviewOutcome, Vote
from tidemill.ledger.run import Status
from tidemill.project.project import Project, open_project
from tidemill.testing import records as samples

# Each would set this if it ran.
OWNED = "window.owned"
_RUN = f"{OWNED}=1"
# A name that can be that of a person, since all its characters have glyphs.
PERSON = f"'\"><img src=x onerror={_RUN}>{{{{7*7}}}}"
EVIL = " ".join(
    (
        f"<script>{_RUN}</script>", PERSON, f"</textarea></title></style><svg/onload={_RUN}>",
        f"javascript:{_RUN}", f"`tidemill runs show \"javascript:{_RUN}\"`", "${7*7}{% raw %}{# &lt;",
        "}*{display:none;background:url(//evil.example/a.png)}", f"[a](javascript:{_RUN})",
        "\u202egnp.exe\u2066b\u200bc\ufeffde\x1b[31mf\u2028g\r\nh",
    )
)  # fmt: skip
LONG = "W" * 10_000
KEY = f"../{PERSON}?a=1&b#c%2f\u202e\u200b"
COLUMN = f"n\u202e<script>{_RUN}</script>/..?#'\""
LONG_COLUMN = "c" * 3_000
FLOW = f"""
import lightgbm as lgb
import polars as pl
import tidemill as tm

EVIL, LONG, COLUMN, KEY = {EVIL!r}, {LONG!r}, {COLUMN!r}, {KEY!r}


class Raw(tm.Contract, version="1.0.0", key=("id",), unknown_columns="keep"):
    {EVIL!r}

    id = tm.Int64(min=0)
    place = tm.String(partition="value", description=EVIL)
    note = tm.String(nullable=True, pii=EVIL, description=LONG, unit=EVIL)
    amount = tm.Float64(role="label")
    vars()[COLUMN] = tm.String(isin=[EVIL, "x"], on_fail="quarantine", description=EVIL)
    few = tm.rule(pl.col("id") < 1000, description=EVIL)


flow = tm.Workflow("hostile", owner=EVIL)


@flow.ingest
def raw() -> tm.Source[Raw]:
    {EVIL!r}
    return tm.files("data/*.parquet")


@flow.ingest
def later() -> tm.Source[Raw]:
    return tm.files("later/*.parquet")


def fail(frame: pl.DataFrame) -> pl.DataFrame:
    print(EVIL)
    print(LONG)
    raise ValueError(EVIL + LONG)


@flow.transform
def broken(raw: tm.Frame[Raw]) -> tm.Frame[Raw]:
    return raw.map_batches(fail)


@flow.model(seed=1)
def choice(raw: tm.Frame[Raw], seed: int) -> tm.Fitted:
    table = raw.collect()
    encoder = tm.encoder(table, inputs=Raw.reads("place", "note"))
    data = lgb.Dataset(encoder.transform(table), table["amount"].to_numpy())
    options = {{"min_data_in_leaf": 1, "verbosity": -1, "seed": seed, "num_threads": 1}}
    return tm.fitted(lgb.train(options, data, 1), inputs=encoder, output="amount")


@flow.evaluate
def choice_scores(choice: tm.Predictor, later: tm.Frame[Raw]) -> tm.Scores:
    return tm.scores(choice.predict(later), tm.metrics.mae("amount"), by="note")


live = flow.approve(choice, gates=[tm.no_slice_worse("mae", over="note", by=1e6)])
flow.endpoint("choice", model=live)
"""
SETTINGS = f"""
[tool.tidemill]
workflow = "hostile_shop_flow:flow"
cpu_hour = 0.04
currency = "EUR"

[tool.tidemill.alerts.channels.oncall]
kind = "command"
command = ["true"]

[tool.tidemill.alerts]
owners = {{ "raw" = {json.dumps(PERSON)} }}

[tool.tidemill.schedules.nightly]
cron = "0 6 * * *"
"""
RULES = f"""
[[rule]]
id = "evil"
on = ["delivery"]
when = "not sampled and author != {json.dumps(json.dumps(EVIL))[1:-1]}"
message = {json.dumps(EVIL)}
effect = "review"
approvers = ["ana"]
"""


def hostile_shop(folder: Path) -> Path:
    """Write the project, run it, and let people do things with it; return its folder."""
    folder.mkdir()
    (folder / "hostile_shop_flow.py").write_text(FLOW, encoding="utf-8")
    (folder / "pyproject.toml").write_text(SETTINGS, encoding="utf-8")
    (folder / "tidemill.rules.toml").write_text(RULES, encoding="utf-8")
    rows = {
        "id": [1, 2, -1, -2, 5, 6],
        "place": [KEY, KEY, KEY, KEY, LONG[:200], "plain"],
        "note": [EVIL, LONG, EVIL + "\0", None, "=1+1", EVIL],
        "amount": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0],
        COLUMN: [EVIL, "x", EVIL, f"not in {EVIL}", "x", "x"],
        LONG_COLUMN: [EVIL, LONG, "", "", "", ""],
        EVIL: [1, 2, 3, 4, 5, 6],
    }
    for name in ("data", "later"):
        (folder / name).mkdir(parents=True)
        pl.DataFrame(rows).write_parquet(folder / name / "rows.parquet")
    ended = process("run", cwd=folder)
    assert ended.returncode == 1, ended.stdout + ended.stderr
    with forgotten_imports(), closing(open_project(folder)) as project:
        _act(project)
        _record(project)
    return folder


def _act(project: Project) -> None:
    """Use the services as people with hostile reasons do."""
    project.workspace = project.workspace.acting_as(Actor(name=PERSON))
    project.tokens.create(PERSON, scopes=["read"], note=EVIL)
    project.environments.create("dev")
    for stage in ("", "raw"):
        incident = project.incidents.report(EVIL[:200], severity="page", stage=stage, reason=EVIL)
    project.incidents.resolve(incident.id, reason=EVIL)
    project.incidents.report(LONG[:200], severity="ticket", reason=LONG[:2_000])
    silence = project.incidents.silence(ttl="1h", reason=EVIL)
    project.incidents.end_silence(silence.id, reason=EVIL)
    project.incidents.silence(ttl="1h", reason=LONG[:2_000])
    project.policy.waive("evil", scope="*", reason=EVIL, ttl="1d")
    project.retention.pin("raw", reason=EVIL)
    project.schedules.pause("nightly", reason=EVIL)
    project.quarantine.drop("raw", KEY, rows=[0], reason=EVIL)


def _record(project: Project) -> None:
    """Record what other programs or earlier versions may have let in."""
    where = project.environment
    run = RunStarted(
        run="hostile-run", environment=where, command=EVIL + LONG, holder={EVIL: EVIL}, steps=1, actor=EVIL
    )  # fmt: skip
    review = replace(
        samples.review(), id="r-hostile", kind=SubjectKind.TABLE, name=EVIL, author=EVIL,
        reasons=(EVIL, LONG),
    )  # fmt: skip
    ended = replace(review, id="r-ended")
    vote = Vote(choice=Choice.REJECT, actor=EVIL, reason=EVIL + LONG, note=EVIL, at=5.0)
    project.tools.ledger.append(
        [
            run,
            RunEnded(run="hostile-run", status=Status.FAILED),
            ReviewOpened(environment=where, review=review),
            ReviewOpened(environment=where, review=ended),
            Voted(environment=where, review="r-ended", vote=vote),
            ReviewClosed(
                environment=where, review="r-ended", outcome=ReviewOutcome.REJECTED, reason=EVIL, actor=EVIL
            ),
        ],
        now=project.tools.clock(),
    )  # fmt: skip
