"""Joules and all other figures of a record, computed from traces and windows, with findings on possible errors."""
