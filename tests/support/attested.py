"""Projects whose runs attest what they deliver."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl

from tests.behaviour.test_text_partitions import BY_VALUE
from tests.support.constant import ConstantFormat
from tests.support.tides import Tides
from tests.support.trained import DIABETES, MAE, Trained, diabetes
from tidemill.governance.attest_settings import AttestSettings
from tidemill.governance.io.signing_keys import create_key
from tidemill.project.project import Project

# A pipeline on numbers, without the column `sex`: small, and trained in milliseconds.
RIDGE = """
from sklearn.impute import SimpleImputer
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline

names = [name for name in INPUTS if name != "sex"]
pipeline = make_pipeline(SimpleImputer(), Ridge()).fit(table.select(names), table["y"].to_numpy())
return tm.fitted(pipeline, inputs=Features.reads(*names), output="y")
"""


def with_key(project: Project, key: Path) -> Project:
    """The project with a key to sign with in its settings."""
    space = project.workspace
    space.settings = replace(
        space.settings, tables={**space.settings.tables, "attest": AttestSettings(key=str(key))}
    )
    return project


class _Attesting(Tides):
    """A project with a key beside its folder."""

    @property
    def key(self) -> Path:
        """The private key."""
        return self.root.with_name(f"{self.root.name}.pem")

    def open(self) -> Project:
        if not self.key.exists():
            create_key(self.key, self.root / ".tidemill")
        return with_key(super().open(), self.key)

    def attest(self, *arguments: str, **options: Any) -> Any:
        """What `tidemill attest write` does."""
        with self.open() as project:
            return project.attestations.attest(*arguments, **options)

    def verify(self, *arguments: str, **options: Any) -> Any:
        """What `tidemill attest verify` reports."""
        with self.open() as project:
            return project.attestations.verify(*arguments, **options)


class Attested(_Attesting, Trained):
    """A project that trains on scikit-learn's diabetes data."""

    def __init__(self, root: Path) -> None:
        super().__init__(root, diabetes(), DIABETES, RIDGE, MAE)


class QuicklyAttested(_Attesting):
    """A project whose model is a constant, and whose partitions are texts."""

    def __init__(self, root: Path, names: Sequence[str]) -> None:
        super().__init__(root, BY_VALUE)
        self.use(formats=(ConstantFormat(),))
        pl.DataFrame({"id": [1], "y": [1.0]}).write_parquet(root / "known.parquet")
        self.put("rows.parquet", pl.DataFrame({"name": names, "id": [1] * len(names)}))


def folder_of(tides: Tides) -> Path:
    """Where the attestations of production are kept."""
    return tides.root / ".tidemill" / "attestations" / "prod"
