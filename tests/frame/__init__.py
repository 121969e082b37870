"""Tests of harness/frame."""
