"""The page: self-contained, safe, complete."""

from __future__ import annotations

import re
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser

import pytest

from harness import frame, report
from harness.frame.rows import rows_of
from harness.report import output_sentences, preface, sentences
from harness.report.page import paybacks, render
from harness.schema import StoredOutputs
from tests.factories import CARD, case, digits, record, stored


@pytest.fixture(scope="module")
def page(folder):
    return (folder / "index.html").read_text()


def test_the_page_is_self_contained(page):
    """No script, no request, and a policy against both."""
    assert "default-src 'none'" in page
    assert "<script" not in page
    assert not re.search(r"""<(?:link|img|iframe|object)[^>]+(?:src|href)=["']?(?:https?:)?//""", page)
    assert not re.search(r"url\(['\"]?http", page)


def test_the_page_has_kind_method_failures_and_remedies(page):
    """Also scope, grid with its year, versions, and how to redraw it."""
    for word in (
        "modelled (package+dram)", "seed 0", "t(.975)", "DEU", "2023", "tensor 12", "no GPU is visible", "run the case again", "ai-edge-litert 2.3.0",
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
        ({"payback_verdict": None, "payback_low": None, "payback_high": None}, "800; too few repetitions"),
        ({"payback_verdict": None, "payback_inferences": None, "payback_low": None, "payback_high": None}, "no saving; too few"),
    ],
)
def test_every_payback_verdict_has_a_text(changes, words):
    """With the kind of its energy, and without unknown numbers."""
    ((_, energy, after),) = paybacks([cells(**changes)])
    assert energy == "400 J, modelled"
    assert words in after
    assert "None" not in after


def test_the_page_has_edges_and_overhead(tmp_path):
    """Windows whose edges dominate, and CPU time of the sampler; without builds no payback."""
    card = case(device="gpu")
    run = stored([card], [record(card, {"gpu:0": 7.0}, repetition=k, found=CARD[:1]) for k in range(3)], CARD[:1])
    cost = {"slow_share": 0.004, "edge_share": None, "window_share": 0.012, "window_s": 1.1}
    run = replace(run, header=run.header.model_copy(update={"probe": {"sampler": cost}}))
    text = (report.write(run, frame.tables([run]), tmp_path) / "index.html").read_text()
    assert "longer windows (--window) rather than more runs" in text
    assert "0.40% between the edges of a window, 1.20% in a whole window" in text
    assert "Payback" not in text


def test_the_figure_has_a_text_alternative(page):
    """Its label names what it contains."""
    assert re.search(r'role="img" aria-label="Three scatter plots of 19 cases', page)


def test_every_tag_is_closed(page):
    """In the page and in the figure inside."""
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


def test_tags_in_names_and_messages_are_text(tmp_path):
    """Nothing of them is executed."""
    hostile = case("<img src=x onerror=alert(1)>")
    lost = record(hostile, {}, status="failed", reason="</td><script>alert(2)</script>\x1b[31m", latency=None, quality=None)
    run = stored([hostile], [lost])
    text = (report.write(run, frame.tables([run]), tmp_path) / "index.html").read_text()
    assert "<img" not in text
    assert "<script" not in text
    assert "\x1b" not in text


def test_the_page_has_a_sentence_for_each_variant():
    """Above the table, with the meaning of its brackets; and what is known of the outputs of dense."""
    run = digits()
    frames = frame.tables([run])
    rows = rows_of(frames["cases"])
    html = unescape(render(run, frames, "<svg></svg>"))
    assert html.index("<h2>Compared with dense</h2>") < html.index("<h2>Cases</h2>")
    assert preface(run.header, rows) in html and "non-inferior within 0.01" in html
    text = html.replace("<strong>", "").replace("</strong>", "")
    assert not [each for each in (*sentences(run.header, rows), *output_sentences(rows)) if f"<li>{each}.</li>" not in text]


def test_the_page_has_a_dense_case_that_differs_from_the_reference():
    """As a problem with its remedy, which no record holds."""
    run = digits()
    wrong = "digits-cnn dense onnxruntime cpu b1 t1 single_stream"
    outputs = {**run.outputs, wrong: StoredOutputs(run.outputs[wrong].per_sample, -run.outputs[wrong].outputs)}
    run = replace(run, outputs=outputs)
    html = unescape(render(run, frame.tables([run]), "<svg></svg>"))
    assert (
        "<strong>differs_from_reference</strong>, 1 case: the outputs of this dense case are not those of digits-cnn dense litert" in html
    )
    assert "onnxruntime (cpu) agrees on 0 % of 360 samples" in html


def test_a_run_of_dense_alone_has_no_comparison():
    """Neither heading nor preface."""
    run = stored([case()], [record(case())])
    assert "Compared with dense" not in render(run, frame.tables([run]), "<svg></svg>")
