"""Suites, good and spoilt."""
