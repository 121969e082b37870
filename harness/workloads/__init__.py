"""Workloads: a model with its data and its quality metric, built in or the user's own."""
