"""Tests of the child."""
