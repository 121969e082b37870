"""Mirrors harness/formats."""
