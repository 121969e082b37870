"""Engines: open an artifact as a session that answers queries."""
