"""No password reaches the screen, a document, a log or a file of the project, whatever goes wrong."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import polars as pl
import pytest

from tests.support.commands import tidemill
from tests.support.tables import bodies
from tests.support.tides import CHAIN, Tides
from tidemill.core.errors import DeclarationError
from tidemill.workflow.source import iceberg, sql

QUERY = "SELECT day, id, value FROM raw"
# What must not be seen anywhere: a part of each password.
WORD = "hunter2"
SETTINGS = '[tool.tidemill]\nworkflow = "tides:flow"\nsecrets = ["API_TOKEN"]\n'


def project(root: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    (root / "tides.py").write_text(text, encoding="utf-8")
    (root / "pyproject.toml").write_text(SETTINGS, encoding="utf-8")
    monkeypatch.chdir(root)
    monkeypatch.delitem(sys.modules, "tides", raising=False)
    return root


def asking(url: str, engine: str | None = None) -> str:
    source = f"tm.sql({QUERY!r}, {url!r}, engine={engine!r})"
    return CHAIN.replace('tm.files("data/*.parquet")', source)


def said(*arguments: str) -> str:
    """All that a command writes, as text and as a document."""
    plain, document = tidemill(*arguments), tidemill(*arguments, "--json")
    return plain.out + plain.err + document.out + document.err


def leaks(root: Path, word: str = WORD) -> list[Path]:
    """Files of the home that hold the word."""
    kept = [path for path in (root / ".tidemill").rglob("*") if path.is_file()]
    found = [path for path in kept if word.encode() in path.read_bytes()]
    ledger = root / ".tidemill" / "ledger.db"
    return [*found, ledger] if any(word in body for body in bodies(ledger)) else found


def test_a_configured_secret_that_could_be_any_word_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("API_TOKEN", "prod")
    project(tmp_path, CHAIN, monkeypatch)
    refused = tidemill("plan")
    assert (refused.code, refused.out) == (2, "")
    assert "API_TOKEN has fewer than 5 characters" in refused.err
    assert "prod" not in refused.err


@pytest.mark.parametrize("mark", ["#", "?", "/", "@", " "])
class TestAMalformedUrl:
    def test_in_the_workflow(
        self, mark: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        url = f"postgresql://alice:{WORD}{mark}{WORD}@127.0.0.1:1/shop"
        with pytest.raises(DeclarationError, match="percent-encode"):
            sql(QUERY, url)
        with pytest.raises(DeclarationError, match="percent-encode"):
            iceberg("shop.orders", uri=url)
        root = project(tmp_path, asking(url), monkeypatch)
        for command in (["plan"], ["run"], ["explain", "raw"], ["runs", "last"]):
            assert WORD not in said(*command)
        assert "percent-encode special characters" in said("run")
        assert leaks(root) == []

    def test_in_a_variable(
        self, mark: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SHOP", f"postgresql://alice:{WORD}{mark}{WORD}@127.0.0.1:1/shop")
        root = project(tmp_path, asking("env:SHOP"), monkeypatch)
        words = said("run") + said("plan") + said("runs", "last")
        assert "the url in the environment variable SHOP has" in words
        assert "percent-encode special characters" in words
        assert WORD not in words
        assert leaks(root) == []


def refusing_driver(url: str) -> ModuleType:
    """A driver that repeats the URL in its messages, as it was given and decoded, and in a chain."""
    secret = f"{WORD}#{WORD}"

    def read_sql(target: str, statement: str, **_: Any) -> None:
        try:
            raise OSError(f"{url} refused {secret!r}: {target}")
        except OSError as error:
            raise RuntimeError(f"password={secret} for {secret} at {target}") from error

    module = ModuleType("connectorx")
    module.read_sql = read_sql  # type: ignore[attr-defined]
    return module


def test_the_messages_and_tracebacks_of_a_driver(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"mssql://alice:{WORD}%23{WORD}@127.0.0.1:1/shop?sig={WORD}"
    monkeypatch.setitem(sys.modules, "connectorx", refusing_driver(url))
    tides = Tides(tmp_path, asking(url, "connectorx"))
    (message,) = tides.run().messages
    assert message == (
        "raw: mssql://127.0.0.1:1/shop can't be read: password=*** for *** at "
        "mssql://***@127.0.0.1:1/shop?sig=***"
    )
    with tides.open() as opened:
        database = opened.tools.external_sources.database(url, "connectorx")
        with pytest.raises(Exception, match="can't be read") as caught:
            database.columns(QUERY)
    # Python prints no traceback of the driver.
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
    assert leaks(tmp_path) == []


@pytest.mark.parametrize("lane", ["--inline", "", "process"])
def test_what_a_step_prints_logs_and_raises(
    lane: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = f"{WORD}/x#y"
    monkeypatch.setenv("API_TOKEN", token)
    raising = """
def leak(frame: pl.DataFrame) -> pl.DataFrame:
    token = os.environ["API_TOKEN"]
    print("printed", token, "here")
    print("in two ", end="")
    print(token)
    logging.getLogger("api").warning("logged %s here", token)
    os.system('echo "a program printed $API_TOKEN"')
    raise ValueError(f"no answer to {token!r} from https://api.example.com/v1?token={token}&x=1")


def times("""
    text = CHAIN.replace("def times(", raising.lstrip()).replace(
        'return raw.select("day", "id"', 'return raw.map_batches(leak).select("day", "id"'
    )
    if lane == "process":
        limited = "@flow.transform(resources=tm.resources(timeout='60s'))\ndef doubled"
        text = text.replace("@flow.transform\ndef doubled", limited)
    root = project(tmp_path, "import logging\nimport os\n" + text, monkeypatch)
    Tides(root, text).send(0)
    ended = tidemill("run", *(["--inline"] if lane == "--inline" else []))
    words = ended.out + ended.err + said("runs", "last") + said("runs", "logs") + said("runs")
    assert "no answer to '***' from https://api.example.com/v1?token=***" in words
    assert "printed *** here" in words
    assert "in two ***" in words
    assert "logged *** here" in words
    assert WORD not in words
    assert leaks(root) == []


@pytest.mark.parametrize("where", ["SHOP", ""])
@pytest.mark.parametrize("raises", [True, False])
def test_what_a_stage_prints_and_raises_when_it_is_called_without_rows(
    where: str, raises: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"postgresql://alice:{WORD}%23{WORD}@127.0.0.1:1/shop"
    monkeypatch.setenv("SHOP", url)
    monkeypatch.setenv("API_TOKEN", f"{WORD}-token")
    printing = f"""    print("printed {WORD}#{WORD}", os.environ["API_TOKEN"], file=sys.stderr)
    print("printed {WORD}#{WORD}", os.environ["API_TOKEN"])
    if {raises}:
        raise ValueError("no answer to {WORD}#{WORD} and " + os.environ["API_TOKEN"])
    return raw.select("""
    text = asking("env:SHOP" if where else url).replace("    return raw.select(", printing)
    root = project(tmp_path, "import os\nimport sys\n" + text, monkeypatch)
    for command in (["check"], ["plan"], ["run"], ["explain", "doubled"], ["contract", "docs"]):
        words = said(*command)
        assert WORD not in words, command
        assert "printed *** ***" in words, command
    assert not raises or "no answer to *** and ***" in said("check")
    assert leaks(root) == []


def test_a_workflow_that_can_t_be_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = f'url = "postgresql://alice:{WORD}@host/db"; raise OSError("no " + url)\n'
    project(tmp_path, broken, monkeypatch)
    ended = tidemill("check")
    assert "OSError: no postgresql://***@host/db" in ended.err
    assert WORD not in ended.err


def test_rows_keep_what_only_looks_like_a_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("API_TOKEN", WORD)
    text = CHAIN.replace("value = tm.Float64(nullable=True, max=1000)", "value = tm.String()")
    text = text.partition("class Doubled")[0] + text[text.index("flow =") : text.index("def times")]
    root = project(tmp_path, text, monkeypatch)
    frame = pl.DataFrame({"value": ["password=abc", f"a {WORD} b"], "id": [1, 2]})
    day = pl.date(2024, 3, 1).alias("day")
    Tides(root, text).put("a.parquet", frame.with_columns(day, pl.col("id").cast(pl.Int64)))
    assert tidemill("run").code == 0
    shown = tidemill("show", "raw").out
    assert "password=abc" in shown
    assert "a *** b" in shown
    head = tidemill("show", "raw", "--json").document["head"]
    assert [row["value"] for row in head] == ["password=abc", "a *** b"]


def test_a_variable_that_isn_t_set_is_no_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("API_TOKEN", raising=False)
    root = project(tmp_path, CHAIN, monkeypatch)
    Tides(root).send(0)
    assert tidemill("run").code == 0
