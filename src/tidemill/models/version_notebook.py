"""Versions of models as notebooks show them: figures, charts of them, gates' verdicts, provenance."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from tidemill.core.counts import plural
from tidemill.core.partition import summarize_keys
from tidemill.core.printable import html_text
from tidemill.drawing.document import document
from tidemill.drawing.html_file import moment_text
from tidemill.drawing.notebook import notebook_html, notebook_table
from tidemill.drawing.sparkline import Sparkline, draw_sparkline
from tidemill.drawing.status import DrawnStatus
from tidemill.drawing.status_label import status_label
from tidemill.ledger.model_version import ModelVersion, VersionState
from tidemill.models.charts.evaluation import evaluation_charts
from tidemill.models.intervals import metric_interval
from tidemill.workflow.gate import Scores
from tidemill.workflow.model import Artifact

DRAWN_STATES: Mapping[VersionState, DrawnStatus] = {
    VersionState.LIVE: DrawnStatus.CURRENT,
    VersionState.APPROVED: DrawnStatus.CURRENT,
    VersionState.WITHDRAWN: DrawnStatus.STALE,
    VersionState.REFUSED: DrawnStatus.FAILED,
    VersionState.CANDIDATE: DrawnStatus.WAITING,
    VersionState.TRAINED: DrawnStatus.WAITING,
}
# A notebook has room for so many charts, and a sparkline for so many versions.
_MOST_CHARTS, _MOST_VERSIONS = 6, 40


def version_html(version: ModelVersion) -> str:
    """A version: its state, figures, charts, gates, data and cost."""
    artifact = version.artifact
    label = status_label(DRAWN_STATES[version.state], version.state)
    scores = version.latest_scores().items()
    charts = [chart for stage, each in scores for chart in evaluation_charts(stage, each)]
    drawn = "".join(chart.svg for chart in charts[:_MOST_CHARTS])
    trained = f"{moment_text(version.trained_at)} by run {version.run}"
    return notebook_html(
        _heading(artifact, label),
        notebook_table(("metric", ">value", "95 % interval over days"), _figures(version)),
        f'<div class="charts">{drawn}</div>' if drawn else "",
        _gates(version),
        notebook_table(("fact", "value"), [("trained", trained), *_facts(artifact)]),
    )


def artifact_html(artifact: Artifact) -> str:
    """A stored model by itself: what it reads and predicts, and what it was trained on."""
    return notebook_html(_heading(artifact), notebook_table(("fact", "value"), [*_facts(artifact)]))


def _heading(artifact: Artifact, label: str = "") -> str:
    name, id = html_text(artifact.stage), html_text(artifact.id)
    return f'<p><span class="strong">{name}</span> <code>{id}</code> {label}</p>'


def _facts(artifact: Artifact) -> Iterator[tuple[str, str]]:
    data = (f"{name} {summarize_keys(keys)}" for name, keys in artifact.trained_on.items())
    yield "data", f"{plural(artifact.rows, 'row')}; {', '.join(data)}"
    yield "predicts", f"{artifact.output} from {', '.join(artifact.inputs)}"
    yield "parameters", artifact.params


def versions_html(name: str, versions: Sequence[ModelVersion]) -> str:
    """The versions of a model, the newest first, with a line of its first metric."""
    rows = (
        (
            each.id,
            str(each.state),
            moment_text(each.trained_at),
            f"{each.artifact.rows:,}",
            each.metrics_text,
        )
        for each in versions
    )
    headers = ("version", "state", "trained", ">rows", "metrics")
    return notebook_html(_trend(versions), notebook_table(headers, rows, caption=name))


def _trend(versions: Sequence[ModelVersion]) -> str:
    """A small line of the newest figure of each version, oldest first."""
    named = [next(iter(_first_metric(each)), None) for each in reversed(versions[:_MOST_VERSIONS])]
    known = [each for each in named if each is not None]
    if len(known) < 2:
        return ""
    name = known[-1][0]
    values = [value for metric, value in known if metric == name]
    drawing = draw_sparkline(Sparkline(values=values, width=160, height=28))
    described = (
        f"{name} of the last {plural(len(values), 'version')}: {values[0]:.4g} to {values[-1]:.4g}"
    )
    svg = document(drawing, title=name, description=described, margin=2, radius=4)
    return f'<p class="soft">{html_text(described)}</p>{svg}'


def _first_metric(version: ModelVersion) -> Iterator[tuple[str, float]]:
    for scores in version.latest_scores().values():
        yield from scores.metrics.items()


def _figures(version: ModelVersion) -> Iterator[tuple[str, str, str]]:
    found = version.latest_scores()
    for stage, scores in found.items():
        for name, value in scores.metrics.items():
            shown = f"{stage}: {name}" if len(found) > 1 else name
            yield shown, f"{value:.5g}", _interval(scores, name)


def _interval(scores: Scores, metric: str) -> str:
    interval = metric_interval(scores, metric)
    return "-" if interval is None else f"{interval.low:.5g} to {interval.high:.5g}"


def _gates(version: ModelVersion) -> str:
    rows = [
        (result.gate, result.word, result.evidence)
        for decision in version.decisions[-1:]
        for result in decision.results
    ]
    return notebook_table(("gate", "outcome", "evidence"), rows) if rows else ""
