"""Who is logged in, for how long, and by what."""

from hypothesis import given
from hypothesis import strategies as st

from tidemill.console.refused_form import RefusedForm
from tidemill.console.sessions import LINK_S, LoginLimit, LoginLinks, Sessions


def sessions(lifetime: float = 100.0) -> Sessions:
    numbers = iter(range(10_000))
    return Sessions(lambda: f"id{next(numbers)}", lifetime)


def test_a_session_ends_by_itself() -> None:
    known = sessions(lifetime=100.0)
    found = known.begin(1_000.0)
    assert known.find(found.id, 1_099.9) == found
    assert known.find(found.id, 1_100.0) is None
    assert known.find("another", 1_000.0) is None


def test_who_logs_out_is_unknown() -> None:
    known = sessions()
    found = known.begin(0.0, "token")
    known.leave_notice(found.id, "done")
    known.end(found.id)
    assert known.find(found.id, 0.0) is None
    assert known.take_notice(found.id) == ""


def test_a_notice_is_told_once() -> None:
    known = sessions()
    found = known.begin(0.0)
    known.leave_notice(found.id, "approved")
    assert (known.take_notice(found.id), known.take_notice(found.id)) == ("approved", "")
    known.leave_notice("nobody", "approved")
    assert known.take_notice("nobody") == ""


def test_an_answer_is_for_its_page_and_once() -> None:
    known = sessions()
    found = known.begin(0.0)
    known.leave_answer("nobody", "/a", b"page")
    assert known.take_answer("nobody", "/a") == b""
    known.leave_answer(found.id, "/a", b"page")
    assert known.take_answer(found.id, "/b") == b""
    assert (known.take_answer(found.id, "/a"), known.take_answer(found.id, "/a")) == (b"page", b"")
    known.leave_answer(found.id, "/a", b"page")
    known.begin(200.0)
    known.end(found.id)
    assert known.take_answer(found.id, "/a") == b""


def test_a_refused_form_is_for_its_page_and_once() -> None:
    sessions = Sessions(lambda: "one", 60.0)
    form = RefusedForm(
        page="/x?a=1",
        action="/x",
        fields={"cell": "secret"},
        status=400,
        headline="No",
        detail="why",
    )
    sessions.leave_refused("one", form)
    assert sessions.take_refused("one", "/x", "a=1") is None
    sessions.begin(0.0)
    sessions.leave_refused("one", form)
    assert sessions.take_refused("one", "/x", "a=2") is None
    assert sessions.take_refused("one", "/x", "a=1") == form
    assert sessions.take_refused("one", "/x", "a=1") is None
    sessions.leave_refused("one", form)
    sessions.end("one")
    assert sessions.take_refused("one", "/x", "a=1") is None
    assert "secret" not in repr(form)
    # It ends with its session.
    ids = iter("23")
    other = Sessions(lambda: next(ids), 10.0)
    other.begin(0.0)
    other.leave_refused("2", form)
    other.begin(20.0)
    assert other.take_refused("2", "/x", "a=1") is None


def test_so_many_are_logged_in_and_who_came_first_leaves() -> None:
    known = sessions()
    first, *_, last = [known.begin(0.0, f"token {number}") for number in range(1_001)]
    assert known.find(first.id, 0.0) is None
    assert known.find(last.id, 0.0) == last


def test_a_token_opens_so_many_sessions_and_ends_none_of_others() -> None:
    known = sessions()
    other = known.begin(0.0, "another")
    first, *_ = [known.begin(0.0, "one") for _ in range(20)]
    assert known.find(first.id, 0.0) == first
    for _ in range(1_000):
        last = known.begin(0.0, "one")
    assert known.find(first.id, 0.0) is None
    assert known.find(last.id, 0.0) == last
    assert known.find(other.id, 0.0) == other


def test_sessions_hide_what_opens_them() -> None:
    found = sessions().begin(0.0, "tm_secret")
    assert "tm_secret" not in repr(found)
    assert found.id not in repr(found)
    assert found.form_key != sessions(1.0).begin(0.0).id


@given(st.text(), st.floats(0, 1e10))
def test_only_codes_that_were_made_are_good(code: str, now: float) -> None:
    assert not LoginLinks(b"secret").use(code, now)


def test_a_link_is_good_once_and_for_a_time() -> None:
    links = LoginLinks(b"secret")
    code = links.make("nonce", 1_000.0)
    assert not LoginLinks(b"another").use(code, 1_000.0)
    assert not links.use(code, 1_001.0 + LINK_S)
    assert not links.use("é.99999999999.abc", 1_001.0)
    assert not links.use("n.99999999999.é", 1_001.0)
    assert links.use(code, 1_001.0)
    assert not links.use(code, 1_001.0)
    assert not links.use(f"{code[:-1]}0" if code[-1] != "0" else f"{code[:-1]}1", 1_001.0)
    # What is over is forgotten, and stays over.
    assert links.use(links.make("other", 5_000.0), 5_001.0)
    assert not links.use(code, 5_001.0)


def test_an_address_waits_after_some_attempts() -> None:
    limit = LoginLimit()
    assert [limit.wait("a", 0.0) for _ in range(5)] == [0.0] * 5
    assert limit.wait("a", 0.0) == 10.0
    assert limit.wait("b", 0.0) == 0.0
    assert limit.wait("a", 10.0) == 0.0


def test_whoever_logs_in_takes_no_attempt_from_others() -> None:
    limit = LoginLimit()
    for _ in range(9):
        assert limit.wait("a", 0.0) == 0.0
        limit.give_back("a")
    assert [limit.wait("a", 0.0) for _ in range(6)] == [0.0] * 5 + [10.0]
    limit.give_back("nobody")


def test_addresses_are_forgotten_before_there_are_too_many() -> None:
    limit = LoginLimit()
    for number in range(10_001):
        limit.wait(str(number), 0.0)
    assert len(limit._buckets) == 10_000
