"""Files of a report."""

from __future__ import annotations

import subprocess
import sys

import pytest

from harness import frame, report
from harness.errors import StoreError
from harness.frame.rows import rows_of
from harness.report import sentences
from tests.factories import case, record, stored

FILES = {"table.md", "table.csv", "pareto.png", "pareto.svg", "index.html"}


def test_a_report_has_five_files(folder):
    """No temporary file is left in the folder."""
    assert {path.name for path in folder.iterdir()} == FILES
    assert all(path.stat().st_size > 500 for path in folder.iterdir())


def test_the_markdown_table_has_the_sentences_below(folder, run, tables):
    """As a list, with its preface, escaped."""
    text = (folder / "table.md").read_text()
    table, below = text.split("\nVariants against dense", 1)
    assert table.startswith("|") and "± is the half-width" in table
    assert below.count("\n- ") == len(sentences(run.header, rows_of(tables["cases"]))) + 1
    assert "\\[0.546, 0.560\\]" in below and below.endswith(".\n")


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path):
    """With the next step."""
    (tmp_path / "file").write_text("")
    run = stored([case()], [record(case())])
    with pytest.raises(StoreError, match="harness report RUN"):
        report.write(run, frame.tables([run]), tmp_path / "file" / "report")


def test_drawing_loads_no_engine_and_no_sensor():
    """In a fresh interpreter: a report can be redrawn on a laptop."""
    code = """
import sys, tempfile, pathlib
from harness import frame, report
from tests.factories import case, record, stored
run = stored([case()], [record(case())])
report.write(run, frame.tables([run]), pathlib.Path(tempfile.mkdtemp()))
never = ("tensorflow", "keras", "onnxruntime", "ai_edge_litert", "pynvml", "codecarbon", "psutil", "harness.engines", "harness.sensors")
assert not [name for name in sys.modules if name.startswith(never)]
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
