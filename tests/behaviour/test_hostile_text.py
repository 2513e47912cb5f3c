"""Whatever data, names and messages hold, no command lets it control the terminal or hide."""

from __future__ import annotations

import ast
import gc
import json
import sys
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import click
import polars as pl
import pytest

from tests.support.commands import Ended, process, tidemill
from tidemill.cli import cli

# A window title, a cleared screen, 8-bit CSI, an overwritten line, reversed text, and invisible letters.
EVIL = "a\x1b]0;title\x07\x1b[2J\x9b31m\rb\u202ec\u2066d\u200be\ufefff\u2028g\u3164h\ni"
KEY = "p\x1b[1A\x9b2K\r\u202eq\u200br"
COLUMN = "n\x1b[31m\u202eame\u200b"
FORBIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}

WORKFLOW = f"""
import lightgbm as lgb
import polars as pl
import tidemill as tm

EVIL, COLUMN, KEY = {EVIL!r}, {COLUMN!r}, {KEY!r}


class Raw(tm.Contract, key=("id",), unknown_columns="drop"):
    {EVIL!r}

    id = tm.Int64(min=0)
    place = tm.String(partition="value", description=EVIL)
    note = tm.String(nullable=True, pii=EVIL)
    vars()[COLUMN] = tm.String(isin=[EVIL, "x"], on_fail="quarantine", description="<script>" + EVIL)
    few = tm.rule(pl.col("id") < 1000, description=EVIL)


class Clean(tm.Contract, key=("id",)):
    id, place, note = Raw.id, Raw.place, Raw.note


flow = tm.Workflow("evil", owner=EVIL)


@flow.ingest
def raw() -> tm.Source[Raw]:
    return tm.files("data/*.parquet")


def speak(frame: pl.DataFrame) -> pl.DataFrame:
    print(EVIL)
    return frame


@flow.transform
def clean(raw: tm.Frame[Raw]) -> tm.Frame[Clean]:
    {EVIL!r}
    return raw.select("id", "place", "note").map_batches(speak)


@flow.model
def choice(clean: tm.Frame[Clean]) -> tm.Fitted:
    table = clean.collect()
    encoder = tm.encoder(table, inputs=Clean.reads("place", "note"))
    data = lgb.Dataset(encoder.transform(table), table["id"].to_numpy())
    model = lgb.train({{"min_data_in_leaf": 1, "verbosity": -1}}, data, 1)
    return tm.fitted(model, inputs=encoder, output="id")


flow.table("sent", stage=clean, sink=tm.parquet(KEY))


def fail(frame: pl.DataFrame) -> pl.DataFrame:
    raise ValueError(EVIL)


@flow.transform
def broken(raw: tm.Frame[Raw]) -> tm.Frame[Clean]:
    return raw.select("id", "place", "note").map_batches(fail)
"""

# A TOML text has its escapes as JSON has them.
RULES = f"""
[[rule]]
id = "evil"
on = ["delivery", "table", "release"]
when = "not sampled and author != {json.dumps(json.dumps(EVIL))[1:-1]}"
message = {json.dumps(EVIL)}
effect = "review"
approvers = ["ana"]
"""

CASES = f"""
[[case]]
name = {json.dumps(EVIL)}
stage = "raw"
given.raw = [{{id = -1, place = {json.dumps(KEY)}, {json.dumps(COLUMN)} = {json.dumps(EVIL)}}}]
expect.rows = [{{place = {json.dumps(EVIL)}, note = "x"}}]

[[case]]
name = "passes"
stage = "clean"
given.raw = [{{note = {json.dumps(EVIL)}}}]
expect.rows = [{{note = {json.dumps(KEY)}}}]
"""

# For each command its arguments, in the order in which they are called; `data` changes the source before.
COMMANDS: dict[str, list[list[str]]] = {
    "check": [["--twice"]],
    "test": [[], ["-v", "clean"], [KEY], ["-k", KEY], ["--init", "raw"], ["--init", KEY]],
    "plan": [[], ["--why"], ["clean", "--why"], ["--markdown"]],
    "run": [[], ["clean", KEY, "--debug"], ["nothing" + KEY]],
    "show": [["raw"], ["raw", KEY], ["raw", "--bad"], ["clean"], [KEY], ["raw", KEY + "x"]],
    "explain": [["raw"], ["clean", KEY], ["raw", KEY, COLUMN], ["clean", KEY, "note"]],
    "env create": [["dev"], [KEY]],
    "env list": [[]],
    "env diff": [["dev", "prod"], ["dev", "prod", "raw"], ["dev", "prod", "raw", KEY]],
    "promote": [["dev"]],
    "env drop": [["dev"]],
    "env adopt": [[KEY]],
    "env forget": [[KEY]],
    "quarantine list": [[]],
    "quarantine show": [["raw", KEY]],
    "quarantine export": [["raw", KEY, "--to", "bad.csv"]],
    "quarantine drop": [["raw", KEY, "--rows", "0", "--reason", EVIL, "--note", EVIL]],
    "quarantine release": [["raw", KEY, "--rows", "1", "--reason", EVIL]],
    "quarantine undo": [["raw", KEY, "1", "--reason", EVIL]],
    "models list": [[]],
    "models mirror": [[]],
    "models show": [["choice"], ["choice", KEY], [KEY]],
    "models compare": [["choice", "newest", KEY]],
    "models history": [["choice"], [KEY]],
    "models export": [["choice", "newest", f"model{KEY}"]],
    "models card": [["choice"]],
    "deliver": [["choice", KEY, "--reason", EVIL, "--note", EVIL], [KEY, "newest"]],
    "rollback": [["choice", "--reason", EVIL], [KEY]],
    "drift": [["raw"], ["clean", KEY], [KEY]],
    "restore": [["sent", "last"], ["sent", KEY], [KEY, "last"]],
    "verify": [[], ["--deep"]],
    "whoami": [[]],
    "login": [[]],
    "logout": [[]],
    "policy list": [[]],
    "policy facts": [["delivery"], [KEY]],
    "policy test": [[]],
    "policy explain": [["latest"], [KEY], ["latest", KEY]],
    "policy replay": [["--against", "tidemill.rules.toml"], ["--against", KEY]],
    "policy waive": [
        ["evil", "--for", "choice", "--reason", EVIL, "--ttl", "1d"],
        [KEY, "--for", KEY, "--reason", EVIL],
    ],
    "policy waivers": [[]],
    "policy unwaive": [[KEY, "--reason", EVIL]],
    "review list": [[], ["--all"]],
    "review show": [[KEY]],
    "review approve": [[KEY, "--reason", EVIL]],
    "review reject": [[KEY, "--reason", EVIL]],
    "review changes": [[KEY, "--reason", EVIL]],
    "keys create": [[KEY]],
    "audit show": [[], ["--who", KEY], ["--kind", KEY]],
    "audit verify": [[], ["--checkpoints", KEY]],
    "audit checkpoint": [[]],
    "audit export": [["audit.jsonl"], [f"no/{KEY}"]],
    "audit prove": [["1", "-o", "proof.json"], [KEY]],
    "audit check-proof": [[KEY, "--key", KEY]],
    "attest write": [["sent"], [KEY]],
    "attest verify": [["sent"], [KEY]],
    "models bom": [["choice"], [KEY]],
    "erase": [[EVIL], ["--column", f"note={EVIL}"], ["--column", KEY]],
    "lineage export": [[], [KEY]],
    "lineage send": [[], [KEY]],
    "lineage status": [[]],
    "ledger export": [["events.ndjson"]],
    "ledger rebuild": [[]],
    "runs show": [[], ["last"]],
    "runs logs": [[]],
    "runs stages": [[]],
    "contract show": [["raw"]],
    "contract history": [["raw"]],
    "contract docs": [[], ["--format", "html"]],
    "contract diff": [["raw", "clean"]],
    "contract infer": [["data"], ["raw"]],
    "contract sample": [["raw"]],
    "contract export": [["raw"], ["raw", "--to", "raw.yaml"]],
    "contract import": [["raw.yaml"]],
    "alerts check": [[]],
    "alerts test": [[KEY]],
    "incidents list": [[]],
    "incidents open": [
        [EVIL, "--stage", "raw", "--reason", EVIL],
        [EVIL, "--stage", KEY, "--reason", EVIL],
    ],
    "incidents show": [["last"], [KEY]],
    "incidents resolve": [[KEY, "--reason", EVIL]],
    "silence add": [["--stage", KEY, "--for", "1h", "--reason", EVIL]],
    "silence list": [["--all"]],
    "silence end": [[KEY, "--reason", EVIL]],
    "metrics": [[], ["raw", "--by", "partition"], ["raw", "--by", "day"], [KEY], ["--prometheus"]],
    "costs": [[], ["--by", "day"], ["--by", "model", "--all"], ["--csv", "costs.csv"]],
    "share": [[]],
    "slo": [[]],
    "scorecard": [[], ["--markdown"], ["--html", f"no/{KEY}"], ["--window", KEY]],
    "note weekly": [[], ["--markdown"]],
    "note handoff": [[], ["--markdown"]],
    "status": [[]],
    "runbook": [[], ["--out", f"no/{KEY}"]],
    "report": [[], ["last"], ["choice"], ["week"], [KEY], ["last", "--out", f"no/{KEY}"]],
    "doctor": [[]],
    "graph": [[], ["--mermaid"], ["--stage", KEY], ["--svg", f"no/{KEY}"]],
    "schedules list": [[]],
    "schedules next": [[KEY]],
    "schedules pause": [[KEY, "--reason", EVIL]],
    "schedules resume": [[KEY, "--reason", EVIL]],
    "schedules run": [[KEY]],
    "sweep pin": [["raw", "--reason", EVIL], [KEY, "--reason", EVIL]],
    "sweep pins": [[]],
    "sweep why": [["raw"], [f"raw@{KEY}"], [KEY]],
    "sweep unpin": [[KEY, "--reason", EVIL]],
    "sweep run": [["--dry-run"], []],
    "ledger compact": [["--dry-run"], []],
    "home backup": [[f"kept{KEY}"]],
    "home verify-backup": [[f"kept{KEY}"], [KEY]],
    "home restore": [[KEY]],
    "home move": [[KEY], [KEY, "--artifacts", KEY]],
    "completion": [["bash"]],
    "serve": [["--port", "0"]],
    "predict": [[KEY, "--row", "{}"], [KEY, f"{KEY}.json"]],
    "endpoints hold": [[KEY]],
    "endpoints resume": [[KEY]],
    "endpoints history": [[KEY]],
    "bench-endpoint": [[KEY, "--url", f"http://{KEY}", "--duration", "1s"]],
    "tokens create": [[EVIL], [KEY, "--endpoint", KEY]],
    "tokens list": [[]],
    "tokens revoke": [[KEY]],
    "init": [[f"new{KEY}"]],
    # A test of its own is below: it takes over the signals and the streams of its process.
    "up": [],
    "console": [["--host", "10.0.0.1"]],
    # It prints text of its own, and runs the commands above on data that it ships.
    "demo": [],
}


def leaves(group: click.Group, path: str = "") -> Iterator[tuple[str, click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from leaves(command, f"{path}{name} ")
        else:
            yield f"{path}{name}", command


def dangerous(text: str) -> list[str]:
    """The characters that a terminal obeys or doesn't show."""
    kept = (letter for letter in text.replace(EVIL, "") if letter not in "\n\t")
    return [letter for letter in kept if unicodedata.category(letter) in FORBIDDEN]


def write(root: Path, value: float) -> None:
    rows = {
        "id": [1, 2, -1, -2, 5],
        "place": [KEY, KEY, KEY, KEY, "plain"],
        "note": [EVIL, str(value), EVIL, None, "=1+1"],
        COLUMN: [EVIL, "x", EVIL, f"not in {EVIL}", "x"],
        EVIL: [1, 2, 3, 4, 5],
    }
    pl.DataFrame(rows).write_parquet(root / "data" / "rows.parquet")


@pytest.fixture
def hostile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "data").mkdir()
    (tmp_path / "evil.py").write_text(WORKFLOW, encoding="utf-8")
    (tmp_path / "pyproject.toml").write_text('[tool.tidemill]\nworkflow = "evil:flow"\n')
    (tmp_path / "tidemill.rules.toml").write_text(RULES, encoding="utf-8")
    (tmp_path / "cases").mkdir()
    (tmp_path / "cases" / "evil.toml").write_text(CASES, encoding="utf-8")
    write(tmp_path, 1.0)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "evil", raising=False)
    return tmp_path


def test_no_command_prints_what_a_terminal_obeys(hostile: Path) -> None:
    known = dict(leaves(cli))
    assert set(COMMANDS) == set(known)
    ended: dict[str, Ended] = {}
    streams = sys.stdout, sys.stderr
    assert tidemill("run").code == 1
    for name, calls in COMMANDS.items():
        has_json = any("--json" in param.opts for param in known[name].params)
        for call in calls:
            for form in ([], ["--json"]) if has_json else ([],):
                ended[name] = done = tidemill(*name.split(), *call, *form)
                # Where arguments are refused, the redirection of `--json` ends when it is collected.
                if done.code == 2 and form:
                    gc.collect()
                    sys.stdout, sys.stderr = streams
                assert dangerous(done.out + done.err) == [], (name, call, form)
        if name == "env create":
            write(hostile, 2.0)
            tidemill("--env", "dev", "run")
    # They had something hostile to print.
    for name in ("show", "quarantine show", "runs logs", "runs show", "explain", "contract show"):
        assert "\\x1b" in ended[name].out + ended[name].err or "\\u001b" in ended[name].out, name


def test_what_works_in_processes_of_its_own_prints_no_such_text(hostile: Path) -> None:
    kept = f"kept{KEY}"
    for call in (
        ["up", "--once"],
        ["home", "backup", kept],
        ["home", "restore", kept, "--into", KEY],
    ):
        done = process(*call, cwd=hostile)
        assert "\\x1b" in done.stdout or "\\x9b" in done.stdout, call
        assert dangerous(done.stdout + done.stderr) == [], call


@pytest.mark.parametrize("encoding", ["cp1252", "utf-8"])
def test_what_a_terminal_cannot_encode_is_escaped(hostile: Path, encoding: str) -> None:
    message = "snow \N{SNOWMAN} \N{GRINNING FACE}"
    rule = f'[[rule]]\nid = "a"\non = ["table"]\nfunction = "json:loads"\nmessage = "{message}"\n'
    (hostile / "tidemill.rules.toml").write_text(rule.replace("json", "snow"), encoding="utf-8")
    shown = process("policy", "list", cwd=hostile, PYTHONIOENCODING=encoding)
    snow = "snow \\u2603 \\U0001f600" if encoding == "cp1252" else message
    assert shown.returncode == 3
    assert "Traceback" not in shown.stderr
    (hostile / "tidemill.rules.toml").write_text(rule, encoding="utf-8")
    document = process("policy", "list", "--json", cwd=hostile, PYTHONIOENCODING=encoding)
    assert json.loads(document.stdout)["rules"][0]["message"] == message
    waived = process(
        "policy", "waive", "a", "--for", "prod", "--ttl", "1d", "--reason", message,
        cwd=hostile, PYTHONIOENCODING=encoding,
    )  # fmt: skip
    assert (waived.returncode, snow in waived.stdout) == (0, True), waived.stderr


def test_documents_keep_the_data_as_it_is(hostile: Path) -> None:
    tidemill("run")
    head = tidemill("show", "raw", "--json").document["head"]
    assert {row["place"] for row in head} == {KEY, "plain"}
    assert head[0][COLUMN] == EVIL
    assert "<script>" not in tidemill("contract", "docs", "--format", "html").out


def printing_calls(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            if name in (
                "print",
                "click.echo",
                "click.secho",
                "sys.stdout.write",
                "sys.stderr.write",
            ):
                yield f"{name} in line {node.lineno}"


def test_commands_print_through_one_module() -> None:
    root = Path(sys.modules[cli.__module__].__file__ or "").parent
    found = {
        path.relative_to(root).as_posix(): [*printing_calls(ast.parse(path.read_text("utf-8")))]
        for path in root.rglob("*.py")
    }
    assert {name for name, calls in found.items() if calls} == {"terminal/output.py"}
