"""Mirrors harness/workloads."""
