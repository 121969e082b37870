"""What `make benchmarks` measures: ratios within one run, against truth and against bare loops."""
