"""Mirrors harness/worker."""
