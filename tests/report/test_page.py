"""The page and the folder: self-contained, safe, complete."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from harness import frame, report
from harness.errors import StoreError
from harness.report.page import paybacks
from tests.factories import CARD, case, digits, record, stored

FILES = {"table.md", "table.csv", "pareto.png", "pareto.svg", "index.html"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The report of the default suite."""
    return report.write(digits(), frame.tables([digits()]), tmp_path_factory.mktemp("report"))


@pytest.fixture(scope="module")
def page(folder):
    return (folder / "index.html").read_text()


def test_five_files_and_no_half_written_one(folder):
    """Nothing else is left in the folder."""
    assert {path.name for path in folder.iterdir()} == FILES
    assert all(path.stat().st_size > 500 for path in folder.iterdir())


def test_the_page_is_alone(page):
    """No script, nothing from the network, and a policy that forbids both."""
    assert "default-src 'none'" in page
    assert "<script" not in page
    assert not re.search(r"""<(?:link|img|iframe|object)[^>]+(?:src|href)=["']?(?:https?:)?//""", page)
    assert not re.search(r"url\(['\"]?http", page)


def test_the_page_says_what_one_must_know(page):
    """Kind, scope, method, grid with its year, failures with reasons, remedies, versions, and how to draw it again."""
    for word in (
        "modelled: package+dram", "seed 0", "t(.975)", "DEU", "2023", "tensor 12", "no GPU is visible", "run the case again", "ai-edge-litert 2.3.0",
        "harness report run", "no NVIDIA driver is loaded", "errors of up to 40 %", "400 J, modelled", "name: digits", "Payback", "not separated from 0",
    ):  # fmt: skip
        assert word in page, word


def cells(**changes) -> dict:
    """A row with a payback."""
    known = {"case_id": "c", "build_j": 400.0, "energy_kind": "modelled", "calibrated": None, "warnings": None}
    return {**known, "payback_inferences": 800.0, "payback_low": 700.0, "payback_high": 950.0, "payback_verdict": "pays_back", **changes}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "800 [700 950]"),
        ({"payback_verdict": "not_separated", "payback_high": None}, "at least 700, no upper bound"),
        ({"payback_verdict": "not_separated", "payback_inferences": None, "payback_high": None}, "at least 700, no upper bound"),
        ({"payback_verdict": "no_saving", "payback_inferences": None, "payback_low": None, "payback_high": None}, "never"),
        ({"payback_verdict": None, "payback_low": None, "payback_high": None}, "800, in too few repetitions"),
        ({"payback_verdict": None, "payback_inferences": None, "payback_low": None, "payback_high": None}, "nothing is saved"),
    ],
)
def test_the_payback_is_told_in_words(changes, words):
    """Every verdict, with the kind of its energy, and no number that is not known."""
    ((_, energy, after),) = paybacks([cells(**changes)])
    assert energy == "400 J, modelled"
    assert words in after
    assert "None" not in after


def test_the_page_tells_payback_edges_and_cost(tmp_path):
    """The build's energy, windows whose edges dominate, and what the sampler took."""
    card = case(device="gpu")
    run = stored([card], [record(card, {"gpu:0": 7.0}, repetition=k, found=CARD[:1]) for k in range(3)], CARD[:1])
    cost = {"slow_share": 0.004, "edge_share": None, "window_share": 0.012, "window_s": 1.1}
    run = replace(run, header=run.header.model_copy(update={"probe": {"sampler": cost}}))
    text = (report.write(run, frame.tables([run]), tmp_path) / "index.html").read_text()
    assert "longer windows (--window) rather than more runs" in text
    assert "0.40% between the edges of a window, 1.20% in a whole window" in text
    assert "Payback" not in text


def test_the_figure_can_be_heard(page):
    """The picture has a name that says what it shows."""
    assert re.search(r'role="img" aria-label="Three scatter plots of 19 cases', page)


def test_every_tag_is_closed(page):
    """The page and the figure inside it nest."""
    open_: list[str] = []

    class Nest(HTMLParser):
        def handle_starttag(self, tag, attrs):
            if tag not in ("meta",):
                open_.append(tag)

        def handle_startendtag(self, tag, attrs):
            pass

        def handle_endtag(self, tag):
            assert open_.pop() == tag

    Nest().feed(page)
    assert open_ == []


def test_strangers_text_is_text_on_the_page(tmp_path):
    """A name or a message with tags runs nothing."""
    hostile = case("<img src=x onerror=alert(1)>")
    lost = record(hostile, {}, status="failed", reason="</td><script>alert(2)</script>\x1b[31m", latency=None, quality=None)
    run = stored([hostile], [lost])
    text = (report.write(run, frame.tables([run]), tmp_path) / "index.html").read_text()
    assert "<img" not in text
    assert "<script" not in text
    assert "\x1b" not in text


def test_a_folder_that_cannot_be_made_is_said(tmp_path):
    """With what to do, and no traceback of the system's."""
    (tmp_path / "file").write_text("")
    run = stored([case()], [record(case())])
    with pytest.raises(StoreError, match="harness report RUN"):
        report.write(run, frame.tables([run]), tmp_path / "file" / "report")


def test_drawing_loads_no_engine_and_no_sensor():
    """In a fresh interpreter, down to the last file: a report is redrawn on a laptop."""
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
