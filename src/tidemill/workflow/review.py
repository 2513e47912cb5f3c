"""Terms of reviews: when people are asked about a change, whom, how many, and for how long."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias, get_args

from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.units import parse_seconds

# What happens to a review that nobody decides in time.
OnTimeout: TypeAlias = Literal["reject", "remind", "escalate"]
# As many people as can be demanded, and names as can be asked; rules have the same limits.
MOST_PEOPLE, MOST_NAMES = 20, 100
_LONGEST = 10 * 366 * 86_400.0
_ROLES = ("role:reviewer", "role:admin")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewTerms:
    """When a change waits for people, and who they are.

    `by` are users, groups, or roles as `role:reviewer`; empty: the reviewers. `when` is an expression over
    the facts of the change; empty: always. It may take `within` seconds; None: for ever.
    """

    by: tuple[str, ...] = ()
    when: str = ""
    within: float | None = None
    on_timeout: OnTimeout = "reject"
    people: int = 1
    author_may_approve: bool = True
    escalate_to: tuple[str, ...] = ()


def review(
    *,
    by: str | Sequence[str] = (),
    when: str = "",
    within: str | float | None = None,
    on_timeout: OnTimeout = "reject",
    people: int = 1,
    author_may_approve: bool = True,
    escalate_to: str | Sequence[str] = (),
) -> ReviewTerms:
    """Ask people before a change that passed its gates reaches its users.

    - `by`: users, groups of the settings, or roles such as "role:reviewer", one or several. By default every
      reviewer may decide.
    - `when`: an expression over the facts of the change, such as "prediction_shift > 0.10 or first_delivery".
      By default every change waits.
    - `within`: how long people have, such as "24h"; by default for ever.
    - `on_timeout`: then the change is rejected ("reject"), its people are asked again ("remind"), or
      `escalate_to` (by default the admins) is asked, too ("escalate"); it is rejected after another `within`.
    - `people`: how many different people must approve.
    - `author_may_approve=False`: the person who asked for the change doesn't count.

    Raises ValueError and TypeError for what makes no sense.
    """
    asked, further = _names("by", by), _names("escalate_to", escalate_to)
    if not isinstance(when, str):
        raise TypeError(
            f"review(when={when!r}): write an expression as text, such as 'first_delivery'"
        )
    if isinstance(people, bool) or not isinstance(people, int) or people < 1:
        raise ValueError(f"review(people={people!r}): at least 1 person must approve")
    if people > MOST_PEOPLE:
        raise ValueError(f"review(people=...): at most {MOST_PEOPLE} people can be needed")
    if not isinstance(author_may_approve, bool):
        raise TypeError(f"review(author_may_approve={author_may_approve!r}): write True or False")
    if on_timeout not in get_args(OnTimeout):
        known = ", ".join(map(repr, get_args(OnTimeout)))
        raise ValueError(f"review(on_timeout={on_timeout!r}) is not one of {known}")
    if within is None and on_timeout != "reject":
        raise ValueError(f"review(on_timeout={on_timeout!r}) needs within=, such as '24h'")
    seconds = None if within is None else parse_seconds(within)
    if seconds is not None and seconds > _LONGEST:
        raise ValueError(f"review(within={within!r}) is over 10 years: leave it out for no limit")
    if further and on_timeout != "escalate":
        raise ValueError("review(escalate_to=...) needs on_timeout='escalate'")
    return ReviewTerms(
        by=asked,
        when=when.strip(),
        within=seconds,
        on_timeout=on_timeout,
        people=people,
        author_may_approve=author_may_approve,
        escalate_to=further,
    )


def _names(option: str, given: str | Sequence[str]) -> tuple[str, ...]:
    if not isinstance(given, str | Sequence):
        raise TypeError(f"review({option}={given!r}): write a name, or a list of names")
    names = (given,) if isinstance(given, str) else tuple(given)
    if len(names) > MOST_NAMES:
        raise ValueError(f"review({option}=...) has {len(names):,} names: declare a group")
    for name in names:
        if not isinstance(name, str) or not name.strip() or not name.strip().isprintable():
            raise ValueError(
                f"review({option}={given!r}): {name!r} is not a name, such as 'ops-leads'"
            )
        if name.strip().startswith("role:") and name.strip() not in _ROLES:
            known = " and ".join(map(repr, _ROLES))
            raise ValueError(f"review({option}={given!r}): the roles that may decide are {known}")
    return tuple(dict.fromkeys(name.strip() for name in names))
