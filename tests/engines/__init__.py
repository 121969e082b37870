"""Mirrors harness/engines."""
