"""Output for people: tables, figures, the HTML page, texts of verdicts, and exports for papers and programs."""

from __future__ import annotations

from harness.report.export import FORMATS, PUBLISHED, export
from harness.report.folder import FILES, write
from harness.report.notes import notes
from harness.report.paper import paper
from harness.report.prefill import prefill_lines
from harness.report.runs_plot import draw_runs
from harness.report.sentences import output_sentences, preface, sentences
from harness.report.tables import published_columns
from harness.report.terminal import terminal
from harness.report.units import UNITS

__all__ = [
    "FILES",
    "FORMATS",
    "PUBLISHED",
    "UNITS",
    "draw_runs",
    "export",
    "notes",
    "output_sentences",
    "paper",
    "preface",
    "prefill_lines",
    "published_columns",
    "sentences",
    "terminal",
    "write",
]
