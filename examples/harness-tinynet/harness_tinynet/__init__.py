"""Multilayer perceptrons in NumPy, and the plug-ins that bring them to harness."""

from harness_tinynet.network import Network

__all__ = ["Network"]
