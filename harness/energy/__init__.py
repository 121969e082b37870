"""Traces and windows -> joules and every other figure of a record, and what may be wrong with them. Pure."""
