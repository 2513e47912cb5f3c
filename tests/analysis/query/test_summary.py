"""The summary of a query is kept as JSON."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tidemill.adapters.codec.events import decode, encode
from tidemill.analysis.query.summary import QuerySummary

NAMES = st.text(max_size=3)
READS = st.dictionaries(NAMES, st.lists(NAMES, max_size=2).map(tuple), max_size=2)


@given(
    st.builds(
        QuerySummary,
        opaque=NAMES,
        columns=st.dictionaries(NAMES, NAMES, max_size=2),
        lineage=st.dictionaries(NAMES, READS, max_size=2),
        reads=READS,
        touched=st.lists(NAMES, max_size=2).map(tuple),
        unstable=NAMES,
        unordered=NAMES,
        least=st.none() | st.integers(0, 9),
        memos=st.booleans(),
    )
)
def test_a_summary_comes_back_as_it_was_written(query: QuerySummary) -> None:
    assert decode(QuerySummary, encode(query)) == query


def test_nothing_is_claimed_of_a_query_that_was_not_looked_at() -> None:
    assert (QuerySummary().columns, QuerySummary().reads, QuerySummary().least) == ({}, {}, None)
