"""Explanations are records of what the ledger holds, from inputs of any cut."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import tidemill as tm
from tidemill.cli.explain import render
from tidemill.core.errors import UsageError
from tidemill.lineage.io import provenance
from tidemill.lineage.io.provenance import Explanation, explain
from tidemill.project.project import Project, open_project


class Tides(tm.Contract, key=("date", "harbour"), unknown_columns="drop"):
    date = tm.Date(partition="1d")
    harbour = tm.String()
    level = tm.Float64(description="above zero")


class Harbours(tm.Contract, key=("harbour",)):
    harbour = tm.String()
    depth = tm.Float64()


class Highest(tm.Contract, key=("harbour",)):
    harbour = tm.String()
    level = tm.Float64()


def workflow() -> tm.Workflow:
    flow = tm.Workflow("tides")

    @flow.ingest
    def tides() -> tm.Source[Tides]:
        return tm.files("tides.csv")

    @flow.ingest
    def harbours() -> tm.Source[Harbours]:
        return tm.files("harbours.csv")

    @flow.transform(optional=["harbours"])
    def deep(tides: tm.Frame[Tides], harbours: tm.Frame[Harbours]) -> tm.Frame[Tides]:
        return tides.join(harbours, on="harbour", how="left", maintain_order="left").drop("depth")

    @flow.transform
    def alone(tides: tm.Frame[Tides], harbours: tm.Frame[Harbours]) -> tm.Frame[Tides]:
        return tides

    @flow.transform
    def highest(deep: tm.Frame[Tides]) -> tm.Frame[Highest]:
        import polars as pl

        return deep.group_by("harbour").agg(pl.col("level").max())

    return flow


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    (tmp_path / "tides.csv").write_text(
        "date,harbour,level\n2026-01-01,a,1.5\n2026-01-01,b,2.5\n2026-01-02,a,3.5\n,a,9.5\n"
    )
    (tmp_path / "harbours.csv").write_text("harbour,depth\na,10.0\nb,20.0\n")
    opened = open_project(tmp_path, workflow=workflow())
    yield opened
    opened.close()


@pytest.fixture
def why(project: Project) -> Callable[..., Explanation]:
    def of(stage: str, partition: str = "", column: str = "") -> Explanation:
        return explain(project.workspace.facts(), project.stage(stage), partition, column)

    return of


def origins(found: Explanation) -> dict[str, tuple[str, ...]]:
    return {origin.stage: origin.partitions for origin in found.origins}


def test_a_whole_stage_is_made_of_every_partition(
    project: Project, why: Callable[..., Explanation]
) -> None:
    project.run()
    assert origins(why("highest")) == {
        "deep": ("2026-01-01", "2026-01-02"),
        "harbours": ("all",),
        "tides": ("2026-01-01", "2026-01-02"),
    }


def test_a_file_that_feeds_several_partitions_is_named_once(
    project: Project, why: Callable[..., Explanation]
) -> None:
    project.run()
    [tides] = [origin for origin in why("deep", "2026-01-02").origins if origin.stage == "tides"]
    assert [file.path for file in tides.files] == ["tides.csv"]
    assert tides.rows == 1


def test_what_only_one_row_lacks_is_no_origin(
    project: Project, why: Callable[..., Explanation]
) -> None:
    """A row without a partition value is published nowhere that anything reads."""
    project.run()
    found = why("tides")
    assert set(found.partitions) - {"(none)"} == {"2026-01-01", "2026-01-02"}
    assert "(none)" not in origins(why("deep"))["tides"]


def test_a_column_of_several_partitions_has_no_values(
    project: Project, why: Callable[..., Explanation]
) -> None:
    project.run()
    column = why("tides", "", "level").column
    assert column is not None
    assert (column.description, column.hash, column.history) == ("above zero", "", ())
    one = why("tides", "2026-01-01", "level").column
    assert one is not None
    assert one.hash
    assert len(one.history) == 1


def test_the_history_is_that_of_its_own_environment(
    project: Project, why: Callable[..., Explanation], tmp_path: Path
) -> None:
    project.run()
    other = open_project(tmp_path, workflow=workflow(), env="dev")
    other.run()
    other.close()
    column = why("tides", "2026-01-01", "level").column
    assert column is not None
    assert len(column.history) == 1


def test_the_last_runs_are_described_and_earlier_ones_counted(
    project: Project,
    why: Callable[..., Explanation],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = project.run().run
    with (tmp_path / "tides.csv").open("a") as file:
        file.write("2026-01-03,a,1.0\n")
    second = project.run().run
    found = why("tides")
    assert ([made.run for made in found.runs], found.earlier_runs) == ([first, second], 0)
    monkeypatch.setattr(provenance, "_MOST_RUNS", 1)
    found = why("tides")
    assert ([made.run for made in found.runs], found.earlier_runs) == ([second], 1)
    assert "1 earlier run: name a PARTITION" in render(found)


def test_without_anything_published(why: Callable[..., Explanation]) -> None:
    found = why("highest")
    assert (found.partitions, found.origins, found.runs, found.key) == ((), (), (), "")
    with pytest.raises(UsageError, match="nothing published yet"):
        why("highest", "all")


def columns(found: Explanation) -> dict[str, tuple[str, ...]]:
    return {origin.stage: origin.columns for origin in found.origins}


def test_the_columns_of_origins(project: Project, why: Callable[..., Explanation]) -> None:
    """All that is read between there and here, or what one column depends on."""
    project.run()
    assert columns(why("highest")) == {
        "deep": ("harbour", "level"),
        "harbours": ("harbour",),
        "tides": ("date", "harbour", "level"),
    }
    assert columns(why("highest", "all", "level"))["tides"] == ("harbour", "level")
    assert columns(why("tides", "2026-01-01", "level")) == {"tides": ("level",)}


def test_an_input_that_is_ignored_is_no_origin_of_a_column(
    project: Project, why: Callable[..., Explanation]
) -> None:
    project.run()
    assert set(origins(why("alone"))) == {"tides", "harbours"}
    found = why("alone", "2026-01-01", "level")
    assert set(origins(found)) == {"tides"}
    assert found.column is not None
    assert [(item.stage, item.column, dict(item.reads)) for item in found.column.lineage] == [
        ("alone", "level", {"tides": ("level",)}),
        ("tides", "level", {}),
    ]


def test_what_a_stage_reads(project: Project, why: Callable[..., Explanation]) -> None:
    tides, harbours = why("alone").reads
    assert (tides.reads, tides.ignores) == (("date", "harbour", "level"), ())
    # The number of rows of an input that is ignored still counts, since it could be looked at.
    assert (harbours.reads, harbours.ignores) == ((), ("harbour", "depth"))


def test_other_rows_of_the_same_columns_are_a_change(
    project: Project, why: Callable[..., Explanation], tmp_path: Path
) -> None:
    project.run()
    (tmp_path / "harbours.csv").write_text("harbour,depth\na,11.0\nb,20.0\n")
    project.run("harbours")
    # Nothing reads the depth.
    assert not any(origin.changed for origin in why("deep", "2026-01-01").origins)
    (tmp_path / "harbours.csv").write_text("harbour,depth\na,11.0\nc,20.0\n")
    project.run("harbours")
    changed = {o.stage: o.changed_columns for o in why("deep", "2026-01-01").origins if o.changed}
    assert changed == {"harbours": ("harbour",)}
    # Of a stage that only counts rows, as many as before are the same.
    assert not any(origin.changed for origin in why("alone", "2026-01-01").origins)
    (tmp_path / "harbours.csv").write_text("harbour,depth\na,11.0\n")
    project.run("harbours")
    found = {o.stage: o.changed_columns for o in why("alone", "2026-01-01").origins if o.changed}
    assert found == {"harbours": ()}
