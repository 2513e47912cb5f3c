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


@pytest.mark.parametrize(
    ("lines", "facts"),
    [
        (["License-Expression: (MIT OR Apache-2.0) AND LicenseRef-Own"],
         PackageFacts(expression="(MIT OR Apache-2.0) AND LicenseRef-Own")),
        # What isn't SPDX is the name of a license, and a group of licenses is none.
        (["License-Expression: Apache 2.0 or so"], PackageFacts(licenses=("Apache 2.0 or so",))),
        (["Classifier: License :: OSI Approved", "License: UNKNOWN"], PackageFacts()),
        (["Requires-Dist: a[x]>=1", "Requires-Dist: b; extra=='t'", "Requires-Dist: c; extra  == 't'"],
         PackageFacts(requires=("a",))),
    ],
)  # fmt: skip
def test_metadata_that_is_written_in_other_ways(
    path: Path, lines: list[str], facts: PackageFacts
) -> None:
    installed(path, "odd", *lines)
    assert installed_packages({"odd": "1.0"}) == {"odd": facts}


@pytest.mark.parametrize(
    ("source", "origin"),
    [
        ({"dir_info": {"editable": True}, "url": "file:///home/ana/lib"}, "an editable folder"),
        ({"dir_info": {}, "url": "file:///home/ana/lib"}, "a folder"),
        ({"archive_info": {}, "url": "file:///home/ana/lib.whl"}, "a file"),
        ({"archive_info": {}, "url": "https://ana:pw@shop.com:8/a.whl?token=pw#x"}, "https://shop.com:8/a.whl"),
        ({"vcs_info": {"vcs": "git", "commit_id": "abc"}, "url": "https://pw@shop.com/a.git"},
         "git+https://shop.com/a.git@abc"),
        ({"vcs_info": 1, "archive_info": [], "url": "http://[a"}, ""),
        ({"url": 5}, ""),
    ],
)  # fmt: skip
def test_where_it_was_installed_from(path: Path, source: object, origin: str) -> None:
    installed(path, "odd", url=json.dumps(source))
    assert installed_packages({"odd": "1.0"}) == {"odd": PackageFacts(origin=origin)}


def test_hashes_that_are_none_are_left_out(path: Path) -> None:
    hashes = {"sha256": "zz", "sha512": 5, "sha384": "ab" * 48}
    installed(
        path, "odd", url=json.dumps({"archive_info": {"hashes": hashes}, "url": "https://x/y"})
    )
    assert installed_packages({"odd": "1.0"})["odd"].hashes == {"SHA-384": "ab" * 48}


def test_another_version_than_that_of_the_training_is_left_out() -> None:
    number = distribution("polars").version
    found = installed_packages({"polars": number, "numpy": "0.0"})
    assert found.keys() == {"polars"}
    assert found["polars"].licenses == ("MIT License",)
