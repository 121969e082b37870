"""Mirrors harness/meters."""
