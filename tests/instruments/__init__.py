"""Simulated instruments that the real sensor code runs on, unmodified; each knows the exact energy it pretends to have measured."""
