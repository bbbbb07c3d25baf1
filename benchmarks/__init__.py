"""Benchmarks: speed and memory as ratios measured in one run. Nothing here is a test, and no test is timed."""
