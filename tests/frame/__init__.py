"""Mirrors harness/frame."""
