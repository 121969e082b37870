"""Tests mirror the package; none needs a GPU, a network or a sensor."""
