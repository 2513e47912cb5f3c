"""Check the conditions of reviews that a workflow asks for."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace

from tidemill.core.errors import Fault
from tidemill.governance.expression import compile_expression, describe_fault
from tidemill.governance.expression_types import ExpressionFault
from tidemill.governance.policy import declared_for
from tidemill.governance.rules_file import group_faults
from tidemill.ledger.policy import SubjectKind
from tidemill.workflow.stage import Flow


def review_term_faults(flow: Flow, groups: Collection[str] = ()) -> Iterator[Fault]:
    """Yield a fault for each condition of a review that isn't one over the facts of a delivery.

    And for each group that is asked and isn't among the `groups` that the project declares.
    """
    for stage in flow.stages:
        approval = stage.approval
        if approval is None or approval.review is None:
            continue
        terms, about = approval.review, f"approve({approval.model}): review"
        asked = (*terms.by, *terms.escalate_to)
        yield from group_faults(asked, groups, approval.place, f"{about}: ")
        if terms.when:
            try:
                compile_expression(terms.when, declared_for([SubjectKind.DELIVERY]))
            except ExpressionFault as error:
                fault = describe_fault(error, terms.when, approval.place)
                yield replace(fault, message=f"{about} when=: {fault.message}")
