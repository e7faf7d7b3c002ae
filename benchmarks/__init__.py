"""Benchmarks: `python -m benchmarks` prints each part side by side with its floor, in one run, on one machine."""
