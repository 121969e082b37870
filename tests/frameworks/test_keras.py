"""Keras as a framework; its training is tested in tests/variants/test_training.py."""

from __future__ import annotations

from harness import plugins
from harness.formats.base import FIRST_PACKAGES
from harness.frameworks.keras import Keras


def test_it_is_found_by_its_entry_point_and_keeps_the_ids_of_builds():
    """It saves `.keras` files, and its packages are those of the first builds."""
    assert plugins.load("frameworks", "keras") is Keras
    assert Keras.spec.format == "keras" and Keras.spec.packages == FIRST_PACKAGES
