"""Numbers are read in every common notation."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from harness.meters.cells import cells_of
from tests.meters.logs import (
    LOCAL,
    check_read,
    comma,
    grouped,
    iso,
    lakh,
    table,
)

READ = {
    "decimal comma in quotes": (table("timestamp,power_w", lambda t, w: f'{t},"{comma(w)}"'), {}, 1),
    "thousands with a comma and a point": (table("timestamp,power_w", lambda t, w: f'{t},"{w:,.2f}"'), {}, 1),
    "thousands with a point and a comma": (table("Zeit;Leistung [W]", lambda t, w: f"{iso(t)};{grouped(w, '.', ',')}"), LOCAL, 1),
    "thousands with a no-break space": (table("timestamp;P [W]", lambda t, w: f"{t};{grouped(w, chr(0xA0), ',')}"), {}, 1),
    "thousands with a narrow no-break space": (table("timestamp,P [W]", lambda t, w: f"{t},{grouped(w, chr(0x202F), '.')}"), {}, 1),
    "thousands with an apostrophe": (table("timestamp,P [W]", lambda t, w: f"{t},{grouped(w, chr(0x27), '.')}"), {}, 1),
    "three decimals after a point": (
        table("timestamp,P [W]", lambda t, w: f"{t},{w / 1000:.3f}", watts=[100, 1180] * 10),
        {},
        0.001,
        [100, 1180] * 10,
    ),
    "exponents with a comma": (table("timestamp;P [W]", lambda t, w: f"{t};{comma(w / 100, 4)}E+02"), {}, 1),
    "lakhs": (table("timestamp,Power (mW)", lambda t, w: f'{t},"{lakh(w * 1000)}"'), {}),
}


@pytest.mark.parametrize("name", READ)
def test_logs_are_read_right(tmp_path, name):
    """Every reading, at its time, and none lost."""
    check_read(tmp_path, *READ[name])


def test_numbers_keep_every_digit():
    """With signs, exponents and units."""
    column = cells_of(pd.Series(["+1.25", "\u22123.5 W", "1.180E+03", "1e31", "-OL-", ".5"], dtype=str))
    assert column.numbers(".").tolist() == pytest.approx([1.25, -3.5, 1180, np.nan, np.nan, 0.5], nan_ok=True)


@pytest.mark.parametrize(
    ("cells", "counts"),
    [
        (["1.5", "2.25"], (2, 0, 0)),
        (["1,5", "1.234,5"], (0, 2, 0)),
        (["1,234"], (0, 0, 1)),
        (["1.234.567"], (0, 1, 0)),
        (["1,180E+02"], (0, 1, 0)),
        (["7", "x", ""], (0, 0, 0)),
    ],
)
def test_cells_show_their_decimal_mark(cells, counts):
    """Those that need a point, need a comma, or can be read with both."""
    evidence = cells_of(pd.Series(cells, dtype=str)).evidence
    assert (evidence.point, evidence.comma, evidence.either) == counts


def test_cells_state_their_units():
    """Watts with rows of other quantities, or another quantity alone."""
    mixed = cells_of(pd.Series(["1 W", "2 kW", "3 V", ""], dtype=str))
    assert mixed.in_watts and mixed.other_unit == "V"
    assert mixed.foreign.tolist() == [False, False, True, False]
    assert mixed.factors(1e-3)[:2].tolist() == [1.0, 1e3]
    assert not cells_of(pd.Series(["1 V", "2 V"], dtype=str)).in_watts
