"""Engines: an artifact in, a session that answers queries out."""
