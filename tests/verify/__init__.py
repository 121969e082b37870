"""Tests of `harness.verify`."""
