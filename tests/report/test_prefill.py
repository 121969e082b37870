"""Prefill and decode from separate cases."""

from __future__ import annotations

import pytest

from harness import frame
from harness.frame.rows import rows_of
from harness.report.prefill import prefill_lines
from tests import factories, generating

RUN = generating.sweep(("dense", "q8_0"), (generating.LOAD, *generating.PREFILL_AND_DECODE))


def test_prefill_is_the_energy_of_a_request_over_its_input_tokens():
    """Of a case whose answers have one token, with the interval of its launches."""
    rows = {row["load"]: row for row in rows_of(frame.cases([RUN])) if row["variant"] == "dense"}
    prefill = rows["c4/in256/out1"]
    assert prefill["prefill_j_per_input_token"] == pytest.approx(prefill["energy_j_per_request"] / 256)
    assert prefill["prefill_low_j_per_input_token"] == pytest.approx(prefill["energy_low_j"] / 256)
    assert all(rows[load]["prefill_j_per_input_token"] is None for load in ("c4/in16/out48", "c4/in16/out256"))


def test_each_variant_has_a_sentence_with_both():
    """Each with its interval, its kind and its lengths; a case between the two is in neither."""
    first, second = prefill_lines(rows_of(frame.cases([RUN])))
    assert first == (
        "dense on openai-server (cpu, c4, 1 thread): prefill 9.00 ± 0.45 mJ per input token, counter (256 input tokens a request); "
        "decode 159.9 ± 7.9 mJ per output token, counter (16.0 input and 256 output tokens a request)"
    )
    assert second.startswith("q8_0 ")


def test_decode_needs_long_answers_and_prefill_a_single_token():
    """Without a case of prefill there is no sentence."""
    only = generating.sweep(("dense",), generating.PREFILL_AND_DECODE[:1])
    (line,) = prefill_lines(rows_of(frame.cases([only])))
    assert line.endswith("decode: no case with long answers")
    assert prefill_lines(rows_of(frame.cases([generating.sweep()]))) == []
    assert prefill_lines(rows_of(frame.cases([factories.digits()]))) == []
