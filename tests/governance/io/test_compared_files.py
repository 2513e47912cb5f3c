"""Files are compared by name and by digest, wherever the folder of the table is."""

from __future__ import annotations

import pytest

from tidemill.core.partition_file import partition_stem
from tidemill.governance.in_toto import AttestedFile
from tidemill.governance.io.compared_files import ComparedFiles

ONE, TWO = "1" * 64, "2" * 64


@pytest.mark.parametrize("inside", ["", "out/"])
def test_a_table_is_the_folder_or_in_it(inside: str) -> None:
    found = ComparedFiles(folder="here", digests={f"{inside}a.parquet": ONE})
    assert found.fault_of(AttestedFile(name="out/a.parquet", sha256=ONE)) == ""
    assert found.fault_of(AttestedFile(name="out/a.parquet", sha256=TWO)) == (
        f"here/{inside}a.parquet has the SHA-256 {ONE}"
    )
    assert found.fault_of(AttestedFile(name="out/b.parquet", sha256=ONE)) == "it is missing in here"
    assert found.files_besides(["out/a.parquet"]) == ()
    [other] = found.files_besides(["out/b.parquet"])
    assert (other.name, other.fault) == (f"here/{inside}a.parquet", "no attestation names it")


def test_a_folder_that_ignores_case_has_other_names() -> None:
    name = f"{partition_stem('DE/x', ignores_case=True)}.parquet"
    found = ComparedFiles(folder="here", digests={name: ONE, "de%2Fx.parquet": TWO})
    files = {"out/DE%2Fx.parquet": ONE, "out/de%2Fx.parquet": TWO}
    for each, digest in files.items():
        assert found.fault_of(AttestedFile(name=each, sha256=digest)) == ""
    assert found.files_besides(files) == ()


def test_a_single_file_is_one_of_those_that_are_attested_or_none() -> None:
    found = ComparedFiles(folder="here", digests={"a.parquet": ONE}, is_file=True)
    assert found.files_besides(["out/a.parquet"]) == ()
    assert len(found.files_besides([])) == 1
