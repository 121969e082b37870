"""An energy-aware benchmarking harness for machine-learning models."""

from importlib.metadata import version

__version__ = version("harness")
