"""Refuse to move to a version of a model that waits for people, and say what to do."""

from __future__ import annotations

import shlex

from tidemill.core.errors import GateError
from tidemill.governance.io.recorded_reviews import open_reviews
from tidemill.governance.review_vote import asked_text, missing_text
from tidemill.ledger.policy import SubjectKind
from tidemill.ledger.review_command import review_command
from tidemill.project.workspace import Workspace
from tidemill.workflow.environment import PRODUCTION


def refuse_waiting(space: Workspace, model: str, version: str = "") -> None:
    """Raise GateError if a review of a version of a model is open, whose id begins with `version`."""
    for state in open_reviews(space.tools.ledger, space.environment).values():
        review = state.review
        if (review.kind, review.name) != (SubjectKind.DELIVERY, model):
            continue
        if not review.artifact.startswith(version):
            continue
        where = "" if space.environment == PRODUCTION else f" {shlex.quote(space.environment)}"
        place = where and f" --env{where}"
        then = (
            f"`tidemill promote {shlex.quote(review.source)}{where}` makes it live after that"
            if review.source
            else "that makes it live"
        )
        raise GateError(
            f"{model} {review.artifact} waits for review {review.id}\n"
            f"asked: {asked_text(state)}\n"
            f"so far: {missing_text(state)}\n"
            f"{review_command(review.id)}{place}\n"
            f'approve it with: tidemill review approve {review.id}{place} --reason "WHY"; {then}'
        )
