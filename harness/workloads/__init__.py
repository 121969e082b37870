"""Workloads: a model with its data and its quality metric, built in or user-defined."""
