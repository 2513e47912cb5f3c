"""Keep the source text of a model with it, so that people can compare versions of its code later."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace

from tidemill.analysis.code.source_text import source_text
from tidemill.core.fingerprint import object_name
from tidemill.core.redaction import Redact
from tidemill.reuse.recipe import Recipe
from tidemill.steps.step_messages import StepOutput
from tidemill.workflow.stage import Flow, Kind
from tidemill.workflow.upstream import upstream_names

# The suffix of the texts by stage, as JSON.
SOURCE = ".source.json"


class ModelSources:
    """The texts of the code of models among `stages` and of the stages upstream, redacted.

    They are taken at once: a file may be edited while a model trains, which runs what was imported.
    """

    def __init__(
        self, flow: Flow, recipes: Mapping[str, Recipe], stages: Iterable[str], redact: Redact
    ) -> None:
        models = [flow[name] for name in {*stages} if flow[name].kind is Kind.MODEL]
        self._names = {model.name: (model.name, *upstream_names(flow, model)) for model in models}
        code = {name: recipes[name].code for names in self._names.values() for name in names}
        self._texts = {
            name: redact(source_text(found)) for name, found in code.items() if found is not None
        }

    def added_to(self, output: StepOutput, model: str) -> StepOutput:
        """The output of a training with the texts of a model."""
        assert output.product.artifact is not None
        texts = {name: self._texts.get(name, "") for name in self._names[model]}
        payload = json.dumps({name: text for name, text in texts.items() if text}).encode()
        artifact = replace(output.product.artifact, source=object_name(payload, SOURCE))
        return replace(
            output,
            product=replace(output.product, artifact=artifact),
            objects=(*output.objects, (payload, SOURCE)),
        )
