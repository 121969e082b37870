"""Hardware offers, read from YAML."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.decide.offers import read_offers
from harness.errors import SuiteError

EXAMPLE = Path(__file__).parents[2] / "suites" / "offers.example.yaml"


def test_the_example_is_read():
    """An offer for the run's name takes precedence over its host's."""
    offers = read_offers(EXAMPLE)
    assert offers.of("run", "box-2").capital_cost == 6500
    assert offers.of("run", "nowhere") is None


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("duty_cycle: 0.3 ", "duty_cicle: 0.3 ", "unknown field 'duty_cicle'; did you mean 'duty_cycle'?"),
        ("    capital_cost: 4000", "    capital_costs: 4000", "unknown field 'capital_costs'; did you mean 'capital_cost'?"),
        ("pue: 1.4", "pue: 0.4", ":5: 'pue' must be greater than or equal to 1"),
        ("pue: 1.4", "pue: .nan", ":5: 'pue' must be a finite number, not nan"),
        ("pue: 1.4", "pue: '1.4'", ":5: 'pue' must be a plain number, not the text '1.4'"),
        ("pue: 1.4", "pue: true", ":5: 'pue' must be a plain number, not true"),
        ("duty_cycle: 0.3 ", "duty_cycle: 1.0e-300 ", ":4: 'duty_cycle' must be greater than or equal to 0.0001"),
        ("    lifetime_years: 4", "    lifetime_years: 1.0e-300", "'lifetime_years' must be greater than or equal to 0.01"),
        ("    capital_cost: 4000", "    capital_cost: 1.0e+308", ":10: 'capital_cost' must be less than or equal to 1000000000000"),
        ("country: DEU", "country: 49", ":7: 'country' must be text, not 49: put it in quotes"),
        ("grid: {country: DEU, year: 2023, g_per_kwh: 381}", "grid: DEU", ":7: 'grid' must be a mapping, not 'DEU'"),
        ("  - machine: box-1", "  - box-0\n  - machine: box-1", ":9: each of 'offers' must be a mapping, not 'box-0'"),
        ("machine: box-2", "machine: box-1", "two offers"),
        ("currency: EUR", "currency: EUR\ncurrency: USD", "currency"),
        ("currency: EUR", 'currency: "E\\nUR"', ":2: 'currency' must be text without control characters"),
        ("currency: EUR", "currency: euros of 2022", ":2: 'currency' must have at most 10 characters"),
        ("currency: EUR", 'currency: ""', ":2: 'currency' must have at least 1 character"),
    ],
)
def test_an_error_has_its_line(tmp_path, old, new, words):
    """File, line, and the nearest name; exit 2."""
    path = tmp_path / "offers.yaml"
    path.write_text(EXAMPLE.read_text().replace(old, new))
    with pytest.raises(SuiteError) as error:
        read_offers(path)
    assert words in str(error.value)
    assert error.value.exit_code == 2


def test_an_empty_or_missing_file(tmp_path):
    """Both are errors with a sentence."""
    (tmp_path / "o.yaml").write_text("")
    with pytest.raises(SuiteError, match="the file is empty"):
        read_offers(tmp_path / "o.yaml")
    site = EXAMPLE.read_text().split("offers:")[0]
    for nothing, words in (("[]", "'offers' is empty: at least one is needed"), ("", "'offers' must be a list, not nothing")):
        (tmp_path / "o.yaml").write_text(f"{site}offers: {nothing}\n")
        with pytest.raises(SuiteError, match=words):
            read_offers(tmp_path / "o.yaml")
    with pytest.raises(SuiteError, match="no file of offers"):
        read_offers(tmp_path / "none.yaml")
