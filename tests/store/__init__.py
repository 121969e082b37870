"""Tests of a run's folder."""
