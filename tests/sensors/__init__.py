"""The sensors, on simulated instruments."""
