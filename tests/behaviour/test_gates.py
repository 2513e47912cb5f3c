"""Gates beyond scores, in runs: each sees the model itself, and only a clear yes lets a model live."""

from __future__ import annotations

import os
from pathlib import Path

import polars as pl
import pytest

import tidemill as tm
from tests.behaviour.test_models import WINDOW, Sea, flooded
from tests.support.process_groups import living
from tests.support.tides import FIRST, Tides
from tests.support.waiting import until
from tidemill.core.errors import DeclarationError
from tidemill.ledger.event import Decided
from tidemill.ledger.run import Receipt
from tidemill.testing.doubles import MemoryModelProbe
from tidemill.workflow.gate import GateResult

datasets = pytest.importorskip("sklearn.datasets")

GATES = 'gates=[tm.beats_live("mae")]'
CALM = '{"name": "calm", "x": 1.0, "expect": 9.0}'
OWN = """

def sane(candidate):
    print("judging", candidate.model)
    rows = candidate.predict(candidate.rows)
    return [f"odd {value}" for value in rows["prediction"] if value != LIMIT]


LIMIT = 9.0
"""


@pytest.fixture
def sea(tmp_path: Path) -> Sea:
    return flooded(tmp_path)


def declare(sea: Sea, *gates: str) -> None:
    """Approve the model by other gates."""
    assert GATES in sea.text
    sea.text = sea.text.replace("\n\nlive = flow", OWN + "\n\nlive = flow")
    sea.edit(GATES, f"gates=[{', '.join(gates)}]")


def results(sea: Tides, receipt: Receipt) -> list[GateResult]:
    """What each gate of a run found, in order."""
    [decided] = sea.events("Decided", run=receipt.run) or sea.events("Decided")[-1:]
    assert isinstance(decided, Decided)
    return list(decided.decision.results)


def test_a_model_passes_gates_of_all_kinds(sea: Sea) -> None:
    declare(
        sea, "sane", 'tm.latency("10s")', 'tm.size("1MB")', "tm.contract_ok()",
        'tm.no_pii_to("out")', 'tm.fresh("36500d")', 'tm.fresh("1d", of="training")',
        f"tm.golden([{CALM}])",
        'tm.gate(lambda c: c.live is None and c.scores.metrics["mae"] == 1, name="own")',
    )  # fmt: skip
    # Data of 2024 isn't of yesterday; its publication would be, but it has days.
    receipt = sea.run()
    assert receipt.exit_code == 4
    found = {result.gate: result for result in results(sea, receipt)}
    assert [name for name, each in found.items() if not each.passed] == ["fresh(training)"]
    assert found["golden"].evidence == "1 row predicted as expected"
    assert found["sane"].evidence == "no findings"
    assert found["contract_ok"].evidence == "fits Features 1.0.0; 0 rows of 16 in quarantine"
    assert "at most 1 MB (the model 3 B, recorded rows " in found["size"].evidence
    sea.edit(', tm.fresh("1d", of="training")', "")
    assert sea.run("model", again=True).exit_code == 0
    assert sea.open().state().live["model"].artifact.id
    # What is live isn't judged again.
    assert "ok gate model" not in sea.ok()


@pytest.mark.parametrize(
    ("gate", "evidence"),
    [
        ("tm.gate(lambda c: 1 / 0, name='own')",
         "own: it raised ZeroDivisionError: division by zero (tides.py:"),
        ("tm.gate(lambda c: None, name='own')", "own: it returned None: return True or False,"),
        ("tm.gate(lambda c: c.scores.metrics['r2'], name='own')", "own: it raised KeyError: 'r2'"),
        ("tm.gate(lambda c: __import__('time').sleep(60), name='own', limit=0.3)",
         "own: it took longer than its limit of 0.3 s"),
        ("tm.gate(lambda c: __import__('sys').exit(3), name='own')",
         "own: it raised SystemExit: 3 (tides.py:"),
        ("tm.cost_per_1k(1)", "cost_per_1k: no price is set ([tool.tidemill] cpu_hour)"),
        ("tm.latency(1e-9)", "latency(p99): p99 "),
        ("tm.calibrated()", "calibrated: the scores have no calibration: add"),
        ("tm.golden([{'name': 'calm', 'x': 1.0, 'expect': 8}])",
         "golden: 1 of 1 row: calm: 9, expected 8"),
        ("tm.golden([{'name': 'calm', 'id': 1, 'expect': 9}])",
         "golden: golden row 'calm' has no x, which the model reads"),
    ],
)  # fmt: skip
def test_what_isnt_a_clear_yes_stops_a_model(sea: Sea, gate: str, evidence: str) -> None:
    declare(sea, gate)
    receipt = sea.run()
    assert receipt.exit_code == 4
    assert f" {evidence}" in receipt.messages[0]
    assert "model" not in sea.open().state().live
    assert receipt.failures[0].why.startswith("refused by ")


def test_a_metric_that_is_no_number_stops_a_gate_that_looks_for_faults(sea: Sea) -> None:
    declare(sea, "tm.gate(lambda c: ['bad'] if c.scores.metrics['mae'] > 5 else [], name='own')")
    sea.edit("mae=(pl.col", "mae=pl.lit(float('nan')) * (pl.col")
    receipt = sea.run()
    assert receipt.exit_code == 4
    assert "FAILED own: it raised ValueError: the metric mae is nan" in receipt.messages[0]


def test_an_evaluation_without_rows_stops_a_gate_that_looks_for_faults(sea: Sea) -> None:
    declare(sea, "tm.gate(lambda c: [], name='own')")
    sea.edit("model.predict(features)", "model.predict(features.filter(pl.col('id') > 9))")
    receipt = sea.run()
    assert "FAILED own: scores scored no row" in receipt.messages[0]


def test_an_edited_gate_is_another_decision(sea: Sea) -> None:
    declare(sea, "sane")
    sea.edit("LIMIT = 9.0", "LIMIT = 8.0")
    assert sea.run().exit_code == 4
    # It stays refused until somebody asks.
    sea.edit("LIMIT = 8.0", "LIMIT = 9.0")
    assert sea.run().exit_code == 0
    assert "model" not in sea.open().state().live
    assert sea.run("model", again=True).exit_code == 0
    first, second = (e.decision for e in sea.events("Decided") if isinstance(e, Decided))
    assert (first.approved, second.approved) == (False, True)
    assert first.artifact == second.artifact
    assert first.subject != second.subject


def test_golden_rows_in_a_file_count_with_their_content(sea: Sea) -> None:
    declare(sea, 'tm.golden("golden.csv")')
    with pytest.raises(DeclarationError, match=r"golden\(golden.csv\): there is no such file"):
        sea.run()
    path = sea.root / "golden.csv"
    path.write_text("name,x,expect\ncalm,far,9\n")
    with pytest.raises(DeclarationError, match=r"golden row 'calm': x='far' breaks x.type"):
        sea.run()
    path.write_text("name,z,expect\ncalm,1,9\n")
    with pytest.raises(DeclarationError, match=r"golden row 'calm' has a column 'z'"):
        sea.run()
    path.write_text("name,x,expect\ncalm,1,8\n")
    assert sea.run().exit_code == 4
    path.write_text("name,x,expect\ncalm,1,9\n")
    assert sea.run("model", again=True).exit_code == 0
    first, second = (e.decision for e in sea.events("Decided") if isinstance(e, Decided))
    assert first.subject != second.subject


def test_inline_gates_run_where_a_debugger_works(sea: Sea) -> None:
    declare(sea, "tm.gate(lambda c: __import__('threading').current_thread().name, name='own')")
    assert "FAILED own: MainThread" in sea.run(inline=True).messages[0]


def test_a_gate_compares_with_what_is_live(sea: Sea) -> None:
    own = "c.live is not None and c.live.metrics['mae'] == 1 and c.baseline.metrics['mae'] == 0"
    sea.ok()
    declare(sea, f"tm.gate(lambda c: {own}, name='own')")
    sea.edit('"value": 9.0', '"value": 9.5')
    receipt = sea.run(train=["model"])
    assert receipt.exit_code == 0, receipt.messages


WINES = """
import polars as pl
import tidemill as tm


class Wines(tm.Contract, version="1.0.0", key=("day", "id")):
    day = tm.Date(partition="1d")
    id = tm.Int64()
    region = tm.String()
    alcohol = tm.Float64(min=0)
    ash = tm.Float64(nullable=True)
    kind = tm.Enum(["dry", "fruity", "sweet"])


flow = tm.Workflow("wines")


@flow.ingest
def wines() -> tm.Source[Wines]:
    return tm.files("data/*.parquet")


@flow.model(window=tm.last("4d", before=tm.last("2d")), seed=1)
def model(wines: tm.Frame[Wines], seed: int) -> tm.Fitted:
    from sklearn.tree import DecisionTreeClassifier

    table = wines.collect()
    encoder = tm.encoder(table, inputs=Wines.reads("region", "alcohol", "ash"))
    tree = DecisionTreeClassifier(max_depth=3, random_state=seed)
    tree.fit(encoder.transform(table), table["kind"].to_list())
    return tm.fitted(tree, inputs=encoder, output="kind")


@flow.evaluate(window=tm.last("2d"))
def scores(model: tm.Predictor, wines: tm.Frame[Wines]) -> tm.Scores:
    return tm.scores(model.predict(wines), tm.metrics.accuracy("kind"))


def sane(candidate):
    found = candidate.predict(candidate.rows)
    return [f"odd {kind}" for kind in set(found["prediction"]) - {"dry", "fruity", "sweet"}]


live = flow.approve(model, gates=[
    tm.beats_baseline("accuracy"), sane, tm.latency(p99="10s", rows=3),
    tm.golden([
        {"name": "strong", "region": "north", "alcohol": 14.5, "ash": None, "expect": "dry"},
        {"name": "light", "region": "nowhere", "alcohol": 11.5, "ash": 2.0, "expect": "sweet"},
    ]),
])
"""


def test_gates_of_a_real_classifier(tmp_path: Path) -> None:
    """Text keys, few rows, nulls, and three classes with names."""
    data, names = datasets.load_wine(), ("dry", "fruity", "sweet")
    wines = Tides(tmp_path, WINES)
    wines.use(model_probe=MemoryModelProbe())
    table = pl.DataFrame(
        {
            "day": [FIRST] * 178,
            "id": range(178),
            "region": [("north", "south")[n % 2] for n in range(178)],
            "alcohol": data.data[:, 0],
            "ash": [None if n % 7 == 0 else ash for n, ash in enumerate(data.data[:, 2])],
            "kind": [names[at] for at in data.target],
        }
    )
    for number in range(WINDOW):
        days = pl.col("day").dt.offset_by(f"{number}d")
        wines.put(f"{number}.parquet", table[number::WINDOW].with_columns(days))
    receipt = wines.run()
    found = {result.gate: result for result in results(wines, receipt)}
    assert found["golden"].evidence == "1 of 2 rows: light: 'fruity', expected 'sweet'"
    others = [each.passed for name, each in found.items() if name != "golden"]
    assert others == [True, True, True]
    assert receipt.failures[0].why == "refused by golden"


PROCESS = """

def dies(candidate):
    os._exit(3)


def hangs(candidate):
    subprocess.Popen(["sleep", "600"])
    open(os.path.join(os.path.dirname(__file__), "child"), "w").write(str(os.getpgid(0)))
    time.sleep(600)


def crashes(candidate):
    ctypes.string_at(0)


def interrupts(candidate):
    raise KeyboardInterrupt


def takes_all(candidate):
    resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
    return len(bytearray(10 << 30)) > 0


def mutters(candidate):
    os.write(1, b"\\xff" * 100_000)
    candidate.scores.metrics["mae"] = 0.0
    return ["found"]


HERE = os.getpid()


def differs(candidate):
    return HERE > 0


def sane(candidate):
    print("judged in", os.getpid())
    return candidate.predict(candidate.rows)["prediction"].unique().to_list() == [9.0]
"""


def test_a_gate_runs_in_a_process_that_may_die(sea: Sea) -> None:
    """What a gate does to its process is its own failure, and the others are judged."""
    module = f"tides_{os.getpid()}"
    gates = (
        "dies, sane, tm.gate(hangs, limit='1s'), differs, crashes, interrupts, takes_all, mutters, "
        "tm.latency('10s'), tm.cost_per_1k(5)"
    )
    text = sea.text.replace("\n\nlive = flow", PROCESS + "\n\nlive = flow")
    text = text.replace(GATES, f"gates=[{gates}]")
    (sea.root / f"{module}.py").write_text(f"import ctypes, os, resource, subprocess, time\n{text}")
    (sea.root / "pyproject.toml").write_text(
        f'[tool.tidemill]\nworkflow = "{module}:flow"\ncpu_hour = 0.05\nworkers = 1\n'
        'model_formats = ["tests.support.constant:ConstantFormat"]\n'
    )
    project = tm.open(sea.root)
    receipt = project.run(raise_on_failure=False)
    [decided] = [fact.event for fact in project.tools.ledger.events(kinds=("Decided",))]
    assert isinstance(decided, Decided)
    found = {result.gate: result for result in decided.decision.results}
    assert found["dies"].evidence == "its process ended with exit code 3"
    assert found["hangs"].evidence == "it took longer than its limit of 1 s, and was stopped"
    assert found["differs"].evidence.startswith("its code or its file is another one in this")
    assert " USD for 1,000 predictions, at most 5 (" in found["cost_per_1k"].evidence
    assert found["crashes"].evidence.startswith("its process was ended by SIGSEGV")
    assert found["interrupts"].evidence == "it raised KeyboardInterrupt"
    assert found["takes_all"].evidence.startswith("it raised MemoryError")
    assert found["mutters"].evidence == "found"
    refused = "dies, hangs, differs, crashes, interrupts, takes_all, mutters"
    assert receipt.failures[0].why == f"refused by {refused}"
    # The child of a gate that hangs is ended with it.
    until(lambda: not living(int((sea.root / "child").read_text())))
    # What a gate prints is kept with the run, and it wasn't this process.
    logs = "".join(path.read_text() for path in (project.tools.logs / receipt.run).glob("*.jsonl"))
    assert "judged in " in logs
    assert f"judged in {os.getpid()}" not in logs
    project.close()
