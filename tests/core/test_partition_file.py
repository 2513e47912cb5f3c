"""The names of partitions' files: readable, and as different as the partitions are."""

from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.core.partition_file import MOST_BYTES, partition_stem


@given(st.sets(st.text(min_size=1, max_size=3) | st.text(alphabet="aü", min_size=190), min_size=1))
def test_the_names_of_files_differ_as_their_partitions_do(partitions: set[str]) -> None:
    names = {partition_stem(partition) for partition in partitions}
    assert len(names) == len(partitions)
    assert max(map(len, names)) <= MOST_BYTES
    assert all(name.isascii() and "/" not in name and name.isprintable() for name in names)
    assert not any(name.startswith((".", "_")) for name in names)


@given(
    st.sets(
        st.text(alphabet="dDeEsSßK/_.%", max_size=4)
        | st.from_regex(r"2013-03-0[78][tT]0[56]", fullmatch=True)
        | st.text(alphabet="aAü", min_size=190),
        min_size=1,
    )
)
def test_the_names_differ_without_regard_to_case_where_a_folder_ignores_it(
    partitions: set[str],
) -> None:
    names = {partition_stem(partition, ignores_case=True).casefold() for partition in partitions}
    assert len(names) == len(partitions)


@pytest.mark.parametrize(
    ("partition", "is_plain"),
    [
        ("de", True),
        ("2013-03-07", True),
        ("2013-03-07T05", True),
        ("a b/ü", True),
        ("DE", False),
        ("De", False),
        ("2013-03-07t05", False),
    ],
)
def test_a_plain_name_stays_where_it_is_unique(partition: str, is_plain: bool) -> None:
    plain = partition_stem(partition)
    name = partition_stem(partition, ignores_case=True)
    assert (name == plain) == is_plain
    if not is_plain:
        digest = sha256(partition.encode()).hexdigest()[:32]
        assert name == f"{plain}+{digest}"
