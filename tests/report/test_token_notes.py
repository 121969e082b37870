"""Method notes of generated text."""

from __future__ import annotations

from harness import frame
from harness.frame.rows import rows_of
from harness.report.notes import notes
from harness.report.token_notes import of_text
from harness.schema.served import Slo
from tests import factories, generating

RUN = generating.sweep()
ROWS = rows_of(frame.cases([RUN]))


def test_the_notes_define_an_energy_per_output_token():
    """Gross, prompts included, tokens by arrival in the window, edges, client, who counts, and no word of inferences."""
    text = " ".join(notes([RUN], ROWS))
    for part in (
        "gross energy of the window",
        "arrival is in the window",
        "processing of prompts is included",
        "both edges",
        "same meter",
        "80 us",
    ):
        assert part in text
    assert "Tokens are counted as the server" in text and "no prompt is sent twice, and at most 0.0%" in text
    assert "per inference" not in text and "top-1 class" not in text


def test_a_run_of_queries_has_the_notes_of_queries():
    """And a mixed one both."""
    queries, mixed = factories.digits(), generating.mixed()
    assert "per output token" not in " ".join(notes([queries], rows_of(frame.cases([queries]))))
    text = " ".join(notes([mixed], rows_of(frame.cases([mixed]))))
    assert "Energy is gross, per inference" in text and "Energy per output token is the gross" in text


def test_what_is_not_known_is_stated():
    """Estimated tokens, a cache that is not reported, a client that was not measured."""
    rows = [row | {"tokens_estimated": True, "cached_share": None, "client_cores": None} for row in ROWS]
    text = " ".join(of_text(RUN.header, rows))
    assert "The tokens of 9 of 9 cases are known for whole requests only" in text
    assert "from a cache is not reported in every case" in text and "CPU time was not measured" in text


def test_objectives_and_costs_only_are_named():
    """The limits behind the goodput, and why a quality is not to be read."""
    suite = RUN.header.suite.model_copy(update={"slo": Slo(max_ttft_s=0.5, max_tpot_s=0.05)})
    header = RUN.header.model_copy(update={"suite": suite})
    text = " ".join(of_text(header, [row | {"cost_only": "its weights are random"} for row in ROWS]))
    assert "every objective: TTFT at most 0.5 s, TPOT at most 0.05 s." in text
    assert "Cost only (its weights are random)" in text
    assert "Goodput" not in " ".join(of_text(RUN.header, ROWS))
