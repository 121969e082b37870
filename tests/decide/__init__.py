"""Tests of harness/decide."""
