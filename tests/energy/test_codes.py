"""The closed set of reason codes."""

from __future__ import annotations

import string

import numpy as np
import pytest

from harness.energy.codes import CODES, finding


@pytest.mark.parametrize("code", CODES)
def test_each_code_has_a_sentence_and_a_remedy(code):
    """A finding without a next step helps nobody."""
    entry = CODES[code]
    fields = [name for _, name, _, _ in string.Formatter().parse(entry.sentence) if name]
    found = finding(code, **{name: 4 if name in ("reasons", "n") else 1.0 for name in fields})
    assert found.sentence
    assert found.remedy


@pytest.mark.parametrize("code", CODES)
def test_a_remedy_is_one_sentence_about_values_that_the_sentence_has_too(code):
    """It is printed after a semicolon, and made of the same values."""
    remedy = CODES[code].remedy
    assert not remedy.endswith((".", "?"))
    assert remedy[0].islower()
    fields = [{name for _, name, _, _ in string.Formatter().parse(text) if name} for text in (CODES[code].sentence, remedy)]
    assert fields[1] <= fields[0]


def test_values_are_kept_as_plain_numbers():
    """They go into JSON."""
    values = finding("foreign_load", cores=np.float64(0.5)).values
    assert values == {"cores": 0.5} and type(values["cores"]) is float
