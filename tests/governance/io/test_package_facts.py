"""What the metadata of installed packages says."""

from __future__ import annotations

import json
from importlib.metadata import distribution
from pathlib import Path

import pytest

from tidemill.governance.io.package_facts import installed_packages
from tidemill.governance.ml_bom import PackageFacts


def installed(folder: Path, name: str, *lines: str, url: str = "") -> None:
    """Metadata of a package as an installer writes it."""
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir()
    header = ["Metadata-Version: 2.4", f"Name: {name}", "Version: 1.0", *lines]
    (info / "METADATA").write_text("\n".join(header) + "\n")
    if url:
        (info / "direct_url.json").write_text(url)


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def test_licenses_hashes_and_requirements_are_read(path: Path) -> None:
    archive = {"archive_info": {"hashes": {"sha256": "ab" * 32, "md5": "cd" * 16}}}
    installed(
        *(path, "one", "License-Expression: MIT OR Apache-2.0", "License: MIT"),
        *("Requires-Dist: numpy>=2", "Requires-Dist: pytest ; extra == 'test'"),
        "Requires-Dist: numpy<3",
        url=json.dumps(archive),
    )
    installed(
        *(path, "two", "License: BSD 3-Clause", "Classifier: License :: OSI Approved :: BSD License"),
        "Classifier: Programming Language :: Python",
    )  # fmt: skip
    installed(path, "three", "License: A text", "        of many lines", url="[")
    installed(path, "four", f"License: {'x' * 100}", url="[1]")
    versions = {name: "1.0" for name in ("one", "two", "three", "four", "absent", "")}
    assert installed_packages(versions) == {
        "one": PackageFacts(
            expression="MIT OR Apache-2.0", hashes={"SHA-256": "ab" * 32}, requires=("numpy",)
        ),
        "two": PackageFacts(licenses=("BSD License", "BSD 3-Clause")),
        "three": PackageFacts(),
        "four": PackageFacts(),
    }


def test_another_version_than_that_of_the_training_is_left_out() -> None:
    number = distribution("polars").version
    found = installed_packages({"polars": number, "numpy": "0.0"})
    assert found.keys() == {"polars"}
    assert found["polars"].licenses == ("MIT License",)
