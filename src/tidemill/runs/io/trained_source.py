"""Keep the source text of a model with it, so that people can compare versions of its code later."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace

from tidemill.analysis.code.source_text import source_text
from tidemill.core.fingerprint import object_name
from tidemill.core.redaction import Redact
from tidemill.reuse.recipe import Recipe
from tidemill.steps.step_messages import StepOutput
from tidemill.workflow.stage import Flow, Stage
from tidemill.workflow.upstream import upstream_names

# The suffix of the texts by stage, as JSON.
SOURCE = ".source.json"


def with_source(
    output: StepOutput, model: Stage, flow: Flow, recipes: Mapping[str, Recipe], redact: Redact
) -> StepOutput:
    """The output of a training with the text of the model's code and of the stages upstream, redacted."""
    assert output.product.artifact is not None
    names = (model.name, *upstream_names(flow, model))
    code = {name: recipes[name].code for name in names}
    texts = {name: redact(source_text(found)) for name, found in code.items() if found is not None}
    payload = json.dumps({name: text for name, text in texts.items() if text}).encode()
    artifact = replace(output.product.artifact, source=object_name(payload, SOURCE))
    return replace(
        output,
        product=replace(output.product, artifact=artifact),
        objects=(*output.objects, (payload, SOURCE)),
    )
