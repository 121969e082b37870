"""Mirrors harness/store."""
