"""The child process: `python -m harness.measure`."""

from harness.measure import main

main()
