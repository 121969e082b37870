"""Decisions about stored runs as data: which case to select, how machines compare, whether a run is worse than another."""
