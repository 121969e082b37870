"""Terms of the uncertainty of an energy."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tests.frame.helpers import CALIBRATED, on_a_card, one, row


def test_every_term_of_the_uncertainty_by_hand():
    """Scatter s / sqrt(R); edges in quadrature over sqrt(R); gain 7 %; offset 13 W T / n; idle half of 2 W T / n; Welch-Satterthwaite."""
    found = row(on_a_card())
    t_over_n = 1.5 / 60_000
    assert found.u_a_j == pytest.approx(0.1 / np.sqrt(3))
    assert found.u_edge_j == pytest.approx(1e-4 * 7.0 / np.sqrt(3), rel=1e-3)
    assert found.u_gain_j == pytest.approx(0.07 * 7)
    assert found.u_offset_j == pytest.approx(13 * t_over_n)
    assert found.u_base_j == pytest.approx(1.0 * t_over_n / np.sqrt(3))
    assert found.nu == pytest.approx(2 * (found.u_a_j**2 + found.u_gain_j**2) ** 2 / found.u_a_j**4)


def test_a_term_that_does_not_apply_is_empty():
    """A model has no edges, gain or offset; a single launch has no scatter."""
    assert one()[["u_edge_j", "u_gain_j", "u_offset_j", "u_base_j"]].isna().all()
    assert one().u_a_j == 0
    single = row(on_a_card((7.0,)))
    assert single[["u_a_j", "nu", "energy_low_j", "energy_abs_low_j"]].isna().all()
    assert single.u_edge_j == pytest.approx(1e-4 * 7.0)


def test_a_calibrated_sensor_has_its_own_offset():
    """Instead of the published one of all cards."""
    found = row(on_a_card(domain=CALIBRATED))
    assert found.calibrated == "gpu:0"
    assert found.u_offset_j == pytest.approx(0.2 * 1.5 / 60_000)


def test_edges_that_dominate_are_a_warning():
    """Longer windows would help, more launches would not; no warning if the scatter is larger."""
    assert row(on_a_card((7.0, 7.0, 7.0))).warnings == "edges_dominate"
    assert pd.isna(row(on_a_card()).warnings)
