"""Tests of `harness.cli`."""
