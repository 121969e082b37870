"""Columns of text generation."""

import pandas as pd
import pytest

from harness import frame
from harness.frame.token_columns import TOKEN_CASES, TOKEN_RUNS
from harness.schema.served import TokenLoad
from tests import factories, generating


def test_energy_per_token_request_and_thousand_requests():
    """0.505 J a token, 48 tokens a request after a prompt of 16."""
    row = frame.cases([generating.llama()]).iloc[0]
    assert row.unit == "output_token"
    assert row.energy_j_per_output_token == row.energy_j == pytest.approx(0.505)
    assert row.energy_j_per_request == pytest.approx(0.505 * 48)
    assert row.energy_wh_per_1000_requests == pytest.approx(0.505 * 48 / 3.6)
    assert row.energy_j_per_total_token == pytest.approx(0.505 * 48 / 64)
    assert (row.ramp_energy_j, row.drain_energy_j) == (300.0, 20.0)


def test_no_column_is_forgotten():
    """Every column is filled by a closed load or by a rate."""
    rate = generating.case(load=TokenLoad(rate_per_s=2.0, input_tokens=16, output_tokens=48))
    figures = generating.FIGURES.model_copy(update={"offered": 0.99})
    poisson = factories.stored(
        [rate], [generating.record(rate, tokens=figures, repetition=n) for n in range(3)], found=factories.COUNTERS[:1]
    )
    prefill = generating.sweep(loads=generating.PREFILL_AND_DECODE)
    table = pd.concat([frame.cases([generating.cost_only(generating.llama())]), frame.cases([poisson]), frame.cases([prefill])])
    assert [column.name for column in TOKEN_CASES if table[column.name].isna().all()] == []
    runs = frame.runs([generating.llama()])
    assert [column.name for column in TOKEN_RUNS if runs[column.name].isna().all()] == []


def test_the_latency_of_text_is_the_time_per_output_token():
    """So that fronts, selection and comparison need no other objective."""
    row = frame.cases([generating.llama()]).iloc[0]
    assert row.latency_p50_s == pytest.approx(row.tpot_p50_s)


def test_agreement_is_the_share_of_tokens_before_the_first_that_differs():
    """24 of 32 tokens of each answer; next to it how far dense agrees with itself."""
    row = frame.cases([generating.llama()]).iloc[1]
    assert row.agreement == pytest.approx(0.75)
    assert row.quality == pytest.approx(0.75)
    assert row.agreement_noise_floor == pytest.approx(0.98)
    assert pd.isna(row.output_max_diff)


def test_other_cases_have_none_of_these():
    """They are empty, not 0."""
    row = frame.cases([factories.digits()]).iloc[0]
    assert row.unit == "inference"
    assert all(pd.isna(row[column.name]) for column in TOKEN_CASES)


def test_a_variant_whose_quality_is_not_its_own_is_cost_only():
    """With the reason of the finding."""
    assert set(frame.cases([generating.cost_only(generating.sweep())])["cost_only"]) == {"its weights are random"}
    assert frame.cases([generating.sweep()])["cost_only"].isna().all()
