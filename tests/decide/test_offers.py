"""What a buyer writes, and what he is told of his mistakes."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.decide.offers import read_offers
from harness.errors import SuiteError

EXAMPLE = Path(__file__).parents[2] / "suites" / "offers.example.yaml"


def test_the_example_is_read():
    """By a run's name before its host's."""
    offers = read_offers(EXAMPLE)
    assert offers.of("run", "box-2").capital_cost == 6500
    assert offers.of("run", "nowhere") is None


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("duty_cycle: 0.3 ", "duty_cicle: 0.3 ", "unknown field 'duty_cicle'; did you mean 'duty_cycle'?"),
        ("    capital_cost: 4000", "    capital_costs: 4000", "unknown field 'capital_costs'; did you mean 'capital_cost'?"),
        ("pue: 1.4", "pue: 0.4", ":5: 'pue' must be greater than or equal to 1"),
        ("pue: 1.4", "pue: .nan", ":5: 'pue'"),
        ("machine: box-2", "machine: box-1", "offered twice"),
        ("currency: EUR", "currency: EUR\ncurrency: USD", "currency"),
    ],
)
def test_a_mistake_is_told_with_its_line(tmp_path, old, new, said):
    """File, line, and the nearest name; exit 2."""
    path = tmp_path / "offers.yaml"
    path.write_text(EXAMPLE.read_text().replace(old, new))
    with pytest.raises(SuiteError) as error:
        read_offers(path)
    assert said in str(error.value)
    assert error.value.exit_code == 2


def test_an_empty_file_and_none(tmp_path):
    """Both are sentences."""
    (tmp_path / "o.yaml").write_text("")
    with pytest.raises(SuiteError, match="the file is empty"):
        read_offers(tmp_path / "o.yaml")
    with pytest.raises(SuiteError, match="no file of offers"):
        read_offers(tmp_path / "none.yaml")
