"""Check the conditions of reviews that a workflow asks for."""

from __future__ import annotations

from collections.abc import Iterator

from tidemill.core.errors import Fault
from tidemill.governance.expression import compile_expression, describe_fault
from tidemill.governance.expression_types import ExpressionFault
from tidemill.governance.policy import declared_for
from tidemill.ledger.policy import SubjectKind
from tidemill.workflow.stage import Flow


def review_term_faults(flow: Flow) -> Iterator[Fault]:
    """Yield a fault for each condition of a review that isn't one over the facts of a delivery."""
    for stage in flow.stages:
        approval = stage.approval
        if approval is None or approval.review is None or not approval.review.when:
            continue
        try:
            compile_expression(approval.review.when, declared_for([SubjectKind.DELIVERY]))
        except ExpressionFault as error:
            fault = describe_fault(error, approval.review.when, approval.place)
            yield Fault(
                message=f"approve({approval.model}): review when=: {fault.message}",
                where=approval.place,
                hint=fault.hint,
            )
