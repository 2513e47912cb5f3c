"""`tidemill contract`: contracts from data."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import click

from tidemill.cli.document import json_option
from tidemill.domain.errors import SourceError
from tidemill.domain.source import SUFFIXES, Format

if TYPE_CHECKING:
    import polars as pl


@click.group()
def contract() -> None:
    """Scaffold contracts from data."""
