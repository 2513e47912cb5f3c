"""Cards of model versions: shown in notebooks, or written to a folder."""

from __future__ import annotations

from pathlib import Path

from tidemill.adapters.files.disk import translate_os_errors
from tidemill.core.errors import UsageError
from tidemill.ledger.model_version import ModelVersion
from tidemill.models.card import Card, model_card
from tidemill.project.workspace import Workspace

CARD = "README.md"
_BEGINNING = "---\nlibrary_name:"


class ModelCard:
    """The card of a version: Markdown with the front matter that model hubs read."""

    def __init__(self, version: ModelVersion, workspace: Workspace) -> None:
        self._version = version
        self._workspace = workspace

    def __repr__(self) -> str:
        return f"<ModelCard {self._version.model} {self._version.id}>"

    @property
    def markdown(self) -> str:
        """The card without pictures."""
        return self._build(pictured=False).markdown

    def _repr_markdown_(self) -> str:
        # A notebook would show the front matter as text.
        return self.markdown.partition("\n---\n")[2]

    def _repr_html_(self) -> str:
        """Render the version with charts of its scores."""
        return self._version._repr_html_()

    def save(self, folder: str | Path) -> Path:
        """Write README.md and its pictures to a folder, in place of an earlier card; return its path.

        The folder is created. UsageError if it has a README.md that isn't a model card, StorageError if a
        file can't be written.
        """
        target, card = Path(folder), self._build(pictured=True)
        files = {CARD: card.markdown, **card.pictures}
        with translate_os_errors(str(target)):
            target.mkdir(parents=True, exist_ok=True)
            _require_card(target / CARD)
            for name, text in files.items():
                (target / name).write_text(text, encoding="utf-8")
        return target / CARD

    def _build(self, *, pictured: bool) -> Card:
        space, cost = self._workspace, self._version.cost
        price = ""
        if cost is not None and (amount := cost.amount(space.price)):
            price = f"{amount:,.6f} {space.price.currency}"
        return model_card(
            self._version,
            workflow=space.declared.name,
            owner=space.declared.owner,
            price=price,
            pictured=pictured,
        )


def _require_card(path: Path) -> None:
    """Raise UsageError for a file that isn't an earlier card, which would be lost."""
    if not path.exists():
        return
    if not path.read_text(encoding="utf-8", errors="replace").startswith(_BEGINNING):
        raise UsageError(
            f"{path} exists and isn't a model card: choose another folder, or remove it"
        )
