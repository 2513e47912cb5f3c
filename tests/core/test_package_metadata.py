"""Names and versions of installed packages are those of `importlib.metadata`, however they are written."""

from __future__ import annotations

import sys
from importlib import metadata
from pathlib import Path

import pytest

from tidemill.core.package_metadata import installed_version, name_and_version

USUAL = "Metadata-Version: 2.1\nName: shop\nVersion: 1.2.3\nSummary: A shop\n\nVersion: 9\n"


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with packages, first on the path."""
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    installed_version.cache_clear()
    return tmp_path


def add(
    site: Path, text: str, file: str = "shop-1.2.3.dist-info/METADATA"
) -> metadata.Distribution:
    path = site / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return metadata.distribution("shop")


def test_all_that_is_installed_has_the_names_and_versions_of_the_standard_library() -> None:
    found = [*metadata.distributions()]
    assert len(found) > 20
    for each in found:
        assert name_and_version(each) == (each.name, each.version)
        assert installed_version(each.name) == metadata.version(each.name)


# What Python 3.12 and 3.13 say of a header that is missing.
@pytest.mark.filterwarnings("ignore:Implicit None on return values:DeprecationWarning")
@pytest.mark.parametrize(
    "text",
    [
        USUAL,
        USUAL.replace("\n", "\r\n"),
        # Continued, indented and differently spelt headers.
        USUAL.replace("A shop", "A shop\n  Version: 7"),
        USUAL.replace("1.2.3", "1.2.3\n  rc"),
        USUAL.replace("Version: 1", "version: 1"),
        USUAL.replace("Version: 1", "VERSION: 8\nVersion: 1"),
        USUAL.replace("Version: 1", "Version:   1"),
        USUAL.replace("1.2.3", "1.2.3  "),
        USUAL.replace("Version: 1.2.3", "Version: 1.2.3\nVersion: 4"),
        USUAL.replace("Name: shop\nVersion: 1.2.3", "Version: 1.2.3\nName: shop"),
        # The headers end at a line that is none.
        USUAL.replace("Summary", "no header\nSummary").replace("Version: 1", "\nVersion: 1"),
        USUAL.replace("Name: shop", "Name: shop\nno header"),
        "Name: shop\nVersion: 1.2.3",
        "Name: shop\nVersion: 1.2.3\n",
        "\ufeff" + USUAL,
    ],
)
def test_unusual_text_reads_as_the_standard_library_reads_it(site: Path, text: str) -> None:
    known = add(site, text)
    assert name_and_version(known) == (known.metadata["Name"], known.metadata["Version"])


def test_older_forms_of_metadata_are_read(site: Path) -> None:
    add(site, USUAL, "shop-1.2.3.egg-info/PKG-INFO")
    assert installed_version("shop") == "1.2.3"


def test_a_package_that_is_not_installed_is_an_error() -> None:
    with pytest.raises(metadata.PackageNotFoundError, match="no-such-package"):
        installed_version("no-such-package")
