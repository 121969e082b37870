"""Mirrors harness/energy."""
