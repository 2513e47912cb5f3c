"""What a stage's query computes, column by column, told from its plan before any data moves."""

from tidemill.decide.hits import Hit
from tidemill.decide.query.mark import marked
from tidemill.decide.query.numbering import Apart, Column, Numbered, numbered
from tidemill.decide.query.text import Unreadable

__all__ = ["Apart", "Column", "Hit", "Numbered", "Unreadable", "marked", "numbered"]
