"""The declared formats of power logs, one per module."""
