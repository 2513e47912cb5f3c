"""`tidemill contract docs`: the data dictionary as Markdown and as one HTML file."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.support.commands import process, tidemill

SHOP = '''
import polars as pl
import tidemill as tm


class Customers(tm.Contract, version="1.2.0", key=("id",), unknown_columns="drop"):
    """One <b>row</b> per customer.

    - As *it* comes | every night."""

    id = tm.Int64(min=1, role="id")
    email = tm.String(pii="email", regex=r"^[^@|]+@", description="a | b `c` <d> &amp; _e_")
    born = tm.Date(pii="birth date", nullable=True)

    once = tm.Unique("email", description="one account each")


class Ages(tm.Contract, version="1.0.0"):
    year_born = tm.Int32(nullable=True)
    many = tm.UInt32(unit="customers")

    few = tm.rule(pl.col("many") != 3, on_fail="warn", description="`odd`")


class Guess(tm.Contract, version="1.0.0"):
    """By code."""

    x = tm.Int64()


flow = tm.Workflow("shop_flow", owner="data <data@example.org>")


@flow.ingest
def customers() -> tm.Source[Customers]:
    """The nightly export."""
    return tm.files("customers/*.csv")


@flow.transform
def ages(customers: tm.Frame[Customers]) -> tm.Frame[Ages]:
    return customers.group_by(year_born=pl.col("born").dt.year()).agg(many=pl.len())


@flow.transform
def counts(customers: tm.Frame[Customers]) -> tm.Frame[Guess]:
    return customers.select(x=pl.len().cast(pl.Int64))


@flow.transform
def guess(ages: tm.Frame[Ages]) -> tm.Frame[Guess]:
    return pl.LazyFrame({"x": [ages.collect().height]})
'''
VOID = {"br", "meta", "link", "img", "hr"}


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "shop.py").write_text(SHOP, encoding="utf-8")
    (tmp_path / "pyproject.toml").write_text('[tool.tidemill]\nworkflow = "shop:flow"\n')
    monkeypatch.chdir(tmp_path)
    return tmp_path


class Page(HTMLParser):
    """Notes ids, references and texts, and that each element that begins ends in its turn."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.tags: set[str] = set()
        self.text = ""
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag not in VOID:
            self.open.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            if name in {"href", "src", "aria-labelledby"}:
                self.links.append(value or "")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_one_html_file_that_needs_nothing_else(shop: Path) -> None:
    html = tidemill("contract", "docs", "--format", "html").out
    page = Page(html)
    assert len(page.ids) == len(set(page.ids))
    assert {link.removeprefix("#") for link in page.links} <= set(page.ids)
    # No script, nothing that is loaded, and nothing of the user's that became an element.
    assert page.tags.isdisjoint({"script", "link", "img", "b", "d", "iframe"})
    assert "url(" not in html
    assert "@import" not in html
    assert html.startswith('<!DOCTYPE html>\n<html lang="en">')
    assert 'name="viewport"' in html
    assert html.count("<h1>") == 1
    assert html.count('scope="row"') == html.count("<tr>") - html.count("<thead>")


def test_what_the_page_says(shop: Path) -> None:
    text = Page(tidemill("contract", "docs", "--format", "html").out).text
    for said in (
        "shop_flow: data dictionary",
        "Owner: data <data@example.org>",
        "One <b>row</b> per customer.",
        "- As *it* comes | every night.",
        "The nightly export.",
        "a | b `c` <d> &amp; _e_",
        "personal: birth date",
        "email comes once in the whole table",
        "undeclared columns are dropped",
        "unknown (it collects ages when it is called)",
        "in customers",
        "guess (transform, any column)",
        "counts (the number of rows)",
    ):
        assert said in text


def test_markdown_whose_texts_are_texts(shop: Path) -> None:
    told = tidemill("contract", "docs").out
    lines = told.split("\n")
    assert lines[0] == "# shop_flow: data dictionary"
    assert "Owner: data \\<data@example.org>" in lines
    assert "\\- As \\*it\\* comes | every night." in lines
    assert "- [ages](#ages) (transform)" in lines
    [email] = [line for line in lines if line.startswith("| `email` |")]
    assert re.split(r"(?<!\\) ?\| ?", email)[1:-1] == [
        "`email`",
        "`String`",
        "never null, matches ^\\[^@\\|\\]+@",
        "row is quarantined",
        "personal: email",
        "a \\| b \\`c\\` \\<d> \\&amp; \\_e\\_",
        "-",
    ]
    assert '| `few` | `[(col("many")) != (dyn int: 3)]` | warns | \\`odd\\` |' in lines
    assert "- read by: guess (transform, any column)" in lines
    # Every row of a table has as many cells as its head.
    for number, line in enumerate(lines):
        if line.startswith("| ---"):
            width = len(re.findall(r"(?<!\\)\|", line))
            rows = [lines[number - 1]]
            for row in lines[number + 1 :]:
                if not row.startswith("|"):
                    break
                rows.append(row)
            assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {width}


def test_an_index_of_personal_data(shop: Path) -> None:
    told = tidemill("contract", "docs").out
    rows = told[told.index("## Personal data") :].strip().split("\n")[4:]
    assert rows[0].startswith("| stage | column | kind | may reach |")
    assert rows[2:] == [
        "| customers | `email` | email | nothing else |",
        "| customers | `born` | birth date | ages: year_born, many; guess (transform): anywhere in it |",
    ]


def test_nothing_personal(fresh: Path) -> None:
    for form in ("markdown", "html"):
        told = tidemill("contract", "docs", "--format", form).out
        assert "No column is marked as personal data." in told
        assert "demand_scores" in told


def test_files_in_a_folder(shop: Path) -> None:
    ended = tidemill("contract", "docs", "--to", "out/docs")
    written = [Path("out/docs/dictionary.md"), Path("out/docs/dictionary.html")]
    assert ended.out == "".join(f"wrote {file}\n" for file in written)
    for file, form in zip(written, ("markdown", "html"), strict=True):
        assert file.read_bytes().decode() == tidemill("contract", "docs", "--format", form).out
        file.unlink()
    tidemill("contract", "docs", "--to", "out/docs", "--format", "html")
    assert [file.exists() for file in written] == [False, True]


def test_the_same_bytes_whatever_the_hash_seed_and_place(shop: Path) -> None:
    given = []
    for seed in ("1", "2"):
        (shop / seed).mkdir()
        ended = process("contract", "docs", "--to", seed, cwd=shop, PYTHONHASHSEED=seed)
        assert ended.returncode == 0, ended.stderr
        given.append([file.read_bytes() for file in sorted((shop / seed).iterdir())])
    assert given[0] == given[1]
    assert str(shop).encode() not in b"".join(given[0])


def test_as_a_document(shop: Path) -> None:
    ended = tidemill("contract", "docs", "--json")
    assert ended.document["schema"] == "tidemill.contract.docs/1"
    book = ended.document["dictionary"]
    assert [entry["stage"] for entry in book["entries"]] == ["customers", "ages", "counts", "guess"]
    assert [each["column"] for each in book["personal"]] == ["email", "born"]
    written = tidemill("contract", "docs", "--json", "--to", "out", "--format", "html")
    assert written.document["dictionary"] == book
    assert written.err == f"wrote {Path('out/dictionary.html')}\n"


def test_a_folder_that_can_not_be_written(shop: Path) -> None:
    (shop / "out").write_text("a file")
    ended = tidemill("contract", "docs", "--to", "out/docs")
    assert ended.code != 0
    assert "dictionary.md can't be written" in ended.err
