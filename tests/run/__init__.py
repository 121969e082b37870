"""Mirrors harness/run."""
