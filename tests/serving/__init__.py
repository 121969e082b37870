"""Mirrors harness/serving."""
