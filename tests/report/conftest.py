"""Run, tables, figure and report of the default suite."""

from __future__ import annotations

import matplotlib.figure
import pytest

from harness import frame, report
from harness.frame.rows import rows_of
from harness.report import plots
from tests.factories import digits


@pytest.fixture(scope="package")
def run():
    """The default suite with modelled energies."""
    return digits()


@pytest.fixture(scope="package")
def tables(run):
    """Its tables."""
    return frame.tables([run])


@pytest.fixture(scope="package")
def figure(tables):
    """Its figure."""
    drawn = matplotlib.figure.Figure(dpi=plots.DPI)
    plots._compose(drawn, rows_of(tables["cases"]), plots.panels())
    drawn.canvas.draw()
    return drawn


@pytest.fixture(scope="package")
def folder(run, tables, tmp_path_factory):
    """Folder of its report."""
    return report.write(run, tables, tmp_path_factory.mktemp("report"))
