"""An energy-aware benchmarking harness for machine-learning models."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("harness")
except PackageNotFoundError:  # a checkout that nobody installed
    __version__ = "0+unknown"
