"""Mirrors harness/meters/formats."""
