"""Mirrors harness/variants."""
