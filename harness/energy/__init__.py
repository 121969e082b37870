"""Traces and windows -> joules and all other figures of a record, with findings on what may be wrong with them."""
