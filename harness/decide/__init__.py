"""Stored runs -> verdicts: which case to take, which machine to buy, whether a change may go in."""
